import Metadata
import SQLTree
import SQLTypes

/// Turns statements into plans, against one image. A value: make one per statement or keep it, as is handy.
package struct Planner: Sendable {
  /// Reads SQL text: for views and column defaults, which the catalog keeps as text.
  package typealias Parse = @Sendable (String) throws(SQLError) -> [ParsedStatementText]

  package var image: Image
  package var session: SessionInfo
  package var parse: Parse
  package init(image: Image, session: SessionInfo, parse: @escaping Parse) {
    self.image = image
    self.session = session
    self.parse = parse
  }

  /// Plans SELECT, VALUES, INSERT, UPDATE and DELETE.
  ///
  /// - Parameter text: the text that the tree's locations count in, for positions in errors.
  /// - Parameter parameterTypes: types of $1, $2 … as far as the client gave them; `unknown` where it did not.
  /// - Throws: PostgreSQL's errors of parse analysis; 0A000 for what is not supported.
  package func analyze(
    _ statement: Statement, text: String, parameterTypes: [SQLType] = []
  ) throws(SQLError) -> AnalyzedStatement {
    let analyzer = Analyzer(planner: self, text: text, parameterTypes: parameterTypes)
    let plan: Plan
    let columns: [Query.Column]
    let command: AnalyzedStatement.Command
    switch statement {
    case .select(let select):
      var plain = select
      plain.locking = []
      let query = try analyzer.analyzeQuery(plain, parent: Scope(parent: nil))
      try analyzer.checkParameters()
      if query.columns.isEmpty, case .select(let inner) = query.body, !inner.from.isEmpty {
        throw SQLError(.featureNotSupported, "a query of rows without columns is not supported")
      }
      var planned = try QueryPlanner(rangeTable: analyzer.rangeTable, image: image, query: query).plan()
      planned.locks = try analyzer.rowLocks(select.locking, query)
      plan = .query(planned)
      (columns, command) = (query.columns, .select)
    case .insert(let insert):
      let (insertion, returning) = try InsertPlanner(insert, analyzer).plan()
      (plan, columns, command) = (.write(.insert(insertion)), returning, .insert)
    case .update(let update):
      let planner = try ModifyPlanner(update, analyzer)
      (plan, columns, command) = (.write(try planner.plan()), planner.columns, .update)
    case .delete(let delete):
      let planner = try ModifyPlanner(delete, analyzer)
      (plan, columns, command) = (.write(try planner.plan()), planner.columns, .delete)
    default: throw SQLError(.featureNotSupported, "this statement cannot be planned")
    }
    try analyzer.checkParameters()
    return AnalyzedStatement(
      command: command, parameterTypes: analyzer.parameterTypes,
      columns: columns.map {
        OutputColumn(name: $0.name, type: $0.type, tableOID: $0.tableOID, columnNumber: $0.columnNumber)
      },
      plan: plan, plannedAtIndex: image.index, dependencies: analyzer.dependencies)
  }

  /// The plan for COPY table (columns) FROM: each row brings the values of these columns, as stored and of the types that
  /// are answered beside it.
  package func planCopyFrom(
    _ table: RelationName, columns: [String], text: String
  ) throws(SQLError) -> (plan: InsertPlan, columns: [OutputColumn], dependencies: PlanDependencies) {
    let analyzer = Analyzer(planner: self, text: text)
    // COPY may give values to identity columns.
    var statement = InsertStatement(
      table: table, columns: columns.map { AssignmentTarget(column: $0) }, source: .defaultValues)
    statement.overriding = .systemValue
    let planner = try InsertPlanner(statement, analyzer)
    let plan = try planner.copyPlan()
    let definitions = planner.table.columns
    let chosen = columns.isEmpty ? definitions.map(\.name) : columns
    let outputs = chosen.compactMap { name in
      planner.table.columnNumber(name).map { number in
        OutputColumn(
          name: name, type: definitions[number - 1].type, tableOID: planner.table.id.rawValue, columnNumber: number)
      }
    }
    return (plan, outputs, analyzer.dependencies)
  }
}

extension Analyzer {
  /// 42P18 where no context gave a parameter its type.
  func checkParameters() throws(SQLError) {
    for (index, type) in parameterTypes.enumerated() where type.oid == SQLType.unknown.oid {
      throw failure(.indeterminateDatatype, "could not determine data type of parameter $\(index + 1)")
    }
  }
}
