import ProtocolStorage
import RPC

/// The methods of the service `kunlog.storage.v1.Storage`.
package enum StorageMethods {
  package static let service = "kunlog.storage.v1.Storage"
  package static let execute = RPCMethod<Kunlog_Storage_V1_ExecuteRequest, Kunlog_Storage_V1_ExecuteResponse>(
    service: service, method: "Execute")
  package static let commit = RPCMethod<Kunlog_Storage_V1_CommitRequest, Kunlog_Storage_V1_CommitResponse>(
    service: service, method: "Commit")
  package static let prepare = RPCMethod<Kunlog_Storage_V1_PrepareRequest, Kunlog_Storage_V1_PrepareResponse>(
    service: service, method: "Prepare")
  package static let finish = RPCMethod<Kunlog_Storage_V1_FinishRequest, Kunlog_Storage_V1_FinishResponse>(
    service: service, method: "Finish")
  package static let hold = RPCMethod<Kunlog_Storage_V1_HoldRequest, Kunlog_Storage_V1_HoldResponse>(
    service: service, method: "Hold")
  package static let transactions = RPCMethod<
    Kunlog_Storage_V1_TransactionsRequest, Kunlog_Storage_V1_TransactionsResponse
  >(
    service: service, method: "Transactions")
  package static let rollback = RPCMethod<Kunlog_Storage_V1_RollbackRequest, Kunlog_Storage_V1_RollbackResponse>(
    service: service, method: "Rollback")
  package static let keepAlive = RPCMethod<Kunlog_Storage_V1_KeepAliveRequest, Kunlog_Storage_V1_KeepAliveResponse>(
    service: service, method: "KeepAlive")
  package static let status = RPCMethod<Kunlog_Storage_V1_StatusRequest, Kunlog_Storage_V1_StatusResponse>(
    service: service, method: "Status")
}
