import SQLTree
import SQLTypes

// Queries: WITH, VALUES, set operations, LIMIT; SELECT itself is in Analyzer+Select.swift.
extension Analyzer {
  /// Resolves a query. Literals of no type become text unless `keepsUnknown`, where the caller knows better.
  func analyzeQuery(
    _ statement: SelectStatement, parent: Scope, keepsUnknown: Bool = false
  ) throws(SQLError) -> Query {
    let outer = (clause, hasAggregates, hasWindows, setReturningRelations)
    defer { (clause, hasAggregates, hasWindows, setReturningRelations) = outer }
    (hasAggregates, hasWindows, setReturningRelations) = (false, false, [])
    if statement.isWithTies { throw unsupported("WITH TIES") }
    if let locking = statement.locking.first {
      throw failure(.featureNotSupported, "\(locking.strength.clause) is not supported in a subquery", at: -1)
    }
    let scope = Scope(parent: parent)
    var tables: [CommonTableQuery] = []
    if let with = statement.with { tables = try commonTables(with, scope) }
    var query: Query
    switch statement.body {
    case .select(let core): query = try select(core, statement, scope, keepsUnknown: keepsUnknown)
    case .values(let rows):
      query = try values(rows, statement, scope, keepsUnknown: keepsUnknown)
      selectScope = nil
    case .setOperation(let operation, let isAll, let left, let right):
      query = try setOperation(operation, isAll, left, right, statement, scope)
      selectScope = nil
    }
    query.commonTables = tables
    let countScope = selectScope ?? scope
    selectScope = nil
    query.limit = try rowCount(statement.limit, .limit, countScope)
    query.offset = try rowCount(statement.offset, .offset, countScope)
    return query
  }

  private func rowCount(
    _ expression: Expression?, _ kind: ClauseKind, _ scope: Scope
  ) throws(SQLError) -> TypedExpression? {
    guard let expression else { return nil }
    clause = kind
    let typed = try analyze(expression, scope)
    let place = location(expression)
    guard typed.relations.isEmpty || typed.hasSubquery else {
      throw failure(
        .invalidColumnReference, "argument of \(kind.name) must not contain variables", at: place)
    }
    guard canCoerce(typed.type, .int8, .assignment) else {
      throw failure(
        .datatypeMismatch, "argument of \(kind.name) must be type bigint, not type \(typed.type.displayName)",
        at: place)
    }
    let count = try coerce(typed, to: .int8, .assignment, at: place)
    if case .constant(.null, _) = count { return nil }
    if case .constant(.integer(let number), _) = count, number < 0 {
      throw failure(
        kind == .limit ? .invalidRowCountInLimitClause : .invalidRowCountInResultOffsetClause,
        "\(kind.name) must not be negative")
    }
    return count
  }

  // MARK: - WITH

  func commonTables(_ with: WithClause, _ scope: Scope) throws(SQLError) -> [CommonTableQuery] {
    var all: [CommonTableQuery] = []
    for table in with.tables {
      if all.contains(where: { $0.name == table.name }) {
        throw failure(
          .duplicateAlias, "WITH query name \"\(table.name)\" specified more than once", at: table.location)
      }
      guard case .select(let select) = table.statement else {
        throw unsupported("a statement that changes rows in WITH", at: table.location)
      }
      if with.isRecursive, case .setOperation(.union, let isAll, let left, let right) = select.body,
        right.mentions(table.name), select.orderBy.isEmpty, select.limit == nil
      {
        all.append(try recursiveTable(table, isAll, left, right, scope))
        continue
      }
      let query = try analyzeQuery(select, parent: scope)
      all.append(try define(table, query, scope))
    }
    return all
  }

  private func define(
    _ table: CommonTable, _ query: Query, _ scope: Scope
  ) throws(SQLError) -> CommonTableQuery {
    let id = commonTables.count
    commonTables.append((table.name, try commonColumns(table, query)))
    scope.commonTables.append((table.name, id))
    return CommonTableQuery(id: id, name: table.name, query: query, isRecursive: false)
  }

  private func commonColumns(_ table: CommonTable, _ query: Query) throws(SQLError) -> [RangeTable.Column] {
    guard table.columnNames.count <= query.columns.count else {
      throw failure(
        .invalidColumnReference,
        "WITH query \"\(table.name)\" has \(query.columns.count) columns available but \(table.columnNames.count) columns specified",
        at: table.location)
    }
    return query.columns.enumerated().map { index, column in
      RangeTable.Column(
        name: index < table.columnNames.count ? table.columnNames[index] : column.name, type: column.type)
    }
  }

