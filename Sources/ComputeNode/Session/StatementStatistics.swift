import EventLoop
import Metrics
import SQLTypes

/// How many statements clients have had run, of which kind, how they ended and how long they took.
@LoopActor
package final class StatementStatistics {
  private struct Key: Hashable {
    var kind: StatementKind
    /// The first two characters of SQLSTATE; `00`: it went well.
    var stateClass: String
  }

  /// Of those that went well, which are most: without a look into a dictionary.
  private var succeeded = [UInt64](repeating: 0, count: StatementKind.allCases.count)
  private var failed: [Key: UInt64] = [:]
  private var latency = [Histogram](repeating: Histogram(), count: StatementKind.allCases.count)
  private static let places = Dictionary(
    uniqueKeysWithValues: StatementKind.allCases.enumerated().map { ($1, $0) })

  nonisolated init() {}

  /// A statement has ended; all of its rows have been handed to the connection.
  func ended(_ kind: StatementKind, _ error: SQLError?, startedAt: UInt64) {
    let place = Self.places[kind] ?? 0
    if let error {
      failed[Key(kind: kind, stateClass: String(error.sqlState.rawValue.prefix(2))), default: 0] &+= 1
    } else {
      succeeded[place] &+= 1
    }
    latency[place].record(Loop.now - min(startedAt, Loop.now))
  }

  func add(to set: inout MetricSet) {
    let statements = "Statements of clients, by kind and by class of SQLSTATE (00: it went well)."
    for (place, kind) in StatementKind.allCases.enumerated() {
      set.counter(
        "kunlog_sql_statements_total", statements, succeeded[place], ("kind", kind.rawValue), ("sqlstate_class", "00"))
    }
    for (key, count) in failed.sorted(by: {
      ($0.key.kind.rawValue, $0.key.stateClass) < ($1.key.kind.rawValue, $1.key.stateClass)
    }) {
      set.counter(
        "kunlog_sql_statements_total", statements, count, ("kind", key.kind.rawValue),
        ("sqlstate_class", key.stateClass))
    }
    let seconds = "From a statement's turn until all of its rows were handed to the connection, or it failed."
    for (place, kind) in StatementKind.allCases.enumerated() where latency[place].count > 0 {
      set.histogram("kunlog_sql_statement_seconds", seconds, latency[place], ("kind", kind.rawValue))
    }
  }
}
