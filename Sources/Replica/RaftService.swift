import ProtocolRaft
import RPC

/// The methods of `kunlog.raft.v1.Raft`.
enum RaftService {
  static let exchange = RPCMethod<Kunlog_Raft_V1_ExchangeRequest, Kunlog_Raft_V1_ExchangeResponse>(
    service: "kunlog.raft.v1.Raft", method: "Exchange")
  static let installSnapshot = RPCMethod<Kunlog_Raft_V1_SnapshotRequest, Kunlog_Raft_V1_SnapshotResponse>(
    service: "kunlog.raft.v1.Raft", method: "InstallSnapshot")
}
