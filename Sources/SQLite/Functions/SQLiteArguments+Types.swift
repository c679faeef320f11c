import SQLTypes

/// Arguments as values of PostgreSQL's types.
extension SQLiteArguments {
  /// A numeric; integers and reals are taken as what they stand for.
  func numeric(_ index: Int) throws(SQLError) -> NumericValue {
    switch self[index] {
    case .integer(let value): return NumericValue(value)
    case .real(let value): return NumericValue(rounding: value)
    default: return try NumericValue(stored: text(index))
    }
  }

  /// An interval.
  func interval(_ index: Int) throws(SQLError) -> IntervalValue { try IntervalValue(stored: blob(index)) }

  /// A JSON document.
  func json(_ index: Int) throws(SQLError) -> JSONValue { try JSONParser.parse(text(index)) }

  /// The elements of an array.
  func array(_ index: Int) throws(SQLError) -> ArrayText.Elements { try ArrayText.parse(text(index)) }

  /// The types and values of typed arguments, from a position on.
  func typed(from start: Int = 0) -> [(type: SQLType, value: StoredValue)] {
    stride(from: start, to: count - 1, by: 2).map { (type($0), self[$0 + 1]) }
  }

  /// The type whose oid an argument is.
  func type(_ index: Int) -> SQLType { SQLType(oid: UInt32(truncatingIfNeeded: integer(index))) }
}

extension StoredValue {
  /// A numeric in stored form.
  static func numeric(_ value: NumericValue) -> StoredValue { .text(value.text) }

  /// An interval in stored form.
  static func interval(_ value: IntervalValue) -> StoredValue { .blob(value.stored) }

  /// An integer of any width.
  static func int(_ value: Int) -> StoredValue { .integer(Int64(value)) }

  /// Text, or NULL.
  static func optional(_ text: String?) -> StoredValue { text.map { .text($0) } ?? .null }
}
