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
  private var participant = CommitParticipant(patienceMilliseconds: patienceMilliseconds, decisionIndex: 0)
  /// When this leader saw them prepared, on the loop's clock.
  private var since: [GlobalTransactionID: UInt64] = [:]
  private var waiters: [CommitParticipant.Waiter: UnsafeContinuation<CommitParticipant.Effect?, Never>] = [:]
  private var lastWaiter: CommitParticipant.Waiter = 0
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
  func age(of id: GlobalTransactionID) -> UInt64 {
    let now = Loop.now
    return (now - min(now, since[id] ?? now)) / 1_000_000
  }

  func leadershipChanged(_ isLeader: Bool) {
    participant = CommitParticipant(
      patienceMilliseconds: Self.patienceMilliseconds, decisionIndex: machine.state.decisionIndex)
    since = [:]
    timer?.cancel()
    timer = nil
    let waiting = waiters.values
    waiters = [:]
    for waiter in waiting { waiter.resume(returning: nil) }
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
    guard machine.isLeader else { return }
    _ = await wait { .wait(id, $0) }
  }

  /// Waits for the transactions that are prepared on the tablets at this moment: their commit may have been told to a client
  /// already, so that whoever reads now must see it. False where there was none.
  @discardableResult
  func settle(_ tablets: [TabletID]) async -> Bool {
    guard participant.isUnsettled(tablets) else { return false }
    _ = await wait { .settle(tablets, $0) }
    return true
  }

  /// Lets what is prepared now end, then holds back the end of all others; answers the last decision that was carried out. Throws
  /// where this replica leads no longer.
  func hold(_ name: [UInt8]) async throws(ReplicaError) -> UInt64 {
    guard machine.isLeader, case .held(_, let index) = await wait({ .hold(name, $0) }) else { throw .lostLeadership }
    return index
  }

  /// Carries out all decisions up to the index, which the metadata here contain; false where the hold is over, or a later
  /// decision has been carried out.
  func reach(_ index: UInt64, under name: [UInt8]) async -> Bool {
    guard machine.isLeader else { return false }
    readDecisions()
    guard case .reached(_, let isReached) = await wait({ .reach(index, name, $0) }) else { return false }
    return isReached
  }

  /// The snapshot is taken.
  func release(_ name: [UInt8]) { step(.release(name)) }

  /// What a waiter is told; nil: this replica leads no longer.
  private func wait(
    _ input: (CommitParticipant.Waiter) -> CommitParticipant.Input
  ) async -> CommitParticipant.Effect? {
    lastWaiter += 1
    let waiter = lastWaiter
    return await withUnsafeContinuation {
      waiters[waiter] = $0
      step(input(waiter))
    }
  }

  // MARK: What the state machine says

  private func prepared(_ transaction: PreparedTransaction) {
    guard machine.isLeader else { return }
    let id = transaction.preparation.id
    since[id] = Loop.now
    step(
      .prepared(
        id, participants: transaction.preparation.participants, tablets: Set(transaction.changesets.map(\.tabletID))))
  }

  private func finished(_ transaction: PreparedTransaction) {
    since[transaction.preparation.id] = nil
    step(.finished(transaction.preparation.id, decisionIndex: machine.state.decisionIndex))
  }

  private func tick() {
    guard !participant.isIdle else {
      timer?.cancel()
      timer = nil
      return
    }
    readDecisions()
    step(.tick)
  }

  /// What the metadata say about those that are undecided.
  private func readDecisions() {
    guard machine.isLeader, !participant.isIdle else { return }
    step(.metadata(feed.image.transactions))
  }

  // MARK: Effects

  private func step(_ input: CommitParticipant.Input) {
    for effect in participant.step(input, now: Loop.now / 1_000_000) { run(effect) }
    guard timer == nil, !participant.isIdle else { return }
    timer = LoopTimer(afterMilliseconds: Self.tickMilliseconds, repeatMilliseconds: Self.tickMilliseconds) {
      [weak self] in self?.tick()
    }
  }

  private func run(_ effect: CommitParticipant.Effect) {
    let leadership = machine.leadership
    switch effect {
    case .finish(let id, let outcome, let index):
      LoopActor.start {
        do {
          _ = try await self.propose(self.machine.finish(id, outcome, decisionIndex: index))
        } catch {
          guard self.machine.isLeader, self.machine.leadership == leadership else { return }
          self.logger.warning("the decision on transaction \(id) is not in the shard's log yet: \(error)")
          self.step(.notFinished(id))
        }
      }
    case .ready(let waiter), .held(let waiter, _), .reached(let waiter, _):
      waiters.removeValue(forKey: waiter)?.resume(returning: effect)
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
