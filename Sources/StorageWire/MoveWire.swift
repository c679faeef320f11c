import Coordination
import EventLoop
import FoundationEssentials
import Metadata
import ProtocolStorage
import RPC

/// What a storage node answers to whoever asks for a step of a migration.
package enum MoveAnswer: Sendable {
  case done(MigrationDriver.StepResult)
  /// It goes on. `totalBytes` 0: not known.
  case working(bytes: UInt64, totalBytes: UInt64, rows: UInt64)
  case failed(MigrationDriver.FailureKind, reason: String)
  /// Another replica leads, where that is known.
  case notLeader(NodeID?)
}

extension MigrationDriver.Step {
  /// As a shard was asked for it; nil: it is none that this version knows, or not the shard's.
  package init?(_ request: Kunlog_Storage_V1_MoveStepRequest, of migration: Migration) {
    let shard = ShardID(rawValue: request.shardID)
    switch request.step {
    case .snapshot?: self = .snapshot
    case .load?: self = .load
    case .catchUpThrough(let index)?: self = .catchUp(through: index)
    case .checksum?: self = migration.origin == shard ? .checksumOrigin : .checksumFollower
    case .fence(let step)?: self = .fence(reads: step.reads)
    case .clean?: self = migration.plan.source == shard ? .cleanSource : .cleanTarget
    case nil: return nil
    }
    guard self.shard(of: migration) == shard else { return nil }
  }

  /// Asks a storage node for the step; the node answers within about a second.
  @LoopActor
  package func ask(
    _ channel: RPCChannel, of clusterID: ClusterID, _ migration: Migration, metadataIndex: UInt64,
    timeoutMilliseconds: Int
  ) async throws(RPCError) -> MoveAnswer {
    let response = try await channel.unary(
      MoveMethods.step,
      .with {
        $0.clusterID = Data(clusterID.rawValue)
        $0.shardID = shard(of: migration).rawValue
        $0.metadataIndex = metadataIndex
        $0.migrationID = migration.plan.id.rawValue
        $0.attempt = migration.attempt
        switch self {
        case .snapshot: $0.snapshot = true
        case .load: $0.load = true
        case .catchUp(let through): $0.catchUpThrough = through
        case .checksumOrigin, .checksumFollower: $0.checksum = true
        case .fence(let reads): $0.fence.reads = reads
        case .cleanSource, .cleanTarget: $0.clean = true
        }
      }, timeoutMilliseconds: timeoutMilliseconds)
    switch response.kind {
    case .done(let done):
      var result = MigrationDriver.StepResult(
        shardIndex: done.shardIndex, checksum: Array(done.checksum), lengthBytes: done.lengthBytes)
      result.followerIndex = done.followerIndex
      result.logFrom = done.logFrom
      return .done(result)
    case .working(let progress):
      return .working(bytes: progress.bytes, totalBytes: progress.totalBytes, rows: progress.rows)
    case .failure(let failure):
      return .failed(
        failure.isFinal ? .final : failure.snapshotLost ? .snapshotLost : .transient, reason: failure.message)
    case .notLeader(let other):
      return .notLeader(other.leaderNodeID == 0 ? nil : NodeID(rawValue: other.leaderNodeID))
    case nil: throw RPCError(.unknown, "an answer of an unknown kind")
    }
  }
}

/// A storage node's account of itself, as far as it says who may give a snapshot.
package struct ReplicaRole: Sendable {
  package var isLeader: Bool
  package var appliedIndex: UInt64
  /// The shard that it serves, or waits to come into.
  package var shardID: ShardID

  /// Asks a storage node.
  @LoopActor
  package static func ask(_ channel: RPCChannel, timeoutMilliseconds: Int) async throws(RPCError) -> ReplicaRole {
    let status = try await channel.unary(
      StorageMethods.status, Kunlog_Storage_V1_StatusRequest(), timeoutMilliseconds: timeoutMilliseconds)
    return ReplicaRole(
      isLeader: status.role == "leader", appliedIndex: status.appliedIndex, shardID: ShardID(rawValue: status.shardID))
  }
}
