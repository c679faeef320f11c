import Metadata
import SQLTree
import SQLTypes

// What INSERT, UPDATE and DELETE share: targets, defaults, RETURNING.
extension Analyzer {
  /// The column number (index from 0) of an assignment's target: 42703 where there is none.
  func targetColumn(_ target: AssignmentTarget, _ table: TableDefinition) throws(SQLError) -> Int {
    guard let number = table.columnNumber(target.column) else {
      throw failure(
        .undefinedColumn, "column \"\(target.column)\" of relation \"\(table.name)\" does not exist",
        at: target.location)
    }
    guard target.indirection.isEmpty else { throw unsupported("assigning a part of a column", at: target.location) }
    return number - 1
  }

  /// A column's default, null where it has none, as a value of the column's type.
  func defaultValue(_ column: ColumnDefinition) throws(SQLError) -> TypedExpression {
    if column.identity != nil, let sequence = column.sequenceID {
      return try coerce(sequenceValue(sequence), to: column.type, .assignment)
    }
    guard let written = column.defaultExpression else { return .constant(.null, column.type) }
    let outer = (text, clause)
    (text, clause) = (nil, .defaultValue)
    defer { (text, clause) = outer }
    let expression = try parseExpression(written)
    let typed = try analyze(expression, Scope(parent: nil))
    return try coerceForAssignment(typed, to: column.type, column: column.name, at: -1)
  }

  private func sequenceValue(_ id: ObjectID) -> TypedExpression {
    dependencies.sequences.insert(id)
    return .nextValue(sequenceID: id.rawValue)
  }

  /// The expression that a text of the catalog holds.
  func parseExpression(_ text: String) throws(SQLError) -> Expression {
    let statements = try planner.parse("SELECT \(text)")
    guard statements.count == 1, case .select(let select) = statements[0].statement,
      case .select(let core) = select.body, core.targets.count == 1
    else { throw failure(.internalError, "expression \"\(text)\" of the catalog cannot be read") }
    return core.targets[0].expression
  }

  /// A value of a row as a plan's parameter; nil where it takes a query over tables.
  func rowParameter(_ value: TypedExpression) throws(SQLError) -> PlanParameter? {
    if let parameter = value.planParameter { return parameter }
    if let sequence = plainSequence(value) { return .nextValue(sequence) }
    var readsTables = false
    var walker = QueryWalker(rangeTable: rangeTable)
    let table = rangeTable
    walker.onRelation = { id in
      switch table[id].source {
      case .table, .virtual: readsTables = true
      default: break
      }
    }
    walker.walk(value)
    guard !readsTables else { return nil }
    var writer = SQLWriter(rangeTable: rangeTable, place: .compute, tables: [:])
    let sql = try writer.expression(value)
    return .expression(LocalExpression(sql: sql, parameters: writer.parameters(of: sql), isStable: !value.isVolatile))
  }

  /// A sequence's next value whose cast to the column's type cannot fail.
  private func plainSequence(_ value: TypedExpression) -> ObjectID? {
    switch value {
    case .nextValue(let id): return ObjectID(rawValue: id)
    case .call(let call):
      guard call.arguments.count == 1, case .nextValue(let id) = call.arguments[0],
        let sequence = planner.image.sequences[ObjectID(rawValue: id)]
      else { return nil }
      let limits: [UInt32: ClosedRange<Int64>] = [
        SQLType.int2.oid: Int64(Int16.min)...Int64(Int16.max), SQLType.int4.oid: Int64(Int32.min)...Int64(Int32.max),
        SQLType.int8.oid: .min ... .max,
      ]
      guard let range = limits[call.type.oid], range.contains(sequence.minimum), range.contains(sequence.maximum) else {
        return nil
      }
      return sequence.id
    default: return nil
    }
  }

