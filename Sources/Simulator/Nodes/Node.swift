import Metadata
import MetadataLog
import Raft
import ReplicaCore
import SegmentedLog

/// One process that takes part in the group, and its machine: the shell around the real core, state and log.
final class Node {
  enum Status: Equatable {
    /// No such node yet.
    case absent
    case down
    case running
    /// Stopped as by SIGSTOP: nothing happens, what arrives waits.
    case paused
    /// Ended for good, for the reason given.
    case failed(String)
  }

  /// A snapshot in the node's safe keeping.
  struct Snapshot {
    var metadata: SnapshotMetadata
    var bytes: [UInt8]
  }

  /// A snapshot that is on its way out.
  struct Outgoing {
    var transfer: UInt32
    var to: MemberID
    var term: UInt64
    var snapshot: Snapshot
    var attempts = 0
    var lastHeard: UInt64
  }

  /// A snapshot that is coming in.
  struct Incoming {
    var from: MemberID
    var metadata: SnapshotMetadata
    var bytes: [UInt8]
    var totalBytes: Int
  }

  /// Somebody who waits for the core.
  enum Waiter {
    case append(client: UInt8, attempt: UInt32)
    case read(client: UInt8, attempt: UInt32, sequence: UInt8)
    case settle(client: UInt8, attempt: UInt32, Reply.Outcome, Settlement)
    case membership
  }

  let slot: Int
  private(set) var id: MemberID
  var status = Status.absent
  /// Counts the lives: what belongs to an earlier one means nothing any more.
  var generation: UInt16 = 0
  var disk: SimulatedDisk
  var snapshots: [Snapshot] = []
  var core: ReplicaCore
  var state: MetadataState
  var log: NodeLog?
  var clock: NodeClock
  let seed: UInt64

  /// When the earliest timer event that is out is due.
  var timerDue = UInt64.max
  /// The loop is busy until then: what arrives waits.
  var busyUntil: UInt64 = 0
  /// Events that wait for the loop, or for the end of a pause.
  var held: [Event] = []
  var actions: [ReplicaCore.Action] = []
  var isPerforming = false

  var waiters: [Waiter?] = []
  var freeWaiters: [Int] = []
  var settling: [(client: UInt8, attempt: UInt32, outcome: Reply.Outcome, settlement: Settlement)] = []

  var pendingApply: (from: UInt64, through: UInt64)?
  var pendingRestore: SnapshotMetadata?
  var pendingReads: [(follower: MemberID, term: UInt64, from: UInt64, through: UInt64, limitBytes: Int)] = []
  var snapshotWriter: (writer: ImageSnapshot.Writer, index: UInt64, bytes: [UInt8])?
  var outgoing: [Outgoing] = []
  var incoming: Incoming?

  /// What a crash would leave, as the checkers know it.
  var durable = DurableLog()
  /// What the checkers saw last.
  var seen = SeenState()
  /// The disk's contents are not what was written: until the node has caught up with what was committed by then.
  var damagedUntil: UInt64 = 0
  /// The damage is not found so far: nobody has read what is damaged.
  var isDamageHidden = false
  /// What the disk's directory is known by; 0 until it is first used.
  var diskID: UInt64 = 0
  /// The directory was emptied while the members know this identity.
  var isBlank = false
  /// What was on the disk when its directory was emptied.
  var wiped = DurableLog()
  /// What was on the disk before damage to it was found: it may have been acknowledged.
  var lost = DurableLog()

  /// The disk's directory is a copy of another member's.
  var hasForeignDisk = false
  /// The feature level that its program understands.
  var program = FeatureLevel.newest
  /// Its program ended because it is older than the log; it does not run again before it is replaced.
  var isOutdated = false
  /// How often its machine has moved.
  private(set) var moves = 0
  /// Where it is reached.
  private(set) var address: String
  /// The members do not know so far where it is reached now.
  var isMoved = false
  /// What a backup holds of its disk.
  var backup: (disk: SimulatedDisk, snapshots: [Snapshot])?
  /// The term of the leader under which an old backup was brought back; 0: none was, or the node has again what it had.
  var restoredInTerm: UInt64 = 0

  /// Added to each of the disk's works, in microseconds.
  var diskSlowness: UInt64 = 0
  /// The disk answers nothing before that time.
  var diskStalledUntil: UInt64 = 0
  /// The log waits for space.
  var isDiskFull = false
  /// Added to each batch that is applied, in microseconds.
  var applySlowness: UInt64 = 0

