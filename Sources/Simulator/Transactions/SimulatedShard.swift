import Coordination
import HashTreeCollections
import Metadata

/// A shard of three replicas. That its log is durable and one for all is what the metadata group's simulation shows of the same
/// consensus; here its log is a list, of which the end may be lost with the leader.
final class SimulatedShard {
  /// What is in the log, applied.
  struct State {
    var index: UInt64 = 0
    /// The tablets that are here, and what has been written to their cells.
    var tablets = [TreeDictionary<Int, Cell>?](repeating: nil, count: Cells.tabletCount)
    var fences: [Int: Fence] = [:]
    var arrivals: [Int: Arrival] = [:]
    /// Of the metadata by which tablets came and went: older ones would undo it.
    var metadataIndex: UInt64 = 0
    /// The entry that changed each tablet last.
    var versions = [UInt64](repeating: 0, count: Cells.tabletCount)
    var prepared: [GlobalTransactionID: Prepared] = [:]
    /// Transactions that were committed by one entry.
    var recent: TreeDictionary<TransactionName, UInt64> = [:]
    var decisionIndex: UInt64 = 0

    func cell(_ number: Int) -> Cell { tablets[Cells.tablet(number)]?[number] ?? Cells.initial(number) }

    mutating func write(_ writes: [(cell: Int, value: Cell)]) {
      for (cell, value) in writes {
        tablets[Cells.tablet(cell)]?[cell] = value
        versions[Cells.tablet(cell)] = index
      }
    }
  }

  struct Prepared {
    var id: GlobalTransactionID
    var name: TransactionName
    var participants: [ShardID]
    var writes: [(cell: Int, value: Cell)]
    var at: UInt64
    /// Its entry.
    var index: UInt64 = 0
    var tablets: Set<Int> { Set(writes.map { Cells.tablet($0.cell) }) }
  }

  enum Entry {
    case commit(TransactionName, [(cell: Int, value: Cell)])
    case prepare(Prepared)
    case finish(GlobalTransactionID, TransactionOutcome, index: UInt64)
    /// Tablets that the metadata want, and others that they do not.
    case schema(created: [Int], dropped: [Int], metadataIndex: UInt64)
    case fence(Int, MigrationID, attempt: UInt32, FenceAction, metadataIndex: UInt64)
    case arrival(Int, MigrationID, ArrivalStep)
  }

  static let replicaCount = 3

  let number: Int
  let id: ShardID
  let replicas: [SimulatedProcess]
  var state = State()
  /// Those that were leaders, and may believe so still.
  var deposed: [ShardLeader] = []
  /// Who leads, as consensus has it.
  var leader: ShardLeader?
  /// A quorum is away until then: nothing is committed.
  var stalledUntil: UInt64 = 0
  /// The log has no room for more.
  var isBusy = false
  /// Entries, the first of which follows `logStart`: those that have not been let go.
  var log: [Entry] = []
  var logStart: UInt64 = 0
  /// What followers have applied, that lag behind.
  var past: [State] = []
  /// Rows that replicas have fixed, by replica.
  var snapshots: [[MigrationID: Snapshot]] = [[:], [:], [:]]
  var end: Int { replicas[0].end }

  init(number: Int, end: Int) {
    self.number = number
    id = ShardID(rawValue: UInt32(number + 1))
    replicas = (0..<Self.replicaCount).map { _ in SimulatedProcess(end: end) }
  }
}

/// A replica that leads, or believes so: what is in the memory of its process.
final class ShardLeader {
  /// A transaction that is open here.
  final class Open {
    let name: TransactionName
    let isRepeatableRead: Bool
    /// What a REPEATABLE READ transaction sees.
    var snapshot: SimulatedShard.State?
    var readTablets: Set<Int> = []
    var writes: [(cell: Int, value: Cell)] = []
    var isCommitting = false
    var lastHeard: UInt64
    /// Whoever asks about its end while that is under way.
    var enders: [() -> Void] = []
    init(_ name: TransactionName, isRepeatableRead: Bool, at time: UInt64) {
      self.name = name
      self.isRepeatableRead = isRepeatableRead
      lastHeard = time
    }

    func written(_ cell: Int) -> Cell? { writes.last { $0.cell == cell }?.value }
  }

  enum ProposalResult { case applied, refused, lostLeadership }

