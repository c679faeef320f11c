import Coordination
import EventLoop
import Logging
import Metadata
import Replica
import StorageEngine

/// The transactions that are prepared on this shard, at its leader: runs the effects of `CommitParticipant`, and lets those wait
/// who need a decision carried out.
@LoopActor
final class PreparedTransactions {
  /// How long a coordinator may take to decide before the shard asks the log to abort.
  static let patienceMilliseconds: UInt64 = 600
  private static let tickMilliseconds = 50

  private let machine: ShardStateMachine
  private let feed: any MetadataFeed
  private let propose: @LoopActor ([UInt8]) async throws(ReplicaError) -> UInt64
  private var participant = CommitParticipant(patienceMilliseconds: patienceMilliseconds)
  /// When this leader saw them prepared, on the loop's clock.
  private var since: [GlobalTransactionID: UInt64] = [:]
  private var byTablet: [TabletID: Set<GlobalTransactionID>] = [:]
  private var waiters: [GlobalTransactionID: [UnsafeContinuation<Void, Never>]] = [:]
  /// Decisions that are on their way into the shard's log.
  private var finishing: Set<GlobalTransactionID> = []
  private var holds: [[UInt8]: LoopTimer] = [:]
  /// While there are holds: later decisions than this are not carried out.
  private var heldFrom: UInt64 = 0
  private var heldBack: [(id: GlobalTransactionID, outcome: TransactionOutcome, index: UInt64)] = []
  private var timer: LoopTimer?
  private let logger = Logger(label: "storage")
  /// Transactions that this leader asked the log to abort, since the process started.
  private(set) var inDoubtCount: UInt64 = 0

  init(
    machine: ShardStateMachine, feed: any MetadataFeed,
    propose: @escaping @LoopActor ([UInt8]) async throws(ReplicaError) -> UInt64
  ) {
    self.machine = machine
    self.feed = feed
    self.propose = propose
    machine.onPrepared = { [weak self] in self?.prepared($0) }
    machine.onFinished = { [weak self] in self?.finished($0) }
    feed.observe { [weak self] in self?.readDecisions() }
  }

  func stop() { timer?.cancel() }

  /// Those that are prepared, while this replica leads.
  var all: [PreparedTransaction] {
    machine.isLeader ? machine.state.prepared.values.sorted { $0.index < $1.index } : []
  }

  subscript(id: GlobalTransactionID) -> PreparedTransaction? { machine.state.prepared[id] }

  /// Milliseconds since this leader saw it prepared.
  func age(of id: GlobalTransactionID) -> UInt64 { (Loop.now - (since[id] ?? Loop.now)) / 1_000_000 }

  func leadershipChanged(_ isLeader: Bool) {
    participant = CommitParticipant(patienceMilliseconds: Self.patienceMilliseconds)
    since = [:]
    byTablet = [:]
    timer?.cancel()
    timer = nil
    finishing = []
    for hold in holds.values { hold.cancel() }
    holds = [:]
    heldBack = []
    for id in Array(waiters.keys) { wake(id) }
    guard isLeader else { return }
    for transaction in machine.state.prepared.values { prepared(transaction) }
    readDecisions()
  }

  /// The coordinator tells what the log has decided.
  func decided(_ id: GlobalTransactionID, _ outcome: TransactionOutcome, index: UInt64) {
    step(.decided(id, outcome, index: index))
  }

  /// Waits until the decision on the transaction is carried out here, or this replica leads no longer.
  func waitUntilFinished(_ id: GlobalTransactionID) async {
    guard machine.isLeader, machine.state.prepared[id] != nil else { return }
    await withUnsafeContinuation { waiters[id, default: []].append($0) }
  }

  /// Waits for the transactions that are prepared on the tablets at this moment: their commit may have been told to a client
  /// already, so that whoever reads now must see it.
  func settle(_ tablets: some Sequence<TabletID>) async {
    guard !byTablet.isEmpty else { return }
    await waitUntilAllFinished(tablets.reduce(into: Set<GlobalTransactionID>()) { $0.formUnion(byTablet[$1] ?? []) })
  }

  /// As many as there are at this moment.
  private func waitUntilAllFinished(_ ids: some Sequence<GlobalTransactionID>) async {
    for id in Array(ids) { await waitUntilFinished(id) }
  }

  // MARK: Snapshots over several shards

  /// How long the end of transactions is held back at most.
  private static let holdMilliseconds = 500

