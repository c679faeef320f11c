import Metadata
import SQLTree
import SQLTypes

/// Plans INSERT and COPY FROM.
struct InsertPlanner {
  let analyzer: Analyzer
  let statement: InsertStatement
  let table: TableDefinition
  /// Table columns that the statement gives, as indexes from 0, in its order.
  private let given: [Int]
  /// Columns whose values in rows are parameters as they came: the tablet brings them to the column's modifier.
  private let fittedAtTablet = FittedColumns()

  /// Filled while rows are read, looked at when the text is written.
  private final class FittedColumns { var indexes: Set<Int> = [] }

  init(_ statement: InsertStatement, _ analyzer: Analyzer) throws(SQLError) {
    self.analyzer = analyzer
    self.statement = statement
    table = try analyzer.writtenTable(statement.table)
    var given: [Int] = []
    for target in statement.columns {
      let index = try analyzer.targetColumn(target, table)
      guard !given.contains(index) else {
        throw analyzer.failure(
          .duplicateColumn, "column \"\(target.column)\" specified more than once", at: target.location)
      }
      given.append(index)
    }
    self.given = statement.columns.isEmpty ? Array(table.columns.indices) : given
  }

  func plan() throws(SQLError) -> (InsertPlan, [Query.Column]) {
    let scope = Scope(parent: nil)
    var common: [CommonTableQuery] = []
    if let with = statement.with { common = try analyzer.commonTables(with, scope) }
    let source = try self.source(scope, common)
    return try finish(source)
  }

  /// The plan for rows that COPY brings: values of the given columns, as stored.
  func copyPlan() throws(SQLError) -> InsertPlan {
    var slots: [InsertSlot] = []
    for (index, column) in table.columns.enumerated() {
      if let source = given.firstIndex(of: index) {
        slots.append(.source(source))
      } else {
        slots.append(try defaultSlot(column))
      }
    }
    return try finish(.rows(slots: slots)).0
  }

  // MARK: - Rows

  private func source(_ scope: Scope, _ common: [CommonTableQuery]) throws(SQLError) -> InsertPlan.Source {
    switch statement.source {
    case .defaultValues:
      var row: [PlanParameter] = []
      for column in table.columns { row.append(try parameter(analyzer.defaultValue(column))) }
      return .values([row])
    case .query(let select):
      if case .values(let rows) = select.body, select.with == nil, select.orderBy.isEmpty, select.limit == nil,
        select.offset == nil, common.isEmpty
      {
        return try values(rows, scope)
      }
      return try query(select, scope, common)
    }
  }

  private func parameter(_ value: TypedExpression) throws(SQLError) -> PlanParameter {
    guard let parameter = try analyzer.rowParameter(value) else {
      throw analyzer.unsupported("a subquery over tables in this place")
    }
    return parameter
  }

  private func defaultSlot(_ column: ColumnDefinition) throws(SQLError) -> InsertSlot {
    .value(try parameter(analyzer.defaultValue(column)))
  }

  private func values(_ rows: [[Expression]], _ scope: Scope) throws(SQLError) -> InsertPlan.Source {
    analyzer.clause = .values
    var typedRows: [[TypedExpression]] = []
    var parameterRows: [[PlanParameter]] = []
    var readsTables = false
    let width = rows.first?.count ?? 0
    // Defaults are read once for all rows.
    var defaults: [Int: TypedExpression] = [:]
    for (index, column) in table.columns.enumerated() where !given.prefix(width).contains(index) {
      defaults[index] = try analyzer.defaultValue(column)
    }
    for row in rows {
      guard row.count == width else {
        throw analyzer.failure(
          .syntaxError, "VALUES lists must all be the same length", at: row.first.map { analyzer.location($0) } ?? -1)
      }
      try checkCount(row.count, extra: row.count > given.count ? analyzer.location(row[given.count]) : -1)
      var typed: [TypedExpression] = []
      for index in table.columns.indices {
        guard let place = given.prefix(width).firstIndex(of: index) else {
          typed.append(defaults[index] ?? .constant(.null, .unknown))
          continue
        }
        typed.append(try value(row[place], index, place, scope))
      }
      var parameters: [PlanParameter] = []
      for (index, item) in typed.enumerated() {
        if let bare = unfitted(item, index) {
          parameters.append(bare)
        } else if let parameter = try analyzer.rowParameter(item) {
          parameters.append(parameter)
        } else {
          readsTables = true
        }
      }
      typedRows.append(typed)
      parameterRows.append(parameters)
    }
    guard readsTables else { return .values(parameterRows) }
    return try plan(
      Query(
        body: .values(typedRows), columns: table.columns.map { Query.Column(name: $0.name, type: $0.type) },
        outputRelation: -1), slots: table.columns.indices.map { .source($0) })
  }

