import SQLTree
import SQLTypes

// Whole queries as SQLite's SQL.
extension SQLWriter {
  /// The query with columns `c1`, `c2` ….
  mutating func query(_ query: Query) throws(SQLError) -> String {
    var text = try with(query.commonTables)
    switch query.body {
    case .select(let select): text += try self.select(select, query)
    case .values(let rows): text += try values(rows, query)
    case .setOperation(let operation, let isAll, let left, let right):
      let compound = try setOperation(operation, isAll, left, right, columns: query.columns)
      if query.orderBy.isEmpty, query.limit == nil, query.offset == nil {
        text += compound
      } else {
        text += "SELECT \(outputList(query.columns)) FROM (\(compound))" + (try tail(query))
      }
    }
    return text
  }

  private mutating func with(_ tables: [CommonTableQuery]) throws(SQLError) -> String {
    guard !tables.isEmpty else { return "" }
    var items: [String] = []
    for table in tables {
      let columns = table.query.columns.indices.map { "c\($0 + 1)" }.joined(separator: ", ")
      items.append("q\(table.id)(\(columns)) AS (\(try query(table.query)))")
    }
    let keyword = tables.contains(where: \.isRecursive) ? "WITH RECURSIVE " : "WITH "
    return keyword + items.joined(separator: ", ") + " "
  }

  private func outputList(_ columns: [Query.Column]) -> String {
    columns.indices.map { "c\($0 + 1)" }.joined(separator: ", ")
  }

  // MARK: - SELECT

  private mutating func select(_ select: Select, _ query: Query) throws(SQLError) -> String {
    for node in select.from { nullable.formUnion(node.nullableRelations) }
    if let order = select.aggregateOrder(query), !order.isEmpty { return try orderedAggregation(select, query, order) }
    if case .on(let keys) = select.distinct { return try distinctOn(keys, select, query) }
    return try plainSelect(select, query, from: nil)
  }

  /// A query whose FROM and WHERE are already written.
  mutating func orderedSelect(_ select: Select, _ query: Query, from: String) throws(SQLError) -> String {
    if case .on = select.distinct {
      throw SQLError(.featureNotSupported, "DISTINCT ON with an ordered aggregate is not supported")
    }
    return try plainSelect(select, query, from: from)
  }

  private mutating func plainSelect(_ select: Select, _ query: Query, from: String?) throws(SQLError) -> String {
    var targets: [String] = []
    for (index, target) in select.targets.enumerated() {
      var text = try expression(target)
      if select.distinct == .all { text = key(text, target.type) }
      targets.append("\(text) AS c\(index + 1)")
    }
    if targets.isEmpty { targets = ["1 AS c1"] }
    if select.having != nil, select.groupBy.isEmpty, !select.targets.contains(where: \.hasAggregate) {
      // SQLite wants an aggregate beside HAVING where nothing is grouped by.
      targets[0] =
        "CASE WHEN count(*) >= 0 THEN \(try select.targets.first.map { target throws(SQLError) in try expression(target) } ?? "1") END AS c1"
    }
    var text = "SELECT " + (select.distinct == .all ? "DISTINCT " : "") + targets.joined(separator: ", ")
    text += try clauses(select, from: from)
    if !query.orderBy.isEmpty { text += " ORDER BY " + (try selectOrder(query.orderBy, select)) }
    return text + (try limits(query))
  }

  /// FROM to HAVING; FROM and WHERE may have been written already.
  mutating func clauses(_ select: Select, from source: String? = nil) throws(SQLError) -> String {
    var text = ""
    if let source {
      text += " FROM " + source
    } else if !select.from.isEmpty {
      var items: [String] = []
      for (index, node) in select.from.enumerated() { items.append(try from(node, isNested: index > 0)) }
      text += " FROM " + items.joined(separator: ", ")
    }
    if source == nil, let condition = select.condition { text += " WHERE \(try expression(condition))" }
    if !select.groupBy.isEmpty {
      var keys: [String] = []
      for item in select.groupBy { keys.append(key(try expression(item), item.type)) }
      text += " GROUP BY " + keys.joined(separator: ", ")
    }
    if let having = select.having {
      text += " HAVING \(try expression(having))"
    }
    return text
  }

  /// A key that is an output column is written as its position, so that it is computed once.
  private mutating func selectOrder(_ keys: [SortKey], _ select: Select) throws(SQLError) -> String {
    var items: [String] = []
    for key in keys {
      if let position = select.targets.firstIndex(of: key.expression), key.expression.type.sqliteKeyFunction == nil {
        items.append(sortItem(key, String(position + 1)))
      } else if key.expression.isRowIndependent {
        continue
      } else {
        items.append(sortItem(key, try expression(key.expression)))
      }
    }
    return items.isEmpty ? "NULL" : items.joined(separator: ", ")
  }

