import Coordination
import Metadata
import MetadataLog
import Raft
import ReplicaCore
import SegmentedLog

/// A run: nodes, clients, subscribers and an operator on one virtual clock, network and set of disks, and those who watch
/// whether what must hold holds. Everything follows from the options; nothing from the machine, the hour or an address.
package final class World {
  let options: RunOptions
  var now: UInt64 = 0
  var queue = EventQueue()
  var hash = TraceHash()
  var result = RunResult()

  // A stream per purpose.
  var setupChance: Chance
  var networkChance: Chance
  var diskChance: Chance
  var workChance: Chance
  var faultChance: Chance

  var settings: WorldSettings
  var network = Network()
  var nodes: [Node] = []
  // Slot by id; -1: nobody's (any more).
  var slotOfID: [Int8] = [-1]
  var clients: [Client] = []
  var subscribers: [Subscriber] = []
  var faults: FaultState
  var steward = Steward()
  /// Transactions over several shards, where the profile has them.
  private(set) var transactions: TransactionWorld?

  // Those who watch.
  var log = CommittedLog()
  var elections = ElectionChecker()
  var order = LogOrder()
  var versions = VersionChecker()
  var liveness = LivenessChecker()
  var cost = CostChecker()
  var nextTransfer: UInt32 = 0
  /// Whether some node is, or was, reached elsewhere than when it joined.
  var hasMoves = false

  /// Where nodes end and clients begin among the network's ends.
  static let nodeSlots = 10

  /// Prepares a run.
  package init(_ options: RunOptions) {
    self.options = options
    setupChance = Chance(seed: options.seed, purpose: 1)
    networkChance = Chance(seed: options.seed, purpose: 2)
    diskChance = Chance(seed: options.seed, purpose: 3)
    workChance = Chance(seed: options.seed, purpose: 4)
    faultChance = Chance(seed: options.seed, purpose: 5)
    settings = WorldSettings(&setupChance, options)
    faults = FaultState(options)
    for slot in 0..<Self.nodeSlots {
      nodes.append(Node(slot: slot, id: MemberID(slot + 1), seed: setupChance.next()))
      nodes[slot].diskID = setupChance.next() | 1
      if hasVersions { nodes[slot].program = 1 }
    }
    let voters = nodes[..<settings.memberCount].map { node in
      Member(id: node.id, address: node.address, disk: node.diskID)
    }
    settings.initialMembers = Configuration(voters: voters)
    log.begin(with: settings.initialMembers)
    for slot in 0..<settings.memberCount {
      slotOfID.append(Int8(slot))
      nodes[slot].status = .down
      add(.nodeStart, at: slot, after: setupChance.below(50_000), generation: nodes[slot].generation)
    }
    makeClients()
    makeSubscribers()
    scheduleFaults()
    if options.profile.hasTransactions {
      transactions = TransactionWorld(self)
      transactions?.begin()
    }
    add(.phase, at: 0, after: settings.turmoilMicroseconds, value: 0)
    add(.phase, at: 1, after: 2_000_000, value: 0)
  }

  /// Runs to the end.
  package func run() -> RunResult {
    let end = options.seconds * 1_000_000
    while let time = queue.nextTime, time <= end, let event = queue.popNext() {
      now = event.time
      result.events += 1
      hash.mix(event.time << 8 ^ UInt64(event.kind.rawValue))
      hash.mix(UInt64(event.target) << 32 | UInt64(event.value))
      handle(event)
      if !result.violations.isEmpty, options.stopsAtViolation { break }
    }
    finish(end: result.violations.isEmpty ? end : now)
    return result
  }

  private func finish(end: UInt64) {
    result.microseconds = end
    if result.violations.isEmpty { checkEnd() }
    result.traceHash = hash.value
    result.terms = elections.count
    cost.report(&result)
    if let transactions {
      result.transactions = transactions.history.result
      result.moves = transactions.moves.result
    }
    transactions?.close()
  }

  private func handle(_ event: Event) {
    switch event.kind {
    case .arrival: arrive(event)
    case .nodeTimer, .diskDone, .diskRead, .applied, .snapshot, .spaceCheck, .connection:
      let node = nodes[Int(event.target)]
      guard event.generation == node.generation else { return }
      deliver(event, to: node)
    case .nodeResume:
      let node = nodes[Int(event.target)]
      if event.generation == node.generation { resume(node) }
    case .nodeStart:
      let node = nodes[Int(event.target)]
      if event.generation == node.generation { start(node) }
    case .clientTimer: clientTimer(Int(event.target), UInt32(event.value))
    case .subscriberTimer: subscriberTimer(Int(event.target))
    case .faultBegins: beginFault(event)
    case .faultEnds: endFault(Int(event.value))
    case .transaction: transactions?.timer(event.value)
    case .phase: event.target == 0 ? changePhase() : stewardTurn()
    }
  }

  /// Adds an event that is due after so many microseconds.
  func add(
    _ kind: EventKind, at target: Int, after microseconds: UInt64, generation: UInt16 = 0, value: Int = 0
  ) {
    queue.add(
      Event(time: now + microseconds, kind: kind, target: target, generation: generation, value: value))
  }

  /// Takes note of a broken invariant.
  func violated(_ invariant: String, _ text: @autoclosure () -> String) {
    guard result.violations.count < 20 else { return }
    let violation = Violation(time: now, invariant: invariant, text: text())
    result.violations.append(violation)
    options.trace?("VIOLATION \(violation)")
  }

  /// Puts what happens into words, where somebody listens.
  @inline(__always)
  func tell(_ text: @autoclosure () -> String) {
    guard let trace = options.trace else { return }
    trace("\(now / 1_000_000).\(String(1_000_000 + now % 1_000_000).dropFirst()) \(text())")
  }

  /// Whether there are programs of several versions.
  var hasVersions: Bool { faults.kinds.contains(FaultKinds(.version)) }

  func slot(of id: MemberID) -> Int? {
    guard id < UInt64(slotOfID.count), slotOfID[Int(id)] >= 0 else { return nil }
    return Int(slotOfID[Int(id)])
  }

  /// The node that leads, as far as a look at all of them shows: of the highest term.
  var leader: Node? {
    var best: Node?
    for node in nodes where node.isRunning && node.core.isReady {
      if node.core.raft.hardState.term > best?.core.raft.hardState.term ?? 0 { best = node }
    }
    return best
  }
}

