/// A place in the statement's text: UTF-8 byte offset from 0, or -1 where PostgreSQL's grammar keeps none.
package typealias SourceLocation = Int

/// A name as written, qualified or not: `["public", "t"]`.
package typealias QualifiedName = [String]

/// An expression as written, before any name or type is resolved. Mirrors the raw parse tree of PostgreSQL's grammar.
package indirect enum Expression: Sendable, Hashable {
  /// `a`, `t.a`, `s.t.a`; `t.*` and `*` where `isStar`.
  case column(QualifiedName, isStar: Bool, location: SourceLocation)
  case constant(Constant, location: SourceLocation)
  /// `$1`: numbered from 1.
  case parameter(Int, location: SourceLocation)
  /// `CAST(x AS type)` and `x::type`.
  case cast(Expression, TypeName, location: SourceLocation)
  /// An operator by name, prefix where `left` is nil. The name may be qualified: `OPERATOR(pg_catalog.~)`.
  case binary(QualifiedName, left: Expression?, right: Expression, location: SourceLocation)
  /// `left op ANY (array)`, `left op ALL (array)`.
  case quantified(QualifiedName, isAll: Bool, left: Expression, right: Expression, location: SourceLocation)
  /// `IS [NOT] DISTINCT FROM`.
  case distinct(Expression, Expression, isNegated: Bool, location: SourceLocation)
  case nullIf(Expression, Expression, location: SourceLocation)
  /// `x [NOT] IN (a, b, …)`; the subquery form is `subquery`.
  case inList(Expression, [Expression], isNegated: Bool, location: SourceLocation)
  /// `LIKE`, `ILIKE`, `SIMILAR TO`; an ESCAPE clause arrives wrapped in the pattern as the grammar leaves it.
  case like(LikeKind, Expression, pattern: Expression, isNegated: Bool, location: SourceLocation)
  case between(
    Expression, low: Expression, high: Expression, isNegated: Bool, isSymmetric: Bool, location: SourceLocation)
  case and([Expression], location: SourceLocation)
  case or([Expression], location: SourceLocation)
  case not(Expression, location: SourceLocation)
  case isNull(Expression, isNegated: Bool, location: SourceLocation)
  /// `IS [NOT] TRUE | FALSE | UNKNOWN`.
  case booleanTest(Expression, BooleanTest, location: SourceLocation)
  case function(FunctionCall)
  /// `CASE [operand] WHEN … THEN … ELSE … END`.
  case caseWhen(operand: Expression?, branches: [CaseBranch], otherwise: Expression?, location: SourceLocation)
  case coalesce([Expression], location: SourceLocation)
  case greatest([Expression], location: SourceLocation)
  case least([Expression], location: SourceLocation)
  case subquery(Subquery)
  case array([Expression], location: SourceLocation)
  case row([Expression], location: SourceLocation)
  case collate(Expression, QualifiedName, location: SourceLocation)
  /// `CURRENT_DATE`, `LOCALTIMESTAMP(3)`, `CURRENT_USER` …, by the keyword in lower case.
  case sqlValue(String, precision: Int?, location: SourceLocation)
  /// `x[1]`, `x[1:2]`, `(row).field`.
  case indirection(Expression, [Indirection], location: SourceLocation)
  /// `DEFAULT` in VALUES or SET.
  case defaultValue(location: SourceLocation)
  /// `GROUPING SETS`, `CUBE`, `ROLLUP` and their like in GROUP BY, by keyword; nested lists are kept.
  case groupingSet(String, [Expression], location: SourceLocation)
}

/// A literal as written.
package enum Constant: Sendable, Hashable {
  case null
  case boolean(Bool)
  /// An integer that fits int4.
  case integer(Int64)
  /// Any other number, as its text: larger integers and decimals.
  case decimal(String)
  case string(String)
  /// `B'01'` or `X'1f'`, with the leading b or x.
  case bitString(String)
}

package enum LikeKind: Sendable, Hashable { case like, ilike, similar }

package enum BooleanTest: Sendable, Hashable { case isTrue, isNotTrue, isFalse, isNotFalse, isUnknown, isNotUnknown }

/// One `WHEN condition THEN result`.
package struct CaseBranch: Sendable, Hashable {
  package var condition: Expression
  package var result: Expression
  package init(condition: Expression, result: Expression) {
    self.condition = condition
    self.result = result
  }
}

