import SQLTypes

extension Decision {
  mutating func createIndex(_ draft: IndexDraft) throws(Rejection) {
    let table = try table(draft.tableID)
    guard !draft.parts.isEmpty, draft.parts.count <= 32 else {
      throw Rejection(.tooManyColumns, "cannot use more than 32 columns in an index")
    }
    for part in draft.parts where !table.columns.indices.contains(part.column - 1) {
      throw Rejection(.undefinedColumn, "column number \(part.column) of table \"\(table.name)\" does not exist")
    }
    if let name = draft.name { try checkNewRelation(name, in: table.schemaID) }
    let name = draft.name ?? generatedIndexName(table, parts: draft.parts, constraint: nil, taken: [])
    try createIndexTree(
      on: table, name: name, parts: draft.parts, isUnique: draft.isUnique, constraint: nil, parentID: nil)
  }

  /// An index, and its counterparts on all partitions below.
  mutating func createIndexTree(
    on table: TableDefinition, name: String, parts: [IndexDefinition.Part], isUnique: Bool,
    constraint: IndexDefinition.Constraint?, parentID: ObjectID?
  ) throws(Rejection) {
    if isUnique { try checkUniqueness(on: table, parts: parts, constraint: constraint) }
    let id = nextID
    emit(
      .indexCreated(
        IndexDefinition(
          id: id, schemaID: table.schemaID, name: name, tableID: table.id, parts: parts, isUnique: isUnique,
          constraint: constraint, parentID: parentID)))
    for partition in image.partitions(of: table.id) {
      let name = generatedIndexName(partition, parts: parts, constraint: constraint, taken: [])
      try createIndexTree(
        on: partition, name: name, parts: parts, isUnique: isUnique, constraint: constraint, parentID: id)
    }
  }

  func generatedIndexName(
    _ table: TableDefinition, parts: [IndexDefinition.Part], constraint: IndexDefinition.Constraint?,
    taken: Set<String>
  ) -> String {
    if constraint == .primaryKey {
      return chosenRelationName(table.name, nil, "pkey", in: table.schemaID, taken: taken)
    }
    let columns = parts.map { table.columns[$0.column - 1].name }
    return chosenRelationName(
      table.name, Decision.nameAddition(columns), constraint == nil ? "idx" : "key", in: table.schemaID, taken: taken)
  }

  mutating func dropIndexes(_ ids: [ObjectID]) throws(Rejection) {
    for id in ids {
      guard let index = image.indexes[id] else {
        guard let relation = image.relation(id) else {
          throw Rejection(.undefinedObject, "index with OID \(id) does not exist")
        }
        throw Rejection(.wrongObjectType, "\"\(relation.name)\" is not an index")
      }
      let name = displayName(index.name, in: index.schemaID)
      if let parent = index.parentID.flatMap({ image.indexes[$0] }), !ids.contains(parent.id) {
        let parentName = displayName(parent.name, in: parent.schemaID)
        throw Rejection(
          .dependentObjectsStillExist, "cannot drop index \(name) because index \(parentName) requires it",
          hint: "You can drop index \(parentName) instead.")
      }
      if index.constraint != nil, let table = image.tables[index.tableID] {
        let constraint =
          "constraint \(quotedIdentifier(index.name)) on table \(displayName(table.name, in: table.schemaID))"
        throw Rejection(
          .dependentObjectsStillExist, "cannot drop index \(name) because \(constraint) requires it",
          hint: "You can drop \(constraint) instead.")
      }
    }
    for id in ids { dropIndexTree(id) }
  }

  private mutating func dropIndexTree(_ id: ObjectID) {
    guard image.indexes[id] != nil else { return }
    for child in image.indexes.values.filter({ $0.parentID == id }).sorted(by: { $0.id < $1.id }) {
      dropIndexTree(child.id)
    }
    emit(.indexDropped(id))
  }
}