  private func recursiveTable(
    _ table: CommonTable, _ isAll: Bool, _ left: SelectStatement, _ right: SelectStatement, _ scope: Scope
  ) throws(SQLError) -> CommonTableQuery {
    let first = try analyzeQuery(left, parent: scope)
    let id = commonTables.count
    let columns = try commonColumns(table, first)
    commonTables.append((table.name, columns))
    scope.commonTables.append((table.name, id))
    var second = try analyzeQuery(right, parent: scope, keepsUnknown: true)
    guard first.columns.count == second.columns.count else {
      throw failure(.syntaxError, "each UNION query must have the same number of columns")
    }
    var types: [SQLType] = []
    for (index, column) in first.columns.enumerated() {
      let pair: [TypedExpression] = [.constant(.null, column.type), .constant(.null, second.columns[index].type)]
      let type = try commonType(pair, context: "UNION", at: -1)
      guard type.oid == column.type.oid else {
        throw failure(
          .datatypeMismatch,
          "recursive query \"\(table.name)\" column \(index + 1) has type \(column.type.displayName) in non-recursive "
            + "term but type \(type.displayName) overall",
          hint: "Cast the output of the non-recursive term to the correct type.")
      }
      types.append(column.type)
    }
    second = try coerceColumns(second, types, context: "UNION")
    let body = Query.Body.setOperation(.union, isAll: isAll, left: first, right: second)
    let query = Query(body: body, columns: first.columns, outputRelation: addOutput(first.columns))
    return CommonTableQuery(id: id, name: table.name, query: query, isRecursive: true)
  }

  /// An entry that stands for the result's own columns.
  func addOutput(_ columns: [Query.Column]) -> Int {
    rangeTable.add(
      RangeTable.Entry(
        name: "*OUTPUT*", columns: columns.map { RangeTable.Column(name: $0.name, type: $0.type) }, source: .excluded))
  }

  // MARK: - VALUES

  private func values(
    _ rows: [[Expression]], _ statement: SelectStatement, _ scope: Scope, keepsUnknown: Bool
  ) throws(SQLError) -> Query {
    clause = .values
    let width = rows.first?.count ?? 0
    var typed: [[TypedExpression]] = []
    for row in rows {
      guard row.count == width else {
        throw failure(
          .syntaxError, "VALUES lists must all be the same length", at: row.first.map { location($0) } ?? -1)
      }
      typed.append(try all(row, scope))
    }
    var columns: [Query.Column] = []
    for index in 0..<width {
      let items = typed.map { $0[index] }
      if keepsUnknown, items.allSatisfy({ $0.type.oid == SQLType.unknown.oid }) {
        columns.append(Query.Column(name: "column\(index + 1)", type: .unknown))
        continue
      }
      let type = try commonType(items, context: "VALUES", at: location(rows[0][index]))
      for row in typed.indices {
        typed[row][index] = try coerceToCommon(
          typed[row][index], type, context: "VALUES", at: location(rows[row][index]))
      }
      columns.append(Query.Column(name: "column\(index + 1)", type: type))
    }
    var query = Query(body: .values(typed), columns: columns, outputRelation: addOutput(columns))
    query.orderBy = try outputOrder(statement.orderBy, query, isSetOperation: false)
    return query
  }

  // MARK: - Set operations

  private func setOperation(
    _ operation: SelectStatement.SetOperation, _ isAll: Bool, _ left: SelectStatement, _ right: SelectStatement,
    _ statement: SelectStatement, _ scope: Scope
  ) throws(SQLError) -> Query {
    var first = try analyzeQuery(left, parent: scope, keepsUnknown: true)
    var second = try analyzeQuery(right, parent: scope, keepsUnknown: true)
    let name = operation.name
    guard first.columns.count == second.columns.count else {
      throw failure(
        .syntaxError, "each \(name) query must have the same number of columns", at: firstLocation(right))
    }
    var types: [SQLType] = []
    for (a, b) in zip(first.columns, second.columns) {
      let pair: [TypedExpression] = [.constant(.null, a.type), .constant(.null, b.type)]
      types.append(try commonType(pair, context: name, at: firstLocation(right)))
    }
    first = try coerceColumns(first, types, context: name)
    second = try coerceColumns(second, types, context: name)
    var columns = first.columns
    for index in columns.indices {
      columns[index].tableOID = 0
      columns[index].columnNumber = 0
      if !isAll { try checkEquality(types[index]) }
    }
    var query = Query(
      body: .setOperation(operation, isAll: isAll, left: first, right: second), columns: columns,
      outputRelation: addOutput(columns))
    query.orderBy = try outputOrder(statement.orderBy, query, isSetOperation: true)
    return query
  }