  /// $n for a `varchar(n)` or the like, whose length the tablet can check: so that no row needs the compute node's SQLite.
  private func unfitted(_ value: TypedExpression, _ index: Int) -> PlanParameter? {
    guard case .call(let call) = value, call.arguments.count == 3, !analyzer.partitionColumns(table).contains(index),
      case .sqlite(let name) = call.signature.implementation,
      name == analyzer.catalog.modifierCoercion(of: table.columns[index].type),
      case .parameter(let number, _) = call.arguments[0]
    else { return nil }
    fittedAtTablet.indexes.insert(index)
    return .parameter(number)
  }

  private func checkCount(_ count: Int, extra: SourceLocation) throws(SQLError) {
    if count > given.count {
      throw analyzer.failure(.syntaxError, "INSERT has more expressions than target columns", at: extra)
    }
    if count < given.count, !statement.columns.isEmpty {
      throw analyzer.failure(
        .syntaxError, "INSERT has more target columns than expressions", at: statement.columns[count].location)
    }
  }

  private func value(
    _ source: Expression, _ index: Int, _ place: Int, _ scope: Scope
  ) throws(SQLError) -> TypedExpression {
    let column = table.columns[index]
    if case .defaultValue = source { return try analyzer.defaultValue(column) }
    if column.identity != nil, statement.overriding == .userValue { return try analyzer.defaultValue(column) }
    try checkIdentity(column, at: analyzer.location(source))
    let typed = try analyzer.analyze(source, scope)
    return try analyzer.coerceForAssignment(
      typed, to: column.type, column: column.name, at: analyzer.location(source))
  }

  private func checkIdentity(_ column: ColumnDefinition, at location: SourceLocation) throws(SQLError) {
    guard column.identity == .always, statement.overriding == .none else { return }
    throw analyzer.failure(
      .generatedAlways, "cannot insert a non-DEFAULT value into column \"\(column.name)\"",
      detail: "Column \"\(column.name)\" is an identity column defined as GENERATED ALWAYS.",
      hint: "Use OVERRIDING SYSTEM VALUE to override.")
  }

  private func query(
    _ select: SelectStatement, _ scope: Scope, _ common: [CommonTableQuery]
  ) throws(SQLError) -> InsertPlan.Source {
    var query = try analyzer.analyzeQuery(select, parent: scope, keepsUnknown: true)
    query.commonTables = common + query.commonTables
    var place: SourceLocation = -1
    if case .select(let core) = select.body, core.targets.count > given.count {
      place = analyzer.location(core.targets[given.count].expression)
    }
    try checkCount(query.columns.count, extra: place)
    let targets = given.prefix(query.columns.count).map { table.columns[$0] }
    let locations = targetLocations(select)
    if case .select(var body) = query.body, body.distinct == .no {
      for (index, column) in targets.enumerated() {
        body.targets[index] = try analyzer.coerceForAssignment(
          body.targets[index], to: column.type, column: column.name, at: locations[index])
        query.columns[index].type = column.type
      }
      query.body = .select(body)
    } else {
      query = try wrap(query, targets, locations)
    }
    var slots: [InsertSlot] = []
    for (index, column) in table.columns.enumerated() {
      guard let source = given.prefix(query.columns.count).firstIndex(of: index),
        !(column.identity != nil && statement.overriding == .userValue)
      else {
        slots.append(try defaultSlot(column))
        continue
      }
      try checkIdentity(column, at: -1)
      slots.append(.source(source))
    }
    return try plan(query, slots: slots)
  }

