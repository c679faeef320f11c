import Metadata
import SQLTypes

/// The append desk: decides requests against what is committed and in flight.
extension MetadataState {
  /// Whether this replica decides.
  package var isLeading: Bool { leadership != nil }

  /// The last record that the next decision knows of: committed or in flight. nil where this replica does not lead.
  package var speculativeIndex: UInt64? { leadership?.speculation.index }

  /// Decides a request. Where the verdict is a proposal, nothing else may be decided until `appended` has been told its place,
  /// or it has been given up.
  /// - Parameter timeMicroseconds: the wall clock, since 1970-01-01 UTC; for people only.
  package func decide(_ request: AppendRequest, timeMicroseconds: Int64) -> AppendVerdict {
    leadership?.decide(request, timeMicroseconds: timeMicroseconds) ?? .notLeader
  }

  /// Tells the place of the entry that a proposal has become: later requests are decided against the image with it.
  package mutating func appended(_ proposal: AppendProposal, at index: UInt64) {
    // Bound to a name, the leadership would be shared, and all that is in flight copied at each append.
    guard leadership?.term == proposal.term, leadership?.speculation.index == proposal.previousIndex else {
      assertionFailure("entry \(index) was decided against another state")
      return
    }
    leadership?.append(proposal.record(at: index), body: proposal.body)
  }

  /// How far an answer that records nothing has come.
  package func progress(of settlement: Settlement) -> Settlement.Progress {
    if mutants.contains(.refusesBeforeFinal) { return .reached }
    guard leadership?.term == settlement.term else { return .lost }
    return image.index >= settlement.index ? .reached : .waiting
  }

  /// The first result of a request, from the latest records; nil where the log has to be read (`AppendAnswer.init(firstResult:)`).
  package func firstResult(at index: UInt64) -> AppendAnswer? {
    recent.element(at: index).map { AppendAnswer(firstResult: $0.record) }
  }
}

extension MetadataState {
  /// Completes the first result that a retry has found, once that is applied here: the decisions that stand of a request that
  /// decides transactions are not all in its own record.
  package func completed(_ answer: AppendAnswer, _ request: AppendRequest) -> AppendAnswer {
    guard request.decidesTransactions, case .appended(let index, let events, _) = answer else { return answer }
    guard let standing = request.standingDecisions(events, image) else {
      return .rejected(
        Rejection(
          SQLState(rawValue: "08007"),
          "the transactions of this request were decided, and resolved since: their outcomes are not known any more",
          detail: "Record \(index) has decided some of them.", hint: "Look at the record: kunlog log show."))
    }
    return .appended(index: index, events: standing.events, areEventsCompacted: false)
  }
}

extension AppendAnswer {
  /// What a retry is told, given the record that the first attempt has become.
  package init(firstResult record: Record) {
    self = .appended(index: record.index, events: record.events, areEventsCompacted: false)
  }

  /// What a retry is told where that record has been compacted.
  package init(compactedResultAt index: UInt64) {
    self = .appended(index: index, events: [], areEventsCompacted: true)
  }
}
