import Coordination
import Metadata

/// A manager of the cluster: one of them acts, by an epoch in the log.
final class SimulatedManager {
  let number: Int
  let process: SimulatedProcess
  /// That it was elected for; nil: it does not act.
  var epoch: UInt64?
  /// Since when the acting one has not answered.
  var silentSince: UInt64?
  var isElecting = false
  /// When it first saw the decisions that are open.
  var seen: [GlobalTransactionID: UInt64] = [:]
  var drivers: [MigrationID: MigrationDriver] = [:]
  /// The last step that each driver has asked for.
  var numbers: [MigrationID: Int] = [:]
  /// The replica of each shard that answered as leader last.
  var leaders = [Int](repeating: 0, count: Cells.shardCount)
  var isTicking = false
  var nodeID: NodeID { NodeID(rawValue: UInt64(200 + number)) }

  init(number: Int, process: SimulatedProcess) {
    self.number = number
    self.process = process
  }

  /// What the memory of a process that starts holds.
  func begin() {
    epoch = nil
    silentSince = nil
    isElecting = false
    seen = [:]
    drivers = [:]
    numbers = [:]
    leaders = [Int](repeating: 0, count: Cells.shardCount)
    isTicking = false
  }
}

/// What the log said of moves, and when.
struct MoveHistory {
  var result = MoveResult()
  var plans: [MigrationID: TabletID] = [:]
  var plannedAt: [TabletID: UInt64] = [:]
  /// Their tablets are on their way back.
  var reversed: Set<MigrationID> = []
  /// So long a shard waits for a manager to end a cut.
  var longestCut: UInt64 = 5_000_000
  /// Tablets of whose cut reads await the end.
  var awaited: Set<Int> = []
  /// When something happened last with each tablet.
  var changedAt: [TabletID: UInt64] = [:]
}

/// What the moves of a run, or of many, came to.
package struct MoveResult: Sendable {
  /// Moves that were planned.
  package var planned: UInt64 = 0
  /// Routes that have changed.
  package var routed: UInt64 = 0
  package var completed: UInt64 = 0
  package var rolledBack: UInt64 = 0
  /// Routes that went back although they had moved.
  package var reversed: UInt64 = 0
  /// Cuts that shards had ended, as no manager did.
  package var expired: UInt64 = 0
  /// Attempts that were begun anew.
  package var retries: UInt64 = 0
  /// Statements that were planned anew.
  package var replanned: UInt64 = 0

  /// Nothing.
  package init() {}

  /// Adds another run's.
  package mutating func add(_ other: MoveResult) {
    planned += other.planned
    routed += other.routed
    completed += other.completed
    rolledBack += other.rolledBack
    reversed += other.reversed
    expired += other.expired
    retries += other.retries
    replanned += other.replanned
  }
}
