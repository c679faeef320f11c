import Metadata
import SQLTree
import SQLTypes

/// Plans UPDATE and DELETE.
struct ModifyPlanner {
  /// A column that the query of a plan by key reads beside the table's own: the tablet's id, and the hidden key.
  static let tabletColumn = "_kunlog_tablet"
  static let rowColumn = "_kunlog_row_id"

  private let analyzer: Analyzer
  private let table: TableDefinition
  private let target: Int
  private let from: [FromNode]
  private let condition: TypedExpression?
  /// nil for DELETE.
  private let values: [(column: Int, value: TypedExpression)]?
  private let returning: [TypedExpression]
  let columns: [Query.Column]
  private let commonTables: [CommonTableQuery]
  /// The partition key is assigned: rows may belong to another tablet afterwards.
  private var movesRows = false

  init(_ statement: UpdateStatement, _ analyzer: Analyzer) throws(SQLError) {
    try self.init(
      analyzer, statement.table, statement.alias, statement.with, statement.from, statement.condition,
      statement.returning, assignments: statement.assignments)
    let keyColumns = analyzer.partitionColumns(table)
    movesRows = values?.contains { keyColumns.contains($0.column) } == true
  }

  init(_ statement: DeleteStatement, _ analyzer: Analyzer) throws(SQLError) {
    try self.init(
      analyzer, statement.table, statement.alias, statement.with, statement.using, statement.condition,
      statement.returning, assignments: nil)
  }

  private init(
    _ analyzer: Analyzer, _ name: RelationName, _ alias: String?, _ with: WithClause?, _ items: [FromItem],
    _ written: Expression?, _ targets: [SelectTarget], assignments: [Assignment]?
  ) throws(SQLError) {
    self.analyzer = analyzer
    table = try analyzer.writtenTable(name)
    if !name.includesDescendants, table.partitioning != nil {
      throw analyzer.unsupported("ONLY on a partitioned table", at: name.location)
    }
    let outer = Scope(parent: nil)
    var common: [CommonTableQuery] = []
    if let with { common = try analyzer.commonTables(with, outer) }
    commonTables = common
    let scope = Scope(parent: outer)
    target = analyzer.addWritten(table, alias: alias, scope)
    from = try analyzer.analyzeFrom(items, scope, outer: outer)
    // SET names the row as it was; RETURNING as it is, and the rest of FROM.
    let table = table
    values = try assignments.map { items throws(SQLError) in try analyzer.assignments(items, table, scope) }
    var condition: TypedExpression?
    if let written {
      analyzer.clause = .whereClause
      condition = try analyzer.coerceToBoolean(
        analyzer.analyze(written, scope), clause: "WHERE", at: analyzer.location(written))
    }
    self.condition = condition
    (returning, columns) = try analyzer.returningTargets(targets, scope)
  }

  func plan() throws(SQLError) -> WritePlan {
    let atTablet = (values ?? []).map(\.value) + [condition].compactMap { $0 }
    // What changes at one copy of a mirror table is found once, then changed at all of them.
    if !table.isMirror, from.isEmpty, commonTables.isEmpty, !movesRows, analyzer.staysAtTablet(atTablet) {
      guard analyzer.staysAtTablet(returning) else { throw analyzer.unsupported("a subquery in RETURNING") }
      return .modify(try direct())
    }
    return .modifyByKey(try byKey())
  }

  private func access(_ conditions: [TypedExpression]) -> RelationAccess {
    RelationAccess(table: table, image: analyzer.planner.image, relation: target, conditions: conditions)
  }

  // MARK: - At the tablets

  private func direct() throws(SQLError) -> ModifyPlan {
    var writer = SQLWriter(rangeTable: analyzer.rangeTable, place: .storage, tables: [target: .written(0)])
    var text = try head(&writer) { writer, value throws(SQLError) in try writer.expression(value) }
    if let condition { text += " WHERE \(try writer.expression(condition))" }
    if !returning.isEmpty { text += " RETURNING " + (try writer.list(returning).joined(separator: ", ")) }
    return ModifyPlan(
      relation: access(condition?.conjuncts ?? []), template: writer.template(text, columnCount: returning.count),
      isKeyed: givesKey)
  }

  /// Whether the condition gives each column of the primary key a value.
  private var givesKey: Bool {
    guard let key = analyzer.planner.image.primaryKey(of: table.id) else { return false }
    var given: Set<Int> = []
    for case .call(let call) in condition?.conjuncts ?? [] where call.signature.name == "=" && call.arguments.count == 2
    {
      let (left, right) = (call.arguments[0], call.arguments[1])
      if case .column(target, let index, _) = left, right.relations.isEmpty { given.insert(index) }
      if case .column(target, let index, _) = right, left.relations.isEmpty { given.insert(index) }
    }
    return key.parts.allSatisfy { given.contains($0.column - 1) }
  }

  /// `UPDATE … SET …` or `DELETE FROM …`.
  private func head(
    _ writer: inout SQLWriter, _ write: (inout SQLWriter, TypedExpression) throws(SQLError) -> String
  ) throws(SQLError) -> String {
    guard let values else { return "DELETE FROM \(writer.mark("T", 0))" }
    var sets: [String] = []
    for (column, value) in values {
      sets.append("\(try writer.identifier(table.columns[column].name)) = \(try write(&writer, value))")
    }
    return "UPDATE \(writer.mark("T", 0)) SET " + sets.joined(separator: ", ")
  }

  // MARK: - By key