  /// DISTINCT ON: the first row of each group, by number.
  private mutating func distinctOn(
    _ keys: [TypedExpression], _ select: Select, _ query: Query
  ) throws(SQLError) -> String {
    var targets: [String] = []
    for (index, target) in select.targets.enumerated() { targets.append("\(try expression(target)) AS c\(index + 1)") }
    var order: [String] = []
    for (index, sortKey) in query.orderBy.enumerated() {
      targets.append("\(try expression(sortKey.expression)) AS k\(index + 1)")
      order.append(sortItem(sortKey, "k\(index + 1)"))
    }
    var partition: [String] = []
    for item in keys { partition.append(key(try expression(item), item.type)) }
    let inner = query.orderBy.isEmpty ? "" : " ORDER BY \(try sortList(query.orderBy))"
    targets.append("row_number() OVER (PARTITION BY \(partition.joined(separator: ", "))\(inner)) AS n")
    var text = "SELECT \(outputList(query.columns)) FROM (SELECT \(targets.joined(separator: ", "))"
    text += try clauses(select) + ") WHERE n = 1"
    if !order.isEmpty { text += " ORDER BY " + order.joined(separator: ", ") }
    return text + (try limits(query))
  }

  // MARK: - FROM

  private mutating func from(_ node: FromNode, isNested: Bool) throws(SQLError) -> String {
    switch node {
    case .relation(let id): return try relation(id)
    case .join(let kind, let left, let right, let condition):
      let keyword: String
      switch kind {
      case .inner: keyword = "JOIN"
      case .left: keyword = "LEFT JOIN"
      case .right: keyword = "RIGHT JOIN"
      case .full: keyword = "FULL JOIN"
      }
      var text = "\(try from(left, isNested: false)) \(keyword) \(try from(right, isNested: true))"
      if let condition { text += " ON \(try expression(condition))" }
      return isNested ? "(\(text))" : text
    }
  }

  private mutating func relation(_ id: Int) throws(SQLError) -> String {
    switch rangeTable[id].source {
    case .table, .virtual:
      switch tables[id] {
      case .slot(let slot)?: return "\(mark("T", slot)) AS r\(id)"
      case .local(let name)?: return "\(name) AS r\(id)"
      default: throw SQLError(.internalError, "relation \(rangeTable[id].name) has no place in the plan")
      }
    case .subquery(let query):
      // LIMIT keeps SQLite from merging the subquery, and so from computing a volatile column at each mention.
      let isVolatile = query.limit == nil && query.offset == nil && query.ownExpressions.contains(where: \.isVolatile)
      return "(\(try self.query(query))\(isVolatile ? " LIMIT -1" : "")) AS r\(id)"
    case .commonTable(let common): return "q\(common) AS r\(id)"
    case .setFunction(let function): return try setFunction(function, id)
    case .lockstep(let functions): return try lockstep(functions, id)
    case .single(let values):
      guard values.allSatisfy({ $0.relations.isEmpty }) else {
        throw SQLError(.featureNotSupported, "a function in FROM over columns of its neighbours is not supported")
      }
      return "(SELECT \(try expression(values[0])) AS c1) AS r\(id)"
    case .excluded: throw SQLError(.internalError, "excluded in FROM")
    }
  }

  private mutating func setFunction(_ function: RangeTable.SetFunction, _ id: Int) throws(SQLError) -> String {
    if case .series(let start, let stop, let step, let next) = function.kind, !function.isLateral {
      return "(\(try series(start, stop, step, next))) AS r\(id)"
    }
    return "\(elements(count: try count(function))) AS r\(id)"
  }

  /// How many rows an indexed function gives.
  private mutating func count(_ function: RangeTable.SetFunction) throws(SQLError) -> String {
    switch function.kind {
    case .series(let start, let stop, let step, _):
      guard function.isIndexed else {
        throw SQLError(.featureNotSupported, "generate_series over columns is supported for integers only")
      }
      let (first, last, by) = (try expression(start), try expression(stop), try expression(step))
      return "((\(last) - \(first)) / nullif(\(by), 0) + 1)"
    case .elements(let array), .subscripts(let array, _): return "pg_cardinality(\(try expression(array)))"
    case .jsonElements(let document, _): return "pg_jsonb_array_length(\(try expression(document)))"
    }
  }

