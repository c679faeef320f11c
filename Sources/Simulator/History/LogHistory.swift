/// What one client asked of a replicated log, and what it was told. Times are of one clock, in microseconds.
package struct LogOperation: Sendable, Equatable {
  /// What was asked.
  package enum Kind: Sendable, Equatable {
    /// Append a record, named by an identity that no other operation has. A retry is part of the first attempt's operation.
    case append(id: UInt64)
    /// Read linearizably.
    case read
  }

  /// What the client was told.
  package enum Outcome: Sendable, Equatable {
    /// The record is at the index; the read's state contained the log up to the index.
    case index(UInt64)
    /// The append changed nothing, since all was so already at the index.
    case unchanged(UInt64)
    /// Refused for good: the record is nowhere in the log.
    case refused
    /// No answer: the record may be in the log, now or later.
    case unknown
  }

  /// Who asked, for messages.
  package var client: UInt64
  /// What was asked.
  package var kind: Kind
  /// When it was asked first.
  package var invokedMicroseconds: UInt64
  /// When the answer came; of an operation without answer it says nothing.
  package var completedMicroseconds: UInt64
  /// What the client was told.
  package var outcome: Outcome

  /// Makes an operation.
  package init(
    client: UInt64, kind: Kind, invokedMicroseconds: UInt64, completedMicroseconds: UInt64, outcome: Outcome
  ) {
    self.client = client
    self.kind = kind
    self.invokedMicroseconds = invokedMicroseconds
    self.completedMicroseconds = completedMicroseconds
    self.outcome = outcome
  }
}

/// Why a history cannot be that of one log that takes one operation at a time.
package enum LogHistoryViolation: Error, Sendable, Equatable, CustomStringConvertible {
  /// A read ended before an index that somebody had been told of when it was asked.
  case staleRead(client: UInt64, index: UInt64, knownIndex: UInt64)
  /// An append got a place before one that somebody had been told of when it was asked.
  case appendedInThePast(client: UInt64, id: UInt64, index: UInt64, knownIndex: UInt64)
  /// Two appends were told the same index.
  case sameIndex(index: UInt64, first: UInt64, second: UInt64)
  /// The log does not hold the record at the index that its client was told.
  case lost(id: UInt64, index: UInt64, found: UInt64?)
  /// A record is in the log twice: a retry was applied again.
  case twice(id: UInt64, first: UInt64, second: UInt64)
  /// A record is in the log although its client was told that it was refused.
  case refusedButThere(id: UInt64, index: UInt64)
  /// The log holds a record that nobody appended.
  case unasked(id: UInt64, index: UInt64)

  package var description: String {
    switch self {
    case .staleRead(let client, let index, let known):
      "client \(client) read the log up to \(index), but \(known) was known before it asked"
    case .appendedInThePast(let client, let id, let index, let known):
      "client \(client) appended record \(id) at \(index), but \(known) was known before it asked"
    case .sameIndex(let index, let first, let second):
      "records \(first) and \(second) were both acknowledged at \(index)"
    case .lost(let id, let index, let found):
      "record \(id) was acknowledged at \(index), where the log holds \(found.map { "record \($0)" } ?? "nothing")"
    case .twice(let id, let first, let second): "record \(id) is in the log at \(first) and at \(second)"
    case .refusedButThere(let id, let index): "record \(id) was refused, but the log holds it at \(index)"
    case .unasked(let id, let index): "the log holds record \(id) at \(index), which nobody appended"
    }
  }
}

