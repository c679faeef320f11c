import Metadata
import ProtocolMetadata

extension GlobalTransactionID {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_TransactionID {
    .with {
      $0.coordinator = coordinator.rawValue
      $0.incarnation = incarnation
      $0.sequence = sequence
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_TransactionID) {
    self.init(
      coordinator: NodeID(rawValue: wire.coordinator), incarnation: wire.incarnation, sequence: wire.sequence)
  }
}

extension TransactionOutcome {
  var wire: Kunlog_Metadata_V1_TransactionOutcome {
    switch self {
    case .commit: .commit
    case .abort: .abort
    }
  }

  init(wire: Kunlog_Metadata_V1_TransactionOutcome) throws(WireError) {
    switch wire {
    case .commit: self = .commit
    case .abort: self = .abort
    case .unspecified, .UNRECOGNIZED: throw .malformed("transaction outcome \(wire.rawValue)")
    }
  }
}

extension TransactionEvent {
  var wireKind: Kunlog_Metadata_V1_Event.OneOf_Kind {
    switch self {
    case .decided(let id, let outcome, let participants):
      .transactionDecided(TransactionEvent.decision(id, outcome, participants))
    case .resolved(let id): .transactionResolved(.with { $0.id = id.wire })
    case .settled(let before): .transactionsSettled(.with { $0.before = before.wire })
    }
  }

  static func decision(
    _ id: GlobalTransactionID, _ outcome: TransactionOutcome, _ participants: [ShardID]
  ) -> Kunlog_Metadata_V1_TransactionDecided {
    .with {
      $0.id = id.wire
      $0.outcome = outcome.wire
      $0.participants = participants.map(\.rawValue)
    }
  }

  /// nil: no event about transactions.
  init?(wire: Kunlog_Metadata_V1_Event.OneOf_Kind) throws(WireError) {
    switch wire {
    case .transactionDecided(let event):
      self = .decided(
        GlobalTransactionID(wire: event.id), try TransactionOutcome(wire: event.outcome),
        participants: event.participants.map(ShardID.init))
    case .transactionResolved(let event): self = .resolved(GlobalTransactionID(wire: event.id))
    case .transactionsSettled(let event): self = .settled(before: GlobalTransactionID(wire: event.before))
    default: return nil
    }
  }
}

extension TransactionCommand {
  var wireKind: Kunlog_Metadata_V1_Command.OneOf_Kind {
    switch self {
    case .decide(let id, let outcome, let participants):
      .decideTransaction(
        .with {
          $0.id = id.wire
          $0.outcome = outcome.wire
          $0.participants = participants.map(\.rawValue)
        })
    case .resolve(let id): .resolveTransaction(.with { $0.id = id.wire })
    case .settle(let before): .settleTransactions(.with { $0.before = before.wire })
    }
  }

  /// nil: no command about transactions.
  init?(wire: Kunlog_Metadata_V1_Command.OneOf_Kind) throws(WireError) {
    switch wire {
    case .decideTransaction(let command):
      self = .decide(
        GlobalTransactionID(wire: command.id), try TransactionOutcome(wire: command.outcome),
        participants: command.participants.map(ShardID.init))
    case .resolveTransaction(let command): self = .resolve(GlobalTransactionID(wire: command.id))
    case .settleTransactions(let command): self = .settle(before: GlobalTransactionID(wire: command.before))
    default: return nil
    }
  }
}

extension TransactionTable {
  /// As an image holds it, cut into parts.
  func wireParts(openPerPart: Int) -> [Kunlog_Metadata_V1_ImageTransactions] {
    var parts: [Kunlog_Metadata_V1_ImageTransactions] = []
    for (id, coordinator) in coordinators.sorted(by: { $0.key < $1.key }) {
      parts.append(.with { $0.coordinators = [coordinator.wire(of: id)] })
    }
    let sorted = open.sorted { $0.key < $1.key }
    for start in stride(from: 0, to: sorted.count, by: openPerPart) {
      parts.append(
        .with {
          $0.open = sorted[start..<min(start + openPerPart, sorted.count)].map { id, transaction in
            .with {
              $0.decision = TransactionEvent.decision(id, transaction.outcome, transaction.participants)
              $0.index = transaction.index
            }
          }
        })
    }
    return parts
  }

  /// Adds what a part of an image holds.
  mutating func add(_ wire: Kunlog_Metadata_V1_ImageTransactions) throws(WireError) {
    for coordinator in wire.coordinators {
      coordinators[NodeID(rawValue: coordinator.nodeID)] = CoordinatorHistory(
        incarnation: coordinator.incarnation, settledIncarnation: coordinator.settledBefore.incarnation,
        settledSequence: coordinator.settledBefore.sequence,
        ranges: coordinator.resolved.map {
          CoordinatorHistory.Range(incarnation: $0.incarnation, first: $0.first, last: $0.last)
        })
    }
    for transaction in wire.open {
      open[GlobalTransactionID(wire: transaction.decision.id)] = OpenTransaction(
        outcome: try TransactionOutcome(wire: transaction.decision.outcome),
        participants: transaction.decision.participants.map(ShardID.init), index: transaction.index)
    }
  }
}

extension CoordinatorHistory {
  fileprivate func wire(of id: NodeID) -> Kunlog_Metadata_V1_ImageTransactions.Coordinator {
    .with {
      $0.nodeID = id.rawValue
      $0.incarnation = incarnation
      $0.settledBefore =
        GlobalTransactionID(
          coordinator: id, incarnation: settledIncarnation, sequence: settledSequence
        ).wire
      $0.resolved = ranges.map { range in
        .with {
          $0.incarnation = range.incarnation
          $0.first = range.first
          $0.last = range.last
        }
      }
    }
  }
}
