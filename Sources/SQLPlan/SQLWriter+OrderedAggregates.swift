import SQLTypes

// Aggregates with ORDER BY: SQLite has none, but it feeds an aggregate its rows in the order of a subquery in FROM, and its
// sorter for GROUP BY keeps the order of equal keys. LIMIT -1 keeps it from merging the subquery into the query.
extension SQLWriter {
  mutating func orderedAggregation(_ select: Select, _ query: Query, _ order: [SortKey]) throws(SQLError) -> String {
    let source = "o\(orderedSources)"
    orderedSources += 1
    let own = Set(select.from.flatMap(\.relations))
    var used: [TypedExpression] = []
    var walker = QueryWalker(rangeTable: rangeTable)
    walker.onExpression = { expression in
      expression.visit(intoQueries: false) {
        if case .column(let relation, _, _) = $0, own.contains(relation), !used.contains($0) { used.append($0) }
      }
    }
    for expression in select.targets + [select.having].compactMap({ $0 }) + select.groupBy { walker.walk(expression) }
    for key in query.orderBy { walker.walk(key.expression) }
    var columns: [String] = []
    for (index, column) in used.enumerated() { columns.append("\(try expression(column)) AS x\(index + 1)") }
    if columns.isEmpty { columns = ["1 AS x1"] }
    var inner = Select(targets: [], from: select.from)
    inner.condition = select.condition
    let text =
      "(SELECT \(columns.joined(separator: ", "))\(try clauses(inner)) ORDER BY \(try sortList(order)) LIMIT -1) AS \(source)"
    let outer = (replacements, aggregateOrder)
    defer { (replacements, aggregateOrder) = outer }
    for (index, column) in used.enumerated() { replacements[column] = "\(source).x\(index + 1)" }
    aggregateOrder = order
    return try orderedSelect(select, query, from: text)
  }
}

extension SQLWriter {
  /// An aggregate over different values that SQLite cannot call with DISTINCT, as it takes several arguments: a function
  /// that finds the different values itself. nil where SQLite can.
  func distinctAggregate(
    _ call: TypedExpression.AggregateCall, _ arguments: [String]
  ) throws(SQLError) -> String? {
    if arguments.count == 1 {
      guard case .sqliteTyped = call.signature.implementation else { return nil }
    }
    let key = call.orderBy.first
    let names = ["array_agg": "pg_array_agg_distinct", "string_agg": "pg_string_agg_distinct"]
    guard let name = names[call.signature.name], let first = call.arguments.first,
      first.type.oid != SQLType.bytea.oid || arguments.count == 1, call.orderBy.count <= 1,
      key.map({ $0.expression == first && $0.nullsFirst == $0.isDescending }) ?? true
    else { throw SQLError(.featureNotSupported, "DISTINCT in \(call.signature.name) is not supported here") }
    let isDescending = key?.isDescending == true ? 1 : 0
    return "\(name)(\(first.type.oid), \(arguments.joined(separator: ", ")), \(isDescending))"
  }
}

extension TypedExpression.AggregateCall {
  /// Aggregates whose result is the same in any order of their rows.
  private static let orderInsensitive: Set<String> = [
    "count", "sum", "avg", "min", "max", "bool_and", "bool_or", "every", "bit_and", "bit_or", "bit_xor", "stddev",
    "stddev_samp", "stddev_pop", "variance", "var_samp", "var_pop",
  ]

  /// Whether its ORDER BY matters.
  var dependsOnOrder: Bool { !orderBy.isEmpty && !isDistinct && !Self.orderInsensitive.contains(signature.name) }
}

extension Select {
  /// The order that its aggregates ask for, that of the first where they differ; nil where none does.
  func aggregateOrder(_ query: Query) -> [SortKey]? {
    guard hasAggregates else { return nil }
    var order: [SortKey]?
    for expression in targets + [having].compactMap({ $0 }) + query.orderBy.map(\.expression) {
      expression.visit(intoQueries: false) {
        if order == nil, case .aggregate(let call) = $0, call.dependsOnOrder { order = call.orderBy }
      }
    }
    return order
  }
}
