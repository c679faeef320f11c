/// CREATE TABLE, plain, partitioned, or as a partition of another.
package struct CreateTableStatement: Sendable, Hashable {
  package var name: RelationName
  package var ifNotExists: Bool
  package var isTemporary = false
  package var isUnlogged = false
  package var columns: [ColumnDeclaration] = []
  package var constraints: [ConstraintDeclaration] = []
  /// LIKE clauses and INHERITS: refused, by name.
  package var unsupported: String?
  package var partitionBy: PartitionClause?
  /// `PARTITION OF parent bound`.
  package var partitionOf: RelationName?
  package var bound: PartitionBoundDeclaration?
  /// WITH (…): `shard`, `tablegroup`, `shard_class`, `cold_after`.
  package var options: [DefinitionOption] = []
  package init(name: RelationName, ifNotExists: Bool = false) {
    self.name = name
    self.ifNotExists = ifNotExists
  }
}

/// ALTER TABLE name SET (options), RESET (names).
package struct AlterTableStatement: Sendable, Hashable {
  package var name: RelationName
  package var ifExists: Bool
  package var set: [DefinitionOption] = []
  /// Without values.
  package var reset: [DefinitionOption] = []
  package init(name: RelationName, ifExists: Bool) {
    self.name = name
    self.ifExists = ifExists
  }
}

package struct ColumnDeclaration: Sendable, Hashable {
  package var name: String
  /// nil only in a column option list of PARTITION OF.
  package var type: TypeName?
  package var constraints: [ConstraintDeclaration]
  package var collation: QualifiedName?
  package var location: SourceLocation
  package init(
    name: String, type: TypeName?, constraints: [ConstraintDeclaration] = [], collation: QualifiedName? = nil,
    location: SourceLocation = -1
  ) {
    self.name = name
    self.type = type
    self.constraints = constraints
    self.collation = collation
    self.location = location
  }
}

/// A constraint of a column or a table.
package struct ConstraintDeclaration: Sendable, Hashable {
  package enum Kind: Sendable, Hashable {
    case null, notNull
    case defaultValue(Expression)
    case identity(isAlways: Bool, options: [DefinitionOption])
    /// `GENERATED ALWAYS AS (expression) STORED`.
    case generated(Expression)
    /// Empty columns where it stands at a column.
    case primaryKey([String])
    case unique([String])
    case check(Expression)
    case foreignKey
    case exclusion
    /// A property of a constraint that is refused by all who read it, by name.
    case unsupported(String)
  }
  package var name: String?
  package var kind: Kind
  package var location: SourceLocation
  package init(name: String? = nil, kind: Kind, location: SourceLocation = -1) {
    self.name = name
    self.kind = kind
    self.location = location
  }
}

/// `PARTITION BY strategy (columns)`.
package struct PartitionClause: Sendable, Hashable {
  package enum Strategy: Sendable, Hashable { case hash, range, list }
  package enum Key: Sendable, Hashable { case column(String), expression(Expression) }
  package var strategy: Strategy
  package var keys: [Key]
  package var location: SourceLocation
  package init(strategy: Strategy, keys: [Key], location: SourceLocation = -1) {
    self.strategy = strategy
    self.keys = keys
    self.location = location
  }
}

/// `FOR VALUES …` or DEFAULT.
package enum PartitionBoundDeclaration: Sendable, Hashable {
  case hash(modulus: Int, remainder: Int, location: SourceLocation)
  case list([Expression], location: SourceLocation)
  case range(from: [RangeDatum], to: [RangeDatum], location: SourceLocation)
  case standard(location: SourceLocation)

  package enum RangeDatum: Sendable, Hashable { case minimum, maximum, value(Expression) }
}

package struct CreateIndexStatement: Sendable, Hashable {
  package enum Key: Sendable, Hashable { case column(String), expression(Expression) }
  package struct Part: Sendable, Hashable {
    package var key: Key
    package var isDescending: Bool
    package var nulls: SortItem.Nulls
    package init(key: Key, isDescending: Bool = false, nulls: SortItem.Nulls = .byDirection) {
      self.key = key
      self.isDescending = isDescending
      self.nulls = nulls
    }
  }
  package var name: String?
  package var table: RelationName
  package var parts: [Part]
  package var isUnique: Bool
  package var ifNotExists: Bool
  package var isConcurrent = false
  package var method: String = "btree"
  package var including: [String] = []
  package var condition: Expression?
  package init(name: String?, table: RelationName, parts: [Part], isUnique: Bool, ifNotExists: Bool) {
    self.name = name
    self.table = table
    self.parts = parts
    self.isUnique = isUnique
    self.ifNotExists = ifNotExists
  }
}

package struct CreateSequenceStatement: Sendable, Hashable {
  package var name: RelationName
  package var ifNotExists: Bool
  package var options: [DefinitionOption]
  package init(name: RelationName, ifNotExists: Bool, options: [DefinitionOption]) {
    self.name = name
    self.ifNotExists = ifNotExists
    self.options = options
  }
}

package struct CreateViewStatement: Sendable, Hashable {
  package var name: RelationName
  package var columnNames: [String]
  package var query: SelectStatement
  /// The text of the query, as written, for the catalog.
  package var queryText: String
  package var orReplace: Bool
  package init(name: RelationName, columnNames: [String], query: SelectStatement, queryText: String, orReplace: Bool) {
    self.name = name
    self.columnNames = columnNames
    self.query = query
    self.queryText = queryText
    self.orReplace = orReplace
  }
}
