import SQLTypes

/// CREATE, REFRESH and DROP MATERIALIZED VIEW.
extension Decision {
  mutating func decide(_ command: MaterializedViewCommand) throws(Rejection) {
    switch command {
    case .create(let draft, let query, let dependencies): try createMaterializedView(draft, query, dependencies)
    case .refresh(let id, let isPopulated, let index):
      let view = try materializedView(id)
      guard view.isPopulated != isPopulated || view.refreshedIndex != index else { return }
      emit(.materializedView(.refreshed(tableID: id, isPopulated: isPopulated, asOf: index)))
    case .drop(let ids, let isCascade):
      for id in ids { _ = try materializedView(id) }
      try drop(ids, isCascade)
    }
  }

  private mutating func createMaterializedView(
    _ draft: TableDraft, _ query: String, _ dependencies: [ObjectID]
  ) throws(Rejection) {
    guard draft.partitioning == nil, draft.partition == nil else {
      throw Rejection(.featureNotSupported, "materialized view \"\(draft.name)\" cannot be partitioned")
    }
    for id in dependencies where image.relation(id) == nil {
      throw Rejection(
        .undefinedTable, "relation with OID \(id) does not exist",
        detail: "It was dropped while materialized view \"\(draft.name)\" was created.")
    }
    let id = nextID
    try createTable(draft)
    emit(
      .materializedView(
        .created(
          MaterializedViewDefinition(tableID: id, query: query, dependencies: Set(dependencies).sorted()))))
  }

  private func materializedView(_ id: ObjectID) throws(Rejection) -> MaterializedViewDefinition {
    if let view = image.materializedViews[id] { return view }
    guard let relation = image.relation(id) else {
      throw Rejection(.undefinedTable, "relation with OID \(id) does not exist")
    }
    throw Rejection(.wrongObjectType, "\"\(relation.name)\" is not a materialized view")
  }

  /// Refuses what is for tables that hold rows of their own.
  func checkIsPlainTable(_ id: ObjectID, hint: String? = nil) throws(Rejection) {
    guard image.materializedViews[id] != nil, let table = image.tables[id] else { return }
    throw Rejection(.wrongObjectType, "\"\(table.name)\" is not a table", hint: hint)
  }
}
