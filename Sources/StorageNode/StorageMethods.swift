import ProtocolStorage
import RPC

/// The methods of the service `kunlog.storage.v1.Storage`.
enum StorageMethods {
  static let service = "kunlog.storage.v1.Storage"
  static let execute = RPCMethod<Kunlog_Storage_V1_ExecuteRequest, Kunlog_Storage_V1_ExecuteResponse>(
    service: service, method: "Execute")
  static let commit = RPCMethod<Kunlog_Storage_V1_CommitRequest, Kunlog_Storage_V1_CommitResponse>(
    service: service, method: "Commit")
  static let prepare = RPCMethod<Kunlog_Storage_V1_PrepareRequest, Kunlog_Storage_V1_PrepareResponse>(
    service: service, method: "Prepare")
  static let finish = RPCMethod<Kunlog_Storage_V1_FinishRequest, Kunlog_Storage_V1_FinishResponse>(
    service: service, method: "Finish")
  static let hold = RPCMethod<Kunlog_Storage_V1_HoldRequest, Kunlog_Storage_V1_HoldResponse>(
    service: service, method: "Hold")
  static let transactions = RPCMethod<Kunlog_Storage_V1_TransactionsRequest, Kunlog_Storage_V1_TransactionsResponse>(
    service: service, method: "Transactions")
  static let rollback = RPCMethod<Kunlog_Storage_V1_RollbackRequest, Kunlog_Storage_V1_RollbackResponse>(
    service: service, method: "Rollback")
  static let keepAlive = RPCMethod<Kunlog_Storage_V1_KeepAliveRequest, Kunlog_Storage_V1_KeepAliveResponse>(
    service: service, method: "KeepAlive")
  static let status = RPCMethod<Kunlog_Storage_V1_StatusRequest, Kunlog_Storage_V1_StatusResponse>(
    service: service, method: "Status")
}
