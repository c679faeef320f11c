import Metadata
import SQLParser
import SQLPlan
import SQLTree
import SQLTypes

/// The planner as the execution of statements uses it.
struct PlannerPlanning: StatementPlanning {
  private let planner: Planner

  init(image: Image, session: SessionInfo) {
    planner = Planner(image: image, session: session, parse: SQLParser.parse)
  }
}

extension PlannerPlanning {
  func analyze(_ statement: Statement, text: String, parameterTypes: [SQLType]) throws(SQLError) -> AnalyzedStatement {
    throw SQLError(.featureNotSupported, "planning is not there yet")
  }
  func planCopyFrom(
    _ table: RelationName, columns: [String], text: String
  ) throws(SQLError) -> (plan: InsertPlan, columns: [OutputColumn], dependencies: PlanDependencies) {
    throw SQLError(.featureNotSupported, "planning is not there yet")
  }
  func resolve(_ type: TypeName, text: String) throws(SQLError) -> SQLType {
    throw SQLError(.featureNotSupported, "planning is not there yet")
  }
  func normalizedDefault(
    _ expression: Expression, column: String, type: SQLType, text: String
  ) throws(SQLError) -> String { throw SQLError(.featureNotSupported, "planning is not there yet") }
  func check(
    _ expression: Expression, table: String, columns: [ColumnDefinition], text: String
  ) throws(SQLError) -> PlannedCheck { throw SQLError(.featureNotSupported, "planning is not there yet") }
  func explain(_ analyzed: AnalyzedStatement, parameters: [StoredValue]) -> [String] { [] }
}
