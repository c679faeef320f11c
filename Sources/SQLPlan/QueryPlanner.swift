import Metadata
import SQLTree
import SQLTypes

/// Lays a resolved query out over the tablets, in the three tiers.
struct QueryPlanner {
  let rangeTable: RangeTable
  let image: Image
  let query: Query
  /// Tables in order of mention; their places are the slots.
  private var tableIDs: [Int] = []
  private var virtualIDs: [Int] = []
  private var usedColumns: [Int: Set<Int>] = [:]
  private var mustStayLocal = false
  private let predicates: [Int: [TypedExpression]]

  init(rangeTable: RangeTable, image: Image, query: Query) {
    self.rangeTable = rangeTable
    self.image = image
    self.query = query
    predicates = PredicateCollector(rangeTable: rangeTable, query: query).predicates
    var tableIDs: [Int] = []
    var virtualIDs: [Int] = []
    var used: [Int: Set<Int>] = [:]
    var isLocal = false
    var walker = QueryWalker(rangeTable: rangeTable)
    walker.onRelation = { id in
      switch rangeTable[id].source {
      case .table: if !tableIDs.contains(id) { tableIDs.append(id) }
      case .virtual: if !virtualIDs.contains(id) { virtualIDs.append(id) }
      default: break
      }
    }
    walker.onExpression = { expression in
      if expression.mustStayLocal { isLocal = true }
      expression.visit(intoQueries: false) {
        if case .column(let relation, let index, _) = $0 { used[relation, default: []].insert(index) }
      }
    }
    walker.walk(query)
    self.tableIDs = tableIDs
    self.virtualIDs = virtualIDs
    usedColumns = used
    mustStayLocal = isLocal
  }

  func plan() throws(SQLError) -> QueryPlan {
    let relations = tableIDs.map(access)
    var pushdown: SQLTemplate?
    if !tableIDs.isEmpty, virtualIDs.isEmpty, !mustStayLocal {
      var tables: [Int: SQLWriter.TableName] = [:]
      for (slot, id) in tableIDs.enumerated() { tables[id] = .slot(slot) }
      var writer = SQLWriter(rangeTable: rangeTable, place: .storage, tables: tables)
      let text = try writer.query(query)
      pushdown = writer.template(text, columnCount: query.columns.count)
    }
    return QueryPlan(
      relations: relations, pushdown: pushdown, distributed: try distributed(), columnCount: query.columns.count,
      rowCounts: rowCounts)
  }

  /// LIMIT and OFFSET that are known only with the parameters.
  private var rowCounts: [RowCountCheck] {
    let clauses: [(RowCountCheck.Clause, TypedExpression?)] = [(.limit, query.limit), (.offset, query.offset)]
    return clauses.compactMap { clause, expression in
      guard case .parameter(let number)? = expression?.planParameter else { return nil }
      return RowCountCheck(clause: clause, value: .parameter(number))
    }
  }

  private func access(_ id: Int) -> RelationAccess {
    guard case .table(let table) = rangeTable[id].source else { preconditionFailure("no table") }
    return RelationAccess(table: table, image: image, relation: id, conditions: predicates[id] ?? [])
  }

  private func distributed() throws(SQLError) -> DistributedPlan {
    if let merge = try merge() { return .merge(merge) }
    if let partial = try partialAggregation() { return .local(partial) }
    return .local(try local())
  }

  /// The only table, where FROM is nothing but it and no query lies below.
  private var onlyTable: (Int, Select)? {
    guard tableIDs.count == 1, virtualIDs.isEmpty, query.commonTables.isEmpty, case .select(let select) = query.body,
      select.from == [.relation(tableIDs[0])], !query.ownExpressions.contains(where: \.hasSubquery)
    else { return nil }
    return (tableIDs[0], select)
  }

  // MARK: - Tier 2

  private func merge() throws(SQLError) -> MergePlan? {
    guard let (id, select) = onlyTable, !mustStayLocal, !select.isGrouped, !select.hasWindows, select.distinct == .no,
      query.orderBy.allSatisfy({ $0.expression.type.sqliteCollation != "PG_JSONB" })
    else { return nil }
    let limit = query.limit?.planParameter
    let offset = query.offset?.planParameter
    guard (limit == nil) == (query.limit == nil), (offset == nil) == (query.offset == nil) else { return nil }
    var writer = SQLWriter(rangeTable: rangeTable, place: .storage, tables: [id: .slot(0)])
    var targets: [String] = []
    for (index, target) in select.targets.enumerated() {
      targets.append("\(try writer.expression(target)) AS c\(index + 1)")
    }
    if targets.isEmpty { targets = ["1 AS c1"] }
    var order: [MergeKey] = []
    var items: [String] = []
    for key in query.orderBy where !key.expression.isRowIndependent {
      let type = key.expression.type
      var column = select.targets.firstIndex(of: key.expression)
      if column == nil || type.sqliteKeyFunction != nil {
        column = targets.count
        let text = try writer.expression(key.expression)
        targets.append("\(type.sqliteKeyFunction.map { "\($0)(\(text))" } ?? text) AS c\(targets.count + 1)")
      }
      let place = column ?? 0
      order.append(
        MergeKey(
          column: place, isDescending: key.isDescending, nullsFirst: key.nullsFirst,
          comparison: type.sqliteCollation == "PG_NUMERIC" ? .numeric : .stored))
      let isKeyed = type.sqliteKeyFunction != nil
      items.append(isKeyed ? sortText(key, place + 1) : writer.sortItem(key, String(place + 1)))
    }
    var text = "SELECT \(targets.joined(separator: ", "))" + (try writer.clauses(select))
    if !items.isEmpty { text += " ORDER BY " + items.joined(separator: ", ") }
    if let limit { text += " LIMIT " + rowLimit(limit, offset, &writer) }
    return MergePlan(
      relation: 0, template: writer.template(text, columnCount: targets.count), order: order, limit: limit,
      offset: offset, visibleColumns: select.targets.count)
  }

