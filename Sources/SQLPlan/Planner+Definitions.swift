import Metadata
import SQLTree
import SQLTypes

// What DDL needs of the analysis: CHECK, DEFAULT, partition bounds, views, types.
extension Planner {
  /// The type that a column declaration names.
  package func resolve(_ name: TypeName, text: String) throws(SQLError) -> SQLType {
    try Analyzer(planner: self, text: text).type(name)
  }

  /// CHECK over a table's columns: as the catalog keeps it, and in the storage engine's SQL.
  package func check(
    _ expression: Expression, table: String, columns: [ColumnDefinition], text: String
  ) throws(SQLError) -> CheckTranslation {
    let analyzer = Analyzer(planner: self, text: text)
    analyzer.clause = .check
    let scope = Scope(parent: nil)
    let definition = TableDefinition(
      id: ObjectID(rawValue: 0), schemaID: ObjectID(rawValue: 0), name: table, ownerID: ObjectID(rawValue: 0),
      columns: columns)
    let id = analyzer.addWritten(definition, alias: nil, scope)
    let typed = try analyzer.coerceToBoolean(
      analyzer.analyze(expression, scope), clause: "CHECK", at: analyzer.location(expression))
    guard analyzer.parameterTypes.isEmpty else {
      throw analyzer.failure(.undefinedParameter, "there is no parameter $1", at: analyzer.location(expression))
    }
    guard !typed.mustStayLocal else { throw analyzer.unsupported("a function of the catalog in CHECK") }
    var writer = SQLWriter(rangeTable: analyzer.rangeTable, place: .storage, tables: [id: .bare])
    writer.inlinesConstants = true
    let storage = try writer.expression(typed)
    guard writer.parameters.isEmpty else {
      throw analyzer.unsupported("a function of the session in CHECK", at: analyzer.location(expression))
    }
    var read: Set<Int> = []
    typed.visit { if case .column(_, let index, _) = $0 { read.insert(index) } }
    return CheckTranslation(
      column: read.count == 1 ? read.first.map { columns[$0].name } : nil,
      expression: try ExpressionText.text(expression),
      storageExpression: storage)
  }

  /// A column's default, checked against the column's type, as the catalog keeps it.
  package func normalizedDefault(
    _ expression: Expression, column: String, type: SQLType, text: String
  ) throws(SQLError) -> String {
    let analyzer = Analyzer(planner: self, text: text)
    analyzer.clause = .defaultValue
    if let location = expression.firstColumn {
      throw analyzer.failure(
        .featureNotSupported, "cannot use column reference in DEFAULT expression", at: location)
    }
    let typed = try analyzer.analyze(expression, Scope(parent: nil))
    guard analyzer.parameterTypes.isEmpty else {
      throw analyzer.failure(.undefinedParameter, "there is no parameter $1", at: analyzer.location(expression))
    }
    guard analyzer.canCoerce(typed.type, type, .assignment) else {
      throw analyzer.failure(
        .datatypeMismatch,
        "column \"\(column)\" is of type \(type.displayName) but default expression is of type \(typed.type.displayName)",
        hint: "You will need to rewrite or cast the expression.")
    }
    _ = try analyzer.coerce(typed, to: type, .assignment, at: analyzer.location(expression))
    let written = try ExpressionText.text(expression)
    // A plain literal is shown with the type that it has been given.
    if case .constant(.string, _) = expression { return "\(written)::\(type.base.displayName)" }
    return written
  }

  /// An expression without tables as a value of a type, by assignment: bounds of partitions, parameters of EXECUTE. Often a
  /// constant; else the compute node evaluates it.
  package func scalar(
    _ expression: Expression, as type: SQLType, text: String
  ) throws(SQLError) -> PlanParameter {
    let analyzer = Analyzer(planner: self, text: text)
    analyzer.clause = .values
    let typed = try analyzer.analyze(expression, Scope(parent: nil))
    let place = analyzer.location(expression)
    guard analyzer.canCoerce(typed.type, type, .assignment) else {
      throw analyzer.failure(
        .datatypeMismatch, "expression of type \(typed.type.displayName) cannot be cast to type \(type.displayName)",
        at: place, hint: "You will need to rewrite or cast the expression.")
    }
    let value = try analyzer.coerce(typed, to: type, .assignment, at: place)
    try analyzer.checkParameters()
    guard let parameter = try analyzer.rowParameter(value) else {
      throw analyzer.unsupported("a subquery over tables in this place", at: place)
    }
    return parameter
  }

  /// What CREATE VIEW keeps: the columns, and the objects that the query reads.
  package func view(
    _ select: SelectStatement, columnNames: [String], text: String
  ) throws(SQLError) -> (columns: [ViewDefinition.Column], dependencies: [ObjectID]) {
    let analyzer = Analyzer(planner: self, text: text)
    let query = try analyzer.analyzeQuery(select, parent: Scope(parent: nil))
    guard analyzer.parameterTypes.isEmpty else {
      throw analyzer.failure(.undefinedParameter, "there is no parameter $1")
    }
    guard columnNames.count <= query.columns.count else {
      throw analyzer.failure(.syntaxError, "CREATE VIEW specifies more column names than columns")
    }
    var columns: [ViewDefinition.Column] = []
    for (index, column) in query.columns.enumerated() {
      let name = index < columnNames.count ? columnNames[index] : column.name
      guard !columns.contains(where: { $0.name == name }) else {
        throw analyzer.failure(.duplicateColumn, "column \"\(name)\" specified more than once")
      }
      columns.append(ViewDefinition.Column(name: name, type: column.type))
    }
    _ = try QueryPlanner(rangeTable: analyzer.rangeTable, image: image, query: query).plan()
    let tables = analyzer.dependencies.tables.keys.filter { !isPartitionOf($0, analyzer.dependencies) }
    let all = Set(tables).union(analyzer.dependencies.views.keys).union(analyzer.dependencies.sequences)
    return (columns, all.sorted())
  }

  /// Partitions that are read because their parent is named: the view rests on the parent alone.
  private func isPartitionOf(_ id: ObjectID, _ dependencies: PlanDependencies) -> Bool {
    guard let parent = image.tables[id]?.partition?.parentID else { return false }
    return dependencies.partitions[parent] != nil
  }
}

/// A CHECK constraint, as the catalog and as the tablets need it.
package struct CheckTranslation: Sendable, Hashable {
  /// The column, where it reads just one.
  package var column: String?
  /// SQL text of PostgreSQL.
  package var expression: String
  /// The same in the storage engine's SQL: `CheckDefinition.storageExpression`.
  package var storageExpression: String
  package init(column: String?, expression: String, storageExpression: String) {
    self.column = column
    self.expression = expression
    self.storageExpression = storageExpression
  }
}

extension Expression {
  /// Where the first column name stands in a plain expression, nil where there is none.
  var firstColumn: SourceLocation? {
    switch self {
    case .column(_, _, let location): return location
    case .cast(let value, _, _), .not(let value, _), .isNull(let value, _, _), .collate(let value, _, _):
      return value.firstColumn
    case .binary(_, let left, let right, _): return left?.firstColumn ?? right.firstColumn
    case .and(let items, _), .or(let items, _), .coalesce(let items, _), .row(let items, _):
      return items.lazy.compactMap(\.firstColumn).first
    case .function(let call): return call.arguments.lazy.compactMap(\.firstColumn).first
    default: return nil
    }
  }
}