  private func targetLocations(_ select: SelectStatement) -> [SourceLocation] {
    var locations: [SourceLocation] = []
    if case .select(let core) = select.body {
      locations = core.targets.map { analyzer.location($0.expression, $0.location) }
    }
    return locations + Array(repeating: locations.first ?? -1, count: max(0, table.columns.count - locations.count))
  }

  private func wrap(
    _ query: Query, _ targets: [ColumnDefinition], _ locations: [SourceLocation]
  ) throws(SQLError) -> Query {
    let id = analyzer.rangeTable.add(
      RangeTable.Entry(
        name: "*SELECT*", columns: query.columns.map { RangeTable.Column(name: $0.name, type: $0.type) },
        source: .subquery(query)))
    var values: [TypedExpression] = []
    for (index, column) in targets.enumerated() {
      let source = TypedExpression.column(relation: id, index: index, query.columns[index].type)
      values.append(
        try analyzer.coerceForAssignment(source, to: column.type, column: column.name, at: locations[index]))
    }
    return Query(
      body: .select(Select(targets: values, from: [.relation(id)])),
      columns: targets.map { Query.Column(name: $0.name, type: $0.type) }, outputRelation: -1)
  }

  private func plan(_ query: Query, slots: [InsertSlot]) throws(SQLError) -> InsertPlan.Source {
    let planner = QueryPlanner(rangeTable: analyzer.rangeTable, image: analyzer.planner.image, query: query)
    return .query(try planner.plan(), slots: slots)
  }

  // MARK: - The text at the tablet

  private func finish(_ source: InsertPlan.Source) throws(SQLError) -> (InsertPlan, [Query.Column]) {
    let scope = Scope(parent: nil)
    let id = analyzer.addWritten(table, alias: statement.alias, scope)
    var writer = SQLWriter(
      rangeTable: analyzer.rangeTable, place: .storage, tables: [id: .written(0)],
      firstParameter: table.columns.count + 1)
    let names = try table.columns.map { column throws(SQLError) in try writer.identifier(column.name) }
    let places = table.columns.enumerated().map { index, column in
      guard fittedAtTablet.indexes.contains(index), let function = analyzer.catalog.modifierCoercion(of: column.type)
      else { return "?\(index + 1)" }
      return "\(function)(?\(index + 1), \(column.type.modifier), 0)"
    }.joined(separator: ", ")
    var text = "INSERT INTO \(writer.mark("T", 0)) (\(names.joined(separator: ", "))) VALUES (\(places))"
    var arbiter: [Int] = []
    let (returning, columns) = try analyzer.returningTargets(statement.returning, scope)
    if let conflict = statement.onConflict {
      let (clause, keys) = try onConflict(conflict, scope, &writer, id)
      text += clause
      if case .update(_, let condition) = conflict.action, condition == nil { arbiter = keys }
    }
    guard analyzer.staysAtTablet(returning) else { throw analyzer.unsupported("a subquery in RETURNING") }
    if !returning.isEmpty { text += " RETURNING " + (try writer.list(returning).joined(separator: ", ")) }
    let root = analyzer.root(of: table)
    if root.id != table.id { analyzer.use(root) }
    let router = PartitionRouter(
      tree: PartitionTree(root.id, image: analyzer.planner.image),
      onlyBelow: root.id == table.id ? nil : table)
    let plan = InsertPlan(
      tableID: table.id, source: source, router: router,
      template: writer.template(text, columnCount: returning.count), columnTypes: table.columns.map(\.type),
      arbiter: arbiter)
    return (plan, columns)
  }

  // MARK: - ON CONFLICT