  /// A key that has been turned into one of SQLite's own order, by position.
  private func sortText(_ key: SortKey, _ position: Int) -> String {
    "\(position)\(key.isDescending ? " DESC" : "")\(key.nullsFirst ? " NULLS FIRST" : " NULLS LAST")"
  }

  /// Rows that each tablet has to give: limit + offset.
  private func rowLimit(_ limit: PlanParameter, _ offset: PlanParameter?, _ writer: inout SQLWriter) -> String {
    if case .constant(.integer(let count)) = limit {
      if offset == nil { return writer.parameter(limit) }
      if case .constant(.integer(let skipped))? = offset {
        return writer.parameter(
          .constant(.integer(count.addingReportingOverflow(skipped).overflow ? .max : count + skipped)))
      }
    }
    let half = "4611686018427387903"
    let count = writer.parameter(limit)
    let skipped = offset.map { writer.parameter($0) }
    var text = "(CASE WHEN \(count) < 0 THEN pg_raise('2201W', 'LIMIT must not be negative')"
    if let skipped { text += " WHEN \(skipped) < 0 THEN pg_raise('2201X', 'OFFSET must not be negative')" }
    let sum = skipped.map { "min(\(count), \(half)) + min(coalesce(\($0), 0), \(half))" } ?? count
    return text + " ELSE coalesce(\(sum), -1) END)"
  }

  // MARK: - Partial aggregates

  /// Each tablet groups its own rows; the compute node combines the groups.
  private func partialAggregation() throws(SQLError) -> LocalPlan? {
    guard let (id, written) = onlyTable else { return nil }
    var select = written
    if select.distinct == .all, !select.isGrouped, !select.hasWindows {
      select.groupBy = select.targets.filter { !$0.isRowIndependent }
      select.distinct = .no
    }
    guard select.isGrouped else { return nil }
    if case .on = select.distinct { return nil }
    let outputs = select.targets + [select.having].compactMap { $0 } + query.orderBy.map(\.expression)
    guard let parts = GroupedParts(outputs, groupBy: select.groupBy) else { return nil }
    let atTablets = select.groupBy + parts.aggregates.map { .aggregate($0) } + [select.condition].compactMap { $0 }
    guard !atTablets.contains(where: \.mustStayLocal) else { return nil }

    var tablet = SQLWriter(rangeTable: rangeTable, place: .storage, tables: [id: .slot(0)])
    var columns: [String] = []
    var replacements: [TypedExpression: String] = [:]
    for item in select.groupBy + parts.bareColumns {
      columns.append("\(try tablet.expression(item)) AS c\(columns.count + 1)")
      replacements[item] = "i.c\(columns.count)"
    }
    for call in parts.aggregates {
      guard let own = call.signature.parts else { return nil }
      columns.append("\(try tablet.aggregate(call, own.partial)) AS c\(columns.count + 1)")
      replacements[.aggregate(call)] = own.combine.sql(arguments: ["i.c\(columns.count)"], types: [call.type])
    }
    if columns.isEmpty { columns = ["1 AS c1"] }
    var inner = Select(targets: [], from: select.from)
    inner.condition = select.condition
    inner.groupBy = select.groupBy
    let text = "SELECT \(columns.joined(separator: ", "))" + (try tablet.clauses(inner))
    let input = LocalInput(
      table: "i0", createSQL: "CREATE TEMP TABLE i0 (\((1...columns.count).map { "c\($0)" }.joined(separator: ", ")))",
      columnCount: columns.count, source: .tablets(relation: 0, tablet.template(text, columnCount: columns.count)))
    return try combine(select, input, replacements)
  }

