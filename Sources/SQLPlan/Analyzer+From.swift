import Metadata
import SQLTree
import SQLTypes

// FROM: what it brings into scope.
extension Analyzer {
  /// Adds the entries of FROM to the scope. `outer` is what a subquery in FROM sees: everything but its neighbours.
  func analyzeFrom(_ items: [FromItem], _ scope: Scope, outer: Scope) throws(SQLError) -> [FromNode] {
    var nodes: [FromNode] = []
    for item in items {
      let (node, named) = try fromItem(item, scope, outer: outer)
      for entry in named { try add(entry, to: scope, at: location(item)) }
      nodes.append(node)
    }
    return nodes
  }

  private func location(_ item: FromItem) -> SourceLocation {
    switch item {
    case .table(let name, _): name.location
    case .subquery(_, _, _, let location), .function(_, _, _, _, _, let location): location
    case .join(let join): join.location
    }
  }

  private func add(_ item: Scope.Item, to scope: Scope, at location: SourceLocation) throws(SQLError) {
    if item.hasName, item.isRelationVisible,
      scope.items.contains(where: { $0.hasName && $0.isRelationVisible && $0.name == item.name })
    {
      throw failure(
        .duplicateAlias, "table name \"\(item.name)\" specified more than once", at: location)
    }
    scope.items.append(item)
  }

  private func fromItem(
    _ item: FromItem, _ scope: Scope, outer: Scope
  ) throws(SQLError) -> (FromNode, [Scope.Item]) {
    switch item {
    case .table(let name, let alias):
      let (id, item) = try table(name, alias, outer)
      return (.relation(id), [item])
    case .subquery(let select, let isLateral, let alias, let location):
      if isLateral { throw unsupported("LATERAL", at: location) }
      guard let alias else {
        throw failure(
          .syntaxError, "subquery in FROM must have an alias", at: location,
          hint: "For example, FROM (SELECT ...) [AS] foo.")
      }
      let query = try analyzeQuery(select, parent: outer)
      let id = rangeTable.add(
        RangeTable.Entry(
          name: alias.name, columns: query.columns.map { RangeTable.Column(name: $0.name, type: $0.type) },
          source: .subquery(query)))
      return (.relation(id), [try scopeItem(id, alias.name, alias, at: location)])
    case .function(let calls, _, let hasOrdinality, let alias, let columns, let location):
      return try functionInFrom(calls, hasOrdinality, alias, columns, scope, at: location)
    case .join(let join): return try joined(join, scope, outer: outer)
    }
  }

  private func scopeItem(
    _ id: Int, _ name: String, _ alias: TableAlias?, schema: String? = nil, at location: SourceLocation
  ) throws(SQLError) -> Scope.Item {
    let names = alias?.columnNames ?? []
    let count = rangeTable[id].columns.count
    guard names.count <= count else {
      throw failure(
        .invalidColumnReference,
        "table \"\(name)\" has \(count) columns available but \(names.count) columns specified", at: location)
    }
    let columns = scopeColumns(id, renamed: names)
    if let alias { aliases[id] = alias.name }
    return Scope.Item(name: alias?.name ?? name, schema: schema, columns: columns, visibleColumns: columns)
  }

  private func table(
    _ name: RelationName, _ alias: TableAlias?, _ scope: Scope
  ) throws(SQLError) -> (Int, Scope.Item) {
    if name.schema == nil, name.catalog == nil, let common = scope.commonTable(name.name) {
      let id = rangeTable.add(
        RangeTable.Entry(
          name: name.name, columns: commonTables[common].columns, source: .commonTable(common)))
      return (id, try scopeItem(id, name.name, alias, at: name.location))
    }
    guard let found = try findRelation(name) else { throw noRelation(name) }
    let id: Int
    switch found {
    case .relation(.table(let table)):
      if !name.includesDescendants, table.partitioning != nil {
        throw unsupported("ONLY on a partitioned table", at: name.location)
      }
      use(table)
      id = addTable(table, name: name.name)
    case .relation(.view(let view)): id = try addView(view, name: name.name, at: name.location)
    case .relation(.sequence(let sequence)): id = addSequence(sequence)
    case .relation(.index):
      throw failure(.wrongObjectType, "\"\(name.name)\" is an index", at: name.location)
    case .virtual(let relation):
      id = rangeTable.add(
        RangeTable.Entry(
          name: relation.name, columns: relation.columns.map { RangeTable.Column(name: $0.name, type: $0.type) },
          source: .virtual(relation)))
    }
    return (id, try scopeItem(id, name.name, alias, schema: name.schema, at: name.location))
  }