/// Checks linearizability of a log whose answers carry indexes, as the answers come.
///
/// The indexes are the only order that the operations can have had, so no search is needed (Wing and Gong, 1993, give the
/// condition): the order of indexes must agree with real time. An operation that is asked after another one was answered
/// must come after it. Both methods are constant time.
package struct LogOrder: Sendable {
  /// The greatest index that anybody has been told of.
  package private(set) var knownIndex: UInt64 = 0

  /// Makes the order of an empty history.
  package init() {}

  /// What must be below an append, and not above a read, that is asked now.
  package func floor() -> UInt64 { knownIndex }

  /// Takes an append's answer; `floor` is what `floor()` was when it was asked first.
  package mutating func appended(
    id: UInt64, at index: UInt64, by client: UInt64, floor: UInt64
  ) -> LogHistoryViolation? {
    defer { knownIndex = max(knownIndex, index) }
    return index > floor
      ? nil : .appendedInThePast(client: client, id: id, index: index, knownIndex: floor)
  }

  /// Takes the answer of a read, or of an append that changed nothing.
  package mutating func read(upTo index: UInt64, by client: UInt64, floor: UInt64) -> LogHistoryViolation? {
    defer { knownIndex = max(knownIndex, index) }
    return index >= floor ? nil : .staleRead(client: client, index: index, knownIndex: floor)
  }
}

/// Checks a recorded history of appends and reads.
package enum LogHistory {
  /// The first violation; nil when the history is linearizable.
  ///
  /// - Parameter log: what the log holds at the end, by index; nil: not known, only the answers are compared. Records that
  ///   are compacted away must be in it too.
  package static func check(
    _ operations: [LogOperation], log: [(index: UInt64, id: UInt64)]? = nil
  ) -> LogHistoryViolation? {
    if let violation = checkOrder(operations) { return violation }
    if let violation = checkIndexes(operations) { return violation }
    return log.flatMap { checkLog($0, operations) }
  }

  private static func checkOrder(_ operations: [LogOperation]) -> LogHistoryViolation? {
    struct Moment {
      var time: UInt64
      // An answer at the very time of a question does not come before it.
      var isAnswer: Bool
      var operation: Int
    }
    var moments: [Moment] = []
    for (position, operation) in operations.enumerated() {
      moments.append(Moment(time: operation.invokedMicroseconds, isAnswer: false, operation: position))
      switch operation.outcome {
      case .index, .unchanged:
        moments.append(Moment(time: operation.completedMicroseconds, isAnswer: true, operation: position))
      case .refused, .unknown: break
      }
    }
    moments.sort { ($0.time, $0.isAnswer ? 1 : 0, $0.operation) < ($1.time, $1.isAnswer ? 1 : 0, $1.operation) }
    var order = LogOrder()
    var floors = [UInt64](repeating: 0, count: operations.count)
    for moment in moments {
      let operation = operations[moment.operation]
      guard moment.isAnswer else {
        floors[moment.operation] = order.floor()
        continue
      }
      let floor = floors[moment.operation]
      let violation: LogHistoryViolation?
      switch (operation.kind, operation.outcome) {
      case (.append(let id), .index(let index)):
        violation = order.appended(id: id, at: index, by: operation.client, floor: floor)
      case (_, .index(let index)), (_, .unchanged(let index)):
        violation = order.read(upTo: index, by: operation.client, floor: floor)
      default: violation = nil
      }
      if let violation { return violation }
    }
    return nil
  }

  private static func checkIndexes(_ operations: [LogOperation]) -> LogHistoryViolation? {
    var owners: [UInt64: UInt64] = [:]
    for operation in operations {
      guard case .append(let id) = operation.kind, case .index(let index) = operation.outcome else { continue }
      if let owner = owners[index] { return .sameIndex(index: index, first: owner, second: id) }
      owners[index] = id
    }
    return nil
  }

  private static func checkLog(
    _ log: [(index: UInt64, id: UInt64)], _ operations: [LogOperation]
  ) -> LogHistoryViolation? {
    var places: [UInt64: UInt64] = [:]
    var records: [UInt64: UInt64] = [:]
    for (index, id) in log {
      if let first = places[id] { return .twice(id: id, first: first, second: index) }
      places[id] = index
      records[index] = id
    }
    var asked: Set<UInt64> = []
    for operation in operations {
      guard case .append(let id) = operation.kind else { continue }
      asked.insert(id)
      switch operation.outcome {
      case .index(let index):
        if records[index] != id { return .lost(id: id, index: index, found: records[index]) }
      case .refused:
        if let index = places[id] { return .refusedButThere(id: id, index: index) }
      case .unchanged, .unknown: break
      }
    }
    for (index, id) in log where !asked.contains(id) { return .unasked(id: id, index: index) }
    return nil
  }
}