  private func combine(
    _ select: Select, _ input: LocalInput, _ replacements: [TypedExpression: String]
  ) throws(SQLError) -> LocalPlan {
    var writer = SQLWriter(rangeTable: rangeTable, place: .compute, tables: [:])
    writer.replacements = replacements
    var targets: [String] = []
    for (index, target) in select.targets.enumerated() {
      let text = try writer.expression(target)
      targets.append("\(select.distinct == .all ? writer.key(text, target.type) : text) AS c\(index + 1)")
    }
    var outer = Select(targets: [])
    outer.groupBy = select.groupBy
    outer.having = select.having
    var text = "SELECT \(select.distinct == .all ? "DISTINCT " : "")\(targets.joined(separator: ", ")) FROM i0 AS i"
    text += try writer.clauses(outer)
    if !query.orderBy.isEmpty { text += " ORDER BY " + (try writer.sortList(query.orderBy)) }
    text += try writer.limits(query)
    return LocalPlan(inputs: [input], sql: text, parameters: writer.parameters(of: text))
  }

  // MARK: - Tier 3

  private func local() throws(SQLError) -> LocalPlan {
    var inputs: [LocalInput] = []
    var tables: [Int: SQLWriter.TableName] = [:]
    for (slot, id) in tableIDs.enumerated() {
      let name = "i\(inputs.count)"
      tables[id] = .local(name)
      inputs.append(try tableInput(id, slot, name))
    }
    for id in virtualIDs {
      guard case .virtual(let relation) = rangeTable[id].source else { continue }
      let name = "i\(inputs.count)"
      tables[id] = .local(name)
      let columns = (usedColumns[id] ?? []).sorted()
      let shown = columns.isEmpty && !relation.columns.isEmpty ? [0] : columns
      inputs.append(
        LocalInput(
          table: name, createSQL: try createTable(name, id, shown), columnCount: shown.count,
          source: .virtual(relation, columns: shown)))
    }
    var writer = SQLWriter(rangeTable: rangeTable, place: .compute, tables: tables)
    let text = try writer.query(query)
    return LocalPlan(inputs: inputs, sql: text, parameters: writer.parameters(of: text))
  }

  private func createTable(_ name: String, _ id: Int, _ columns: [Int]) throws(SQLError) -> String {
    let writer = SQLWriter(rangeTable: rangeTable, place: .compute, tables: [:])
    let list = try columns.map { index throws(SQLError) in
      let column = rangeTable[id].columns[index]
      let collation = column.type.sqliteCollation.map { " COLLATE \($0)" } ?? ""
      return "\(try writer.identifier(column.name)) \(column.type.sqliteColumnType)\(collation)"
    }
    return "CREATE TEMP TABLE \(name) (\(list.joined(separator: ", ")))"
  }

  private func tableInput(_ id: Int, _ slot: Int, _ name: String) throws(SQLError) -> LocalInput {
    let used = (usedColumns[id] ?? []).sorted()
    // A table of which no column is used still counts by its rows.
    let columns = used.isEmpty ? [0] : used
    var writer = SQLWriter(rangeTable: rangeTable, place: .storage, tables: [id: .slot(0)])
    var targets: [String] = []
    for index in columns { targets.append(try writer.column(id, index)) }
    var text = "SELECT \(targets.joined(separator: ", ")) FROM \(writer.mark("T", 0)) AS r\(id)"
    let conditions = predicates[id] ?? []
    if !conditions.isEmpty { text += " WHERE " + (try writer.list(conditions).joined(separator: " AND ")) }
    return LocalInput(
      table: name, createSQL: try createTable(name, id, columns), columnCount: columns.count,
      source: .tablets(relation: slot, writer.template(text, columnCount: columns.count)))
  }
}

/// The aggregates of a grouped query, and the columns that stand outside them; nil where they cannot be computed in parts.
private struct GroupedParts {
  var aggregates: [TypedExpression.AggregateCall] = []
  /// Columns that a grouped primary key determines.
  var bareColumns: [TypedExpression] = []

  init?(_ outputs: [TypedExpression], groupBy: [TypedExpression]) {
    for output in outputs { guard collect(output, groupBy) else { return nil } }
  }

  private mutating func collect(_ expression: TypedExpression, _ groupBy: [TypedExpression]) -> Bool {
    if groupBy.contains(expression) { return true }
    switch expression {
    case .aggregate(let call):
      guard call.signature.parts != nil, !call.isDistinct else { return false }
      if !aggregates.contains(call) { aggregates.append(call) }
      return true
    case .column:
      if !bareColumns.contains(expression) { bareColumns.append(expression) }
      return true
    default:
      for child in expression.children { guard collect(child, groupBy) else { return false } }
      return true
    }
  }
}

extension RelationAccess {
  /// The tablets of a table, pruned by what conditions on `relation` say about its partition keys.
  init(table: TableDefinition, image: Image, relation: Int, conditions: [TypedExpression]) {
    let tree = PartitionTree(table.id, image: image)
    var pruning: PartitionPruning?
    if table.partitioning != nil,
      let alternatives = PruningBuilder(relation: relation, tree: tree).alternatives(conditions)
    {
      pruning = PartitionPruning(tree: tree, alternatives: alternatives)
    }
    self.init(
      tableID: table.id, name: table.name, tablets: tree.leaves, tabletNames: tree.leafNames, pruning: pruning)
  }
}