  /// Adds the table that is written to the range table and to a scope.
  func addWritten(_ table: TableDefinition, alias: String?, _ scope: Scope) -> Int {
    let id = addTable(table, name: table.name)
    if let alias { aliases[id] = alias }
    let columns = scopeColumns(id)
    scope.items.append(
      Scope.Item(name: alias ?? table.name, schema: nil, columns: columns, visibleColumns: columns))
    return id
  }

  func returningTargets(
    _ targets: [SelectTarget], _ scope: Scope
  ) throws(SQLError) -> ([TypedExpression], [Query.Column]) {
    guard !targets.isEmpty else { return ([], []) }
    let outer = clause
    clause = .returning
    defer { clause = outer }
    var (typed, columns) = try selectTargets(targets, scope)
    for index in typed.indices {
      typed[index] = try resolveUnknown(typed[index])
      columns[index].type = typed[index].type
    }
    return (typed, columns)
  }

  /// Whether the expressions read tables other than the written one, or need the compute node.
  func staysAtTablet(_ expressions: [TypedExpression]) -> Bool {
    var isFree = true
    var walker = QueryWalker(rangeTable: rangeTable)
    walker.onRelation = { _ in isFree = false }
    walker.onExpression = { if $0.mustStayLocal { isFree = false } }
    for expression in expressions { walker.walk(expression) }
    return isFree
  }

  /// `SET a = …, (b, c) = (…)`: values by column index, in the order of the columns.
  func assignments(
    _ items: [Assignment], _ table: TableDefinition, _ scope: Scope
  ) throws(SQLError) -> [(column: Int, value: TypedExpression)] {
    let outer = clause
    clause = .updateSource
    defer { clause = outer }
    var values: [Int: TypedExpression] = [:]
    for item in items {
      var sources = [item.value]
      if item.targets.count > 1 {
        switch item.value {
        case .row(let parts, _): sources = parts
        case .subquery(let subquery):
          throw unsupported("assigning several columns from a subquery", at: subquery.location)
        default:
          throw failure(
            .featureNotSupported,
            "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression",
            at: location(item.value))
        }
        guard sources.count == item.targets.count else {
          throw failure(
            .syntaxError, "number of columns does not match number of values", at: item.targets[0].location)
        }
      } else if case .row(let parts, _) = item.value, parts.count == 1, !item.targets.isEmpty {
        sources = parts
      }
      for (target, source) in zip(item.targets, sources) {
        let index = try targetColumn(target, table)
        guard values[index] == nil else {
          throw failure(
            .syntaxError, "multiple assignments to same column \"\(target.column)\"", at: target.location)
        }
        values[index] = try assignedValue(source, table.columns[index], scope, at: target.location)
      }
    }
    return values.keys.sorted().map { ($0, values[$0] ?? .constant(.null, .unknown)) }
  }

  private func assignedValue(
    _ source: Expression, _ column: ColumnDefinition, _ scope: Scope, at location: SourceLocation
  ) throws(SQLError) -> TypedExpression {
    if case .defaultValue = source { return try defaultValue(column) }
    if column.identity == .always {
      throw failure(
        .generatedAlways, "column \"\(column.name)\" can only be updated to DEFAULT", at: location,
        detail: "Column \"\(column.name)\" is an identity column defined as GENERATED ALWAYS.")
    }
    let typed = try analyze(source, scope)
    return try coerceForAssignment(
      typed, to: column.type, column: column.name, at: self.location(source, location))
  }

  /// Indexes of columns that place a row in its partition, at any level above and below the table.
  func partitionColumns(_ table: TableDefinition) -> Set<Int> {
    var columns: Set<Int> = []
    var current: TableDefinition? = root(of: table)
    var pending: [TableDefinition] = []
    while let next = current {
      columns.formUnion((next.partitioning?.columns ?? []).map { $0 - 1 })
      pending += planner.image.partitions(of: next.id)
      current = pending.popLast()
    }
    return columns
  }

  /// The table at the head of a partition's tree.
  func root(of table: TableDefinition) -> TableDefinition {
    var current = table
    while let parent = current.partition.flatMap({ planner.image.tables[$0.parentID] }) { current = parent }
    return current
  }
}
