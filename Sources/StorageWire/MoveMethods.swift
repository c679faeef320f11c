import ProtocolStorage
import RPC

/// The methods of the service `kunlog.storage.v1.Moves`.
package enum MoveMethods {
  package static let service = "kunlog.storage.v1.Moves"
  package static let step = RPCMethod<Kunlog_Storage_V1_MoveStepRequest, Kunlog_Storage_V1_MoveStepResponse>(
    service: service, method: "Step")
  package static let readRows = RPCMethod<Kunlog_Storage_V1_ReadRowsRequest, Kunlog_Storage_V1_ReadRowsResponse>(
    service: service, method: "ReadRows")
  package static let readChanges = RPCMethod<
    Kunlog_Storage_V1_ReadChangesRequest, Kunlog_Storage_V1_ReadChangesResponse
  >(
    service: service, method: "ReadChanges")
}
