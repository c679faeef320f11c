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
  /// The first entry of the log.
  package var firstIndex: UInt64
  /// Up to where damage has cost this log entries that it waits for.
  package var promisedIndex: UInt64?
  /// The entry up to which the latest snapshot goes; 0: there is none.
  package var snapshotIndex: UInt64
  package var snapshotBytes: UInt64
  /// Files of the log, and of its archive.
  package var logBytes: UInt64
  package var archiveBytes: UInt64
  package var isDiskFull: Bool
  /// For how long the synchronization of the disk goes on that is under way.
  package var syncPendingMicroseconds: UInt64
  /// 99 % of the disk's synchronizations took so long or less.
  package var syncP99Microseconds: UInt64?
  /// Synchronizations that took as long as a leader may be silent.
  package var diskStalls: UInt64
  /// Campaigns of this replica since its process started.
  package var elections: UInt64
  /// Times that it heard of another leader than before.
  package var leaderChanges: UInt64
  /// When either last happened, since 1970-01-01 UTC.
  package var lastElectionMicroseconds: Int64?
  /// When the process started.
  package var startedMicroseconds: Int64?
  /// The cluster's.
  package var featureLevel: UInt32
  /// The highest that the node's program knows.
  package var supportedFeatureLevel: UInt32
  /// Records that the subscriber lacks that is furthest behind.
  package var subscriberLag: UInt64

  /// In words: how the disk of the log is.
  package var diskState: String {
    if isDiskFull { return "full" }
    if let promisedIndex, promisedIndex > lastIndex { return "damaged: waits for entry \(promisedIndex)" }
    return syncPendingMicroseconds > 250_000 ? "hangs for \(syncPendingMicroseconds / 1000) ms" : "ok"
  }

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
    firstIndex = wire.firstIndex
    promisedIndex = wire.promisedIndex == 0 ? nil : wire.promisedIndex
    snapshotIndex = wire.snapshotIndex
    snapshotBytes = wire.snapshotBytes
    logBytes = wire.logBytes
    archiveBytes = wire.archiveBytes
    isDiskFull = wire.diskFull
    syncPendingMicroseconds = wire.syncPendingMicroseconds
    syncP99Microseconds = wire.syncP99Microseconds == 0 ? nil : wire.syncP99Microseconds
    diskStalls = wire.diskStalls
    elections = wire.elections
    leaderChanges = wire.leaderChanges
    lastElectionMicroseconds = wire.lastElectionMicroseconds == 0 ? nil : wire.lastElectionMicroseconds
    startedMicroseconds = wire.startedMicroseconds == 0 ? nil : wire.startedMicroseconds
    featureLevel = wire.featureLevel
    supportedFeatureLevel = wire.supportedFeatureLevel
    subscriberLag = wire.subscriberLag
  }

  /// Asks a meta node.
  @LoopActor
  package static func ask(_ channel: RPCChannel, timeoutMilliseconds: Int) async throws(RPCError) -> MetadataStatus {
    MetadataStatus(
      try await channel.unary(
        MetadataMethods.status, Kunlog_Metadata_V1_StatusRequest(), timeoutMilliseconds: timeoutMilliseconds))
  }
}