  private mutating func lockstep(_ functions: [RangeTable.SetFunction], _ id: Int) throws(SQLError) -> String {
    var counts: [String] = []
    for function in functions { counts.append("coalesce(\(try count(function)), 0)") }
    return "\(elements(count: "max(\(counts.joined(separator: ", ")))")) AS r\(id)"
  }

  mutating func lockstepColumn(_ function: RangeTable.SetFunction, _ relation: Int) throws(SQLError) -> String {
    let value = try indexedValue(function, relation)
    return "(CASE WHEN r\(relation).key < \(try count(function)) THEN \(value) END)"
  }

  /// `generate_series` as a recursion: rows come one by one.
  private mutating func series(
    _ start: TypedExpression, _ stop: TypedExpression, _ step: TypedExpression, _ next: FunctionSignature
  ) throws(SQLError) -> String {
    let type = start.type
    let (first, last, by) = (try expression(start), try expression(stop), try expression(step))
    let zero = zero(of: step.type)
    func within(_ value: String, _ ascending: Bool) -> String {
      "\(key(value, type)) \(ascending ? "<=" : ">=") \(last)"
    }
    let isUp = "\(key(by, step.type)) > \(zero)"
    let isFlat = "\(key(by, step.type)) = \(zero)"
    func test(_ value: String) -> String {
      "CASE WHEN \(isFlat) THEN pg_raise('22023', 'step size cannot equal zero') WHEN \(isUp) THEN \(within(value, true)) ELSE \(within(value, false)) END"
    }
    let following: String
    if [SQLType.int4.oid, SQLType.int8.oid].contains(type.oid) {
      // The last step may lie beyond the type: it ends the series, without an error.
      following = "c1 + \(by)"
    } else {
      following = next.implementation.sql(arguments: ["c1", by], types: [type, step.type])
    }
    return "WITH RECURSIVE s(c1) AS (SELECT \(first) WHERE \(test(first)) UNION ALL SELECT \(following) FROM s "
      + "WHERE \(test(following))) SELECT c1 FROM s"
  }

  /// Zero as SQL, under the key by which steps compare.
  private func zero(of type: SQLType) -> String {
    switch type.oid {
    case SQLType.numeric.oid: return "'0'"
    case SQLType.interval.oid:
      let bytes: [UInt8] = [0x80, 0, 0, 0, 0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]
      return key(SQLLiteral.text(.blob(bytes)), type)
    default: return "0"
    }
  }

  mutating func setFunctionColumn(
    _ function: RangeTable.SetFunction, _ relation: Int, _ index: Int
  ) throws(SQLError) -> String {
    let isRecursion: Bool
    if case .series = function.kind { isRecursion = !function.isLateral } else { isRecursion = false }
    if index == 1 {
      guard !isRecursion else {
        throw SQLError(.featureNotSupported, "WITH ORDINALITY on generate_series is not supported")
      }
      return "(r\(relation).key + 1)"
    }
    return isRecursion ? "r\(relation).c1" : try indexedValue(function, relation)
  }

  /// The value of the row with that key.
  private mutating func indexedValue(_ function: RangeTable.SetFunction, _ relation: Int) throws(SQLError) -> String {
    switch function.kind {
    case .series(let start, _, let step, _):
      return "(\(try expression(start)) + r\(relation).key * \(try expression(step)))"
    case .elements(let array):
      return "pg_array_element(\(function.type.oid), \(try expression(array)), r\(relation).key + 1)"
    case .subscripts(_, let first): return "(r\(relation).key + \(first))"
    case .jsonElements(let document, let element):
      return element.implementation.sql(
        arguments: [try expression(document), "r\(relation).key"], types: [.jsonb, .int4])
    }
  }

  // MARK: - VALUES and set operations

  private mutating func values(_ rows: [[TypedExpression]], _ query: Query) throws(SQLError) -> String {
    // SQLite names the columns of VALUES as it likes: the first row names them.
    let first = try list(rows.first ?? []).enumerated().map { "\($1) AS c\($0 + 1)" }.joined(separator: ", ")
    var text = "SELECT \(first)"
    if rows.count > 1 {
      var others: [String] = []
      for row in rows.dropFirst() { others.append("(\(try list(row).joined(separator: ", ")))") }
      text += " UNION ALL VALUES " + others.joined(separator: ", ")
    }
    let tail = try tail(query)
    return tail.isEmpty ? text : "SELECT \(outputList(query.columns)) FROM (\(text))" + tail
  }

