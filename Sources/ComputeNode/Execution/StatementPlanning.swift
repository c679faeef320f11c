import Metadata
import SQLPlan
import SQLTree
import SQLTypes

/// What the execution of statements asks of the planner, for one image and session.
package protocol StatementPlanning: Sendable {
  /// Resolves and plans SELECT, INSERT, UPDATE or DELETE; `unknown` types of parameters are inferred.
  func analyze(_ statement: Statement, text: String, parameterTypes: [SQLType]) throws(SQLError) -> AnalyzedStatement
  /// COPY table (columns) FROM: how its rows are completed and routed, and the columns that it brings.
  func planCopyFrom(
    _ table: RelationName, columns: [String], text: String
  ) throws(SQLError) -> (plan: InsertPlan, columns: [OutputColumn], dependencies: PlanDependencies)
  /// The type that a name means.
  func resolve(_ type: TypeName, text: String) throws(SQLError) -> SQLType
  /// A column's default, checked against the column's type, as the catalog keeps it.
  func normalizedDefault(
    _ expression: Expression, column: String, type: SQLType, text: String
  ) throws(SQLError) -> String
  /// A CHECK constraint over a table's columns.
  func check(
    _ expression: Expression, table: String, columns: [ColumnDefinition], text: String
  ) throws(SQLError) -> PlannedCheck
  /// The lines of EXPLAIN.
  func explain(_ analyzed: AnalyzedStatement, parameters: [StoredValue]) -> [String]
}

/// A CHECK constraint, as the catalog and as the tablets need it.
package struct PlannedCheck: Sendable, Equatable {
  /// The column, where it reads just one.
  package var column: String?
  package var expression: String
  package var storageExpression: String
  package init(column: String?, expression: String, storageExpression: String) {
    self.column = column
    self.expression = expression
    self.storageExpression = storageExpression
  }
}