  private func firstLocation(_ statement: SelectStatement) -> SourceLocation {
    switch statement.body {
    case .select(let core): core.targets.first.map { location($0.expression, $0.location) } ?? -1
    case .values(let rows): rows.first?.first.map { location($0) } ?? -1
    case .setOperation(_, _, let left, _): firstLocation(left)
    }
  }

  /// 42883 for types without equality; 0A000 where equal values may differ in form.
  func checkEquality(_ type: SQLType) throws(SQLError) {
    if type.oid == SQLType.json.oid {
      throw failure(.undefinedFunction, "could not identify an equality operator for type json")
    }
    if type.oid == SQLType.interval.oid {
      throw unsupported("a set operation or DISTINCT over type interval", hint: "UNION ALL is supported.")
    }
  }

  /// The query with its columns as values of these types.
  func coerceColumns(_ query: Query, _ types: [SQLType], context: String) throws(SQLError) -> Query {
    guard zip(query.columns, types).contains(where: { $0.0.type != $0.1 }) else { return query }
    var result = query
    for (index, type) in types.enumerated() { result.columns[index].type = type }
    switch query.body {
    case .select(var select) where select.distinct == .no:
      for (index, type) in types.enumerated() where select.targets[index].type != type {
        select.targets[index] = try coerceToCommon(select.targets[index], type, context: context, at: -1)
      }
      result.body = .select(select)
      return result
    case .values(var rows) where query.orderBy.isEmpty:
      for row in rows.indices {
        for (index, type) in types.enumerated() where rows[row][index].type != type {
          rows[row][index] = try coerceToCommon(rows[row][index], type, context: context, at: -1)
        }
      }
      result.body = .values(rows)
      return result
    default:
      let id = rangeTable.add(
        RangeTable.Entry(
          name: "*SELECT*", columns: query.columns.map { RangeTable.Column(name: $0.name, type: $0.type) },
          source: .subquery(query)))
      var targets: [TypedExpression] = []
      for (index, type) in types.enumerated() {
        let column = TypedExpression.column(relation: id, index: index, query.columns[index].type)
        targets.append(try coerceToCommon(column, type, context: context, at: -1))
      }
      return Query(
        body: .select(Select(targets: targets, from: [.relation(id)])), columns: result.columns,
        outputRelation: addOutput(result.columns))
    }
  }

  /// ORDER BY over VALUES and set operations: output columns by name or position.
  private func outputOrder(
    _ items: [SortItem], _ query: Query, isSetOperation: Bool
  ) throws(SQLError) -> [SortKey] {
    var keys: [SortKey] = []
    for item in items {
      let place = location(item.expression, item.location)
      var index: Int?
      switch item.expression {
      case .constant(.integer(let position), _):
        guard position >= 1, position <= query.columns.count else {
          throw failure(
            .invalidColumnReference, "ORDER BY position \(position) is not in select list", at: place)
        }
        index = Int(position) - 1
      case .column(let name, false, _) where name.count == 1:
        index = query.columns.firstIndex { $0.name == name[0] }
        if index == nil {
          throw failure(.undefinedColumn, "column \"\(name[0])\" does not exist", at: place)
        }
      default: break
      }
      guard let index else {
        throw failure(
          .featureNotSupported, "invalid UNION/INTERSECT/EXCEPT ORDER BY clause", at: place,
          detail: "Only result column names can be used, not expressions or functions.",
          hint: "Add the expression/function to every SELECT, or move the UNION into a FROM clause.")
      }
      let column = TypedExpression.column(
        relation: query.outputRelation, index: index, query.columns[index].type)
      keys.append(try sortKey(item, column))
    }
    return keys
  }

  // MARK: - Subqueries in expressions

