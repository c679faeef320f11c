/// SELECT, VALUES, TABLE and set operations, with what may follow them.
package struct SelectStatement: Sendable, Hashable {
  package indirect enum Body: Sendable, Hashable {
    case select(SelectCore)
    case values([[Expression]])
    case setOperation(SetOperation, isAll: Bool, left: SelectStatement, right: SelectStatement)
  }
  package enum SetOperation: Sendable, Hashable { case union, intersect, except }

  package var with: WithClause?
  package var body: Body
  package var orderBy: [SortItem] = []
  package var limit: Expression?
  package var offset: Expression?
  /// `FETCH FIRST n ROWS WITH TIES`.
  package var isWithTies = false
  package var locking: [LockingClause] = []
  package init(body: Body) { self.body = body }
}

/// The part from SELECT to WINDOW.
package struct SelectCore: Sendable, Hashable {
  package enum Distinct: Sendable, Hashable { case no, all, on([Expression]) }
  package var distinct: Distinct = .no
  package var targets: [SelectTarget]
  package var from: [FromItem] = []
  package var condition: Expression?
  package var groupBy: [Expression] = []
  package var isGroupByDistinct = false
  package var having: Expression?
  package var windows: [WindowDefinition] = []
  /// `SELECT … INTO table`: refused by all who read it.
  package var into: RelationName?
  package init(targets: [SelectTarget]) { self.targets = targets }
}

/// One output column: an expression and its alias.
package struct SelectTarget: Sendable, Hashable {
  package var expression: Expression
  package var alias: String?
  package var location: SourceLocation
  package init(expression: Expression, alias: String? = nil, location: SourceLocation = -1) {
    self.expression = expression
    self.alias = alias
    self.location = location
  }
}

/// `WITH [RECURSIVE] …`.
package struct WithClause: Sendable, Hashable {
  package var isRecursive: Bool
  package var tables: [CommonTable]
  package var location: SourceLocation
  package init(isRecursive: Bool, tables: [CommonTable], location: SourceLocation = -1) {
    self.isRecursive = isRecursive
    self.tables = tables
    self.location = location
  }
}

/// One common table expression.
package struct CommonTable: Sendable, Hashable {
  package enum Materialization: Sendable, Hashable { case unspecified, always, never }
  package var name: String
  package var columnNames: [String]
  package var materialization: Materialization
  /// SELECT, or INSERT/UPDATE/DELETE … RETURNING.
  package var statement: Statement
  package var location: SourceLocation
  package init(
    name: String, columnNames: [String] = [], materialization: Materialization = .unspecified, statement: Statement,
    location: SourceLocation = -1
  ) {
    self.name = name
    self.columnNames = columnNames
    self.materialization = materialization
    self.statement = statement
    self.location = location
  }
}

/// A table, view or sequence by name.
package struct RelationName: Sendable, Hashable {
  package var catalog: String?
  package var schema: String?
  package var name: String
  /// False for `ONLY t`.
  package var includesDescendants: Bool
  package var location: SourceLocation
  package init(
    catalog: String? = nil, schema: String? = nil, name: String, includesDescendants: Bool = true,
    location: SourceLocation = -1
  ) {
    self.catalog = catalog
    self.schema = schema
    self.name = name
    self.includesDescendants = includesDescendants
    self.location = location
  }
}

/// `AS alias (columns)`.
package struct TableAlias: Sendable, Hashable {
  package var name: String
  package var columnNames: [String]
  package init(name: String, columnNames: [String] = []) {
    self.name = name
    self.columnNames = columnNames
  }
}

/// An entry of FROM.
package indirect enum FromItem: Sendable, Hashable {
  case table(RelationName, alias: TableAlias?)
  case subquery(SelectStatement, isLateral: Bool, alias: TableAlias?, location: SourceLocation)
  case function(
    [FunctionCall], isLateral: Bool, hasOrdinality: Bool, alias: TableAlias?, columns: [ColumnTypeAlias],
    location: SourceLocation)
  case join(JoinedTable)
}

/// A column of a function's alias with its type: `AS t(a int, b text)`.
package struct ColumnTypeAlias: Sendable, Hashable {
  package var name: String
  package var type: TypeName
  package init(name: String, type: TypeName) {
    self.name = name
    self.type = type
  }
}

/// `left JOIN right ON …`; CROSS JOIN is an inner join without a condition.
package struct JoinedTable: Sendable, Hashable {
  package enum Kind: Sendable, Hashable { case inner, left, right, full }
  package var kind: Kind
  package var isNatural: Bool
  package var left: FromItem
  package var right: FromItem
  package var using: [String]
  package var condition: Expression?
  package var alias: TableAlias?
  package var location: SourceLocation
  package init(
    kind: Kind, isNatural: Bool = false, left: FromItem, right: FromItem, using: [String] = [],
    condition: Expression? = nil, alias: TableAlias? = nil, location: SourceLocation = -1
  ) {
    self.kind = kind
    self.isNatural = isNatural
    self.left = left
    self.right = right
    self.using = using
    self.condition = condition
    self.alias = alias
    self.location = location
  }
}

/// `FOR UPDATE | NO KEY UPDATE | SHARE | KEY SHARE [OF …] [NOWAIT | SKIP LOCKED]`.
package struct LockingClause: Sendable, Hashable {
  package enum Strength: Sendable, Hashable { case keyShare, share, noKeyUpdate, update }
  package enum Wait: Sendable, Hashable { case block, skipLocked, noWait }
  package var strength: Strength
  package var wait: Wait
  package var relations: [RelationName]
  package init(strength: Strength, wait: Wait, relations: [RelationName]) {
    self.strength = strength
    self.wait = wait
    self.relations = relations
  }
}
