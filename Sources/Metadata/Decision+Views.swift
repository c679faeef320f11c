import SQLTypes

extension Decision {
  mutating func createView(_ draft: ViewDraft, _ orReplace: Bool) throws(Rejection) {
    let existing = image.relation(named: draft.name, in: draft.schemaID)
    if orReplace, let existing {
      guard case .view(let old) = existing else {
        throw Rejection(.wrongObjectType, "\"\(draft.name)\" is not a view")
      }
      return try replace(old, draft)
    }
    try checkNewRelation(draft.name, in: draft.schemaID)
    try checkRole(draft.ownerID)
    try checkViewColumns(draft)
    try checkDependencies(draft)
    emit(
      .viewCreated(
        ViewDefinition(
          id: nextID, schemaID: draft.schemaID, name: draft.name, ownerID: draft.ownerID, query: draft.query,
          columns: draft.columns, dependencies: dependencies(draft))))
  }

  /// CREATE OR REPLACE VIEW may add columns at the end and change nothing about those before
  /// (`checkViewTupleDesc` in PostgreSQL's view.c).
  private mutating func replace(_ old: ViewDefinition, _ draft: ViewDraft) throws(Rejection) {
    try checkViewColumns(draft)
    try checkDependencies(draft)
    guard draft.columns.count >= old.columns.count else {
      throw Rejection(.invalidTableDefinition, "cannot drop columns from view")
    }
    for (before, after) in zip(old.columns, draft.columns) {
      guard before.name == after.name else {
        throw Rejection(
          .invalidTableDefinition, "cannot change name of view column \"\(before.name)\" to \"\(after.name)\"",
          hint: "Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.")
      }
      guard before.type == after.type else {
        throw Rejection(
          .invalidTableDefinition,
          "cannot change data type of view column \"\(before.name)\" from \(before.type.displayName) "
            + "to \(after.type.displayName)")
      }
    }
    var view = old
    view.query = draft.query
    view.columns = draft.columns
    view.dependencies = dependencies(draft)
    guard !reaches(view.dependencies, old.id) else {
      throw Rejection(
        .invalidObjectDefinition, "infinite recursion detected in rules for relation \"\(old.name)\"")
    }
    if view != old { emit(.viewReplaced(view)) }
  }

  private func checkViewColumns(_ draft: ViewDraft) throws(Rejection) {
    guard draft.columns.count <= 1600 else {
      throw Rejection(.tooManyColumns, "tables can have at most 1600 columns")
    }
    var names: Set<String> = []
    for column in draft.columns {
      guard names.insert(column.name).inserted else {
        throw Rejection(.duplicateColumn, "column \"\(column.name)\" specified more than once")
      }
    }
  }

  private func checkDependencies(_ draft: ViewDraft) throws(Rejection) {
    for id in draft.dependencies where image.relation(id) == nil {
      throw Rejection(
        .undefinedTable, "relation with OID \(id) does not exist",
        detail: "It was dropped while view \"\(draft.name)\" was created.")
    }
  }

  private func dependencies(_ draft: ViewDraft) -> [ObjectID] { Set(draft.dependencies).sorted() }

  /// Whether a view reads, through other views, the one given.
  private func reaches(_ dependencies: [ObjectID], _ target: ObjectID) -> Bool {
    var pending = dependencies
    var seen: Set<ObjectID> = []
    while let id = pending.popLast() {
      if id == target { return true }
      guard seen.insert(id).inserted, let view = image.views[id] else { continue }
      pending += view.dependencies
    }
    return false
  }
}
