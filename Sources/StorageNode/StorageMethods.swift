import ProtocolStorage
import RPC

/// The methods of the service `kunlog.storage.v1.Storage`.
enum StorageMethods {
  static let service = "kunlog.storage.v1.Storage"
  static let execute = RPCMethod<Kunlog_Storage_V1_ExecuteRequest, Kunlog_Storage_V1_ExecuteResponse>(
    service: service, method: "Execute")
  static let commit = RPCMethod<Kunlog_Storage_V1_CommitRequest, Kunlog_Storage_V1_CommitResponse>(
    service: service, method: "Commit")
  static let rollback = RPCMethod<Kunlog_Storage_V1_RollbackRequest, Kunlog_Storage_V1_RollbackResponse>(
    service: service, method: "Rollback")
  static let keepAlive = RPCMethod<Kunlog_Storage_V1_KeepAliveRequest, Kunlog_Storage_V1_KeepAliveResponse>(
    service: service, method: "KeepAlive")
  static let status = RPCMethod<Kunlog_Storage_V1_StatusRequest, Kunlog_Storage_V1_StatusResponse>(
    service: service, method: "Status")
}
