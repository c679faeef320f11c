import Coordination
import Metadata

/// A compute node: its sessions, and the commits that it coordinates.
final class SimulatedCompute {
  let number: Int
  let process: SimulatedProcess
  var ledger: CommitLedger
  /// The replica of each shard that answered as leader last.
  var leaders = [Int](repeating: 0, count: Cells.shardCount)
  /// Transactions that its sessions have open.
  var running: [TransactionName: SimulatedTransaction] = [:]
  /// The routes that it knows, and the metadata that said so first.
  var routes: [TabletDefinition] = []
  var routesIndex: UInt64 = 0
  var lastName: UInt64 = 0
  var startedAt: UInt64 = 0
  var isResolving = false
  /// Snapshots are taken one at a time.
  var snapshots: [() -> Void] = []
  var isTakingSnapshot = false
  /// Waits as they were reported last.
  var previousWaits = WaitGraph<TransactionName>([])
  var isLookingForDeadlocks = false
  /// Some of its transactions wait for the answer to a write.
  var isWatching = false

  init(number: Int, process: SimulatedProcess) {
    self.number = number
    self.process = process
    ledger = CommitLedger(node: TransactionWorld.nodeID(compute: number), startMicroseconds: 1)
  }

  func close() {
    running = [:]
    snapshots = []
  }

  /// A new name: its number, the start of its process, a counter.
  func nextName() -> TransactionName {
    lastName += 1
    return TransactionName(Self.bytes(UInt64(number)) + Self.bytes(startedAt) + Self.bytes(lastName))
  }

  /// Whether the transaction is one of its sessions', which are alive.
  func owns(_ name: TransactionName) -> Bool { running[name] != nil && process.isUp }

  private static func bytes(_ number: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) }
  }

  /// What the memory of a process that starts holds.
  func begin(at time: UInt64, _ mutants: CoordinationMutants) {
    ledger = CommitLedger(
      node: TransactionWorld.nodeID(compute: number), startMicroseconds: time, mutants: mutants)
    leaders = [Int](repeating: 0, count: Cells.shardCount)
    running = [:]
    routes = []
    routesIndex = 0
    lastName = 0
    startedAt = time
    isResolving = false
    snapshots = []
    isTakingSnapshot = false
    previousWaits = WaitGraph([])
    isLookingForDeadlocks = false
    isWatching = false
  }
}

/// A transaction of a session: what it is to do, and how far it is.
final class SimulatedTransaction {
  enum Step {
    /// Cells of any shards, one shard after another or together.
    case read([Int])
    case write(Int, CellChange)
  }

  let name: TransactionName
  let compute: SimulatedCompute
  let session: Int
  let isRepeatableRead: Bool
  /// `kunlog.snapshot = 'cluster'`.
  let isCluster: Bool
  let rollsBack: Bool
  var steps: ArraySlice<Step>
  var joined: Set<Int> = []
  var written: Set<Int> = []
  var hasSnapshot = false
  /// It reads where this tablet is first, and goes on to the other shards when that has moved, or is late.
  var awaitsMove: (tablet: Int, until: UInt64)?
  /// REPEATABLE READ: the shards on which tablets were read, or written.
  var usedShards: [Int: Int] = [:]
  /// Times that a statement was planned anew.
  var replans = 0
  /// Since when it waits for the answer to a write.
  var waitingSince: UInt64?
  var isOver = false

  init(
    name: TransactionName, compute: SimulatedCompute, session: Int, isRepeatableRead: Bool, isCluster: Bool,
    rollsBack: Bool, steps: [Step]
  ) {
    self.name = name
    self.compute = compute
    self.session = session
    self.isRepeatableRead = isRepeatableRead
    self.isCluster = isCluster
    self.rollsBack = rollsBack
    self.steps = steps[...]
  }
}