/// What a seed decides once for its run.
struct WorldSettings {
  var memberCount = 3
  var initialMembers = Configuration.empty
  var replica = ReplicaOptions()
  var segmentBytes = 32 * 1024
  var recentBytes = 16 * 1024
  var cacheBytes = 16 * 1024
  var applyBatchBytes = 4096
  /// The way of a message, in microseconds.
  var networkMicroseconds: UInt64 = 200
  /// A synchronization, in microseconds.
  var diskMicroseconds: UInt64 = 200
  var turmoilMicroseconds: UInt64 = 0
  var calmMicroseconds: UInt64 = 0
  var snapshotPartBytes = 2048
  /// How long the loop is busy with one piece of a snapshot, in microseconds: as if the image were a large one.
  var snapshotPieceMicroseconds: UInt64 = 500
  var raftMutants = RaftMutants()
  var replicaMutants = ReplicaMutants()
  var logMutants = LogMutants()
  var metadataMutants = MetadataMutants()
  var shellMutants = ShellMutants()
  var coordinationMutants = CoordinationMutants()

  init(_ chance: inout Chance, _ options: RunOptions) {
    memberCount = chance.below(4) == 0 ? 5 : 3
    let heartbeats: [UInt64] = [50, 100, 100, 100, 150, 200]
    replica.raft.heartbeatMilliseconds = heartbeats[chance.below(heartbeats.count)]
    replica.raft.electionTimeoutMilliseconds =
      replica.raft.heartbeatMilliseconds * chance.between(3, 6) + chance.below(100)
    replica.raft.maximumAppendBytes = chance.below(3) == 0 ? 500 : 256 * 1024
    replica.raft.maximumInflightAppends = chance.below(3) == 0 ? 2 : 64
    replica.raft.recentBytes = chance.below(3) == 0 ? 2_000 : 64 * 1024
    replica.raft.maximumUncommittedBytes = chance.below(4) == 0 ? 4_000 : 64 * 1024 * 1024
    replica.snapshotLogBytes = Int(chance.between(20, 120)) * 1024
    replica.keptEntries = chance.below(3) == 0 ? 0 : chance.between(10, 400)
    segmentBytes = 8 * 1024 << chance.below(4)
    recentBytes = chance.below(2) == 0 ? 1_000 : 32 * 1024
    cacheBytes = chance.below(2) == 0 ? 2_000 : 64 * 1024
    networkMicroseconds = chance.between(50, 800)
    diskMicroseconds = chance.between(100, 600)
    options.mutant?.turnOn(&self)
    let cycle = (options.cycleSeconds ?? min(options.seconds, 600)) * 1_000_000
    calmMicroseconds = min(90_000_000, cycle * 2 / 5)
    turmoilMicroseconds = cycle - calmMicroseconds
  }

  /// Where a member is reached that has not moved.
  static func address(_ id: MemberID) -> String { "n:\(id)" }

  func logConfiguration(_ id: MemberID, isFounder: Bool) -> LogConfiguration {
    var configuration = LogConfiguration(
      identity: LogIdentity(clusterID: [UInt8](repeating: 7, count: 16), groupID: "metadata", nodeID: id),
      initialMembers: isFounder ? initialMembers : .empty)
    configuration.segmentBytes = segmentBytes
    configuration.fillBytes = 1024
    configuration.cacheBytes = cacheBytes
    configuration.reserveBytes = 8 * 1024
    return configuration
  }
}
