import EventLoop
import Metadata
import PostgresWire
import SQLParser
import SQLPlan
import SQLTree
import SQLTypes

/// Statements that define objects: turned into commands for the metadata log. They take effect at once, within a
/// transaction block too (so that tools that wrap them in one work), and a rollback does not undo them.
extension ComputeSession {
  /// Runs the statement; answers its command tag.
  func runDefinition(
    _ tree: Statement, _ command: PreparedCommand, _ scope: StatementScope
  ) async throws(SQLError) -> String {
    let (name, tag) = Self.definitionName(tree)
    try checkWritable(name)
    if let transaction, transaction.isBlock, !transaction.written.isEmpty {
      throw SQLError(
        .featureNotSupported, "\(name) after changes of rows in the same transaction block is not supported",
        hint: "Run it before the transaction's changes, or outside of the block.")
    }
    guard command.text.utf8.count <= Self.maximumDefinitionBytes else {
      throw SQLError(
        .programLimitExceeded, "\(name) is longer than \(Self.maximumDefinitionBytes) bytes")
    }
    transaction?.hasRun = true
    transaction?.hasDefined = true
    switch tree {
    case .createTable(let statement): try await createTable(statement, text: command.text)
    case .alterTable(let statement): try await alterTable(statement, text: command.text)
    case .createIndex(let statement): try await createIndex(statement, text: command.text, scope)
    case .createSequence(let statement): try await createSequence(statement, text: command.text)
    case .alterSequence(let name, let ifExists, let options):
      try await alterSequence(name, ifExists: ifExists, options, text: command.text)
    case .createView(let statement): try await createView(statement, text: command.text)
    case .createSchema(let name, let ifNotExists, _): try await createSchema(name, ifNotExists: ifNotExists)
    case .createDatabase(_, let location):
      throw SQLError(
        .featureNotSupported, "CREATE DATABASE is not supported", hint: "Use a schema of the database \(database).",
        position: SQLParser.characterPosition(ofByte: location, in: command.text))
    case .drop(let statement): try await drop(statement)
    case .truncate(let names, let restartIdentity, _):
      try await truncate(names, restartIdentity: restartIdentity, text: command.text)
    case .createRole(let name, let isUser, let options): try await createRole(name, isUser: isUser, options)
    case .alterRole(let name, let options): try await alterRole(name, options)
    case .dropRole(let names, let ifExists): try await dropRoles(names, ifExists: ifExists)
    default: throw SQLError(.featureNotSupported, "this statement is not supported")
    }
    return tag
  }

  private static func definitionName(_ tree: Statement) -> (name: String, tag: String) {
    switch tree {
    case .createTable: return ("CREATE TABLE", "CREATE TABLE")
    case .alterTable: return ("ALTER TABLE", "ALTER TABLE")
    case .createIndex: return ("CREATE INDEX", "CREATE INDEX")
    case .createSequence: return ("CREATE SEQUENCE", "CREATE SEQUENCE")
    case .alterSequence: return ("ALTER SEQUENCE", "ALTER SEQUENCE")
    case .createView: return ("CREATE VIEW", "CREATE VIEW")
    case .createSchema: return ("CREATE SCHEMA", "CREATE SCHEMA")
    case .createDatabase: return ("CREATE DATABASE", "CREATE DATABASE")
    case .truncate: return ("TRUNCATE TABLE", "TRUNCATE TABLE")
    case .createRole: return ("CREATE ROLE", "CREATE ROLE")
    case .alterRole: return ("ALTER ROLE", "ALTER ROLE")
    case .dropRole: return ("DROP ROLE", "DROP ROLE")
    case .drop(let statement):
      let name = "DROP \(statement.kind.words.uppercased())"
      return (name, name)
    default: return ("this statement", "")
    }
  }

  /// Appends commands as one record, in this role's name.
  @discardableResult
  func append(_ commands: [Command]) async throws(SQLError) -> [Event] {
    try await services.metadata.append(AppendRequest(principal: user, commands: commands)).events
  }

  // MARK: Names

  /// A position in characters for a location in a statement's text.
  func position(_ location: SourceLocation, _ text: String) -> Int? {
    SQLParser.characterPosition(ofByte: location, in: text)
  }

  /// Schemas by name, in the order in which unqualified names are looked up.
  private func searchedSchemas() -> [SchemaDefinition] {
    settings.searchPath.compactMap { image.schema(named: $0 == "$user" ? user : $0) }
  }

