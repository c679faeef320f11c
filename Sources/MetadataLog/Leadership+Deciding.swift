import Metadata
import MetadataWire
import SQLTypes

extension Leadership {
  /// A record's body beyond this is refused: it would hold up all others.
  static let maximumRecordBytes = 8 * 1024 * 1024

  /// See `MetadataState.decide`.
  func decide(_ request: AppendRequest, timeMicroseconds: Int64) -> AppendVerdict {
    if let id = request.requestID {
      switch speculation.requests.lookup(id) {
      case .new: break
      case .answered(let index): return .firstResult(index: index, settlement)
      case .forgotten: return .settle(.rejected(Leadership.forgotten(id)), settlement)
      }
    }
    switch Metadata.decide(request, speculation, understanding: understands) {
    case .failure(let rejection): return .settle(.rejected(rejection), settlement)
    case .success(let events) where events.isEmpty:
      // The first decision of a transaction stands: it is the answer, as if this were its retry.
      let standing = request.decidesTransactions ? request.standingDecisions([], speculation) : nil
      return .settle(
        .appended(
          index: standing?.index ?? speculation.index, events: standing?.events ?? [], areEventsCompacted: false),
        settlement)
    case .success(let events): return record(events, request, timeMicroseconds)
    }
  }

  private var settlement: Settlement { Settlement(term: term, index: speculation.index) }

  private func record(_ events: [Event], _ request: AppendRequest, _ timeMicroseconds: Int64) -> AppendVerdict {
    let (previousIndex, previousHash) = (speculation.index, speculation.hash)
    let body = try? RecordBody(
      after: previousIndex, previousHash, timeMicroseconds: timeMicroseconds, principal: request.principal,
      requestID: request.requestID, cause: request.cause, events: events
    ).encoded()
    guard let body, body.count <= Leadership.maximumRecordBytes else {
      return .settle(.rejected(Leadership.tooLarge), settlement)
    }
    return .propose(
      AppendProposal(
        body: body, events: events, term: term, timeMicroseconds: timeMicroseconds, principal: request.principal,
        requestID: request.requestID, cause: request.cause, previousIndex: previousIndex, previousHash: previousHash,
        decisions: request.decidesTransactions ? request.standingDecisions(events, speculation)?.events : nil))
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
