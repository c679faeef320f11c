/// The six comparison operators of each pair of types that PostgreSQL compares. Where stored values compare in
/// SQLite as the values do, SQLite's own operator is used, so that its indexes are.
enum ComparisonOperators {
  private static let operators = ["=", "<>", "<", "<=", ">", ">="]

  /// Types whose stored form SQLite orders as PostgreSQL orders the values (text by code point, collation "C").
  private static let native: [(SQLType, SQLType)] = [
    (.bool, .bool), (.int2, .int2), (.int2, .int4), (.int2, .int8), (.int4, .int2), (.int4, .int4), (.int4, .int8),
    (.int8, .int2), (.int8, .int4), (.int8, .int8), (.float4, .float4), (.float4, .float8), (.float8, .float4),
    (.float8, .float8), (.oid, .oid), (.text, .text), (.bpchar, .bpchar), (.name, .name), (.name, .text),
    (.text, .name), (.char, .char), (.bytea, .bytea), (.date, .date), (.time, .time), (.timestamp, .timestamp),
    (.timestamptz, .timestamptz), (.uuid, .uuid),
  ]

  /// Types that only have `=` and `<>`.
  private static let nativeEquality: [(SQLType, SQLType)] = [(.xid, .xid), (.xid, .int4), (.cid, .cid)]

  /// Pairs of different date types: the SQL that brings each side to the common type.
  private static let mixedDates: [(SQLType, SQLType, String, String)] = [
    (.date, .timestamp, "pg_date_to_timestamp($1)", "$2"), (.timestamp, .date, "$1", "pg_date_to_timestamp($2)"),
    (.date, .timestamptz, "pg_date_to_timestamptz($1)", "$2"),
    (.timestamptz, .date, "$1", "pg_date_to_timestamptz($2)"),
    (.timestamp, .timestamptz, "pg_timestamp_to_timestamptz($1)", "$2"),
    (.timestamptz, .timestamp, "$1", "pg_timestamp_to_timestamptz($2)"),
  ]

  /// All of them.
  static func signatures() -> [FunctionSignature] {
    var all: [FunctionSignature] = []
    for name in operators {
      for (left, right) in native { all.append(comparison(name, left, right, "($1 \(name) $2)")) }
      for (left, right, first, second) in mixedDates {
        all.append(comparison(name, left, right, "(\(first) \(name) \(second))", stable: true))
      }
      all.append(comparison(name, .numeric, .numeric, "($1 COLLATE PG_NUMERIC \(name) $2)"))
      all.append(comparison(name, .jsonb, .jsonb, "($1 COLLATE PG_JSONB \(name) $2)"))
      all.append(comparison(name, .interval, .interval, "(pg_interval_key($1) \(name) pg_interval_key($2))"))
      all.append(
        FunctionSignature(
          kind: .infixOperator, name: name, argumentTypes: [.anyarray, .anyarray], resultType: .bool,
          implementation: .sqliteTyped("pg_array_\(suffix(name))")))
    }
    for name in ["=", "<>"] {
      for (left, right) in nativeEquality { all.append(comparison(name, left, right, "($1 \(name) $2)")) }
    }
    return all
  }

  private static func comparison(
    _ name: String, _ left: SQLType, _ right: SQLType, _ sql: String, stable: Bool = false
  ) -> FunctionSignature {
    FunctionSignature(
      kind: .infixOperator, name: name, argumentTypes: [left, right], resultType: .bool,
      volatility: stable ? .stable : .immutable, implementation: .inline(sql))
  }

  private static func suffix(_ name: String) -> String {
    switch name {
    case "=": return "eq"
    case "<>": return "ne"
    case "<": return "lt"
    case "<=": return "le"
    case ">": return "gt"
    default: return "ge"
    }
  }
}