  func subquery(_ subquery: Subquery, _ scope: Scope) throws(SQLError) -> TypedExpression {
    if clause == .check {
      throw failure(
        .featureNotSupported, "cannot use subquery in check constraint", at: subquery.location)
    }
    if clause == .defaultValue {
      throw failure(
        .featureNotSupported, "cannot use subquery in DEFAULT expression", at: subquery.location)
    }
    switch subquery.kind {
    case .exists:
      return .subquery(TypedSubquery(kind: .exists, query: try analyzeQuery(subquery.query, parent: scope)))
    case .scalar:
      let query = try analyzeQuery(subquery.query, parent: scope)
      guard query.columns.count == 1 else {
        throw failure(.syntaxError, "subquery must return only one column", at: subquery.location)
      }
      return .subquery(TypedSubquery(kind: .scalar, query: query))
    case .array:
      let query = try analyzeQuery(subquery.query, parent: scope)
      guard query.columns.count == 1 else {
        throw failure(.syntaxError, "subquery must return only one column", at: subquery.location)
      }
      guard let type = query.columns[0].type.base.arrayType else {
        throw failure(
          .undefinedObject, "could not find array type for data type \(query.columns[0].type.displayName)",
          at: subquery.location)
      }
      return .subquery(TypedSubquery(kind: .array(type), query: query))
    case .any(let test, let name): return try compared(test, name, isAll: false, subquery, scope)
    case .all(let test, let name): return try compared(test, name, isAll: true, subquery, scope)
    }
  }

  private func compared(
    _ test: Expression, _ name: QualifiedName, isAll: Bool, _ subquery: Subquery, _ scope: Scope
  ) throws(SQLError) -> TypedExpression {
    let typed = try analyze(test, scope)
    var tests = [typed]
    if case .row(let items) = typed { tests = items }
    let query = try analyzeQuery(subquery.query, parent: scope)
    guard query.columns.count == tests.count else {
      throw failure(
        .syntaxError,
        query.columns.count < tests.count ? "subquery has too few columns" : "subquery has too many columns",
        at: subquery.location)
    }
    let symbol = name.last == "!=" ? "<>" : name.last ?? "="
    guard tests.count == 1 || (symbol == "=" && !isAll) || (symbol == "<>" && isAll) else {
      throw unsupported("a row compared by \(symbol) with a subquery", at: subquery.location)
    }
    var operators: [FunctionSignature] = []
    var values: [TypedExpression] = []
    var types: [SQLType] = []
    for (value, column) in zip(tests, query.columns) {
      let candidate = try operatorCandidate(symbol, value.type, column.type, at: subquery.location)
      operators.append(candidate.signature)
      values.append(try coerce(value, to: candidate.types[0], .implicit, at: subquery.location))
      types.append(isArrayPolymorphic(candidate.types[1]) ? column.type : candidate.types[1])
    }
    let coerced = try coerceColumns(query, types, context: "subquery")
    return .subquery(TypedSubquery(kind: .compare(values, operators, isAll: isAll), query: coerced))
  }
}

extension SelectStatement.SetOperation {
  /// Its keyword.
  var name: String {
    switch self {
    case .union: "UNION"
    case .intersect: "INTERSECT"
    case .except: "EXCEPT"
    }
  }
}

extension LockingClause.Strength {
  /// The clause as written.
  var clause: String {
    switch self {
    case .keyShare: "FOR KEY SHARE"
    case .share: "FOR SHARE"
    case .noKeyUpdate: "FOR NO KEY UPDATE"
    case .update: "FOR UPDATE"
    }
  }
}

extension SelectStatement {
  /// Whether FROM names a table so, at any depth of FROM: for finding the recursive term.
  func mentions(_ table: String) -> Bool {
    if with?.tables.contains(where: { $0.name == table }) == true { return false }
    switch body {
    case .select(let core): return core.from.contains { $0.mentions(table) }
    case .values: return false
    case .setOperation(_, _, let left, let right): return left.mentions(table) || right.mentions(table)
    }
  }
}

extension FromItem {
  func mentions(_ table: String) -> Bool {
    switch self {
    case .table(let name, _): return name.schema == nil && name.name == table
    case .subquery(let select, _, _, _): return select.mentions(table)
    case .function: return false
    case .join(let join): return join.left.mentions(table) || join.right.mentions(table)
    }
  }
}