  /// The rows are found by a query that also reads what it decided by; the change then checks that it is still so.
  private func byKey() throws(SQLError) -> KeyedModifyPlan {
    let width = analyzer.rangeTable[target].columns.count
    var hidden = [RangeTable.Column(name: Self.tabletColumn, type: .int8, isNotNull: true)]
    let primaryKey = analyzer.planner.image.primaryKey(of: table.id)
    if primaryKey == nil { hidden.append(RangeTable.Column(name: Self.rowColumn, type: .int8, isNotNull: true)) }
    analyzer.rangeTable.extend(target, with: hidden)
    let tablet = TypedExpression.column(relation: target, index: width, .int8)
    let keyIndexes = primaryKey?.parts.map { $0.column - 1 } ?? [width + 1]
    let keys = keyIndexes.map { column($0) }
    let assigned = (values ?? []).map(\.value)
    // A row that moves is written anew, whole.
    var witnesses = movesRows ? table.columns.indices.filter { !keyIndexes.contains($0) }.map { column($0) } : []
    for expression in assigned + [condition].compactMap({ $0 }) + from.flatMap(\.conditions) {
      expression.visit {
        if case .column(target, let index, _) = $0, !keyIndexes.contains(index), !witnesses.contains($0) {
          witnesses.append($0)
        }
      }
    }
    var others: [TypedExpression] = []
    for expression in returning {
      expression.visit {
        if case .column(let relation, _, _) = $0, relation != target, !others.contains($0) { others.append($0) }
      }
    }
    let row = keys + witnesses + assigned + others
    var select = Select(targets: [tablet] + row, from: [.relation(target)] + from)
    select.condition = condition
    // A row that several rows of FROM match is changed once.
    if !from.isEmpty { select.distinct = .on([tablet] + keys) }
    var query = Query(
      body: .select(select),
      columns: select.targets.enumerated().map { Query.Column(name: "c\($0 + 1)", type: $1.type) }, outputRelation: -1)
    query.commonTables = commonTables
    let plan = try QueryPlanner(rangeTable: analyzer.rangeTable, image: analyzer.planner.image, query: query).plan()
    return KeyedModifyPlan(
      query: plan, relation: access(condition?.conjuncts ?? []),
      template: try changeByKey(row: row, keys: keys, witnesses: witnesses, others: others),
      move: movesRows ? try move(row: row, keys: keys, witnesses: witnesses, others: others) : nil)
  }

  /// What takes a row out of its tablet and puts it, changed, into another.
  private func move(
    row: [TypedExpression], keys: [TypedExpression], witnesses: [TypedExpression], others: [TypedExpression]
  ) throws(SQLError) -> RowMove {
    let found = keys + witnesses
    let places = table.columns.indices.map { index in
      if let assigned = (values ?? []).firstIndex(where: { $0.column == index }) { return found.count + assigned }
      return found.firstIndex(of: column(index)) ?? 0
    }
    var deleter = writer(after: row)
    let delete = "DELETE FROM \(deleter.mark("T", 0)) WHERE " + (try tests(&deleter, keys, witnesses))
    var inserter = writer(after: row)
    let names = try table.columns.map { column throws(SQLError) in try inserter.identifier(column.name) }
    let list = places.map { "?\($0 + 1)" }.joined(separator: ", ")
    var insert = "INSERT INTO \(inserter.mark("T", 0)) (\(names.joined(separator: ", "))) VALUES (\(list))"
    insert += try returningText(&inserter, row, others)
    let root = analyzer.root(of: table)
    if root.id != table.id { analyzer.use(root) }
    return RowMove(
      router: PartitionRouter(
        tree: PartitionTree(root.id, image: analyzer.planner.image), onlyBelow: root.id == table.id ? nil : table),
      newRow: places, delete: deleter.template(delete, columnCount: 0),
      insert: inserter.template(insert, columnCount: returning.count))
  }

  /// A writer of a text that runs once per row, whose values are its first parameters.
  private func writer(after row: [TypedExpression]) -> SQLWriter {
    SQLWriter(
      rangeTable: analyzer.rangeTable, place: .storage, tables: [target: .written(0)], firstParameter: row.count + 1)
  }

  /// That the row is the one that was found, and is as it was found.
  private func tests(
    _ writer: inout SQLWriter, _ keys: [TypedExpression], _ witnesses: [TypedExpression]
  ) throws(SQLError) -> String {
    var tests: [String] = []
    for (index, key) in (keys + witnesses).enumerated() {
      let operation = index < keys.count ? "=" : "IS"
      tests.append("\(try writer.expression(key)) \(operation) ?\(index + 1)")
    }
    return tests.joined(separator: " AND ")
  }

  private func returningText(
    _ writer: inout SQLWriter, _ row: [TypedExpression], _ others: [TypedExpression]
  ) throws(SQLError) -> String {
    for (index, other) in others.enumerated() {
      writer.replacements[other] = "?\(row.count - others.count + index + 1)"
    }
    guard analyzer.staysAtTablet(returning) else { throw analyzer.unsupported("a subquery in RETURNING") }
    return returning.isEmpty ? "" : " RETURNING " + (try writer.list(returning).joined(separator: ", "))
  }

  private func column(_ index: Int) -> TypedExpression {
    .column(relation: target, index: index, analyzer.rangeTable[target].columns[index].type)
  }

  private func changeByKey(
    row: [TypedExpression], keys: [TypedExpression], witnesses: [TypedExpression], others: [TypedExpression]
  ) throws(SQLError) -> SQLTemplate {
    var writer = writer(after: row)
    var next = keys.count + witnesses.count
    var text = try head(&writer) { _, _ throws(SQLError) in
      next += 1
      return "?\(next)"
    }
    text += " WHERE " + (try tests(&writer, keys, witnesses))
    text += try returningText(&writer, row, others)
    return writer.template(text, columnCount: returning.count)
  }
}
