import Metadata
import MetadataWire
import SQLTypes

/// The append desk: decides requests against what is committed and in flight.
extension MetadataState {
  /// A record's body beyond this is refused: it would hold up all others.
  package static let maximumRecordBytes = 8 * 1024 * 1024

  /// Whether this replica decides.
  package var isLeading: Bool { leadership != nil }

  /// The last record that the next decision knows of: committed or in flight. nil where this replica does not lead.
  package var speculativeIndex: UInt64? { leadership?.speculation.index }

  /// Decides a request. Where the verdict is a proposal, nothing else may be decided until `appended` has been told its place,
  /// or it has been given up.
  /// - Parameter timeMicroseconds: the wall clock, since 1970-01-01 UTC; for people only.
  package func decide(_ request: AppendRequest, timeMicroseconds: Int64) -> AppendVerdict {
    guard let leadership else { return .notLeader }
    let image = leadership.speculation
    let settlement = Settlement(term: leadership.term, index: image.index)
    if let id = request.requestID {
      switch image.requests.lookup(id) {
      case .new: break
      case .answered(let index): return .firstResult(index: index, settlement)
      case .forgotten: return .settle(.rejected(MetadataState.forgotten(id)), settlement)
      }
    }
    switch Metadata.decide(request, image) {
    case .failure(let rejection): return .settle(.rejected(rejection), settlement)
    case .success(let events) where events.isEmpty:
      return .settle(.appended(index: image.index, events: [], areEventsCompacted: false), settlement)
    case .success(let events):
      return proposal(events, request, timeMicroseconds, leadership).map { .propose($0) }
        ?? .settle(.rejected(MetadataState.tooLarge), settlement)
    }
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
    guard let leadership, leadership.term == settlement.term else { return .lost }
    return image.index >= settlement.index ? .reached : .waiting
  }

  /// The first result of a request, from the latest records; nil where the log has to be read (`AppendAnswer.init(firstResult:)`).
  package func firstResult(at index: UInt64) -> AppendAnswer? {
    recent.element(at: index).map { AppendAnswer(firstResult: $0.record) }
  }

  private func proposal(
    _ events: [Event], _ request: AppendRequest, _ timeMicroseconds: Int64, _ leadership: Leadership
  ) -> AppendProposal? {
    let image = leadership.speculation
    let body = try? RecordBody(
      after: image, timeMicroseconds: timeMicroseconds, principal: request.principal, requestID: request.requestID,
      cause: request.cause, events: events
    ).encoded()
    guard let body, body.count <= MetadataState.maximumRecordBytes else { return nil }
    return AppendProposal(
      body: body, events: events, term: leadership.term, timeMicroseconds: timeMicroseconds,
      principal: request.principal, requestID: request.requestID, cause: request.cause, previousIndex: image.index,
      previousHash: image.hash)
  }

  private static var tooLarge: Rejection {
    Rejection(
      .programLimitExceeded, "the change is too large: its record may have \(maximumRecordBytes) bytes at most")
  }

  private static func forgotten(_ id: RequestID) -> Rejection {
    Rejection(
      SQLState(rawValue: "08007"),
      "request \(id.sequence) of \(id.client) is so old that whether it was carried out is not known any more")
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
