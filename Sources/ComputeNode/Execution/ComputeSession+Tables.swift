import EventLoop
import Metadata
import PostgresWire
import SQLPlan
import SQLTree
import SQLTypes

/// CREATE TABLE.
extension ComputeSession {
  func createTable(_ statement: CreateTableStatement, text: String) async throws(SQLError) {
    try refuseUnsupported(statement)
    let schema = try creationSchema(statement.name)
    if image.relation(named: statement.name.name, in: schema.id) != nil {
      let message = "relation \"\(statement.name.name)\" already exists"
      guard statement.ifNotExists else { throw SQLError(.duplicateTable, message) }
      report(.skipped(.duplicateTable, message + ", skipping"))
      return
    }
    var draft = TableDraft(schemaID: schema.id, name: statement.name.name, ownerID: roleID, columns: [])
    var parent: TableDefinition?
    if let name = statement.partitionOf {
      let table = try table(name, text: text)
      try checkOwner(table.ownerID, "table", table.name)
      parent = table
    }
    try apply(statement.options, to: &draft, isPartition: parent != nil, text: text)
    for column in statement.columns {
      draft.columns.append(try self.column(column, &draft, parent: parent, text: text))
    }
    guard !draft.columns.isEmpty || parent != nil else {
      throw SQLError(.featureNotSupported, "tables without columns are not supported")
    }
    try refuseLetterCaseOnly(draft)
    for constraint in statement.constraints { try apply(constraint, to: &draft) }
    try refuseIntervalKey(draft, parent: parent)
    try addChecks(statement, parent: parent, to: &draft, text: text)
    if let clause = statement.partitionBy { draft.partitioning = try partitioning(clause, text: text) }
    if let parent, let bound = statement.bound {
      draft.partition = PartitionMembership(
        parentID: parent.id, bound: try await partitionBound(bound, of: parent, text: text))
    }
    try await appendTried(
      [.createTable(draft)], relation: draft.name,
      expressions: try defaultTexts(statement, draft.columns, text: text))
  }

  private func refuseUnsupported(_ statement: CreateTableStatement) throws(SQLError) {
    if let construct = statement.unsupported {
      throw SQLError(.featureNotSupported, "\(construct) is not supported")
    }
    if statement.isTemporary {
      throw SQLError(.featureNotSupported, "temporary tables are not supported")
    }
    if statement.isUnlogged {
      throw SQLError(.featureNotSupported, "unlogged tables are not supported")
    }
  }

  /// A tablet's primary key compares intervals by their bytes: one month and thirty days would not be the same.
  private func refuseIntervalKey(_ draft: TableDraft, parent: TableDefinition?) throws(SQLError) {
    var intervals = Set(draft.columns.filter { $0.type.oid == SQLType.interval.oid }.map(\.name))
    for column in parent?.columns ?? [] where column.type.oid == SQLType.interval.oid { intervals.insert(column.name) }
    for key in draft.keys where key.kind == .primaryKey {
      guard let name = key.columns.first(where: { intervals.contains($0) }) else { continue }
      throw SQLError(
        .featureNotSupported, "primary keys of type interval are not supported", hint: "Use NOT NULL and UNIQUE.",
        table: draft.name, column: name)
    }
  }