/// One step behind an expression: a subscript, a slice, a field or `.*`.
package enum Indirection: Sendable, Hashable {
  case subscripted(Expression)
  case slice(lower: Expression?, upper: Expression?)
  case field(String)
  case star
}

/// A type as written: `numeric(10,2)`, `pg_catalog.int4`, `text[]`.
package struct TypeName: Sendable, Hashable {
  /// As the grammar gives it: `int` arrives as `["pg_catalog", "int4"]`, user spelling otherwise.
  package var name: QualifiedName
  /// Type modifiers: constants in nearly all cases.
  package var modifiers: [Expression]
  /// Number of `[]`.
  package var arrayDimensions: Int
  package var location: SourceLocation
  package init(
    name: QualifiedName, modifiers: [Expression] = [], arrayDimensions: Int = 0, location: SourceLocation = -1
  ) {
    self.name = name
    self.modifiers = modifiers
    self.arrayDimensions = arrayDimensions
    self.location = location
  }
}

/// A call of a function, aggregate or window function.
package struct FunctionCall: Sendable, Hashable {
  package var name: QualifiedName
  package var arguments: [Expression]
  /// Names of arguments given as `name => value`, by position in `arguments`; empty where none is named.
  package var argumentNames: [Int: String] = [:]
  /// `count(*)`.
  package var isStar = false
  package var isDistinct = false
  package var isVariadic = false
  package var orderBy: [SortItem] = []
  package var isWithinGroup = false
  package var filter: Expression?
  package var over: WindowDefinition?
  package var location: SourceLocation
  package init(name: QualifiedName, arguments: [Expression], location: SourceLocation = -1) {
    self.name = name
    self.arguments = arguments
    self.location = location
  }
}

/// `OVER w`, `OVER (…)` or an entry of the WINDOW clause.
package struct WindowDefinition: Sendable, Hashable {
  /// Its own name in a WINDOW clause, nil in OVER (…).
  package var name: String?
  /// The window that it refers to or extends.
  package var baseName: String?
  package var partitionBy: [Expression] = []
  package var orderBy: [SortItem] = []
  package var frame: WindowFrame?
  package var location: SourceLocation
  package init(location: SourceLocation = -1) { self.location = location }
}

package struct WindowFrame: Sendable, Hashable {
  package enum Unit: Sendable, Hashable { case rows, range, groups }
  package enum Bound: Sendable, Hashable {
    case unboundedPreceding, preceding(Expression), currentRow, following(Expression), unboundedFollowing
  }
  package enum Exclusion: Sendable, Hashable { case none, currentRow, group, ties }
  package var unit: Unit
  package var start: Bound
  package var end: Bound
  package var exclusion: Exclusion
  package init(unit: Unit, start: Bound, end: Bound, exclusion: Exclusion = .none) {
    self.unit = unit
    self.start = start
    self.end = end
    self.exclusion = exclusion
  }
}

/// A query inside an expression.
package struct Subquery: Sendable, Hashable {
  package enum Kind: Sendable, Hashable {
    case exists
    /// `(SELECT …)` used as a value.
    case scalar
    /// `ARRAY(SELECT …)`.
    case array
    /// `test op ANY (SELECT …)`; `IN` is `= ANY`.
    case any(test: Expression, operatorName: QualifiedName)
    case all(test: Expression, operatorName: QualifiedName)
  }
  package var kind: Kind
  package var query: SelectStatement
  package var location: SourceLocation
  package init(kind: Kind, query: SelectStatement, location: SourceLocation = -1) {
    self.kind = kind
    self.query = query
    self.location = location
  }
}

/// One entry of ORDER BY.
package struct SortItem: Sendable, Hashable {
  package enum Nulls: Sendable, Hashable { case byDirection, first, last }
  package var expression: Expression
  package var isDescending: Bool
  package var nulls: Nulls
  /// `USING operator`.
  package var usingOperator: QualifiedName?
  package var location: SourceLocation
  package init(
    expression: Expression, isDescending: Bool = false, nulls: Nulls = .byDirection,
    usingOperator: QualifiedName? = nil,
    location: SourceLocation = -1
  ) {
    self.expression = expression
    self.isDescending = isDescending
    self.nulls = nulls
    self.usingOperator = usingOperator
    self.location = location
  }
}