  /// A sequence reads as a table of one row.
  private func addSequence(_ sequence: SequenceDefinition) -> Int {
    dependencies.sequences.insert(sequence.id)
    let id = sequence.id
    let relation = VirtualRelation(
      schema: "", name: sequence.name, oid: id.rawValue,
      columns: [
        VirtualRelation.Column("last_value", .int8), VirtualRelation.Column("log_cnt", .int8),
        VirtualRelation.Column("is_called", .bool),
      ]
    ) { image, _, columns in
      guard let current = image.sequences[id] else { return [] }
      let last = current.lastReserved ?? current.start
      let row: [StoredValue] = [.integer(last), .integer(0), .boolean(current.lastReserved != nil)]
      return [columns.map { row[$0] }]
    }
    return rangeTable.add(
      RangeTable.Entry(
        name: sequence.name, columns: relation.columns.map { RangeTable.Column(name: $0.name, type: $0.type) },
        source: .virtual(relation)))
  }

  // MARK: - Functions

  private func functionInFrom(
    _ calls: [FunctionCall], _ hasOrdinality: Bool, _ alias: TableAlias?, _ typedColumns: [ColumnTypeAlias],
    _ scope: Scope, at location: SourceLocation
  ) throws(SQLError) -> (FromNode, [Scope.Item]) {
    guard calls.count == 1, typedColumns.isEmpty else {
      throw unsupported(calls.count == 1 ? "a column definition list" : "ROWS FROM", at: location)
    }
    let call = calls[0]
    let name = call.name.last ?? ""
    let outerClause = clause
    clause = .from
    defer { clause = outerClause }
    let id: Int
    if name == "pg_partition_ancestors" {
      id = try partitionAncestors(call, scope)
    } else if let function = try setFunction(call, scope) {
      var columns = [RangeTable.Column(name: alias?.name ?? name, type: function.type)]
      if hasOrdinality { columns.append(RangeTable.Column(name: "ordinality", type: .int8)) }
      id = rangeTable.add(RangeTable.Entry(name: name, columns: columns, source: .setFunction(function)))
    } else {
      if hasOrdinality { throw unsupported("WITH ORDINALITY on function \(name)", at: location) }
      let value = try self.function(call, scope)
      id = rangeTable.add(
        RangeTable.Entry(
          name: name, columns: [RangeTable.Column(name: alias?.name ?? name, type: value.type)],
          source: .single([value])))
    }
    return (.relation(id), [try scopeItem(id, name, alias, at: location)])
  }

  /// `pg_partition_ancestors(table)` of a table that is known: the table and what it is a partition of, upwards.
  func partitionAncestors(_ call: FunctionCall, _ scope: Scope) throws(SQLError) -> Int {
    let arguments = try all(call.arguments, scope)
    guard arguments.count == 1 else { throw noFunction(call, arguments.map(\.type)) }
    let argument = try coerce(arguments[0], to: .regclass, .implicit, at: call.location)
    guard case .constant(let value, _) = argument else {
      throw unsupported("pg_partition_ancestors of an expression", at: call.location)
    }
    var rows: [[TypedExpression]] = []
    var table = value.integerValue.flatMap { UInt32(exactly: $0) }.flatMap {
      planner.image.tables[ObjectID(rawValue: $0)]
    }
    if table?.partition == nil, table?.partitioning == nil { table = nil }
    while let current = table {
      use(current)
      rows.append([.constant(.integer(Int64(current.id.rawValue)), .regclass)])
      table = current.partition.flatMap { planner.image.tables[$0.parentID] }
    }
    let columns = [Query.Column(name: "relid", type: .regclass)]
    var query = Query(body: .values(rows), columns: columns, outputRelation: addOutput(columns))
    if rows.isEmpty {
      var select = Select(targets: [.constant(.null, .regclass)])
      select.condition = .constant(.boolean(false), .bool)
      query.body = .select(select)
    }
    return rangeTable.add(
      RangeTable.Entry(
        name: call.name.last ?? "", columns: [RangeTable.Column(name: "relid", type: .regclass)],
        source: .subquery(query)))
  }