  /// Lets what is prepared now end, then holds back the end of all others; answers the last decision that was carried out. Throws
  /// where this replica leads no longer.
  func hold(_ name: [UInt8]) async throws(ReplicaError) -> UInt64 {
    let leadership = machine.leadership
    await waitUntilAllFinished(machine.state.prepared.keys)
    guard machine.isLeader, machine.leadership == leadership else { throw .lostLeadership }
    if holds.isEmpty { heldFrom = machine.state.decisionIndex }
    holds[name]?.cancel()
    holds[name] = LoopTimer(afterMilliseconds: Self.holdMilliseconds) { [weak self] in self?.release(name) }
    // What is on its way already cannot be called back.
    await waitUntilAllFinished(finishing)
    guard machine.isLeader, machine.leadership == leadership else { throw .lostLeadership }
    return machine.state.decisionIndex
  }

  /// Carries out all decisions up to the index; false where the hold is over, or a later decision has been carried out.
  func reach(_ index: UInt64, under name: [UInt8]) async -> Bool {
    guard holds[name] != nil else { return false }
    heldFrom = max(heldFrom, index)
    readDecisions()
    carryOutHeldBack()
    await waitUntilAllFinished(finishing)
    return holds[name] != nil && machine.isLeader && machine.state.decisionIndex <= index
  }

  /// The snapshot is taken.
  func release(_ name: [UInt8]) {
    holds.removeValue(forKey: name)?.cancel()
    if holds.isEmpty { carryOutHeldBack() }
  }

  /// Those decisions that are held back no longer; the others are held back again.
  private func carryOutHeldBack() {
    let decisions = heldBack
    heldBack = []
    for decision in decisions { run(.finish(decision.id, decision.outcome, index: decision.index)) }
  }

  // MARK: What the state machine says

  private func prepared(_ transaction: PreparedTransaction) {
    guard machine.isLeader else { return }
    let id = transaction.preparation.id
    since[id] = Loop.now
    for changeset in transaction.changesets { byTablet[changeset.tabletID, default: []].insert(id) }
    step(.prepared(id, participants: transaction.preparation.participants))
    if timer == nil {
      timer = LoopTimer(afterMilliseconds: Self.tickMilliseconds, repeatMilliseconds: Self.tickMilliseconds) {
        [weak self] in self?.tick()
      }
    }
  }

  private func finished(_ transaction: PreparedTransaction) {
    let id = transaction.preparation.id
    step(.finished(id))
    finishing.remove(id)
    since[id] = nil
    for changeset in transaction.changesets {
      byTablet[changeset.tabletID]?.remove(id)
      if byTablet[changeset.tabletID]?.isEmpty == true { byTablet[changeset.tabletID] = nil }
    }
    wake(id)
  }

  private func wake(_ id: GlobalTransactionID) {
    for waiter in waiters.removeValue(forKey: id) ?? [] { waiter.resume() }
  }

  private func tick() {
    guard !participant.isEmpty else {
      timer?.cancel()
      timer = nil
      return
    }
    readDecisions()
    step(.tick)
  }

  /// What the metadata say about those that are undecided.
  private func readDecisions() {
    guard machine.isLeader, !participant.isEmpty else { return }
    let table = feed.image.transactions
    for id in participant.undecided {
      if let decision = table.open[id] {
        step(.decided(id, decision.outcome, index: decision.index))
      } else if table.isPast(id) {
        step(.past(id))
      }
    }
  }

  // MARK: Effects

  private func step(_ input: CommitParticipant.Input) {
    for effect in participant.step(input, now: Loop.now / 1_000_000) { run(effect) }
  }

  private func run(_ effect: CommitParticipant.Effect) {
    let leadership = machine.leadership
    switch effect {
    case .finish(let id, let outcome, let index):
      guard holds.isEmpty || index <= heldFrom || outcome == .abort else {
        heldBack.append((id, outcome, index))
        return
      }
      finishing.insert(id)
      LoopActor.start {
        do {
          _ = try await self.propose(self.machine.finish(id, outcome, decisionIndex: index))
        } catch {
          guard self.machine.isLeader, self.machine.leadership == leadership else { return }
          self.finishing.remove(id)
          self.wake(id)
          self.step(.notFinished(id))
        }
      }
    case .askToAbort(let id, let participants):
      inDoubtCount &+= 1
      logger.notice("transaction \(id) waits for its decision since \(age(of: id)) ms: asks the log to abort it")
      LoopActor.start { await self.ask(id, participants, leadership) }
    }
  }

  private func ask(_ id: GlobalTransactionID, _ participants: [ShardID], _ leadership: UInt64) async {
    let input: CommitParticipant.Input
    do {
      input =
        switch try await feed.decideAbort(id, participants: participants) {
        case (let outcome, let index)?: .decided(id, outcome, index: index)
        case nil: .past(id)
        }
    } catch {
      logger.warning("the log did not decide transaction \(id): \(error)")
      input = .unanswered(id)
    }
    guard machine.isLeader, machine.leadership == leadership else { return }
    step(input)
  }
}
