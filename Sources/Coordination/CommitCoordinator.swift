import Metadata

/// The commit of one transaction over several shards, as its coordinator drives it: two phases, of which the decision is an
/// event of the metadata log (design.md section 7). Values in, values out.
///
/// Once a shard may have prepared, the log decides: to commit where all have prepared, else to abort. Where the log already
/// holds another decision, that one stands. The client is answered with the decision; what follows only tells it to the shards,
/// each of which would also find it in the log.
package struct CommitCoordinator: Sendable, Equatable {
  package enum Input: Sendable, Equatable {
    /// The shard keeps what was written there until the decision.
    case prepared(ShardID)
    /// Nothing was written there: it takes no further part.
    case wroteNothing(ShardID)
    /// It has not prepared, or it is not known whether it has.
    case refused(ShardID, certainly: Bool)
    /// The decision that stands, and the record that holds it.
    case decided(TransactionOutcome, index: UInt64)
    /// The shard has carried the decision out.
    case finished(ShardID)
  }

  package enum Effect: Sendable, Equatable {
    case prepare(ShardID)
    /// Ask the log for the decision, until it is known.
    case decide(TransactionOutcome, participants: [ShardID])
    /// The client hears the outcome. Once.
    case answer(Answer)
    case finish(ShardID, TransactionOutcome, index: UInt64)
    /// All have finished: the log may forget the decision.
    case resolve
    /// It ended without a decision: nobody will ever ask the log for one.
    case unused
  }

  package enum Answer: Sendable, Equatable {
    case committed
    /// A shard could not prepare: its own reason is the client's.
    case refused(ShardID)
    /// The log had decided to abort, because a shard had waited for the decision for too long.
    case aborted
  }

  package enum Phase: Sendable, Equatable { case preparing, deciding, finishing, ended }

  package let id: GlobalTransactionID
  package private(set) var phase = Phase.preparing
  /// Preparing: whose answer is awaited. Finishing: who has not finished yet.
  private var waiting: Set<ShardID>
  /// Those that may have prepared.
  private var participants: Set<ShardID>
  private var hasAnswered = false
  /// What was asked of the log.
  private var wanted = TransactionOutcome.abort
  private let mutants: CoordinationMutants

  /// Begins: the effects are the first phase. Mutants are for the simulator.
  package static func begin(
    _ id: GlobalTransactionID, shards: some Sequence<ShardID>, mutants: CoordinationMutants = []
  ) -> (coordinator: CommitCoordinator, effects: [Effect]) {
    let coordinator = CommitCoordinator(id: id, shards: Set(shards), mutants)
    return (coordinator, coordinator.waiting.sorted().map { .prepare($0) })
  }

  private init(id: GlobalTransactionID, shards: Set<ShardID>, _ mutants: CoordinationMutants) {
    self.id = id
    self.mutants = mutants
    waiting = shards
    participants = shards
  }

  package mutating func step(_ input: Input) -> [Effect] {
    switch (phase, input) {
    case (.preparing, .prepared(let shard)):
      guard waiting.remove(shard) != nil else { return [] }
      return allPrepared()
    case (.preparing, .wroteNothing(let shard)):
      guard waiting.remove(shard) != nil else { return [] }
      participants.remove(shard)
      return allPrepared()
    case (.preparing, .refused(let shard, let certainly)):
      guard waiting.contains(shard) else { return [] }
      if certainly { participants.remove(shard) }
      hasAnswered = true
      return [.answer(.refused(shard))] + decide(.abort)
    case (.deciding, .decided(let standing, let index)):
      let outcome = mutants.contains(.believesItself) ? wanted : standing
      phase = .finishing
      waiting = participants
      var effects: [Effect] = []
      if !hasAnswered {
        hasAnswered = true
        effects.append(.answer(outcome == .commit ? .committed : .aborted))
      }
      return effects + waiting.sorted().map { .finish($0, outcome, index: index) }
    case (.finishing, .finished(let shard)):
      guard waiting.remove(shard) != nil, waiting.isEmpty else { return [] }
      phase = .ended
      return [.resolve]
    default: return []
    }
  }

  private mutating func allPrepared() -> [Effect] {
    guard waiting.isEmpty else { return [] }
    guard participants.isEmpty else { return decide(.commit) }
    phase = .ended
    hasAnswered = true
    return [.answer(.committed), .unused]
  }

  private mutating func decide(_ outcome: TransactionOutcome) -> [Effect] {
    // Without anybody who might have prepared there is nothing to decide.
    guard !participants.isEmpty else {
      phase = .ended
      return [.unused]
    }
    phase = .deciding
    wanted = outcome
    return [.decide(outcome, participants: participants.sorted())] + hasty(outcome)
  }

  /// What mutants do before the log has answered.
  private mutating func hasty(_ outcome: TransactionOutcome) -> [Effect] {
    guard outcome == .commit else { return [] }
    if mutants.contains(.answersBeforeDecision) {
      hasAnswered = true
      return [.answer(.committed)]
    }
    guard mutants.contains(.finishesBeforeDecision) else { return [] }
    return participants.sorted().map { .finish($0, .commit, index: .max) }
  }
}