  private func onConflict(
    _ conflict: OnConflict, _ scope: Scope, _ writer: inout SQLWriter, _ id: Int
  ) throws(SQLError) -> (String, [Int]) {
    let keys = try arbiter(conflict, scope)
    var text = " ON CONFLICT"
    if let keys {
      let names = try keys.map { key throws(SQLError) in try writer.identifier(table.columns[key].name) }
      text += " (\(names.joined(separator: ", ")))"
    }
    guard case .update(let items, let condition) = conflict.action else { return (text + " DO NOTHING", []) }
    guard let keys else {
      throw analyzer.failure(
        .syntaxError, "ON CONFLICT DO UPDATE requires inference specification or constraint name",
        at: conflict.location, hint: "For example, ON CONFLICT (column_name).")
    }
    let excluded = analyzer.rangeTable.add(
      RangeTable.Entry(name: "excluded", columns: analyzer.rangeTable[id].columns, source: .excluded))
    let columns = analyzer.scopeColumns(excluded)
    let updateScope = Scope(parent: nil)
    updateScope.items = scope.items
    // Unqualified names mean the row that is there.
    updateScope.items.append(Scope.Item(name: "excluded", columns: columns, visibleColumns: []))
    let values = try analyzer.assignments(items, table, updateScope)
    let keyColumns = analyzer.partitionColumns(table)
    if let moved = values.first(where: { keyColumns.contains($0.column) }) {
      throw analyzer.unsupported(
        "ON CONFLICT that changes partition key column \"\(table.columns[moved.column].name)\"")
    }
    var filter: TypedExpression?
    if let condition {
      analyzer.clause = .whereClause
      filter = try analyzer.coerceToBoolean(
        analyzer.analyze(condition, updateScope), clause: "ON CONFLICT WHERE", at: analyzer.location(condition))
    }
    guard analyzer.staysAtTablet(values.map(\.value) + [filter].compactMap { $0 }) else {
      throw analyzer.unsupported("a subquery or a function of the catalog in ON CONFLICT DO UPDATE")
    }
    if table.isMirror, (values.map(\.value) + [filter].compactMap { $0 }).contains(where: \.isVolatile) {
      throw analyzer.unsupported(
        "a volatile function in ON CONFLICT DO UPDATE of a mirror table", at: conflict.location)
    }
    var updated = SQLWriter(copying: writer, rangeTable: analyzer.rangeTable)
    updated.tables[excluded] = .excluded
    var sets: [String] = []
    for (column, value) in values {
      sets.append("\(try updated.identifier(table.columns[column].name)) = \(try updated.expression(value))")
    }
    text += " DO UPDATE SET " + sets.joined(separator: ", ")
    if let filter { text += " WHERE \(try updated.expression(filter))" }
    writer = updated
    return (text, keys)
  }

  /// The columns of the unique index that the clause names; nil where it names none.
  private func arbiter(_ conflict: OnConflict, _ scope: Scope) throws(SQLError) -> [Int]? {
    let indexes = analyzer.planner.image.indexes(of: table.id).filter(\.isUnique)
    let found: IndexDefinition?
    switch conflict.target {
    case .none: return nil
    case .constraint(let name):
      found = indexes.first { $0.name == name && $0.constraint != nil }
      guard found != nil else {
        throw analyzer.failure(
          .undefinedObject, "constraint \"\(name)\" for table \"\(table.name)\" does not exist")
      }
    case .columns(let expressions, let condition):
      if condition != nil {
        throw analyzer.unsupported("ON CONFLICT with a WHERE for the index", at: conflict.location)
      }
      var columns: Set<Int> = []
      for expression in expressions {
        guard case .column(let name, false, let location) = expression, name.count == 1 else {
          throw analyzer.unsupported("ON CONFLICT over an expression", at: analyzer.location(expression))
        }
        guard let number = table.columnNumber(name[0]) else {
          _ = try analyzer.column(name, scope, at: location)
          continue
        }
        columns.insert(number)
      }
      found = indexes.first { Set($0.parts.map(\.column)) == columns }
      guard found != nil else {
        throw analyzer.failure(
          .invalidColumnReference,
          "there is no unique or exclusion constraint matching the ON CONFLICT specification")
      }
    }
    guard let found else { return nil }
    analyzer.dependencies.indexes[found.id] = found
    return found.parts.map { $0.column - 1 }
  }
}
