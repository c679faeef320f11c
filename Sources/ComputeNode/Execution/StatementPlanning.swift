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
  ) throws(SQLError) -> CheckTranslation
  /// An expression without tables as a value of a type: bounds of partitions, arguments of EXECUTE.
  func scalar(_ expression: Expression, as type: SQLType, text: String) throws(SQLError) -> PlanParameter
  /// The columns of a view, and the objects that its query reads.
  func view(
    _ select: SelectStatement, columnNames: [String], text: String
  ) throws(SQLError) -> (columns: [ViewDefinition.Column], dependencies: [ObjectID])
  /// What EXPLAIN shows.
  func explain(_ analyzed: AnalyzedStatement, parameters: [StoredValue]) -> Explanation
}
