import EventLoop
import Metadata
import ProtocolMetadata
import RPC

/// What a meta node says of itself.
package struct MetadataStatus: Sendable, Hashable {
  package struct Member: Sendable, Hashable {
    package var nodeID: NodeID
    package var address: String
    package var matchIndex: UInt64
    package var isAlive: Bool
  }
  package var clusterID: ClusterID?
  package var nodeID: NodeID
  /// leader, follower, candidate, learner.
  package var role: String
  package var term: UInt64
  package var leaderID: NodeID?
  /// Where the leader is reached.
  package var leaderAddress: MetadataEndpoint?
  package var commitIndex: UInt64
  package var appliedIndex: UInt64
  package var lastIndex: UInt64
  package var recordIndex: UInt64
  package var recordHash: RecordHash
  package var subscribers: Int
  /// As the leader sees them.
  package var members: [Member]

  init(_ wire: Kunlog_Metadata_V1_StatusResponse) {
    clusterID = wire.clusterID.count == 16 ? ClusterID(rawValue: [UInt8](wire.clusterID)) : nil
    nodeID = NodeID(rawValue: wire.nodeID)
    role = wire.role
    term = wire.term
    leaderID = wire.leaderNodeID == 0 ? nil : NodeID(rawValue: wire.leaderNodeID)
    leaderAddress = MetadataEndpoint(wire.leaderAddress)
    commitIndex = wire.commitIndex
    appliedIndex = wire.appliedIndex
    lastIndex = wire.lastIndex
    recordIndex = wire.recordIndex
    recordHash = RecordHash([UInt8](wire.recordHash)) ?? .zero
    subscribers = Int(wire.subscribers)
    members = wire.members.map {
      Member(nodeID: NodeID(rawValue: $0.nodeID), address: $0.address, matchIndex: $0.matchIndex, isAlive: $0.alive)
    }
  }

  /// Asks a meta node.
  @LoopActor
  package static func ask(_ channel: RPCChannel, timeoutMilliseconds: Int) async throws(RPCError) -> MetadataStatus {
    MetadataStatus(
      try await channel.unary(
        MetadataMethods.status, Kunlog_Metadata_V1_StatusRequest(), timeoutMilliseconds: timeoutMilliseconds))
  }
}