  private func checkCatalog(_ name: RelationName) throws(SQLError) {
    guard let catalog = name.catalog, catalog != database else { return }
    throw SQLError(
      .featureNotSupported,
      "cross-database references are not implemented: \"\(catalog).\(name.schema ?? "").\(name.name)\"")
  }

  /// A schema that is named.
  func schema(_ name: String) throws(SQLError) -> SchemaDefinition {
    guard let schema = image.schema(named: name) else {
      throw SQLError(.invalidSchemaName, "schema \"\(name)\" does not exist")
    }
    return schema
  }

  /// Where a new object goes.
  func creationSchema(_ name: RelationName) throws(SQLError) -> SchemaDefinition {
    try checkCatalog(name)
    if let schemaName = name.schema {
      if schemaName == "pg_catalog" || schemaName == "information_schema" {
        throw SQLError(
          .insufficientPrivilege, "permission denied to create \"\(schemaName).\(name.name)\"",
          detail: "System catalog modifications are currently disallowed.")
      }
      return try schema(schemaName)
    }
    guard let schema = searchedSchemas().first else {
      throw SQLError(.invalidSchemaName, "no schema has been selected to create in")
    }
    return schema
  }

  /// The relation of a name, nil where there is none.
  func optionalRelation(_ name: RelationName) throws(SQLError) -> Relation? {
    try checkCatalog(name)
    if let schemaName = name.schema {
      return image.schema(named: schemaName).flatMap { image.relation(named: name.name, in: $0.id) }
    }
    for schema in searchedSchemas() {
      if let relation = image.relation(named: name.name, in: schema.id) { return relation }
    }
    return nil
  }

  /// The relation of a name; 42P01 where there is none.
  func relation(_ name: RelationName, text: String = "") throws(SQLError) -> Relation {
    if let relation = try optionalRelation(name) { return relation }
    let shown = name.schema.map { "\($0).\(name.name)" } ?? name.name
    throw SQLError(
      .undefinedTable, "relation \"\(shown)\" does not exist",
      position: text.isEmpty ? nil : position(name.location, text))
  }

  /// The table of a name.
  func table(_ name: RelationName, text: String = "") throws(SQLError) -> TableDefinition {
    guard case .table(let table) = try relation(name, text: text) else {
      throw SQLError(.wrongObjectType, "\"\(name.name)\" is not a table")
    }
    return table
  }

  /// Owners and superusers only.
  func checkOwner(_ owner: ObjectID, _ kind: String, _ name: String) throws(SQLError) {
    guard isSuperuser || owner == roleID else {
      throw SQLError(.insufficientPrivilege, "must be owner of \(kind) \(name)")
    }
  }

  // MARK: Schemas and TRUNCATE

  private func createSchema(_ name: String, ifNotExists: Bool) async throws(SQLError) {
    guard !name.hasPrefix("pg_") else {
      throw SQLError(
        .reservedName, "unacceptable schema name \"\(name)\"",
        detail: "The prefix \"pg_\" is reserved for system schemas.")
    }
    if ifNotExists, image.schema(named: name) != nil {
      report(.skipped(.duplicateSchema, "schema \"\(name)\" already exists, skipping"))
      return
    }
    try await append([.createSchema(name: name, ownerID: roleID)])
  }

  private func truncate(_ names: [RelationName], restartIdentity: Bool, text: String) async throws(SQLError) {
    if let transaction, transaction.isBlock, !transaction.joined.isEmpty {
      throw SQLError(
        .featureNotSupported, "TRUNCATE within a transaction that reads or writes rows is not supported",
        hint: "Use DELETE, or run TRUNCATE outside of the transaction block.")
    }
    var ids: [ObjectID] = []
    for name in names {
      let table = try table(name, text: text)
      try checkOwner(table.ownerID, "table", table.name)
      if !name.includesDescendants, table.partitioning != nil {
        throw SQLError(.wrongObjectType, "cannot truncate only a partitioned table")
      }
      ids.append(table.id)
    }
    try await append([.truncateTables(ids, restartsSequences: restartIdentity)])
  }
}

extension DropStatement.Kind {
  /// As messages name it: `materialized view`.
  var words: String {
    switch self {
    case .table: "table"
    case .index: "index"
    case .sequence: "sequence"
    case .view: "view"
    case .schema: "schema"
    case .database: "database"
    case .materializedView: "materialized view"
    case .other(let name): name.lowercased()
    }
  }
}

extension SQLNotice {
  /// IF EXISTS and IF NOT EXISTS: the error that was not raised.
  static func skipped(_ state: SQLState, _ message: String) -> SQLNotice {
    SQLNotice(severity: .notice, fields: SQLError(state, message))
  }
}
