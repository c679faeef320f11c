import SQLTypes

/// CREATE TABLE and TRUNCATE.
extension Decision {
  mutating func createTable(_ draft: TableDraft) throws(Rejection) {
    try checkNewRelation(draft.name, in: draft.schemaID)
    try checkRole(draft.ownerID)
    let id = nextID
    var table = TableDefinition(
      id: id, schemaID: draft.schemaID, name: draft.name, ownerID: draft.ownerID, columns: [],
      partition: draft.partition, options: draft.options)
    var sequences: [SequenceDefinition] = []
    if let membership = draft.partition {
      try inherit(from: membership, into: &table, draft)
    } else {
      (table.columns, sequences) = try columns(of: draft, tableID: id)
    }
    try checkGroup(of: table)
    try checkColumns(table)
    try markKeyColumns(of: draft, in: &table)
    if let partitioning = draft.partitioning { table.partitioning = try resolved(partitioning, table) }
    try addChecks(draft, to: &table)
    try checkClassOptions(table)
    try takeClassOfGroup(&table)
    if draft.shardID != nil, table.partitioning != nil {
      throw Rejection(
        .invalidObjectDefinition, "cannot place partitioned table \"\(table.name)\" on a shard",
        detail: "A partitioned table has no rows of its own.", hint: "Name the shard for each of its partitions.")
    }
    let copies = try checkedCopies(of: table, draft)
    var shardID = copies?.first
    if shardID == nil, table.partitioning == nil { shardID = try placement(draft.shardID, of: table) }

    emit(.tableCreated(table))
    for sequence in sequences { emit(.sequenceCreated(sequence)) }
    if let parentID = table.partition?.parentID { try inheritIndexes(of: parentID, by: table, draft) }
    for key in draft.keys { try createKey(key, of: table) }
    if let shardID {
      emit(
        .tabletCreated(
          TabletDefinition(id: image.nextTabletID, tableID: id, shardID: shardID, copies: copies ?? [])))
    }
  }

  mutating func truncateTables(_ ids: [ObjectID], _ restartsSequences: Bool) throws(Rejection) {
    var seen: Set<ObjectID> = []
    for id in ids {
      _ = try table(id)
      try checkIsPlainTable(id)
      for member in family(of: id) where seen.insert(member).inserted {
        if let tablet = image.tablet(of: member) {
          try checkNotCut(tablet, image.tables[member]?.name ?? "")
          emit(.tabletCleared(tablet.id, generation: tablet.generation + 1))
        }
        guard restartsSequences else { continue }
        for sequence in ownedSequences(of: member) {
          emit(.sequenceValueSet(sequence.id, last: nil, resumesAt: sequence.start))
        }
      }
    }
  }

  /// A table and all partitions below it, parents first.
  func family(of id: ObjectID) -> [ObjectID] {
    [id] + (image.partitionsOfTable[id] ?? []).flatMap(family)
  }

  func ownedSequences(of tableID: ObjectID) -> [SequenceDefinition] {
    image.sequences.values.filter { $0.ownerTableID == tableID }.sorted { $0.id < $1.id }
  }

  // Columns.

  /// The columns of a table that is no partition, and the sequences that are created with them.
  private func columns(
    of draft: TableDraft, tableID: ObjectID
  ) throws(Rejection) -> ([ColumnDefinition], [SequenceDefinition]) {
    var columns: [ColumnDefinition] = []
    var sequences: [SequenceDefinition] = []
    var taken: Set<String> = [draft.name]
    for (position, column) in draft.columns.enumerated() {
      var definition = ColumnDefinition(
        name: column.name, type: column.type, isNotNull: column.isNotNull,
        defaultExpression: column.defaultExpression, identity: column.identity)
      if let owned = column.sequence {
        let name =
          owned.name ?? chosenRelationName(draft.name, column.name, "seq", in: draft.schemaID, taken: taken)
        if owned.name != nil { try checkNewRelation(name, in: draft.schemaID) }
        guard taken.insert(name).inserted else {
          throw Rejection(.duplicateTable, "relation \"\(name)\" already exists")
        }
        var options = owned.options
        options.type = options.type ?? column.type
        options.owner = nil
        var sequence = SequenceDefinition(
          id: ObjectID(rawValue: tableID.rawValue + 1 + UInt32(sequences.count)), schemaID: draft.schemaID, name: name,
          ownerID: draft.ownerID, type: .int8, start: 1, increment: 1, minimum: 1, maximum: .max)
        try apply(options, to: &sequence, isNew: true)
        sequence.ownerTableID = tableID
        sequence.ownerColumn = position + 1
        sequences.append(sequence)
        definition.sequenceID = sequence.id
        definition.isNotNull = true
        if column.identity == nil {
          let text = displayName(name, in: draft.schemaID)
          definition.defaultExpression = "nextval(\(quotedLiteral(text))::regclass)"
        }
      }
      columns.append(definition)
    }
    return (columns, sequences)
  }