  init(slot: Int, id: MemberID, seed: UInt64) {
    self.slot = slot
    self.id = id
    self.seed = seed
    address = WorldSettings.address(id)
    disk = SimulatedDisk(path: "node\(slot)")
    clock = NodeClock(at: 0, local: 1_000_000)
    core = ReplicaCore(
      id: id, options: ReplicaOptions(), recovered: .fresh(.empty), appliedIndex: 0, seed: 0, atMilliseconds: 0)
    state = MetadataState(recentBytes: 0)
  }

  /// Makes the slot another node's, with an empty disk.
  func become(_ id: MemberID) {
    self.id = id
    disk = SimulatedDisk(path: "node\(slot)")
    snapshots = []
    durable = DurableLog()
    damagedUntil = 0
    isDamageHidden = false
    diskID = seed ^ id << 8 | 1
    isBlank = false
    wiped = DurableLog()
    hasForeignDisk = false
    isOutdated = false
    moves = 0
    address = WorldSettings.address(id)
    isMoved = false
    backup = nil
    restoredInTerm = 0
    diskSlowness = 0
    diskStalledUntil = 0
  }

  /// Its machine is reached elsewhere from now on.
  func move() {
    moves += 1
    address = "\(WorldSettings.address(id))/\(moves)"
    isMoved = true
  }

  var isRunning: Bool { status == .running }
  var isAlive: Bool { status == .running || status == .paused }

  func addWaiter(_ waiter: Waiter) -> UInt64 {
    if let position = freeWaiters.popLast() {
      waiters[position] = waiter
      return UInt64(position)
    }
    waiters.append(waiter)
    return UInt64(waiters.count - 1)
  }

  func takeWaiter(_ token: UInt64) -> Waiter? {
    let position = Int(token)
    guard position < waiters.count, let waiter = waiters[position] else { return nil }
    waiters[position] = nil
    freeWaiters.append(position)
    return waiter
  }

  /// Forgets all that lives in a process's memory.
  func forget() {
    generation &+= 1
    timerDue = .max
    busyUntil = 0
    held = []
    actions = []
    waiters = []
    freeWaiters = []
    settling = []
    pendingApply = nil
    pendingRestore = nil
    pendingReads = []
    snapshotWriter = nil
    outgoing = []
    incoming = nil
    log = nil
    applySlowness = 0
    seen = SeenState()
  }
}

/// What of a node's log is durable, by the account of the synchronizations that have ended.
struct DurableLog {
  var hardState = HardState()
  var terms = TermIndex(baseIndex: 0, baseTerm: 0)
  /// The first entry that writes under way replace; `.max`: none.
  var replacedFrom = UInt64.max

  mutating func settle(_ writes: [LogWrite]) {
    for write in writes {
      switch write {
      case .hardState(let state): hardState = state
      case .entries(let entries):
        guard let first = entries.first else { continue }
        if first.index <= terms.lastIndex, first.index > terms.baseIndex { terms.truncate(from: first.index) }
        for entry in entries where entry.index == terms.lastIndex + 1 && entry.term >= terms.lastTerm {
          terms.append(index: entry.index, term: entry.term)
        }
      case .compaction(let base): terms.compact(through: base.base.index)
      case .promise(_, let keeping):
        if keeping.index < terms.lastIndex, keeping.index >= terms.baseIndex { terms.truncate(from: keeping.index + 1) }
      case .reset(let base): terms = TermIndex(baseIndex: base.base.index, baseTerm: base.base.term)
      }
    }
    replacedFrom = .max
  }

  /// Whether a crash would leave the entry, or a snapshot that contains it.
  func holds(_ index: UInt64, term: UInt64) -> Bool {
    index <= terms.baseIndex || terms.term(at: index) == term
  }
}

/// What the checkers saw of a node when they last looked.
struct SeenState {
  var role = Role.follower
  var term: UInt64 = 0
  var commitIndex: UInt64 = 0
  var appliedIndex: UInt64 = 0
  var configurationIndex: UInt64 = 0
  /// The entry that last changed the voters while the node led.
  var quorumIndex: UInt64 = 0
  var imageIndex: UInt64 = 0
}
