/// What kind of callable a signature describes.
package enum FunctionKind: Sendable, Hashable {
  /// `name(arguments)`.
  case function
  /// `operator argument`.
  case prefixOperator
  /// `argument operator argument`.
  case infixOperator
  /// An aggregate: it can be used with OVER too.
  case aggregate
  /// A pure window function: it needs OVER.
  case window
}

/// When a call with the same arguments gives the same result (`pg_proc.provolatile`).
package enum Volatility: String, Sendable {
  /// Always.
  case immutable = "i"
  /// Within a statement.
  case stable = "s"
  /// Never: `random()`.
  case volatile = "v"
}

/// How a PostgreSQL function is expressed in SQLite's SQL.
package enum FunctionImplementation: Sendable, Hashable {
  /// A call of the SQLite function with the same arguments (registered by `PostgresFunctions`, or SQLite's own).
  case sqlite(String)
  /// A call in which each argument is passed as two: the oid of its type as an integer literal, then its value.
  case sqliteTyped(String)
  /// SQL with `$1`, `$2`… in the place of the arguments, each of which has to be put in as one operand (in
  /// parentheses where it is an expression). The text is one operand itself.
  case inline(String)

  /// The call in SQLite's SQL.
  /// - Parameter arguments: each argument's SQL, as one operand.
  /// - Parameter types: each argument's type; only ``sqliteTyped(_:)`` looks at it.
  package func sql(arguments: [String], types: [SQLType]) -> String {
    switch self {
    case .sqlite(let name):
      return "\(name)(\(arguments.joined(separator: ", ")))"
    case .sqliteTyped(let name):
      let pairs = zip(types, arguments).map { "\($0.oid), \($1)" }
      return "\(name)(\(pairs.joined(separator: ", ")))"
    case .inline(let template):
      return FunctionImplementation.expand(template, arguments)
    }
  }

  private static func expand(_ template: String, _ arguments: [String]) -> String {
    var result = ""
    var rest = template[...]
    while let dollar = rest.firstIndex(of: "$") {
      result += rest[..<dollar]
      let digits = rest[rest.index(after: dollar)...].prefix { $0.isWholeNumber }
      if let number = Int(digits), number >= 1, number <= arguments.count { result += arguments[number - 1] }
      rest = rest[digits.endIndex...]
    }
    return result + rest
  }
}

/// One PostgreSQL function, operator, aggregate or window function, with what implements it on SQLite.
package struct FunctionSignature: Sendable, Hashable {
  /// The kind of callable.
  package let kind: FunctionKind
  /// Its name in PostgreSQL: `lower`, `+`.
  package let name: String
  /// The types of the arguments, as `pg_proc` has them (`anyelement` and `any` among them). For a variadic
  /// function the last one is the type of each of the trailing arguments (one or more; none is allowed for `any`).
  package let argumentTypes: [SQLType]
  /// Whether the last argument may be repeated.
  package let isVariadic: Bool
  /// The type of the result; `anyelement` stands for the type of the arguments of that type.
  package let resultType: SQLType
  /// Whether NULL in any argument gives NULL without a call.
  package let isStrict: Bool
  /// Whether calls may be folded.
  package let volatility: Volatility
  /// What to write in SQLite's SQL.
  package let implementation: FunctionImplementation
  /// Where an aggregate can be computed in parts: how.
  package let parts: AggregateParts?

  /// Memberwise.
  package init(
    kind: FunctionKind, name: String, argumentTypes: [SQLType], isVariadic: Bool = false, resultType: SQLType,
    isStrict: Bool = true, volatility: Volatility = .immutable, implementation: FunctionImplementation,
    parts: AggregateParts? = nil
  ) {
    self.kind = kind
    self.name = name
    self.argumentTypes = argumentTypes
    self.isVariadic = isVariadic
    self.resultType = resultType
    self.isStrict = isStrict
    self.volatility = volatility
    self.implementation = implementation
    self.parts = parts
  }
}

/// How an aggregate is computed where its rows lie on several shards: each shard computes `partial` with the
/// aggregate's own arguments; `combine` is an aggregate over those results and gives the aggregate's result.
package struct AggregateParts: Sendable, Hashable {
  /// What a shard computes.
  package let partial: FunctionImplementation
  /// The aggregate over the shards' results; its one argument is such a result.
  package let combine: FunctionImplementation
}

/// Where a cast applies by itself (`pg_cast.castcontext`), from the widest to the narrowest.
package enum CastContext: Int, Sendable, Comparable {
  /// In any expression.
  case implicit = 0
  /// When a value is assigned to a column.
  case assignment = 1
  /// Only where it is written.
  case explicit = 2

  /// By how much has to be written.
  package static func < (left: CastContext, right: CastContext) -> Bool { left.rawValue < right.rawValue }
}

/// One cast of `pg_cast`, or a conversion through the text form.
package struct CastSignature: Sendable, Hashable {
  /// The type of the operand.
  package let source: SQLType
  /// The type of the result.
  package let target: SQLType
  /// Where it applies by itself.
  package let context: CastContext
  /// What to write in SQLite's SQL; `.inline("$1")` where the stored value stays as it is.
  package let implementation: FunctionImplementation
  /// Whether PostgreSQL calls the types binary-coercible (no function at all): overload resolution counts that
  /// as an exact match.
  package let isBinaryCoercible: Bool
}
