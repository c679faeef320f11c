import Metadata

/// What becomes of a request to append: an instruction to the one who drives the state.
package enum AppendVerdict: Sendable {
  /// This replica does not lead: the request is for the leader.
  case notLeader
  /// Propose the body as an entry now, before anything else is decided, and tell `appended` its index. Answer with
  /// `proposal.answer(index:)` once the entry is applied.
  case propose(AppendProposal)
  /// Nothing is to be recorded. The answer is final, and may be given, once the settlement is reached.
  case settle(AppendAnswer, Settlement)
  /// Asked before: once the settlement is reached, answer with the record at the index.
  case firstResult(index: UInt64, Settlement)
}

/// What the asker is told.
package enum AppendAnswer: Sendable, Equatable {
  /// The record; where nothing had to change, no events and the index of the state that was found so. A retry whose record has
  /// been compacted since gets its index only. A request that decides transactions gets the decisions that stand, one for each
  /// command, even where they were made before.
  case appended(index: UInt64, events: [Event], areEventsCompacted: Bool)
  case rejected(Rejection)
}

/// A record in the making: all but its place.
package struct AppendProposal: Sendable {
  /// The bytes to be logged.
  package let body: [UInt8]
  package let events: [Event]
  let term: UInt64
  let timeMicroseconds: Int64
  let principal: String
  let requestID: RequestID?
  let cause: UInt64?
  let previousIndex: UInt64
  let previousHash: RecordHash
  /// Set where the request decides transactions: the decisions that stand.
  let decisions: [Event]?

  /// What the asker is told once the entry at the index is applied.
  package func answer(index: UInt64) -> AppendAnswer {
    .appended(index: index, events: decisions ?? events, areEventsCompacted: false)
  }

  func record(at index: UInt64) -> Record {
    Record(
      index: index, term: term, previousIndex: previousIndex, timeMicroseconds: timeMicroseconds, principal: principal,
      requestID: requestID, cause: cause, events: events, previousHash: previousHash,
      hash: RecordHash.of(index: index, term: term, body: body))
  }
}

/// When an answer that records nothing is final. Two things must have happened, in any order: what it was decided against is
/// committed; and a linearizable read that began after the decision has been confirmed. Thereafter this replica must still lead
/// in the same term: otherwise the decision may have been made against what another leader had already overwritten.
package struct Settlement: Sendable, Equatable {
  package let term: UInt64
  /// The last record that the decision knew of.
  package let index: UInt64

  package enum Progress: Sendable, Equatable {
    /// Something that it was decided against is still in flight.
    case waiting
    /// Final, provided that the read has been confirmed.
    case reached
    /// The leadership was lost: nothing is known, and the asker is to ask again.
    case lost
  }
}