  /// The set-returning function that a call means; nil where it is none.
  func setFunction(_ call: FunctionCall, _ scope: Scope) throws(SQLError) -> RangeTable.SetFunction? {
    guard call.name.count == 1 || call.name[0] == "pg_catalog", !call.isStar, call.over == nil else { return nil }
    // Any column makes it lateral: SQLite then wants a form that may refer to its neighbours.
    func isLateral(_ arguments: [TypedExpression]) -> Bool { arguments.contains { !$0.relations.isEmpty } }
    switch call.name.last ?? "" {
    case "generate_series":
      let (start, stop, step, next) = try series(call, scope)
      return RangeTable.SetFunction(
        kind: .series(start: start, stop: stop, step: step, next: next), type: start.type,
        isLateral: isLateral([start, stop, step]))
    case "unnest":
      let array = try arrayArgument(call, scope)
      return RangeTable.SetFunction(
        kind: .elements(array), type: array.type.elementType?.base ?? .text, isLateral: isLateral([array]))
    case "generate_subscripts":
      let array = try arrayArgument(call, scope)
      if call.arguments.count > 1 {
        let dimension = try coerce(analyze(call.arguments[1], scope), to: .int4, .implicit, at: call.location)
        if case .constant(let value, _) = dimension, value != .integer(1) {
          throw unsupported("generate_subscripts of another dimension than the first", at: call.location)
        }
      }
      // The vectors of the catalog count from 0.
      let written = try analyze(call.arguments[0], scope).type.oid
      let first = written == SQLType.int2vector.oid || written == SQLType.oidvector.oid ? 0 : 1
      return RangeTable.SetFunction(
        kind: .subscripts(array, first: first), type: .int4, isLateral: isLateral([array]))
    case "jsonb_array_elements", "jsonb_array_elements_text":
      guard call.arguments.count == 1 else { return nil }
      let document = try coerce(analyze(call.arguments[0], scope), to: .jsonb, .implicit, at: call.location)
      let symbol = call.name.last == "jsonb_array_elements" ? "->" : "->>"
      let element = try operatorCandidate(symbol, .jsonb, .int4, at: call.location).signature
      return RangeTable.SetFunction(
        kind: .jsonElements(document, element), type: element.resultType, isLateral: isLateral([document]))
    default: return nil
    }
  }

  private func arrayArgument(_ call: FunctionCall, _ scope: Scope) throws(SQLError) -> TypedExpression {
    guard let argument = call.arguments.first else {
      throw failure(.undefinedFunction, "function \(call.name.last ?? "")() does not exist", at: call.location)
    }
    var array = try analyze(argument, scope)
    if array.type.oid == SQLType.int2vector.oid { array = try coerce(array, to: .int2Array, .implicit) }
    if array.type.oid == SQLType.oidvector.oid { array = try coerce(array, to: .oidArray, .implicit) }
    if array.type.oid == SQLType.unknown.oid { array = try coerce(array, to: .textArray, .implicit) }
    guard array.type.isArray else {
      throw failure(
        .undefinedFunction, "function \(call.name.last ?? "")(\(array.type.displayName)) does not exist",
        at: call.location, hint: Self.functionHint)
    }
    return array
  }

  private func series(
    _ call: FunctionCall, _ scope: Scope
  ) throws(SQLError) -> (TypedExpression, TypedExpression, TypedExpression, FunctionSignature) {
    let arguments = try all(call.arguments, scope)
    guard (2...3).contains(arguments.count) else { throw noFunction(call, arguments.map(\.type)) }
    let kinds: [[SQLType]] = [
      [.int4, .int4, .int4], [.int8, .int8, .int8], [.numeric, .numeric, .numeric],
      [.timestamp, .timestamp, .interval], [.timestamptz, .timestamptz, .interval],
    ]
    let signatures = kinds.compactMap { types -> FunctionSignature? in
      if arguments.count == 2, types[2].oid == SQLType.interval.oid { return nil }
      return FunctionSignature(
        kind: .function, name: "generate_series", argumentTypes: Array(types.prefix(arguments.count)),
        resultType: types[0], implementation: .sqlite("generate_series"))
    }
    guard case .one(let candidate) = choose(candidates(signatures, count: arguments.count), arguments.map(\.type))
    else { throw noFunction(call, arguments.map(\.type)) }
    let typed = try makeCall(candidate, arguments, at: call.location).arguments
    let type = typed[0].type
    let one: TypedExpression =
      type.oid == SQLType.numeric.oid ? .constant(.text("1"), .numeric) : .constant(.integer(1), type)
    let step = typed.count > 2 ? typed[2] : one
    if case .constant(.integer(0), _) = step {
      throw failure(.invalidParameterValue, "step size cannot equal zero", at: -1)
    }
    let next = try operatorCandidate("+", type, step.type, at: call.location).signature
    return (typed[0], typed[1], step, next)
  }

