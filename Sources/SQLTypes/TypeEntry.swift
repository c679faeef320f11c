/// A type's category in `pg_type.typcategory`: overload resolution prefers candidates of the same category.
package enum TypeCategory: Character, Sendable {
  case array = "A"
  case boolean = "B"
  case dateTime = "D"
  case numeric = "N"
  case pseudo = "P"
  case string = "S"
  case timespan = "T"
  case userDefined = "U"
  case unknown = "X"
  /// Internal-use types such as `"char"`.
  case internalUse = "Z"
}

/// A type's row in `pg_type`, as far as clients and the planner look at it.
package struct TypeEntry: Sendable {
  /// The type's oid.
  package let oid: UInt32
  /// `typname`, as in `pg_type`.
  package let name: String
  /// What `format_type(oid, NULL)` prints.
  package let displayName: String
  /// `typlen`: bytes, -1 for variable length, -2 for C strings.
  package let lengthBytes: Int16
  /// `typcategory`.
  package let category: TypeCategory
  /// `typispreferred`.
  package let isPreferred: Bool
  /// The element's oid of an array (and of `name` and the vectors), else 0.
  package let elementOID: UInt32
  /// The oid of the array of this type, else 0.
  package let arrayOID: UInt32

  /// `typtype`: `b` base or `p` pseudo.
  package var typtype: String { category == .pseudo || oid == SQLType.unknown.oid ? "p" : "b" }

  /// Whether values pass by value in PostgreSQL (`typbyval`).
  package var isByValue: Bool { [1, 2, 4, 8].contains(lengthBytes) }
}

/// All types that Kunlog knows, by oid and by name.
package enum TypeTable {
  /// Every type, by ascending oid.
  package static let entries: [TypeEntry] = (scalars + scalars.compactMap(arrayEntry)).sorted { $0.oid < $1.oid }

  /// The type's entry, nil for an oid that Kunlog does not know.
  package static func entry(oid: UInt32) -> TypeEntry? { byOID[oid] }

  /// The entry with the `typname` (as in `pg_type`: `int4`, `_text`).
  package static func entry(name: String) -> TypeEntry? { byName[name] }

  private static let byOID = Dictionary(entries.map { ($0.oid, $0) }, uniquingKeysWith: { first, _ in first })
  private static let byName = Dictionary(entries.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })

  private static func arrayEntry(of element: TypeEntry) -> TypeEntry? {
    guard element.arrayOID != 0 else { return nil }
    return TypeEntry(
      oid: element.arrayOID, name: "_" + element.name, displayName: element.displayName + "[]", lengthBytes: -1,
      category: element.category == .pseudo ? .pseudo : .array, isPreferred: false, elementOID: element.oid,
      arrayOID: 0)
  }

  private static func scalar(
    _ oid: UInt32, _ name: String, display displayName: String? = nil, _ lengthBytes: Int16, _ category: TypeCategory,
    preferred: Bool = false, element: UInt32 = 0, array: UInt32 = 0
  ) -> TypeEntry {
    TypeEntry(
      oid: oid, name: name, displayName: displayName ?? name, lengthBytes: lengthBytes, category: category,
      isPreferred: preferred, elementOID: element, arrayOID: array)
  }

  private static let scalars: [TypeEntry] = [
    scalar(16, "bool", display: "boolean", 1, .boolean, preferred: true, array: 1000),
    scalar(17, "bytea", -1, .userDefined, array: 1001),
    scalar(18, "char", display: "\"char\"", 1, .internalUse, array: 1002),
    scalar(19, "name", 64, .string, element: 18, array: 1003),
    scalar(20, "int8", display: "bigint", 8, .numeric, array: 1016),
    scalar(21, "int2", display: "smallint", 2, .numeric, array: 1005),
    scalar(22, "int2vector", -1, .array, element: 21, array: 1006),
    scalar(23, "int4", display: "integer", 4, .numeric, array: 1007),
    scalar(24, "regproc", 4, .numeric, array: 1008),
    scalar(25, "text", -1, .string, preferred: true, array: 1009),
    scalar(26, "oid", 4, .numeric, preferred: true, array: 1028),
    scalar(27, "tid", 6, .userDefined, array: 1010),
    scalar(28, "xid", 4, .userDefined, array: 1011),
    scalar(29, "cid", 4, .userDefined, array: 1012),
    scalar(30, "oidvector", -1, .array, element: 26, array: 1013),
    scalar(114, "json", -1, .userDefined, array: 199),
    scalar(194, "pg_node_tree", -1, .internalUse),
    scalar(700, "float4", display: "real", 4, .numeric, array: 1021),
    scalar(701, "float8", display: "double precision", 8, .numeric, preferred: true, array: 1022),
    scalar(705, "unknown", -2, .unknown),
    scalar(1033, "aclitem", 12, .userDefined, array: 1034),
    scalar(1042, "bpchar", display: "character", -1, .string, array: 1014),
    scalar(1043, "varchar", display: "character varying", -1, .string, array: 1015),
    scalar(1082, "date", 4, .dateTime, array: 1182),
    scalar(1083, "time", display: "time without time zone", 8, .dateTime, array: 1183),
    scalar(1114, "timestamp", display: "timestamp without time zone", 8, .dateTime, array: 1115),
    scalar(1184, "timestamptz", display: "timestamp with time zone", 8, .dateTime, preferred: true, array: 1185),
    scalar(1186, "interval", 16, .timespan, preferred: true, array: 1187),
    scalar(1266, "timetz", display: "time with time zone", 12, .dateTime, array: 1270),
    scalar(1700, "numeric", -1, .numeric, array: 1231),
    scalar(2202, "regprocedure", 4, .numeric, array: 2207),
    scalar(2203, "regoper", 4, .numeric, array: 2208),
    scalar(2204, "regoperator", 4, .numeric, array: 2209),
    scalar(2205, "regclass", 4, .numeric, array: 2210),
    scalar(2206, "regtype", 4, .numeric, array: 2211),
    scalar(2249, "record", -1, .pseudo, array: 2287),
    scalar(2275, "cstring", -2, .pseudo, array: 1263),
    scalar(2276, "any", display: "\"any\"", 4, .pseudo),
    scalar(2277, "anyarray", -1, .pseudo),
    scalar(2278, "void", 4, .pseudo),
    scalar(2279, "trigger", 4, .pseudo),
    scalar(2281, "internal", 8, .pseudo),
    scalar(2283, "anyelement", 4, .pseudo),
    scalar(2776, "anynonarray", 4, .pseudo),
    scalar(2950, "uuid", 16, .userDefined, array: 2951),
    scalar(3500, "anyenum", 4, .pseudo),
    scalar(3802, "jsonb", -1, .userDefined, array: 3807),
    scalar(4089, "regnamespace", 4, .numeric, array: 4090),
    scalar(4096, "regrole", 4, .numeric, array: 4097),
    scalar(4191, "regcollation", 4, .numeric, array: 4192),
    scalar(5077, "anycompatible", 4, .pseudo),
    scalar(5078, "anycompatiblearray", -1, .pseudo),
    scalar(5079, "anycompatiblenonarray", 4, .pseudo),
  ]
}
