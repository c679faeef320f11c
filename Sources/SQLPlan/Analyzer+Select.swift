import SQLTree
import SQLTypes

// SELECT … FROM … WHERE … GROUP BY … HAVING … ORDER BY, with DISTINCT.
extension Analyzer {
  func select(
    _ core: SelectCore, _ statement: SelectStatement, _ outer: Scope, keepsUnknown: Bool
  ) throws(SQLError) -> Query {
    if let into = core.into {
      throw unsupported("SELECT INTO", at: into.location, hint: "Use CREATE TABLE and INSERT.")
    }
    if core.isGroupByDistinct { throw unsupported("GROUP BY DISTINCT") }
    let scope = Scope(parent: outer)
    scope.windows = core.windows
    var from = try analyzeFrom(core.from, scope, outer: outer)
    clause = .select
    columnLocations = [:]
    var (targets, columns) = try selectTargets(core.targets, scope)
    let targetLocations = columnLocations
    if !keepsUnknown {
      for index in targets.indices {
        targets[index] = try resolveUnknown(targets[index])
        columns[index].type = targets[index].type
      }
    }
    from += setReturningRelations.map { .relation($0) }
    setReturningRelations = []
    var condition: TypedExpression?
    if let written = core.condition {
      clause = .whereClause
      condition = try coerceToBoolean(analyze(written, scope), clause: "WHERE", at: location(written))
    }
    var having: TypedExpression?
    columnLocations = [:]
    if let written = core.having {
      clause = .having
      having = try coerceToBoolean(analyze(written, scope), clause: "HAVING", at: location(written))
    }
    clause = .orderBy
    var orderBy: [SortKey] = []
    for item in statement.orderBy {
      let key = try targetOrInput(item.expression, .orderBy, core, targets, columns, scope)
      orderBy.append(try sortKey(item, key))
    }
    let otherLocations = columnLocations
    clause = .groupBy
    var groupBy: [TypedExpression] = []
    for expression in core.groupBy {
      for item in try groupItems(expression) {
        let key = try targetOrInput(item, .groupBy, core, targets, columns, scope)
        if !groupBy.contains(key) { groupBy.append(key) }
      }
    }
    if groupBy.contains(where: { $0.contains(intoQueries: false) { if case .aggregate = $0 { true } else { false } } })
    {
      throw failure(
        .groupingError, "aggregate functions are not allowed in GROUP BY",
        at: core.groupBy.first.map { location($0) } ?? -1)
    }
    var select = Select(
      targets: targets, from: from, condition: condition, groupBy: groupBy, having: having,
      hasAggregates: hasAggregates, hasWindows: hasWindows)
    select.distinct = try distinct(core, targets, columns, orderBy, scope)
    if select.isGrouped {
      let checker = GroupingChecker(analyzer: self, select: select, scope: scope)
      for target in targets { try checker.check(target, targetLocations) }
      if let having { try checker.check(having, otherLocations) }
      for key in orderBy { try checker.check(key.expression, otherLocations.merging(targetLocations) { a, _ in a }) }
    }
    selectScope = scope
    var query = Query(body: .select(select), columns: columns, outputRelation: -1)
    query.orderBy = orderBy
    return query
  }

  /// A select list or RETURNING, with `*` expanded.
  func selectTargets(
    _ targets: [SelectTarget], _ scope: Scope
  ) throws(SQLError) -> ([TypedExpression], [Query.Column]) {
    var typed: [TypedExpression] = []
    var columns: [Query.Column] = []
    for target in targets {
      if case .column(let name, true, let location) = target.expression {
        for column in try starColumns(name, scope, at: location) {
          typed.append(column.expression)
          columnLocations[column.expression] = columnLocations[column.expression] ?? location
          columns.append(
            Query.Column(
              name: column.name, type: column.expression.type, tableOID: column.tableOID,
              columnNumber: column.columnNumber))
        }
        continue
      }
      var output = Query.Column(name: target.alias ?? OutputName.name(of: target.expression), type: .unknown)
      let value: TypedExpression
      if case .column(let name, false, let location) = target.expression {
        let column = try self.column(name, scope, at: location)
        value = column.expression
        columnLocations[value] = columnLocations[value] ?? location
        output.tableOID = column.tableOID
        output.columnNumber = column.columnNumber
      } else {
        value = try analyze(target.expression, scope)
        if case .row = value { throw unsupported("a row as an output column", at: location(target.expression)) }
      }
      output.type = value.type
      typed.append(value)
      columns.append(output)
    }
    return (typed, columns)
  }

  /// GROUP BY's items, without the empty set and the parentheses of lists.
  private func groupItems(_ expression: Expression) throws(SQLError) -> [Expression] {
    switch expression {
    case .groupingSet(let keyword, let items, let location):
      throw unsupported(items.isEmpty ? "GROUP BY ()" : keyword.uppercased(), at: location)
    case .row(let items, _): return items
    default: return [expression]
    }
  }