  // MARK: - Joins

  private func joined(
    _ join: JoinedTable, _ scope: Scope, outer: Scope
  ) throws(SQLError) -> (FromNode, [Scope.Item]) {
    let (left, leftItems) = try fromItem(join.left, scope, outer: outer)
    let inner = Scope(parent: scope)
    for item in leftItems { try add(item, to: inner, at: join.location) }
    let (right, rightItems) = try fromItem(join.right, inner, outer: outer)
    for item in rightItems { try add(item, to: inner, at: join.location) }
    let leftColumns = leftItems.flatMap(\.visibleColumns)
    let rightColumns = rightItems.flatMap(\.visibleColumns)
    var using = join.using
    if join.isNatural {
      using = leftColumns.map(\.name).filter { name in rightColumns.contains { $0.name == name } }
    }
    var condition: TypedExpression?
    var merged: [Scope.Column] = []
    if !using.isEmpty {
      var tests: [TypedExpression] = []
      for name in using {
        let (test, column) = try usingColumn(name, join, leftColumns, rightColumns)
        tests.append(test)
        merged.append(column)
      }
      condition = conjunction(tests)
    } else if let written = join.condition {
      let outerClause = clause
      clause = .joinOn
      defer { clause = outerClause }
      let joinScope = Scope(parent: outer)
      joinScope.items = leftItems + rightItems
      let typed = try analyze(written, joinScope)
      condition = try coerceToBoolean(typed, clause: "JOIN/ON", at: location(written, join.location))
    }
    var items = leftItems + rightItems
    for index in items.indices { items[index].visibleColumns = [] }
    let visible =
      merged + leftColumns.filter { !using.contains($0.name) } + rightColumns.filter { !using.contains($0.name) }
    let node = FromNode.join(join.kind, left, right, condition: condition)
    guard let alias = join.alias else {
      items.append(Scope.Item(name: "", columns: visible, visibleColumns: visible, hasName: false))
      return (node, items)
    }
    let named = visible.enumerated().map { index, column in
      var copy = column
      if index < alias.columnNames.count { copy.name = alias.columnNames[index] }
      return copy
    }
    return (node, [Scope.Item(name: alias.name, columns: named, visibleColumns: named)])
  }

  private func usingColumn(
    _ name: String, _ join: JoinedTable, _ leftColumns: [Scope.Column], _ rightColumns: [Scope.Column]
  ) throws(SQLError) -> (TypedExpression, Scope.Column) {
    func only(_ columns: [Scope.Column], _ side: String) throws(SQLError) -> Scope.Column {
      let found = columns.filter { $0.name == name }
      guard found.count < 2 else {
        throw failure(
          .ambiguousColumn, "common column name \"\(name)\" appears more than once in \(side) table", at: join.location)
      }
      guard let column = found.first else {
        throw failure(
          .undefinedColumn, "column \"\(name)\" specified in USING clause does not exist in \(side) table",
          at: join.location)
      }
      return column
    }
    let left = try only(leftColumns, "left")
    let right = try only(rightColumns, "right")
    let test = try operatorCall(["="], left.expression, right.expression, at: join.location)
    let type = try commonType(
      [left.expression, right.expression], context: "JOIN/USING", at: join.location)
    let a = try coerceToCommon(left.expression, type, context: "JOIN/USING", at: join.location)
    let b = try coerceToCommon(right.expression, type, context: "JOIN/USING", at: join.location)
    var column = join.kind == .right ? right : left
    switch join.kind {
    case .inner, .left: column.expression = a
    case .right: column.expression = b
    case .full:
      column.expression = .coalesce([a, b], type)
      column.tableOID = 0
      column.columnNumber = 0
    }
    column.isNotNull = join.kind == .inner && column.isNotNull
    return (test, column)
  }
}
