/// A value as tablets, remote calls and the coordinator's SQLite hold it: SQLite's five storage classes.
/// How each PostgreSQL type maps to them is fixed in ``TypeInput`` and ``TypeOutput``.
package enum StoredValue: Sendable, Hashable {
  /// SQL's NULL.
  case null
  /// Booleans (0, 1), integers, oids, dates (days), times and timestamps (microseconds).
  case integer(Int64)
  /// float4 and float8; NaN is `.text("NaN")`, because SQLite turns a NaN into NULL.
  case real(Double)
  /// Text family, numeric (canonical decimal), jsonb (canonical), arrays (literal form).
  case text(String)
  /// bytea, uuid (16 bytes), interval (16 bytes, see ``IntervalValue``).
  case blob([UInt8])

  /// Whether this is SQL's NULL.
  package var isNull: Bool {
    if case .null = self { return true }
    return false
  }

  /// A boolean as it is stored.
  package static func boolean(_ value: Bool) -> StoredValue { .integer(value ? 1 : 0) }

  /// A float as it is stored: NaN becomes text.
  package static func float(_ value: Double) -> StoredValue { value.isNaN ? .text("NaN") : .real(value) }

  /// The integer, or nil where the value is of another storage class.
  package var integerValue: Int64? {
    if case .integer(let value) = self { return value }
    return nil
  }

  /// The text, or nil where the value is of another storage class.
  package var textValue: String? {
    if case .text(let value) = self { return value }
    return nil
  }

  /// The bytes, or nil where the value is of another storage class.
  package var blobValue: [UInt8]? {
    if case .blob(let value) = self { return value }
    return nil
  }
}