  /// What an item of ORDER BY, GROUP BY or DISTINCT ON means: an output column by position or name, or an expression.
  private func targetOrInput(
    _ expression: Expression, _ kind: ClauseKind, _ core: SelectCore, _ targets: [TypedExpression],
    _ columns: [Query.Column], _ scope: Scope
  ) throws(SQLError) -> TypedExpression {
    switch expression {
    case .column(let name, false, let location) where name.count == 1:
      // GROUP BY prefers the input's columns, the others the output's.
      if kind == .groupBy, scope.items.contains(where: { $0.visibleColumns.contains { $0.name == name[0] } }) { break }
      let found = columns.indices.filter { columns[$0].name == name[0] }
      guard let first = found.first else { break }
      if found.contains(where: { targets[$0] != targets[first] }) {
        throw failure(.ambiguousColumn, "\(kind.name) \"\(name[0])\" is ambiguous", at: location)
      }
      return try resolveUnknown(targets[first])
    case .constant(.integer(let position), let location):
      guard position >= 1, position <= targets.count else {
        throw failure(
          .invalidColumnReference, "\(kind.name) position \(position) is not in select list", at: location)
      }
      return try resolveUnknown(targets[Int(position) - 1])
    case .constant(let constant, let location) where constant != .null:
      throw failure(.syntaxError, "non-integer constant in \(kind.name)", at: location)
    default: break
    }
    return try resolveUnknown(analyze(expression, scope))
  }

  private func distinct(
    _ core: SelectCore, _ targets: [TypedExpression], _ columns: [Query.Column], _ orderBy: [SortKey], _ scope: Scope
  ) throws(SQLError) -> Select.Distinct {
    switch core.distinct {
    case .no: return .no
    case .all:
      for key in orderBy where !targets.contains(key.expression) {
        throw failure(
          .invalidColumnReference, "for SELECT DISTINCT, ORDER BY expressions must appear in select list")
      }
      for target in targets { try checkEquality(target.type) }
      return .all
    case .on(let expressions):
      clause = .distinctOn
      var keys: [TypedExpression] = []
      for expression in expressions {
        let key = try targetOrInput(expression, .distinctOn, core, targets, columns, scope)
        if !keys.contains(key) { keys.append(key) }
      }
      for key in orderBy.prefix(keys.count) where !keys.contains(key.expression) {
        throw failure(
          .invalidColumnReference, "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
          at: expressions.first.map { location($0) } ?? -1)
      }
      return .on(keys)
    }
  }
}

/// Finds columns that a grouped query uses outside its groups.
struct GroupingChecker {
  let analyzer: Analyzer
  let select: Select
  private let own: Set<Int>
  /// Relations whose whole primary key is grouped by: all their columns are determined.
  private let determined: Set<Int>

  init(analyzer: Analyzer, select: Select, scope: Scope) {
    self.analyzer = analyzer
    self.select = select
    own = Set(select.from.flatMap(\.relations))
    var determined: Set<Int> = []
    for id in own {
      guard case .table(let table) = analyzer.rangeTable[id].source,
        let key = analyzer.planner.image.primaryKey(of: table.id)
      else { continue }
      let isGrouped = key.parts.allSatisfy { part in
        select.groupBy.contains(.column(relation: id, index: part.column - 1, table.columns[part.column - 1].type))
      }
      if isGrouped { determined.insert(id) }
    }
    self.determined = determined
  }

  /// Throws 42803 for an ungrouped column.
  func check(
    _ expression: TypedExpression, _ locations: [TypedExpression: SourceLocation], inSubquery: Bool = false
  ) throws(SQLError) {
    if select.groupBy.contains(expression) { return }
    if case .aggregate = expression, !inSubquery { return }
    if case .column(let relation, let index, _) = expression, own.contains(relation), !determined.contains(relation) {
      let entry = analyzer.rangeTable[relation]
      let name = "\(aliasName(relation)).\(entry.columns[index].name)"
      let message =
        inSubquery
        ? "subquery uses ungrouped column \"\(name)\" from outer query"
        : "column \"\(name)\" must appear in the GROUP BY clause or be used in an aggregate function"
      throw analyzer.failure(.groupingError, message, at: locations[expression] ?? -1)
    }
    for child in expression.children { try check(child, locations, inSubquery: inSubquery) }
    if case .subquery(let subquery) = expression {
      var inner: [TypedExpression] = []
      subquery.query.visit { if case .column = $0 { inner.append($0) } }
      // A column within an expression that is grouped by as a whole may stand there.
      let grouped = Set(select.groupBy.flatMap { key in key.children.isEmpty ? [] : Array(key.relations) })
      for column in inner {
        guard case .column(let relation, _, _) = column, own.contains(relation), !grouped.contains(relation) else {
          continue
        }
        try check(column, locations, inSubquery: true)
      }
    }
  }

  private func aliasName(_ relation: Int) -> String {
    analyzer.aliases[relation] ?? analyzer.rangeTable[relation].name
  }
}
