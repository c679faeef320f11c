import EventLoop
import Metadata
import PostgresWire
import SQLPlan
import SQLTypes

/// What the sessions of a compute node share.
@LoopActor
package final class ExecutionServices {
  let metadata: any MetadataAccess
  let shards: any ShardAccess
  let local: any LocalEngine
  let planning: @Sendable (Image, SessionInfo) -> any StatementPlanning
  let sequences: SequenceCache
  let plans: PlanCache
  let names: TransactionNames
  let coordinator: TransactionCoordinator
  let deadlocks: DeadlockDetector
  let snapshots: ClusterSnapshots
  /// Reads and plans large statements; made with the first of them.
  private(set) lazy var planningThread = WorkerThread(name: "planning")
  let cryptography: SCRAMCryptography
  /// Random bytes for the salts of verifiers.
  let randomBytes: @Sendable (Int) -> [UInt8]
  /// Microseconds since 1970-01-01 UTC.
  let clock: @LoopActor () -> Int64

  /// 2000-01-01 in microseconds since 1970-01-01: PostgreSQL's epoch.
  static let epochMicroseconds: Int64 = 946_684_800_000_000

  package init(
    metadata: any MetadataAccess, shards: any ShardAccess, local: any LocalEngine,
    planning: @escaping @Sendable (Image, SessionInfo) -> any StatementPlanning, nodeID: NodeID,
    cryptography: SCRAMCryptography, randomBytes: @escaping @Sendable (Int) -> [UInt8],
    clock: @escaping @LoopActor () -> Int64 = { Loop.wallClockMicroseconds() }
  ) {
    self.metadata = metadata
    self.shards = shards
    self.local = local
    self.planning = planning
    self.cryptography = cryptography
    self.randomBytes = randomBytes
    self.clock = clock
    sequences = SequenceCache(metadata: metadata)
    plans = PlanCache()
    names = TransactionNames(nodeID: nodeID, startMicroseconds: clock())
    deadlocks = DeadlockDetector(shards: shards)
    snapshots = ClusterSnapshots(shards: shards, names: names)
    coordinator = TransactionCoordinator(
      nodeID: nodeID, startMicroseconds: clock(), shards: shards, metadata: metadata)
  }

  /// Microseconds since 2000-01-01 UTC.
  var now: Int64 { clock() - Self.epochMicroseconds }
}
