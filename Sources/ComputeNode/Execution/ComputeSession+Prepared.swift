import EventLoop
import PostgresWire
import SQLPlan
import SQLTree
import SQLTypes

/// PREPARE, EXECUTE and DEALLOCATE as statements.
extension ComputeSession {
  func preparedCommand(_ name: String) throws(SQLError) -> PreparedCommand {
    guard let command = prepared[name] else {
      throw SQLError(.invalidSQLStatementName, "prepared statement \"\(name)\" does not exist")
    }
    return command
  }

  func runPreparedStatement(
    _ tree: Statement, _ command: PreparedCommand, _ scope: StatementScope, endsTransaction: Bool
  ) async throws(SQLError) -> StatementResult {
    switch tree {
    case .prepare(let name, let types, let inner):
      try await prepare(name, types, inner, text: command.text)
      return .command(tag: "PREPARE")
    case .execute(let name, let arguments):
      return try await execute(name, arguments, text: command.text, scope, endsTransaction: endsTransaction)
    case .deallocate(let name):
      return .command(tag: try deallocate(name))
    default: throw SQLError(.internalError, "not a statement about prepared statements")
    }
  }

  private func prepare(
    _ name: String, _ types: [TypeName], _ inner: Statement, text: String
  ) async throws(SQLError) {
    guard prepared[name] == nil else {
      throw SQLError(.duplicatePreparedStatement, "prepared statement \"\(name)\" already exists")
    }
    switch inner {
    case .select, .insert, .update, .delete: break
    default:
      throw SQLError(.featureNotSupported, "PREPARE of such a statement is not supported")
    }
    let planner = self.planner()
    var oids: [UInt32] = []
    for type in types {
      let resolved = try planner.resolve(type, text: text)
      oids.append(resolved.oid == SQLType.unknown.oid ? 0 : resolved.oid)
    }
    prepared[name] = try await understand(inner, text: text, declaredTypes: oids)
  }

  private func execute(
    _ name: String, _ arguments: [Expression], text: String, _ scope: StatementScope, endsTransaction: Bool
  ) async throws(SQLError) -> StatementResult {
    let command = try preparedCommand(name)
    guard let tree = command.tree else { return .empty }
    guard arguments.count == command.parameterTypes.count else {
      throw SQLError(
        .syntaxError, "wrong number of parameters for prepared statement \"\(name)\"",
        detail: "Expected \(command.parameterTypes.count) parameters but got \(arguments.count).")
    }
    beginImplicitly()
    transaction?.hasRun = true
    let values = try await scalarValues(arguments, command.parameterTypes, text: text)
    return try await runPlanned(command, tree, values, scope, endsTransaction: endsTransaction)
  }

  /// Expressions without tables as values of types: arguments of EXECUTE, bounds of partitions.
  func scalarValues(
    _ expressions: [Expression], _ types: [SQLType], text: String
  ) async throws(SQLError) -> [StoredValue] {
    let planner = self.planner()
    var parameters: [PlanParameter] = []
    for (expression, type) in zip(expressions, types) {
      parameters.append(try planner.scalar(expression, as: type, text: text))
    }
    return try await evaluate(parameters)
  }

  private func deallocate(_ name: String?) throws(SQLError) -> String {
    guard let name else {
      prepared = [:]
      _ = client?.deallocatePreparedStatement(named: nil)
      return "DEALLOCATE ALL"
    }
    guard prepared.removeValue(forKey: name) == nil else { return "DEALLOCATE" }
    guard client?.deallocatePreparedStatement(named: name) == true else {
      throw SQLError(.invalidSQLStatementName, "prepared statement \"\(name)\" does not exist")
    }
    return "DEALLOCATE"
  }
}