  /// Tablets take names that differ in the case of ASCII letters only for the same (SQLite, "Identifiers").
  private func refuseLetterCaseOnly(_ draft: TableDraft) throws(SQLError) {
    var seen: [String: String] = [:]
    for column in draft.columns {
      let folded = String(decoding: column.name.utf8.map { (65...90).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
      if let other = seen[folded], other != column.name {
        throw SQLError(
          .featureNotSupported,
          "columns \"\(other)\" and \"\(column.name)\", whose names differ in case only, are not supported",
          table: draft.name, column: column.name)
      }
      seen[folded] = column.name
    }
  }

  /// WITH (…).
  private func apply(
    _ options: [DefinitionOption], to draft: inout TableDraft, isPartition: Bool, text: String
  ) throws(SQLError) {
    for option in options {
      let place = position(option.location, text)
      switch option.name {
      case TableDefinition.shardOption where option.value.text == TableDefinition.allShards:
        guard !isPartition else {
          throw SQLError(.featureNotSupported, "a partition cannot be a mirror table", position: place)
        }
        draft.options[option.name] = TableDefinition.allShards
      case TableDefinition.shardOption:
        guard case .integer(let number) = option.value, let shard = UInt32(exactly: number) else {
          throw SQLError(
            .invalidParameterValue, "invalid value for integer option \"shard\"",
            hint: "Give the number of a shard, or all for a copy on every shard.", position: place)
        }
        guard image.shards[ShardID(rawValue: shard)] != nil else {
          let known = image.shards.keys.sorted().map { "\($0)" }.joined(separator: ", ")
          throw SQLError(
            .undefinedObject, "shard \(number) does not exist",
            hint: known.isEmpty ? "The cluster has no shards yet." : "The cluster has the shards \(known).",
            position: place)
        }
        draft.shardID = ShardID(rawValue: shard)
      case TableDefinition.classOption, TableDefinition.coldAfterOption,
        _ where TableDefinition.heapOptions.contains(option.name):
        draft.options[option.name] = try value(of: option, at: place)
      case TableDefinition.groupOption:
        guard !isPartition else {
          throw SQLError(
            .invalidTableDefinition, "cannot name a table group for a partition",
            detail: "A partition is in the group of its table.", hint: "Name the group for the partitioned table.",
            position: place)
        }
        guard !option.value.text.isEmpty else {
          throw SQLError(.invalidParameterValue, "parameter \"tablegroup\" needs a name", position: place)
        }
        draft.options[option.name] = option.value.text
      default:
        throw SQLError(.invalidParameterValue, "unrecognized parameter \"\(option.name)\"", position: place)
      }
    }
  }

  // MARK: Columns

  private static let serialTypes: [String: SQLType] = [
    "serial": .int4, "serial4": .int4, "bigserial": .int8, "serial8": .int8, "smallserial": .int2, "serial2": .int2,
  ]

  /// A column; keys among its constraints are added to the table.
  private func column(
    _ declaration: ColumnDeclaration, _ draft: inout TableDraft, parent: TableDefinition?, text: String
  ) throws(SQLError) -> ColumnDraft {
    if let collation = declaration.collation, collation.last != "C", collation.last != "default" {
      throw SQLError(
        .featureNotSupported, "collation \"\(collation.joined(separator: "."))\" is not supported",
        hint: "Text is ordered by its bytes, as under collation \"C\".", position: position(declaration.location, text))
    }
    var column: ColumnDraft
    if let name = declaration.type {
      if name.name.count == 1, name.arrayDimensions == 0, let type = Self.serialTypes[name.name[0]] {
        column = ColumnDraft(
          name: declaration.name, type: type, isNotNull: true,
          sequence: OwnedSequenceDraft(options: SequenceOptions(type: type)))
      } else {
        column = ColumnDraft(name: declaration.name, type: try columnType(name, declaration.name, text: text))
      }
    } else {
      let type = parent?.columns.first { $0.name == declaration.name }?.type ?? .text
      column = ColumnDraft(name: declaration.name, type: type)
    }
    var isNull = false
    for constraint in declaration.constraints {
      switch constraint.kind {
      case .null: isNull = true
      case .notNull: column.isNotNull = true
      default: try apply(constraint, to: &column, &draft, text: text)
      }
    }
    if isNull, column.isNotNull {
      throw SQLError(
        .syntaxError, "conflicting NULL/NOT NULL declarations for column \"\(column.name)\" of table \"\(draft.name)\"",
        position: position(declaration.location, text))
    }
    return column
  }

  private func columnType(_ name: TypeName, _ column: String, text: String) throws(SQLError) -> SQLType {
    let type = try planner().resolve(name, text: text)
    guard type.isStorable else {
      throw SQLError(
        .featureNotSupported, "columns of type \(type.displayName) are not supported",
        position: position(name.location, text),
        column: column)
    }
    return type
  }

  private func apply(
    _ constraint: ConstraintDeclaration, to column: inout ColumnDraft, _ draft: inout TableDraft, text: String
  ) throws(SQLError) {
    let place = position(constraint.location, text)
    switch constraint.kind {
    case .defaultValue(let expression):
      guard column.defaultExpression == nil, column.sequence == nil else {
        throw SQLError(
          .syntaxError, "multiple default values specified for column \"\(column.name)\" of table \"\(draft.name)\"",
          position: place)
      }
      column.defaultExpression = try planner().normalizedDefault(
        expression, column: column.name, type: column.type, text: text)
    case .identity(let isAlways, let options):
      guard column.sequence == nil, column.defaultExpression == nil else {
        throw SQLError(
          .syntaxError, "both default and identity specified for column \"\(column.name)\" of table \"\(draft.name)\"",
          position: place)
      }
      guard [SQLType.int2, .int4, .int8].contains(column.type) else {
        throw SQLError(
          .invalidParameterValue, "identity column type must be smallint, integer, or bigint", position: place)
      }
      column.identity = isAlways ? .always : .byDefault
      column.isNotNull = true
      var sequence = try sequenceOptions(options, text: text)
      sequence.type = column.type
      column.sequence = OwnedSequenceDraft(options: sequence)
    case .primaryKey, .unique:
      let kind: IndexDefinition.Constraint
      if case .primaryKey = constraint.kind { kind = .primaryKey } else { kind = .unique }
      draft.keys.append(KeyDraft(name: constraint.name, kind: kind, columns: [column.name]))
      if kind == .primaryKey { column.isNotNull = true }
    case .check: break
    case .null, .notNull: break
    case .generated: throw SQLError(.featureNotSupported, "generated columns are not supported", position: place)
    case .foreignKey: throw SQLError(.featureNotSupported, "foreign keys are not supported", position: place)
    case .exclusion: throw SQLError(.featureNotSupported, "exclusion constraints are not supported", position: place)
    case .unsupported(let name): throw SQLError(.featureNotSupported, "\(name) is not supported", position: place)
    }
  }

  // MARK: Constraints of the table

  private func apply(_ constraint: ConstraintDeclaration, to draft: inout TableDraft) throws(SQLError) {
    switch constraint.kind {
    case .primaryKey(let columns):
      draft.keys.append(KeyDraft(name: constraint.name, kind: .primaryKey, columns: columns))
    case .unique(let columns): draft.keys.append(KeyDraft(name: constraint.name, kind: .unique, columns: columns))
    case .foreignKey: throw SQLError(.featureNotSupported, "foreign keys are not supported")
    case .exclusion: throw SQLError(.featureNotSupported, "exclusion constraints are not supported")
    case .unsupported(let name): throw SQLError(.featureNotSupported, "\(name) is not supported")
    default: break
    }
  }

  /// CHECK constraints of columns and table, analyzed over all columns.
  private func addChecks(
    _ statement: CreateTableStatement, parent: TableDefinition?, to draft: inout TableDraft, text: String
  ) throws(SQLError) {
    let columns =
      parent?.columns
      ?? draft.columns.map { ColumnDefinition(name: $0.name, type: $0.type, isNotNull: $0.isNotNull) }
    let constraints = statement.columns.flatMap(\.constraints) + statement.constraints
    for constraint in constraints {
      guard case .check(let expression) = constraint.kind else { continue }
      let check = try planner().check(expression, table: draft.name, columns: columns, text: text)
      draft.checks.append(
        CheckDraft(
          name: constraint.name, column: check.column, expression: check.expression,
          storageExpression: check.storageExpression))
    }
  }

  // MARK: Partitions

  private func partitioning(_ clause: PartitionClause, text: String) throws(SQLError) -> PartitioningDraft {
    var columns: [String] = []
    for key in clause.keys {
      guard case .column(let name) = key else {
        throw SQLError(
          .featureNotSupported, "expressions in partition keys are not supported",
          position: position(clause.location, text))
      }
      columns.append(name)
    }
    let strategy: PartitionStrategy
    switch clause.strategy {
    case .hash: strategy = .hash
    case .range: strategy = .range
    case .list: strategy = .list
    }
    return PartitioningDraft(strategy: strategy, columns: columns)
  }

  private func partitionBound(
    _ declaration: PartitionBoundDeclaration, of parent: TableDefinition, text: String
  ) async throws(SQLError) -> PartitionBound {
    guard let partitioning = parent.partitioning else {
      throw SQLError(.invalidObjectDefinition, "\"\(parent.name)\" is not partitioned")
    }
    let types = partitioning.columns.map { parent.columns[$0 - 1].type }
    switch (declaration, partitioning.strategy) {
    case (.standard, _): return .standard
    case (.hash(let modulus, let remainder, _), .hash): return .hash(modulus: modulus, remainder: remainder)
    case (.list(let expressions, _), .list):
      return .list(try await scalarValues(expressions, expressions.map { _ in types[0] }, text: text))
    case (.range(let from, let to, let location), .range):
      return .range(
        from: try await datums(from, types, "FROM", at: location, text: text),
        to: try await datums(to, types, "TO", at: location, text: text))
    case (.hash(_, _, let location), let strategy), (.list(_, let location), let strategy),
      (.range(_, _, let location), let strategy):
      throw SQLError(
        .invalidTableDefinition, "invalid bound specification for a \(strategy) partition",
        position: position(location, text))
    }
  }

  private func datums(
    _ data: [PartitionBoundDeclaration.RangeDatum], _ types: [SQLType], _ clause: String, at location: SourceLocation,
    text: String
  ) async throws(SQLError) -> [PartitionBound.Datum] {
    guard data.count == types.count else {
      throw SQLError(
        .invalidTableDefinition, "\(clause) must specify exactly one value per partitioning column",
        position: position(location, text))
    }
    var result: [PartitionBound.Datum] = []
    for (datum, type) in zip(data, types) {
      switch datum {
      case .minimum: result.append(.minimum)
      case .maximum: result.append(.maximum)
      case .value(let expression):
        let value = try await scalarValues([expression], [type], text: text)[0]
        guard !value.isNull else {
          throw SQLError(
            .invalidTableDefinition, "cannot specify NULL in range bound", position: position(location, text))
        }
        result.append(.value(value))
      }
    }
    return result
  }
}

extension SQLType {
  /// Whether a column may have it: the types whose values tablets keep and compare.
  var isStorable: Bool {
    let storable: [SQLType] = [
      .bool, .int2, .int4, .int8, .float4, .float8, .numeric, .text, .varchar, .bpchar, .name, .bytea, .date, .time,
      .timestamp, .timestamptz, .interval, .uuid, .jsonb, .oid,
    ]
    return storable.contains { $0.oid == oid }
  }
}

extension DefinitionOption.Value {
  /// As text, for display.
  var text: String {
    switch self {
    case .none: ""
    case .string(let text), .decimal(let text): text
    case .integer(let number): String(number)
    case .boolean(let flag): flag ? "true" : "false"
    case .name(let names), .names(let names): names.joined(separator: ".")
    case .star: "*"
    }
  }
}
