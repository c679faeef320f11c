import Metadata
import SQLTree
import SQLTypes

// Relations by name, and what they bring into a range table.
extension Analyzer {
  enum FoundRelation {
    case relation(Relation)
    case virtual(VirtualRelation)

    var oid: UInt32 {
      switch self {
      case .relation(.table(let table)): table.id.rawValue
      case .relation(.view(let view)): view.id.rawValue
      case .relation(.index(let index)): index.id.rawValue
      case .relation(.sequence(let sequence)): sequence.id.rawValue
      case .virtual(let relation): relation.oid
      }
    }
  }

  /// Schemas that an unqualified name is looked for in, in order.
  var effectiveSearchPath: [String] {
    var path: [String] = []
    for name in planner.session.searchPath {
      let schema = name == "$user" ? planner.session.user : name
      if planner.image.schema(named: schema) != nil || ["pg_catalog", "information_schema", "kunlog"].contains(schema) {
        path.append(schema)
      }
    }
    return path.contains("pg_catalog") ? path : ["pg_catalog"] + path
  }

  /// The relation that a name means; nil where there is none.
  func findRelation(_ name: RelationName) throws(SQLError) -> FoundRelation? {
    if let catalog = name.catalog, catalog != planner.session.database {
      let parts = [name.catalog, name.schema, name.name].compactMap { $0 }.joined(separator: ".")
      throw failure(
        .featureNotSupported, "cross-database references are not implemented: \"\(parts)\"", at: name.location)
    }
    for schema in name.schema.map({ [$0] }) ?? effectiveSearchPath {
      if let virtual = SystemCatalog.relation(schema: schema, name: name.name) { return .virtual(virtual) }
      guard let definition = planner.image.schema(named: schema) else { continue }
      let key = RelationKey(schemaID: definition.id, name: name.name)
      let id = planner.image.relationNames[key]
      dependencies.names[key] = .some(id)
      if let id, let relation = planner.image.relation(id) { return .relation(relation) }
    }
    return nil
  }

  func noRelation(_ name: RelationName) -> SQLError {
    failure(.undefinedTable, "relation \"\(nameText(name))\" does not exist", at: name.location)
  }

  private func nameText(_ name: RelationName) -> String {
    (name.schema.map { $0 + "." } ?? "") + name.name
  }

  /// The table that a statement writes: 42809 for what is no table.
  func writtenTable(_ name: RelationName) throws(SQLError) -> TableDefinition {
    switch try findRelation(name) {
    case .relation(.table(let table)):
      use(table)
      return table
    case .relation(.view):
      throw failure(
        .featureNotSupported, "changing rows through view \"\(name.name)\" is not supported", at: name.location,
        hint: "Name the table that the view reads.")
    case .relation(.sequence):
      throw failure(.wrongObjectType, "cannot change sequence \"\(name.name)\"", at: name.location)
    case .relation(.index): throw failure(.wrongObjectType, "\"\(name.name)\" is an index", at: name.location)
    case .virtual:
      throw failure(
        .insufficientPrivilege, "permission denied: \"\(name.name)\" is a system catalog", at: name.location)
    case nil: throw noRelation(name)
    }
  }

  /// Notes that the plan rests on a table, with its partitions and routes.
  func use(_ table: TableDefinition) {
    dependencies.tables[table.id] = table.version
    guard table.partitioning != nil else {
      if let tablet = planner.image.tablet(of: table.id) { dependencies.tablets[tablet.id] = tablet }
      return
    }
    let partitions = planner.image.partitions(of: table.id)
    dependencies.partitions[table.id] = partitions.map(\.id)
    for partition in partitions { use(partition) }
  }

  /// A table as an entry of the range table.
  func addTable(_ table: TableDefinition, name: String) -> Int {
    rangeTable.add(
      RangeTable.Entry(
        name: name,
        columns: table.columns.map { RangeTable.Column(name: $0.name, type: $0.type, isNotNull: $0.isNotNull) },
        source: .table(table)))
  }

  /// The columns of an entry, as names find them.
  func scopeColumns(_ id: Int, renamed names: [String] = []) -> [Scope.Column] {
    let entry = rangeTable[id]
    return entry.columns.enumerated().map { index, column in
      var found = Scope.Column(
        name: index < names.count ? names[index] : column.name,
        expression: .column(relation: id, index: index, column.type), isNotNull: column.isNotNull)
      switch entry.source {
      case .table(let table):
        found.tableOID = table.id.rawValue
        found.columnNumber = index + 1
      case .virtual(let relation):
        found.tableOID = relation.oid
        found.columnNumber = index + 1
      case .subquery(let query):
        found.tableOID = query.columns[index].tableOID
        found.columnNumber = query.columns[index].columnNumber
      default: break
      }
      return found
    }
  }

  /// A view as a subquery of the range table.
  func addView(_ view: ViewDefinition, name: String, at location: SourceLocation) throws(SQLError) -> Int {
    dependencies.views[view.id] = view
    guard viewDepth < 32 else {
      throw failure(.invalidObjectDefinition, "infinite recursion detected in view \"\(view.name)\"", at: location)
    }
    let outerText = text
    let outerClause = clause
    text = nil
    viewDepth += 1
    defer {
      text = outerText
      viewDepth -= 1
      clause = outerClause
    }
    let statements = try planner.parse(view.query)
    guard statements.count == 1, case .select(let select) = statements[0].statement else {
      throw failure(.internalError, "view \"\(view.name)\" cannot be read", at: location)
    }
    var query = try analyzeQuery(select, parent: Scope(parent: nil))
    for (index, column) in view.columns.enumerated() where index < query.columns.count {
      query.columns[index].name = column.name
    }
    return rangeTable.add(
      RangeTable.Entry(
        name: name, columns: query.columns.map { RangeTable.Column(name: $0.name, type: $0.type) },
        source: .subquery(query)))
  }
}
