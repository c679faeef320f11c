/// PostgreSQL's functions, operators, aggregates and casts, with what implements each on SQLite. The planner resolves
/// overloads over this table (PostgreSQL 15 manual, chapter 10); `PostgresFunctions` in the target SQLite registers
/// the implementations. Immutable; `standard` is built once.
package struct FunctionCatalog: Sendable {
  /// All that Kunlog has.
  package static let standard = FunctionCatalog(
    functions: FunctionTableReader.standardFunctions(), casts: FunctionTableReader.standardCasts())

  /// Every signature, in the order of the tables.
  package let functions: [FunctionSignature]
  /// Every cast of `pg_cast`, without the conversions through text.
  package let casts: [CastSignature]
  private let byName: [String: [FunctionSignature]]
  private let castIndex: [UInt64: CastSignature]

  /// A catalog of the signatures and casts.
  package init(functions: [FunctionSignature], casts: [CastSignature]) {
    self.functions = functions
    self.casts = casts
    byName = Dictionary(grouping: functions, by: \.name)
    castIndex = Dictionary(
      casts.map { (FunctionCatalog.castKey($0.source, $0.target), $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// The same catalog with more signatures (of the system catalog's functions, say).
  package func adding(_ more: [FunctionSignature]) -> FunctionCatalog {
    FunctionCatalog(functions: functions + more, casts: casts)
  }

  /// Functions, aggregates and window functions of that name.
  package func functions(named name: String) -> [FunctionSignature] {
    (byName[name] ?? []).filter { $0.kind != .infixOperator && $0.kind != .prefixOperator }
  }

  /// Operators with two operands of that name.
  package func infixOperators(named name: String) -> [FunctionSignature] {
    (byName[name] ?? []).filter { $0.kind == .infixOperator }
  }

  /// Operators with one operand, written before it.
  package func prefixOperators(named name: String) -> [FunctionSignature] {
    (byName[name] ?? []).filter { $0.kind == .prefixOperator }
  }

  /// The cast between two types, regardless of modifiers; nil where PostgreSQL has none. Conversions through text
  /// count: from a string type to any type explicitly, from any type to a string type on assignment.
  package func cast(from source: SQLType, to target: SQLType) -> CastSignature? {
    if source.oid == target.oid {
      return CastSignature(
        source: source, target: target, context: .implicit, implementation: .inline("$1"), isBinaryCoercible: true)
    }
    if let cast = castIndex[FunctionCatalog.castKey(source, target)] { return cast }
    return conversionThroughText(from: source, to: target)
  }

  /// What brings a value of a type to its modifier (`varchar(3)`, `numeric(10,2)`, `timestamp(0)`): a SQLite function
  /// of the value, the modifier, and 1 for an explicit cast (which truncates) or 0 for an assignment (which
  /// refuses); nil where the type has no modifier.
  package func modifierCoercion(of type: SQLType) -> String? {
    guard type.modifier >= 0 else { return nil }
    switch type.oid {
    case SQLType.varchar.oid: return "pg_modify_varchar"
    case SQLType.bpchar.oid: return "pg_modify_bpchar"
    case SQLType.numeric.oid: return "pg_modify_numeric"
    case SQLType.time.oid: return "pg_modify_time"
    case SQLType.timestamp.oid, SQLType.timestamptz.oid: return "pg_modify_timestamp"
    case SQLType.interval.oid: return "pg_modify_interval"
    default: return nil
    }
  }

  /// The text form as a value: `pg_out(oid, value, modifier)`; the value from its text form:
  /// `pg_in(oid, text, modifier)`. Both are NULL for NULL.
  private func conversionThroughText(from source: SQLType, to target: SQLType) -> CastSignature? {
    let fromString = source.category == .string || source.oid == SQLType.unknown.oid
    if fromString, target.category != .pseudo {
      return CastSignature(
        source: source, target: target, context: source.oid == SQLType.unknown.oid ? .implicit : .explicit,
        implementation: .inline("pg_in(\(target.oid), $1, -1)"), isBinaryCoercible: false)
    }
    if target.category == .string, source.category != .pseudo {
      return CastSignature(
        source: source, target: target, context: .assignment,
        implementation: .inline("pg_out(\(source.oid), $1, -1)"), isBinaryCoercible: false)
    }
    if source.category == .array, target.category == .array, let from = source.elementType, let to = target.elementType
    {
      guard let element = cast(from: from, to: to) else { return nil }
      return CastSignature(
        source: source, target: target, context: element.context,
        implementation: element.isBinaryCoercible
          ? .inline("$1") : .inline("pg_cast_array(\(from.oid), \(to.oid), $1)"),
        isBinaryCoercible: element.isBinaryCoercible)
    }
    return nil
  }

  private static func castKey(_ source: SQLType, _ target: SQLType) -> UInt64 {
    UInt64(source.oid) << 32 | UInt64(target.oid)
  }
}
