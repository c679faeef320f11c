/// One SQL statement as written. What PostgreSQL's grammar accepts and Kunlog does not know arrives as `unsupported`.
package indirect enum Statement: Sendable, Hashable {
  case select(SelectStatement)
  case insert(InsertStatement)
  case update(UpdateStatement)
  case delete(DeleteStatement)
  case createTable(CreateTableStatement)
  /// ALTER TABLE … SET (…), RESET (…): what else it can do is not supported.
  case alterTable(AlterTableStatement)
  case createIndex(CreateIndexStatement)
  case createSequence(CreateSequenceStatement)
  case alterSequence(RelationName, ifExists: Bool, options: [DefinitionOption])
  case createView(CreateViewStatement)
  case createSchema(name: String, ifNotExists: Bool, location: SourceLocation)
  case createDatabase(name: String, location: SourceLocation)
  case drop(DropStatement)
  case truncate([RelationName], restartIdentity: Bool, isCascade: Bool)
  case createRole(name: String, isUser: Bool, options: [DefinitionOption])
  case alterRole(name: String, options: [DefinitionOption])
  case dropRole(names: [String], ifExists: Bool)
  case copy(CopyStatement)
  case explain(Statement, options: [DefinitionOption])
  case transaction(TransactionStatement)
  /// `SET [LOCAL] name = values`; an empty list of values is `TO DEFAULT`.
  case set(name: String, values: [Expression], isLocal: Bool)
  case reset(name: String)
  /// `SET TRANSACTION …`, or `SET SESSION CHARACTERISTICS AS TRANSACTION …`: options as those of BEGIN.
  case setTransaction([DefinitionOption], isSession: Bool)
  case resetAll
  case show(name: String)
  /// PREPARE name (types) AS statement.
  case prepare(name: String, types: [TypeName], statement: Statement)
  case execute(name: String, parameters: [Expression])
  /// DEALLOCATE name, or ALL where nil.
  case deallocate(name: String?)
  /// DISCARD ALL | PLANS | SEQUENCES | TEMP, lower case.
  case discard(String)
  /// VACUUM or ANALYZE (rows live in SQLite), CLOSE ALL, UNLISTEN: accepted and without effect; the command's tag.
  case maintenance(String)
  /// A statement that is not supported: its PostgreSQL name in words ("ALTER TABLE"), for SQLSTATE 0A000.
  case unsupported(String, location: SourceLocation)
}

/// A parsed statement and where it stands in its text.
package struct ParsedStatementText: Sendable, Hashable {
  package var statement: Statement
  /// UTF-8 byte offset and length within the text; locations inside the tree count from the text's start.
  package var startByte: Int
  package var lengthBytes: Int
  package init(statement: Statement, startByte: Int, lengthBytes: Int) {
    self.statement = statement
    self.startByte = startByte
    self.lengthBytes = lengthBytes
  }
}

/// `name = value` in WITH (…), role, sequence, COPY and EXPLAIN options; names in lower case as PostgreSQL's grammar gives them.
package struct DefinitionOption: Sendable, Hashable {
  package enum Value: Sendable, Hashable {
    case none
    case string(String)
    case integer(Int64)
    case decimal(String)
    case boolean(Bool)
    case name(QualifiedName)
    case names([String])
    case star
  }
  package var name: String
  package var value: Value
  package var location: SourceLocation
  package init(name: String, value: Value, location: SourceLocation = -1) {
    self.name = name
    self.value = value
    self.location = location
  }
}

package struct InsertStatement: Sendable, Hashable {
  package enum Overriding: Sendable, Hashable { case none, userValue, systemValue }
  package enum Source: Sendable, Hashable { case defaultValues, query(SelectStatement) }
  package var with: WithClause?
  package var table: RelationName
  package var alias: String?
  package var columns: [AssignmentTarget]
  package var overriding: Overriding = .none
  package var source: Source
  package var onConflict: OnConflict?
  package var returning: [SelectTarget] = []
  package init(table: RelationName, alias: String? = nil, columns: [AssignmentTarget] = [], source: Source) {
    self.table = table
    self.alias = alias
    self.columns = columns
    self.source = source
  }
}