  let shard: SimulatedShard
  let replica: Int
  let life: UInt32
  /// Consensus still has it so.
  var isPresent = true
  /// What it has applied, where it is the leader no longer.
  var lastState: SimulatedShard.State?
  var state: SimulatedShard.State { lastState ?? shard.state }
  /// It answers as the leader.
  var isServing = false
  var proposals: [(entry: SimulatedShard.Entry, done: (ProposalResult) -> Void)] = []
  var open: [TransactionName: Open] = [:]
  var locks = LockTable()
  var participant: CommitParticipant
  var waiters: [CommitParticipant.Waiter: (CommitParticipant.Effect) -> Void] = [:]
  var lastWaiter: CommitParticipant.Waiter = 0
  var isTicking = false
  /// The tablets are as the metadata at this index say.
  var consumedIndex: UInt64 = 0
  var isReconciling = false
  var isTidying = false
  /// Tablets that no transaction gets any more, whose fence is on its way into the log.
  var fencing: Set<Int> = []
  /// Cuts of tablets of this shard that are under way, and since when this leader has seen them.
  var cuts: [MigrationID: (attempt: UInt32, since: UInt64)] = [:]
  var isExpiring = false
  /// What a mutant does: fences of earlier leaders mean nothing.
  var forgetsFences = false
  /// The replica of another shard that answered as its leader last.
  var sourceReplica = 0
  /// Steps of moves that are under way, and who waits for what they come to.
  var jobs: [MoveJob: [(ShardAnswer.Body) -> Void]] = [:]
  var process: SimulatedProcess { shard.replicas[replica] }

  init(_ shard: SimulatedShard, replica: Int, patience: UInt64, _ mutants: CoordinationMutants) {
    self.shard = shard
    self.replica = replica
    life = shard.replicas[replica].life
    participant = CommitParticipant(
      patienceMilliseconds: patience, decisionIndex: shard.state.decisionIndex, mutants: mutants)
  }

  func close() {
    proposals = []
    open = [:]
    locks = LockTable()
    waiters = [:]
    fencing = []
    jobs = [:]
  }
}

/// Who has locked which tablet, and who waits for it.
struct LockTable {
  private struct Waiter {
    var name: TransactionName
    var since: UInt64
    var granted: () -> Void
  }
  private struct Lock {
    var holder: TransactionName
    var queue: [Waiter] = []
  }

  private var locks: [Int: Lock] = [:]

  /// False where the wait would never end. `granted` is called where the tablet becomes free, or at once.
  mutating func lock(_ tablet: Int, _ name: TransactionName, at time: UInt64, granted: @escaping () -> Void) -> Bool {
    guard let lock = locks[tablet], lock.holder != name else {
      if locks[tablet] == nil { locks[tablet] = Lock(holder: name) }
      granted()
      return true
    }
    locks[tablet]?.queue.append(Waiter(name: name, since: time, granted: granted))
    guard closesCircle(name) else { return true }
    locks[tablet]?.queue.removeLast()
    return false
  }

  /// Those that hold the tablet that the transaction waits for, or wait before it.
  func wait(of name: TransactionName) -> (tablet: Int, blockers: [TransactionName], since: UInt64)? {
    for tablet in locks.keys.sorted() {
      guard let lock = locks[tablet], let place = lock.queue.firstIndex(where: { $0.name == name }) else { continue }
      return (tablet, [lock.holder] + lock.queue[..<place].map(\.name), lock.queue[place].since)
    }
    return nil
  }

  func holder(of tablet: Int) -> TransactionName? { locks[tablet]?.holder }

  func held(by name: TransactionName) -> [Int] { locks.keys.filter { locks[$0]?.holder == name }.sorted() }

  /// When the wait began that has lasted longest.
  var longestWait: (name: TransactionName, since: UInt64)? {
    locks.values.flatMap(\.queue).min { ($0.since, $0.name) < ($1.since, $1.name) }.map { ($0.name, $0.since) }
  }

  /// Frees what the transaction holds; answers those who hold it now.
  mutating func release(_ name: TransactionName) -> [() -> Void] {
    var granted: [() -> Void] = []
    for tablet in locks.keys.sorted() {
      locks[tablet]?.queue.removeAll { $0.name == name }
      guard let lock = locks[tablet], lock.holder == name else { continue }
      guard let next = lock.queue.first else {
        locks[tablet] = nil
        continue
      }
      locks[tablet]?.holder = next.name
      locks[tablet]?.queue.removeFirst()
      granted.append(next.granted)
    }
    return granted
  }

  private func closesCircle(_ start: TransactionName) -> Bool {
    var seen: Set<TransactionName> = []
    var rest = wait(of: start)?.blockers ?? []
    while let name = rest.popLast() {
      if name == start { return true }
      guard seen.insert(name).inserted else { continue }
      rest += wait(of: name)?.blockers ?? []
    }
    return false
  }
}
