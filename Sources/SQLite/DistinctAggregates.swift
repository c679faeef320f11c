import SQLTypes

/// Aggregates over different values in order, for those that SQLite cannot call with DISTINCT because they take several
/// arguments: `pg_array_agg_distinct(type oid, value, descending)` and
/// `pg_string_agg_distinct(type oid, value, separator, descending)`.
enum DistinctAggregates {
  static let aggregates = [
    AggregateFunction("pg_array_agg_distinct", 3) { context in DistinctState(context, separatorIndex: nil) },
    AggregateFunction("pg_string_agg_distinct", 4) { context in DistinctState(context, separatorIndex: 2) },
  ]
}

/// The values of a group. Confined, as its connection, to one thread.
private final class DistinctState: AggregateState {
  private let context: SessionContext
  private let separatorIndex: Int?
  private var values: [StoredValue] = []
  private var type = SQLType.text
  private var separator = ""
  private var isDescending = false
  private var hasRows = false

  init(_ context: SessionContext, separatorIndex: Int?) {
    self.context = context
    self.separatorIndex = separatorIndex
  }

  func step(_ arguments: borrowing SQLiteArguments) throws(SQLError) {
    type = SQLType(oid: UInt32(truncatingIfNeeded: arguments.integer(0)))
    isDescending = arguments.integer(arguments.count - 1) != 0
    if let separatorIndex {
      if arguments.isNull(1) { return }
      separator = arguments.isNull(separatorIndex) ? "" : arguments.text(separatorIndex)
    }
    hasRows = true
    values.append(arguments[1])
  }

  func inverse(_ arguments: borrowing SQLiteArguments) throws(SQLError) {
    throw SQLError(.featureNotSupported, "DISTINCT for a window function is not supported")
  }

  func value() throws(SQLError) -> StoredValue {
    guard hasRows else { return .null }
    let sorted = values.sorted { compare($0, $1) < 0 }
    var different: [StoredValue] = []
    for value in sorted where different.last.map({ compare($0, value) != 0 }) ?? true { different.append(value) }
    if isDescending { different.reverse() }
    if separatorIndex != nil { return .text(different.compactMap(\.textValue).joined(separator: separator)) }
    let texts = different.map { TypeOutput.text($0, as: type, context: context.conversion) }
    return .text(ArrayText.text(texts))
  }

  /// Nulls come last.
  private func compare(_ left: StoredValue, _ right: StoredValue) -> Int {
    switch (left, right) {
    case (.null, .null): return 0
    case (.null, _): return 1
    case (_, .null): return -1
    case (.integer(let a), .integer(let b)): return a < b ? -1 : a > b ? 1 : 0
    case (.real(let a), .real(let b)): return a < b ? -1 : a > b ? 1 : 0
    case (.text(let a), .text(let b)):
      if type.oid == SQLType.numeric.oid, let a = try? NumericValue(stored: a), let b = try? NumericValue(stored: b) {
        return a.compare(b)
      }
      return a.utf8.elementsEqual(b.utf8) ? 0 : a.utf8.lexicographicallyPrecedes(b.utf8) ? -1 : 1
    case (.blob(let a), .blob(let b)): return a == b ? 0 : a.lexicographicallyPrecedes(b) ? -1 : 1
    case (.real, _): return -1
    case (_, .real): return 1
    default: return 0
    }
  }
}