/// A column that is assigned, with its place; `indirection` where a part of it is.
package struct AssignmentTarget: Sendable, Hashable {
  package var column: String
  package var indirection: [Indirection]
  package var location: SourceLocation
  package init(column: String, indirection: [Indirection] = [], location: SourceLocation = -1) {
    self.column = column
    self.indirection = indirection
    self.location = location
  }
}

/// One `column = value`, or `(a, b) = (source)` with several targets.
package struct Assignment: Sendable, Hashable {
  package var targets: [AssignmentTarget]
  package var value: Expression
  package init(targets: [AssignmentTarget], value: Expression) {
    self.targets = targets
    self.value = value
  }
}

package struct OnConflict: Sendable, Hashable {
  package enum Target: Sendable, Hashable {
    case none
    case columns([Expression], condition: Expression?)
    case constraint(String)
  }
  package enum Action: Sendable, Hashable { case nothing, update([Assignment], condition: Expression?) }
  package var target: Target
  package var action: Action
  package var location: SourceLocation
  package init(target: Target, action: Action, location: SourceLocation = -1) {
    self.target = target
    self.action = action
    self.location = location
  }
}

package struct UpdateStatement: Sendable, Hashable {
  package var with: WithClause?
  package var table: RelationName
  package var alias: String?
  package var assignments: [Assignment]
  package var from: [FromItem] = []
  package var condition: Expression?
  package var returning: [SelectTarget] = []
  package init(table: RelationName, alias: String? = nil, assignments: [Assignment]) {
    self.table = table
    self.alias = alias
    self.assignments = assignments
  }
}

package struct DeleteStatement: Sendable, Hashable {
  package var with: WithClause?
  package var table: RelationName
  package var alias: String?
  package var using: [FromItem] = []
  package var condition: Expression?
  package var returning: [SelectTarget] = []
  package init(table: RelationName, alias: String? = nil) {
    self.table = table
    self.alias = alias
  }
}

package struct TransactionStatement: Sendable, Hashable {
  package enum Kind: Sendable, Hashable {
    case begin, commit, rollback
    case savepoint(String), release(String), rollbackTo(String)
    case prepare(String), commitPrepared(String), rollbackPrepared(String)
  }
  package var kind: Kind
  /// BEGIN that was said as START TRANSACTION, which its command tag repeats.
  package var isStart = false
  /// `ISOLATION LEVEL …` as "transaction_isolation", "transaction_read_only", "transaction_deferrable".
  package var options: [DefinitionOption]
  package var isChained: Bool
  package init(kind: Kind, options: [DefinitionOption] = [], isChained: Bool = false) {
    self.kind = kind
    self.options = options
    self.isChained = isChained
  }
}

package struct CopyStatement: Sendable, Hashable {
  package enum Source: Sendable, Hashable { case table(RelationName, columns: [String]), query(Statement) }
  package enum Endpoint: Sendable, Hashable { case client, file(String), program(String) }
  package var source: Source
  package var isFrom: Bool
  package var endpoint: Endpoint
  package var options: [DefinitionOption]
  package var condition: Expression?
  package init(
    source: Source, isFrom: Bool, endpoint: Endpoint, options: [DefinitionOption], condition: Expression? = nil
  ) {
    self.source = source
    self.isFrom = isFrom
    self.endpoint = endpoint
    self.options = options
    self.condition = condition
  }
}

package struct DropStatement: Sendable, Hashable {
  package enum Kind: Sendable, Hashable {
    case table, index, sequence, view, schema, database, materializedView, other(String)
  }
  package var kind: Kind
  package var names: [QualifiedName]
  package var ifExists: Bool
  package var isCascade: Bool
  package init(kind: Kind, names: [QualifiedName], ifExists: Bool, isCascade: Bool) {
    self.kind = kind
    self.names = names
    self.ifExists = ifExists
    self.isCascade = isCascade
  }
}
