/// The name of a transaction that writes to several shards (gtid). A coordinator takes a new incarnation with each start, and counts its
/// transactions from 1 in each.
package struct GlobalTransactionID: Sendable, Hashable, Comparable, CustomStringConvertible {
  package var coordinator: NodeID
  package var incarnation: UInt64
  package var sequence: UInt64
  package init(coordinator: NodeID, incarnation: UInt64, sequence: UInt64) {
    self.coordinator = coordinator
    self.incarnation = incarnation
    self.sequence = sequence
  }

  package static func < (left: Self, right: Self) -> Bool {
    (left.coordinator, left.incarnation, left.sequence) < (right.coordinator, right.incarnation, right.sequence)
  }

  /// `coordinator-incarnation-sequence`.
  package var description: String { "\(coordinator)-\(incarnation)-\(sequence)" }
}

package enum TransactionOutcome: String, Sendable, Hashable { case commit, abort }

/// What has happened to transactions (transaction.proto). Since feature level 3.
package enum TransactionEvent: Sendable, Hashable {
  /// The first one in the log stands. Participants are ascending.
  case decided(GlobalTransactionID, TransactionOutcome, participants: [ShardID])
  /// Every participant has finished: the image forgets the decision.
  case resolved(GlobalTransactionID)
  /// Nobody will ask any more for a transaction of that coordinator before this one.
  case settled(before: GlobalTransactionID)

  /// See `Event.kind`.
  package var kind: String {
    switch self {
    case .decided: "TransactionDecided"
    case .resolved: "TransactionResolved"
    case .settled: "TransactionsSettled"
    }
  }

  /// The kinds that there are.
  package static let kinds = ["TransactionDecided", "TransactionResolved", "TransactionsSettled"]
}

/// What is asked about transactions (transaction.proto).
package enum TransactionCommand: Sendable, Hashable {
  /// Answered with the decision that stands.
  case decide(GlobalTransactionID, TransactionOutcome, participants: [ShardID])
  case resolve(GlobalTransactionID)
  case settle(before: GlobalTransactionID)
}

/// A decision that not every participant is known to have carried out.
package struct OpenTransaction: Sendable, Hashable {
  package var outcome: TransactionOutcome
  package var participants: [ShardID]
  /// The record with the decision.
  package var index: UInt64
  package init(outcome: TransactionOutcome, participants: [ShardID], index: UInt64) {
    self.outcome = outcome
    self.participants = participants
    self.index = index
  }
}

extension AppendRequest {
  /// The transactions that it asks to decide, in its order.
  var decidedTransactions: [GlobalTransactionID] {
    commands.compactMap { command in
      if case .transaction(.decide(let id, _, _)) = command { id } else { nil }
    }
  }

  /// Whether the answer has to tell decisions that were made before.
  package var decidesTransactions: Bool {
    if case .transaction(.decide) = commands.first { true } else { false }
  }

  /// For each transaction that it asks to decide the decision that stands, once the request has been decided: from the events that
  /// it has become, else from the image; and the latest record with one of the latter. nil where one is not known any more, because
  /// it has been resolved.
  package func standingDecisions(_ events: [Event], _ image: Image) -> (events: [Event], index: UInt64)? {
    var made: [GlobalTransactionID: Event] = [:]
    for case .transaction(.decided(let id, let outcome, let participants)) in events {
      made[id] = .transaction(.decided(id, outcome, participants: participants))
    }
    var result: [Event] = []
    var latest: UInt64 = 0
    for id in decidedTransactions {
      if let event = made[id] {
        result.append(event)
      } else if let known = image.transactions.open[id] {
        result.append(.transaction(.decided(id, known.outcome, participants: known.participants)))
        latest = max(latest, known.index)
      } else {
        return nil
      }
    }
    return (result, latest)
  }

  /// Whether each of its transactions has got the outcome that it asks for.
  package func agrees(with decisions: [Event]) -> Bool {
    zip(commands, decisions).allSatisfy { command, event in
      guard case .transaction(.decide(_, let wanted, _)) = command,
        case .transaction(.decided(_, let outcome, _)) = event
      else { return true }
      return wanted == outcome
    }
  }
}
