/// Names of types, as users write them and as PostgreSQL prints them.
extension SQLType {
  /// The type's entry in the table of types, nil for an oid that Kunlog does not know.
  package var entry: TypeEntry? { TypeTable.entry(oid: oid) }

  /// `pg_type.typlen`.
  package var lengthBytes: Int16 { entry?.lengthBytes ?? -1 }

  /// `pg_type.typcategory`.
  package var category: TypeCategory { entry?.category ?? .userDefined }

  /// `pg_type.typispreferred`.
  package var isPreferred: Bool { entry?.isPreferred ?? false }

  /// Whether this is a true array type (`typcategory` A with variable length).
  package var isArray: Bool { category == .array }

  /// The element type of an array type.
  package var elementType: SQLType? {
    guard let entry, isArray, entry.elementOID != 0 else { return nil }
    return SQLType(oid: entry.elementOID, modifier: modifier)
  }

  /// The type of an array of this type.
  package var arrayType: SQLType? {
    guard let entry, entry.arrayOID != 0 else { return nil }
    return SQLType(oid: entry.arrayOID, modifier: modifier)
  }

  /// What `format_type(oid, modifier)` prints: `integer`, `character varying(10)`, `numeric(10,2)[]`.
  package var displayName: String {
    guard let entry else { return "???" }
    if isArray, let element = elementType, entry.name.hasPrefix("_") { return element.displayName + "[]" }
    guard modifier >= 0 else { return oid == SQLType.bpchar.oid && modifier == -1 ? "character" : entry.displayName }
    switch oid {
    case SQLType.varchar.oid, SQLType.bpchar.oid:
      return "\(entry.displayName)(\(modifier - 4))"
    case SQLType.numeric.oid:
      guard let parts = numericPrecision else { return entry.displayName }
      return "numeric(\(parts.precision),\(parts.scale))"
    case SQLType.time.oid:
      return "time(\(modifier)) without time zone"
    case SQLType.timestamp.oid:
      return "timestamp(\(modifier)) without time zone"
    case SQLType.timestamptz.oid:
      return "timestamp(\(modifier)) with time zone"
    case SQLType.interval.oid:
      return "interval" + IntervalFields(modifier: modifier).suffix
        + (fractionalSecondDigits.map { "(\($0))" } ?? "")
    default:
      return entry.displayName
    }
  }

  /// A type from the name that libpg_query or a user gives (`int`, `int4`, `bigint`, `double precision`,
  /// `timestamp with time zone`, `_text`, `text[]`), without modifier; nil when there is none.
  /// `char` is `character`, as in SQL; the catalogs' one-byte type is `"char"`, with its quotes.
  package static func named(_ name: String) -> SQLType? {
    if name.hasSuffix("[]") { return named(String(name.dropLast(2)))?.arrayType }
    if let oid = aliases[name] { return SQLType(oid: oid) }
    return TypeTable.entry(name: name).map { SQLType(oid: $0.oid) }
  }

  private static let aliases: [String: UInt32] = [
    "boolean": 16, "\"char\"": 18, "bigint": 20, "smallint": 21, "int": 23, "integer": 23, "real": 700,
    "float": 701, "double precision": 701, "char": 1042, "character": 1042, "character varying": 1043,
    "nchar": 1042, "national character": 1042, "national character varying": 1043, "dec": 1700, "decimal": 1700,
    "time without time zone": 1083, "timestamp without time zone": 1114, "timestamp with time zone": 1184,
    "time with time zone": 1266,
  ]
}

/// The fields that an `interval year to month` and the like is restricted to (the upper half of its modifier).
package struct IntervalFields: Sendable, Hashable {
  /// One bit per field, in PostgreSQL's numbering: month 1, year 2, day 3, hour 10, minute 11, second 12.
  package let mask: Int32

  /// All fields: no restriction.
  package static let full = IntervalFields(mask: 0x7fff)

  /// From the bits.
  package init(mask: Int32) { self.mask = mask }

  /// From an interval type's modifier.
  package init(modifier: Int32) { mask = modifier < 0 ? 0x7fff : modifier >> 16 & 0x7fff }

  /// The field's bit.
  package static func bit(_ field: Int32) -> Int32 { 1 << field }

  /// The smallest field that is kept, as PostgreSQL names the restriction: `" year to month"`; empty for none.
  package var suffix: String { IntervalFields.names[mask] ?? "" }

  private static let names: [Int32: String] = {
    let month: Int32 = 1 << 1
    let year: Int32 = 1 << 2
    let day: Int32 = 1 << 3
    let hour: Int32 = 1 << 10
    let minute: Int32 = 1 << 11
    let second: Int32 = 1 << 12
    return [
      year: " year", month: " month", day: " day", hour: " hour", minute: " minute", second: " second",
      year | month: " year to month", day | hour: " day to hour", day | hour | minute: " day to minute",
      day | hour | minute | second: " day to second", hour | minute: " hour to minute",
      hour | minute | second: " hour to second", minute | second: " minute to second",
    ]
  }()
}
