import SQLTypes

/// DROP of relations and schemas: what goes with them, and what stands in the way.
extension Decision {
  mutating func dropTables(_ ids: [ObjectID], _ isCascade: Bool) throws(Rejection) {
    for id in ids {
      _ = try table(id)
      try checkIsPlainTable(id, hint: "Use DROP MATERIALIZED VIEW to remove a materialized view.")
    }
    try drop(ids, isCascade)
  }

  mutating func dropViews(_ ids: [ObjectID], _ isCascade: Bool) throws(Rejection) {
    for id in ids where image.views[id] == nil {
      guard let relation = image.relation(id) else {
        throw Rejection(.undefinedTable, "relation with OID \(id) does not exist")
      }
      throw Rejection(.wrongObjectType, "\"\(relation.name)\" is not a view")
    }
    try drop(ids, isCascade)
  }

  mutating func dropSequences(_ ids: [ObjectID], _ isCascade: Bool) throws(Rejection) {
    for id in ids { _ = try sequence(id) }
    try drop(ids, isCascade)
  }

  mutating func createSchema(_ name: String, _ owner: ObjectID) throws(Rejection) {
    try checkName(name)
    try checkRole(owner)
    guard !name.hasPrefix("pg_") else {
      throw Rejection(
        .reservedName, "unacceptable schema name \"\(name)\"",
        detail: "The prefix \"pg_\" is reserved for system schemas.")
    }
    guard image.schemaNames[name] == nil else {
      throw Rejection(.duplicateSchema, "schema \"\(name)\" already exists")
    }
    emit(.schemaCreated(SchemaDefinition(id: nextID, name: name, ownerID: owner)))
  }

  mutating func dropSchema(_ id: ObjectID, _ isCascade: Bool) throws(Rejection) {
    guard let schema = image.schemas[id] else {
      throw Rejection(.invalidSchemaName, "schema with OID \(id) does not exist")
    }
    let name = quotedIdentifier(schema.name)
    guard id != WellKnown.catalogSchema, id != WellKnown.informationSchema else {
      throw Rejection(
        .dependentObjectsStillExist,
        "cannot drop schema \(name) because it is required by the database system")
    }
    let members = image.relationNames.filter { $0.key.schemaID == id }.map(\.value).sorted()
      .compactMap { image.relation($0) }
    let independent = members.filter(isIndependent)
    let functions = image.functions.values.filter { $0.schemaID == id }.sorted { $0.id < $1.id }
    if !isCascade, !independent.isEmpty || !functions.isEmpty {
      throw Rejection(
        .dependentObjectsStillExist, "cannot drop schema \(name) because other objects depend on it",
        detail: (independent.map(description) + functions.map(description))
          .map { "\($0) depends on schema \(name)" }.joined(separator: "\n"),
        hint: Decision.cascadeHint)
    }
    if !independent.isEmpty { try drop(independent.map(\.id), true) }
    for function in functions { emit(.function(.dropped(function.id))) }
    endSchemaChange(of: id)
    emit(.schemaDropped(id))
  }

  private static var cascadeHint: String { "Use DROP ... CASCADE to drop the dependent objects too." }

  /// What is dropped by itself: no index, no partition, no sequence that a column owns.
  private func isIndependent(_ relation: Relation) -> Bool {
    switch relation {
    case .table(let table): table.partition == nil
    case .index: false
    case .sequence(let sequence): sequence.ownerTableID == nil
    case .view: true
    }
  }

  // What goes together.

  private struct Removal {
    var tables: [ObjectID] = []
    var sequences: [ObjectID] = []
    var views: [ObjectID] = []
    /// Columns that lose their default.
    var defaults: [(table: ObjectID, column: Int)] = []
    var members: Set<ObjectID> = []
    /// `view v depends on table t`.
    var reasons: [String] = []
  }