  private func checkColumns(_ table: TableDefinition) throws(Rejection) {
    guard table.columns.count <= 1600 else {
      throw Rejection(.tooManyColumns, "tables can have at most 1600 columns")
    }
    var names: Set<String> = []
    for column in table.columns {
      try checkName(column.name)
      guard names.insert(column.name).inserted else {
        throw Rejection(.duplicateColumn, "column \"\(column.name)\" specified more than once")
      }
      guard !Decision.systemColumns.contains(column.name) else {
        throw Rejection(
          .duplicateColumn, "column name \"\(column.name)\" conflicts with a system column name")
      }
    }
  }

  /// PostgreSQL's, and the hidden key of tables without one.
  private static let systemColumns: Set<String> = [
    "tableoid", "cmax", "xmax", "cmin", "xmin", "ctid", "_kunlog_row_id",
  ]

  // Keys.

  /// Checks the columns of keys, and marks those of the primary key NOT NULL.
  private func markKeyColumns(of draft: TableDraft, in table: inout TableDefinition) throws(Rejection) {
    var hasPrimaryKey = table.partition.map { image.primaryKey(of: $0.parentID) != nil } ?? false
    for key in draft.keys {
      if key.kind == .primaryKey {
        guard !hasPrimaryKey else {
          throw Rejection(
            .invalidTableDefinition, "multiple primary keys for table \"\(table.name)\" are not allowed")
        }
        hasPrimaryKey = true
      }
      guard !key.columns.isEmpty, key.columns.count <= 32 else {
        throw Rejection(.tooManyColumns, "cannot use more than 32 columns in an index")
      }
      var seen: Set<String> = []
      for name in key.columns {
        guard let number = table.columnNumber(name) else {
          throw Rejection(.undefinedColumn, "column \"\(name)\" named in key does not exist")
        }
        guard seen.insert(name).inserted else {
          let kind = key.kind == .primaryKey ? "primary key" : "unique"
          throw Rejection(.duplicateColumn, "column \"\(name)\" appears twice in \(kind) constraint")
        }
        if key.kind == .primaryKey { table.columns[number - 1].isNotNull = true }
      }
    }
  }

  private mutating func createKey(_ key: KeyDraft, of table: TableDefinition) throws(Rejection) {
    let parts = key.columns.compactMap { table.columnNumber($0) }.map { IndexDefinition.Part(column: $0) }
    let name =
      key.name
      ?? (key.kind == .primaryKey
        ? chosenRelationName(table.name, nil, "pkey", in: table.schemaID)
        : chosenRelationName(table.name, Decision.nameAddition(key.columns), "key", in: table.schemaID))
    if let named = key.name {
      if table.checks.contains(where: { $0.name == named }) {
        throw Rejection(
          .duplicateObject, "constraint \"\(named)\" for relation \"\(table.name)\" already exists")
      }
      try checkNewRelation(named, in: table.schemaID)
    }
    try createIndexTree(
      on: table, name: name, parts: parts, isUnique: true, constraint: key.kind, parentID: nil)
  }

  // Checks.

  private func addChecks(_ draft: TableDraft, to table: inout TableDefinition) throws(Rejection) {
    var taken = Set(table.checks.map(\.name))
    taken.formUnion(draft.keys.compactMap(\.name))
    let explicit = draft.checks.compactMap(\.name)
    for name in explicit {
      try checkName(name)
      guard taken.insert(name).inserted else {
        throw Rejection(
          .duplicateObject, "constraint \"\(name)\" for relation \"\(table.name)\" already exists")
      }
    }
    for check in draft.checks {
      let name = check.name ?? chosenName(table.name, check.column, "check") { taken.contains($0) }
      taken.insert(name)
      table.checks.append(
        CheckDefinition(name: name, expression: check.expression, storageExpression: check.storageExpression))
    }
  }
}
