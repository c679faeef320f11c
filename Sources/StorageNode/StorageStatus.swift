import Coordination
import EventLoop
import Metadata
import ProtocolStorage
import RPC
import StorageWire

/// A storage node's own account of itself.
package struct StorageStatus: Sendable, Hashable {
  package var shardID: ShardID
  package var nodeID: NodeID
  /// "leader", "follower", …
  package var role: String
  package var term: UInt64
  /// Of the shard's log.
  package var commitIndex: UInt64
  package var appliedIndex: UInt64
  package var lastIndex: UInt64
  /// How far it has followed the metadata log.
  package var metadataIndex: UInt64
  package var tablets: UInt64
  package var sizeBytes: UInt64
  package var openTransactions: Int
  /// Of its data's file system; nil: it is older, or cannot tell.
  package var space: DiskSpace?
  /// The newest feature level that its program understands; nil: it is older than level 3.
  package var featureLevel: UInt32?

  /// Asks a storage node.
  @LoopActor
  package static func ask(_ channel: RPCChannel, timeoutMilliseconds: Int) async throws(RPCError) -> StorageStatus {
    let wire = try await channel.unary(
      StorageMethods.status, Kunlog_Storage_V1_StatusRequest(), timeoutMilliseconds: timeoutMilliseconds)
    return StorageStatus(
      shardID: ShardID(rawValue: wire.shardID), nodeID: NodeID(rawValue: wire.nodeID), role: wire.role, term: wire.term,
      commitIndex: wire.commitIndex, appliedIndex: wire.appliedIndex, lastIndex: wire.lastIndex,
      metadataIndex: wire.metadataIndex, tablets: wire.tablets, sizeBytes: wire.sizeBytes,
      openTransactions: Int(wire.openTransactions), space: DiskSpace(wire),
      featureLevel: wire.featureLevel == 0 ? nil : wire.featureLevel)
  }
}