  mutating func drop(_ ids: [ObjectID], _ isCascade: Bool) throws(Rejection) {
    var removal = Removal()
    for id in ids { add(id, to: &removal) }
    try addDependents(to: &removal, targets: ids)
    if !isCascade, !removal.reasons.isEmpty {
      let one = ids.count == 1 ? image.relation(ids[0]) : nil
      throw Rejection(
        .dependentObjectsStillExist,
        one.map { "cannot drop \(description($0)) because other objects depend on it" }
          ?? "cannot drop desired object(s) because other objects depend on them",
        detail: removal.reasons.joined(separator: "\n"), hint: Decision.cascadeHint)
    }
    emit(removal)
  }

  /// Adds a relation and what has no life without it.
  private func add(_ id: ObjectID, to removal: inout Removal) {
    guard removal.members.insert(id).inserted else { return }
    if image.tables[id] != nil {
      removal.tables.append(id)
      for index in image.indexesOfTable[id] ?? [] { removal.members.insert(index) }
      for sequence in ownedSequences(of: id) { add(sequence.id, to: &removal) }
      for partition in image.partitionsOfTable[id] ?? [] { add(partition, to: &removal) }
    } else if image.sequences[id] != nil {
      removal.sequences.append(id)
    } else if image.views[id] != nil {
      removal.views.append(id)
    }
  }

  /// Adds what depends on the members, with the reason, until nothing more does.
  private func addDependents(to removal: inout Removal, targets: [ObjectID]) throws(Rejection) {
    let views =
      (image.views.values.map { ($0.id, $0.dependencies) }
      + image.materializedViews.values.map { ($0.tableID, $0.dependencies) }).sorted { $0.0 < $1.0 }
    var isGrowing = true
    while isGrowing {
      isGrowing = false
      for (id, dependencies) in views where !removal.members.contains(id) {
        guard let cause = dependencies.first(where: removal.members.contains),
          let relation = image.relation(cause), let view = image.relation(id)
        else { continue }
        removal.reasons.append("\(description(view)) depends on \(description(relation))")
        add(id, to: &removal)
        isGrowing = true
      }
    }
    for id in removal.sequences { try addDefaults(fedBy: id, to: &removal) }
  }

  private func addDefaults(fedBy id: ObjectID, to removal: inout Removal) throws(Rejection) {
    guard let sequence = image.sequences[id] else { return }
    for table in image.tables.values.sorted(by: { $0.id < $1.id }) where !removal.members.contains(table.id) {
      for (position, column) in table.columns.enumerated() where column.sequenceID == id {
        let subject = "column \(quotedIdentifier(column.name)) of \(description(.table(table)))"
        guard column.identity == nil else {
          throw Rejection(
            .dependentObjectsStillExist,
            "cannot drop \(description(.sequence(sequence))) because \(subject) requires it",
            hint: "You can drop \(subject) instead.")
        }
        removal.reasons.append("default value for \(subject) depends on \(description(.sequence(sequence)))")
        removal.defaults.append((table.id, position + 1))
      }
    }
  }

  /// Views before what they read, tablets before their tables, partitions before their parents.
  private mutating func emit(_ removal: Removal) {
    for id in removal.views + removal.sequences + removal.tables { endSchemaChange(of: id) }
    for view in removal.views.sorted(by: >) { emit(.viewDropped(view)) }
    for change in removal.defaults {
      emit(.columnDefaultChanged(change.table, column: change.column, expression: nil))
    }
    for table in removal.tables {
      guard let tablet = image.tablet(of: table) else { continue }
      abandonMigration(of: tablet.id)
      emit(.tabletDropped(tablet.id))
    }
    for table in removal.tables {
      for index in image.indexesOfTable[table] ?? [] { emit(.indexDropped(index)) }
    }
    for sequence in removal.sequences { emit(.sequenceDropped(sequence)) }
    for table in removal.tables.reversed() { emit(.tableDropped(table)) }
  }
}