  /// ORDER BY and LIMIT over output columns.
  private mutating func tail(_ query: Query) throws(SQLError) -> String {
    var keys: [String] = []
    for key in query.orderBy {
      guard case .column(_, let index, _) = key.expression else { continue }
      keys.append(sortItem(key, key.expression.type.sqliteKeyFunction == nil ? String(index + 1) : "c\(index + 1)"))
    }
    return (keys.isEmpty ? "" : " ORDER BY " + keys.joined(separator: ", ")) + (try limits(query))
  }

  private mutating func setOperation(
    _ operation: SelectStatement.SetOperation, _ isAll: Bool, _ left: Query, _ right: Query, columns: [Query.Column]
  ) throws(SQLError) -> String {
    if operation == .union {
      let keyword = isAll ? "UNION ALL" : "UNION"
      return "\(try operand(left, isLeft: true)) \(keyword) \(try operand(right, isLeft: false))"
    }
    guard isAll else {
      return "\(try operand(left, isLeft: true)) \(operation.name) \(try operand(right, isLeft: false))"
    }
    // Equal rows are numbered, so that SQLite's operators on sets count them.
    let list = columns.enumerated().map { key("c\($0 + 1)", $1.type) + " AS c\($0 + 1)" }.joined(separator: ", ")
    let keys = columns.enumerated().map { key("c\($0 + 1)", $1.type) }.joined(separator: ", ")
    let numbered = "SELECT \(list), row_number() OVER (PARTITION BY \(keys)) AS n FROM"
    return "SELECT \(outputList(columns)) FROM (\(numbered) (\(try query(left))) \(operation.name) "
      + "\(numbered) (\(try query(right))))"
  }

  private mutating func operand(_ query: Query, isLeft: Bool) throws(SQLError) -> String {
    let hasTail = !query.orderBy.isEmpty || query.limit != nil || query.offset != nil || !query.commonTables.isEmpty
    let isCollated = query.columns.contains { $0.type.sqliteCollation != nil }
    if !hasTail, !isCollated {
      if case .select(let select) = query.body {
        if case .on = select.distinct {} else { return try self.query(query) }
      }
      if case .setOperation = query.body, isLeft { return try self.query(query) }
    }
    let list = query.columns.enumerated().map { index, column in
      column.type.sqliteCollation == nil ? "c\(index + 1)" : "\(key("c\(index + 1)", column.type)) AS c\(index + 1)"
    }
    return "SELECT \(list.joined(separator: ", ")) FROM (\(try self.query(query)))"
  }

  // MARK: - LIMIT

  mutating func limits(_ query: Query) throws(SQLError) -> String {
    guard query.limit != nil || query.offset != nil else { return "" }
    var text = " LIMIT \(try rowCount(query.limit, "LIMIT", "2201W", missing: "-1"))"
    if let offset = query.offset { text += " OFFSET \(try rowCount(offset, "OFFSET", "2201X", missing: "0"))" }
    return text
  }

  private mutating func rowCount(
    _ expression: TypedExpression?, _ clause: String, _ state: String, missing: String
  ) throws(SQLError) -> String {
    guard let expression else { return missing }
    let text = try self.expression(expression)
    if case .constant = expression { return text }
    return "(CASE WHEN \(text) < 0 THEN pg_raise('\(state)', '\(clause) must not be negative') "
      + "ELSE coalesce(\(text), \(missing)) END)"
  }
}

extension FromNode {
  /// Relations whose columns an outer join may make null.
  var nullableRelations: [Int] {
    switch self {
    case .relation: return []
    case .join(let kind, let left, let right, _):
      let inner = left.nullableRelations + right.nullableRelations
      switch kind {
      case .inner: return inner
      case .left: return inner + right.relations
      case .right: return inner + left.relations
      case .full: return inner + left.relations + right.relations
      }
    }
  }
}

extension Query {
  /// Whether it can answer no more than one row: what a scalar subquery need not check.
  var hasOneRowAtMost: Bool {
    if case .constant(.integer(let count), _)? = limit, count <= 1 { return true }
    switch body {
    case .select(let select):
      return (select.isGrouped && select.groupBy.isEmpty) || select.from.isEmpty
    case .values(let rows): return rows.count <= 1
    case .setOperation: return false
    }
  }
}

extension TypedExpression {
  /// Whether it is the same for each row, so that sorting by it does nothing.
  var isRowIndependent: Bool {
    switch self {
    case .constant, .parameter: true
    default: false
    }
  }
}
