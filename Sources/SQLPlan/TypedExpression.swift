import SQLTree
import SQLTypes

/// An expression whose names and types are resolved.
indirect enum TypedExpression: Hashable {
  case constant(StoredValue, SQLType)
  /// $n; its type is `unknown` only until a context gives it one.
  case parameter(Int, SQLType)
  /// A column of an entry of the range table; ids are unique in the statement, so no level is needed.
  case column(relation: Int, index: Int, SQLType)
  case call(Call)
  case aggregate(AggregateCall)
  case window(WindowCall)
  case and([TypedExpression])
  case or([TypedExpression])
  case not(TypedExpression)
  case isNull(TypedExpression, isNegated: Bool)
  case booleanTest(TypedExpression, BooleanTest)
  /// `IS [NOT] DISTINCT FROM`; `equality` is the operator = of the two.
  case distinct(TypedExpression, TypedExpression, isNegated: Bool, equality: FunctionSignature)
  case nullIf(TypedExpression, TypedExpression, equality: FunctionSignature)
  case caseWhen([TypedBranch], otherwise: TypedExpression?, SQLType)
  case coalesce([TypedExpression], SQLType)
  case extreme(isGreatest: Bool, [TypedExpression], SQLType)
  /// `x IN (a, b, …)` where all are of one type that compares by `=`.
  case inList(TypedExpression, [TypedExpression], isNegated: Bool)
  /// `x op ANY | ALL (array)`.
  case quantified(FunctionSignature, isAll: Bool, TypedExpression, array: TypedExpression)
  case subquery(TypedSubquery)
  case array([TypedExpression], SQLType)
  case row([TypedExpression])
  /// The n-th element (from 1) of an array.
  case element(TypedExpression, index: TypedExpression, SQLType)
  /// `COLLATE "C"`: the same value.
  case collate(TypedExpression)
  /// `nextval('…')` of a known sequence.
  case nextValue(sequenceID: UInt32)

  /// A function or operator with the arguments in its own types.
  struct Call: Hashable {
    var signature: FunctionSignature
    var arguments: [TypedExpression]
    var type: SQLType
    /// Types of the arguments as resolved: for implementations that take them.
    var argumentTypes: [SQLType] { arguments.map(\.type) }
  }

  struct AggregateCall: Hashable {
    var signature: FunctionSignature
    var arguments: [TypedExpression]
    var isStar: Bool
    var isDistinct: Bool
    var orderBy: [SortKey]
    var filter: TypedExpression?
    var type: SQLType
  }

  struct WindowCall: Hashable {
    var signature: FunctionSignature
    var arguments: [TypedExpression]
    var isStar: Bool
    var filter: TypedExpression?
    var partitionBy: [TypedExpression]
    var orderBy: [SortKey]
    var frame: TypedFrame?
    var type: SQLType
  }

  struct TypedBranch: Hashable {
    var condition: TypedExpression
    var result: TypedExpression
  }

  var type: SQLType {
    switch self {
    case .constant(_, let type), .parameter(_, let type), .column(_, _, let type): return type
    case .call(let call): return call.type
    case .aggregate(let call): return call.type
    case .window(let call): return call.type
    case .and, .or, .not, .isNull, .booleanTest, .distinct, .inList, .quantified: return .bool
    case .nullIf(let value, _, _): return value.type
    case .caseWhen(_, _, let type), .coalesce(_, let type), .extreme(_, _, let type), .array(_, let type): return type
    case .element(_, _, let type): return type
    case .subquery(let subquery): return subquery.type
    case .row: return .record
    case .collate(let value): return value.type
    case .nextValue: return .int8
    }
  }
}

/// One entry of ORDER BY.
struct SortKey: Hashable {
  var expression: TypedExpression
  var isDescending: Bool
  var nullsFirst: Bool
}

/// A window's frame with typed offsets.
struct TypedFrame: Hashable {
  enum Bound: Hashable {
    case unboundedPreceding, preceding(TypedExpression), currentRow, following(TypedExpression), unboundedFollowing
  }
  var unit: WindowFrame.Unit
  var start: Bound
  var end: Bound
  var exclusion: WindowFrame.Exclusion
}

/// A query within an expression.
struct TypedSubquery: Hashable {
  enum Kind: Hashable {
    case exists
    case scalar
    case array(SQLType)
    /// `(a, b) op ANY | ALL (…)`: one operator per column.
    case compare([TypedExpression], [FunctionSignature], isAll: Bool)
  }
  var kind: Kind
  var query: Query

  var type: SQLType {
    switch kind {
    case .exists, .compare: .bool
    case .scalar: query.columns.first?.type ?? .unknown
    case .array(let type): type
    }
  }
}

/// A query whose names and types are resolved.
struct Query: Hashable {
  indirect enum Body: Hashable {
    case select(Select)
    case values([[TypedExpression]])
    case setOperation(SelectStatement.SetOperation, isAll: Bool, left: Query, right: Query)
  }
  struct Column: Hashable {
    var name: String
    var type: SQLType
    var tableOID: UInt32 = 0
    var columnNumber: Int = 0
  }
  var commonTables: [CommonTableQuery] = []
  var body: Body
  var columns: [Column]
  /// Over a select: its own expressions. Over the others: `outputColumn` of relation `outputRelation`.
  var orderBy: [SortKey] = []
  var limit: TypedExpression?
  var offset: TypedExpression?
  /// The id under which `orderBy` of VALUES and set operations speaks of the result's columns.
  var outputRelation: Int = 0
}

/// WITH: a query by id.
struct CommonTableQuery: Hashable {
  var id: Int
  var name: String
  var query: Query
  var isRecursive: Bool
}

struct Select: Hashable {
  enum Distinct: Hashable { case no, all, on([TypedExpression]) }
  var distinct: Distinct = .no
  /// One per column of the query.
  var targets: [TypedExpression]
  var from: [FromNode] = []
  var condition: TypedExpression?
  var groupBy: [TypedExpression] = []
  var having: TypedExpression?
  var hasAggregates = false
  var hasWindows = false

  /// Whether rows are grouped, be it into one group.
  var isGrouped: Bool { hasAggregates || !groupBy.isEmpty || having != nil }
}

/// A FROM entry: its relations are looked up in the range table.
indirect enum FromNode: Hashable {
  case relation(Int)
  case join(JoinedTable.Kind, FromNode, FromNode, condition: TypedExpression?)
}
