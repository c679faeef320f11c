import Metadata

/// What the leader of a shard does about the transactions that are prepared there: carries out what the log has decided, and asks
/// the log to abort what has waited for its decision for too long. Values in, values out; times in milliseconds.
///
/// The coordinator may be about to commit at the same moment: the first decision in the log stands, and both hear it.
package struct CommitParticipant: Sendable, Equatable {
  package enum Input: Sendable, Equatable {
    /// The transaction is prepared here; or it was when this replica began to lead.
    case prepared(GlobalTransactionID, participants: [ShardID])
    /// What the metadata log says, by its present image or by who has appended it.
    case decided(GlobalTransactionID, TransactionOutcome, index: UInt64)
    /// The log has forgotten the transaction, hence every participant had finished: this one prepared only after an abort.
    case past(GlobalTransactionID)
    /// The log was asked to abort, and has not answered.
    case unanswered(GlobalTransactionID)
    /// The decision could not be put into the shard's log.
    case notFinished(GlobalTransactionID)
    /// The shard's log has carried it out.
    case finished(GlobalTransactionID)
    /// Time has passed.
    case tick
  }

  package enum Effect: Sendable, Equatable {
    /// Put the decision into the shard's log. Index 0: the decision is past.
    case finish(GlobalTransactionID, TransactionOutcome, index: UInt64)
    /// Ask the metadata log to decide.
    case askToAbort(GlobalTransactionID, participants: [ShardID])
  }

  private struct Entry: Equatable {
    var participants: [ShardID]
    /// When it was prepared, or when the log was asked last.
    var since: UInt64
    var isAsking = false
    var decision: Decision?
    var isFinishing = false
  }
  private struct Decision: Equatable {
    var outcome: TransactionOutcome
    var index: UInt64
  }

  private let patience: UInt64
  private var entries: [GlobalTransactionID: Entry] = [:]

  /// - Parameter patienceMilliseconds: how long a coordinator may take from the first prepared shard to its decision.
  package init(patienceMilliseconds: UInt64) { patience = patienceMilliseconds }

  /// Those that are prepared and have no known decision.
  package var undecided: [GlobalTransactionID] {
    entries.compactMap { $0.value.decision == nil ? $0.key : nil }.sorted()
  }

  package var isEmpty: Bool { entries.isEmpty }

  package mutating func step(_ input: Input, now: UInt64) -> [Effect] {
    switch input {
    case .prepared(let id, let participants):
      guard entries[id] == nil else { return [] }
      entries[id] = Entry(participants: participants, since: now)
      return []
    case .decided(let id, let outcome, let index): return decide(id, Decision(outcome: outcome, index: index))
    case .past(let id): return decide(id, Decision(outcome: .abort, index: 0))
    case .unanswered(let id):
      entries[id]?.isAsking = false
      entries[id]?.since = now
      return []
    case .notFinished(let id):
      entries[id]?.isFinishing = false
      return []
    case .finished(let id):
      entries[id] = nil
      return []
    case .tick: return tick(now)
    }
  }

  private mutating func decide(_ id: GlobalTransactionID, _ decision: Decision) -> [Effect] {
    guard var entry = entries[id], entry.decision == nil else { return [] }
    entry.decision = decision
    entry.isAsking = false
    entry.isFinishing = true
    entries[id] = entry
    return [.finish(id, decision.outcome, index: decision.index)]
  }

  private mutating func tick(_ now: UInt64) -> [Effect] {
    var effects: [Effect] = []
    for id in entries.keys.sorted() {
      guard var entry = entries[id] else { continue }
      if let decision = entry.decision {
        guard !entry.isFinishing else { continue }
        entry.isFinishing = true
        effects.append(.finish(id, decision.outcome, index: decision.index))
      } else {
        guard !entry.isAsking, now >= entry.since + patience else { continue }
        entry.isAsking = true
        effects.append(.askToAbort(id, participants: entry.participants))
      }
      entries[id] = entry
    }
    return effects
  }
}
