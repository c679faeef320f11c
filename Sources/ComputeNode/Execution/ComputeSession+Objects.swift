import EventLoop
import Metadata
import PostgresWire
import SQLPlan
import SQLTree
import SQLTypes

/// Indexes, sequences and views.
extension ComputeSession {
  func createIndex(
    _ statement: CreateIndexStatement, text: String, _ scope: StatementScope
  ) async throws(SQLError) {
    let table = try table(statement.table, text: text)
    try checkOwner(table.ownerID, "table", table.name)
    guard statement.method == "btree" else {
      throw SQLError(
        .featureNotSupported, "access method \"\(statement.method)\" is not supported", hint: "Use btree.")
    }
    guard statement.including.isEmpty else { throw SQLError(.featureNotSupported, "INCLUDE is not supported") }
    guard statement.condition == nil else { throw SQLError(.featureNotSupported, "partial indexes are not supported") }
    guard statement.table.includesDescendants || table.partitioning == nil else {
      throw SQLError(.featureNotSupported, "CREATE INDEX ON ONLY is not supported")
    }
    if let name = statement.name, image.relation(named: name, in: table.schemaID) != nil {
      let message = "relation \"\(name)\" already exists"
      guard statement.ifNotExists else { throw SQLError(.duplicateTable, message) }
      report(.skipped(.duplicateTable, message + ", skipping"))
      return
    }
    var parts: [IndexDefinition.Part] = []
    for part in statement.parts {
      guard case .column(let name) = part.key else {
        throw SQLError(.featureNotSupported, "indexes on expressions are not supported")
      }
      guard let number = table.columnNumber(name) else {
        throw SQLError(.undefinedColumn, "column \"\(name)\" does not exist")
      }
      // PostgreSQL's default: nulls last, or first where the order is descending.
      let nullsFirst = part.nulls == .byDirection ? part.isDescending : part.nulls == .first
      parts.append(IndexDefinition.Part(column: number, isDescending: part.isDescending, nullsFirst: nullsFirst))
    }
    if statement.isUnique { try await checkUniqueness(of: parts, in: table, indexName: statement.name, scope) }
    let draft = IndexDraft(name: statement.name, tableID: table.id, parts: parts, isUnique: statement.isUnique)
    try await appendTried([.createIndex(draft)], relation: statement.name ?? table.name)
  }

  // MARK: Sequences

  func createSequence(_ statement: CreateSequenceStatement, text: String) async throws(SQLError) {
    let schema = try creationSchema(statement.name)
    if image.relation(named: statement.name.name, in: schema.id) != nil {
      let message = "relation \"\(statement.name.name)\" already exists"
      guard statement.ifNotExists else { throw SQLError(.duplicateTable, message) }
      report(.skipped(.duplicateTable, message + ", skipping"))
      return
    }
    let options = try sequenceOptions(statement.options, text: text)
    try await append([
      .createSequence(SequenceDraft(schemaID: schema.id, name: statement.name.name, ownerID: roleID, options: options))
    ])
  }

  func alterSequence(
    _ name: RelationName, ifExists: Bool, _ options: [DefinitionOption], text: String
  ) async throws(SQLError) {
    guard let found = try optionalRelation(name) else {
      let message = "relation \"\(name.name)\" does not exist"
      guard ifExists else { throw SQLError(.undefinedTable, message) }
      report(.skipped(.undefinedTable, message + ", skipping"))
      return
    }
    guard case .sequence(let sequence) = found else {
      throw SQLError(.wrongObjectType, "\"\(name.name)\" is not a sequence")
    }
    try checkOwner(sequence.ownerID, "sequence", sequence.name)
    try await append([.alterSequence(sequence.id, try sequenceOptions(options, text: text))])
  }

  /// The options of CREATE and ALTER SEQUENCE, and of identity columns.
  func sequenceOptions(_ options: [DefinitionOption], text: String) throws(SQLError) -> SequenceOptions {
    var result = SequenceOptions()
    var seen: Set<String> = []
    for option in options {
      guard seen.insert(option.name).inserted else {
        throw SQLError(.syntaxError, "conflicting or redundant options", position: position(option.location, text))
      }
      switch option.name {
      case "as":
        guard case .name(let words) = option.value, let word = words.last, let type = SQLType.named(word),
          [SQLType.int2, .int4, .int8].contains(type)
        else {
          throw SQLError(.invalidParameterValue, "sequence type must be smallint, integer, or bigint")
        }
        result.type = type
      case "increment": result.increment = try integer(option)
      case "minvalue": result.minimum = option.value == .none ? .standard : .value(try integer(option))
      case "maxvalue": result.maximum = option.value == .none ? .standard : .value(try integer(option))
      case "start": result.start = try integer(option)
      case "restart": result.restart = option.value == .none ? .atStart : .at(try integer(option))
      case "cache": result.cache = try integer(option)
      case "cycle":
        if case .boolean(let flag) = option.value { result.isCycle = flag }
      case "owned_by": result.owner = try owner(option)
      default:
        throw SQLError(
          .featureNotSupported, "sequence option \"\(option.name)\" is not supported",
          position: position(option.location, text))
      }
    }
    return result
  }

  private func integer(_ option: DefinitionOption) throws(SQLError) -> Int64 {
    switch option.value {
    case .integer(let number): return number
    case .decimal(let text):
      guard let number = Int64(text) else {
        throw SQLError(.numericValueOutOfRange, "value \"\(text)\" is out of range for type bigint")
      }
      return number
    default: throw SQLError(.syntaxError, "\(option.name) requires a numeric value")
    }
  }

  private func owner(_ option: DefinitionOption) throws(SQLError) -> SequenceOptions.Owner {
    guard case .names(let words) = option.value else {
      throw SQLError(.syntaxError, "invalid OWNED BY option")
    }
    if words == ["none"] { return .none }
    guard words.count >= 2, let column = words.last else {
      throw SQLError(
        .syntaxError, "invalid OWNED BY option", hint: "Specify OWNED BY table.column or OWNED BY NONE.")
    }
    let name = RelationName(schema: words.count > 2 ? words[words.count - 3] : nil, name: words[words.count - 2])
    let table = try table(name)
    guard let number = table.columnNumber(column) else {
      throw SQLError(.undefinedColumn, "column \"\(column)\" of relation \"\(table.name)\" does not exist")
    }
    return .column(table.id, number: number)
  }

  // MARK: Views

  func createView(_ statement: CreateViewStatement, text: String) async throws(SQLError) {
    let schema = try creationSchema(statement.name)
    if let existing = image.relation(named: statement.name.name, in: schema.id) {
      guard statement.orReplace, case .view(let view) = existing else {
        if statement.orReplace { throw SQLError(.wrongObjectType, "\"\(statement.name.name)\" is not a view") }
        throw SQLError(.duplicateTable, "relation \"\(statement.name.name)\" already exists")
      }
      try checkOwner(view.ownerID, "view", view.name)
    }
    let planner = self.planner()
    try checkAccess(planner.analyze(.select(statement.query), text: text, parameterTypes: []).dependencies)
    let view = try planner.view(statement.query, columnNames: statement.columnNames, text: text)
    let draft = ViewDraft(
      schemaID: schema.id, name: statement.name.name, ownerID: roleID, query: statement.queryText,
      columns: view.columns, dependencies: view.dependencies)
    try await append([.createView(draft, orReplace: statement.orReplace)])
  }
}
