import EventLoop
import PostgresWire
import SQLPlan
import SQLTree
import SQLTypes

extension ComputeSession {
  /// Types of the parameters within EXPLAIN.
  func explainedParameterTypes(
    _ inner: Statement, text: String, declaredTypes: [UInt32]
  ) async throws(SQLError) -> [SQLType] {
    switch inner {
    case .select, .insert, .update, .delete:
      return try await plan(inner, text: text, declaredTypes: declaredTypes).parameterTypes
    default: return []
    }
  }

  /// EXPLAIN: the plan as text, a row per line. ANALYZE runs the statement and tells its rows and time.
  func explain(
    _ inner: Statement, _ options: [DefinitionOption], _ command: PreparedCommand, _ parameters: [StoredValue],
    _ scope: StatementScope
  ) async throws(SQLError) -> StatementResult {
    var isAnalyze = false
    for option in options {
      switch option.name {
      case "analyze": isAnalyze = try flag(option)
      case "format":
        guard case .string("text") = option.value else {
          throw SQLError(.featureNotSupported, "EXPLAIN formats other than TEXT are not supported")
        }
      case "verbose", "costs", "settings", "buffers", "wal", "timing", "summary": break
      default: throw SQLError(.syntaxError, "unrecognized EXPLAIN option \"\(option.name)\"")
      }
    }
    let analyzed: AnalyzedStatement
    switch inner {
    case .select, .insert, .update, .delete:
      analyzed = try await plan(inner, text: command.text, declaredTypes: command.declaredTypes)
    case .execute(let name, _):
      guard let tree = try preparedCommand(name).tree else { return .empty }
      analyzed = try await currentPlan(preparedCommand(name), tree)
    default: return .rows(explanation(["Utility statements have no plan structure"], command, scope))
    }
    try checkAccess(analyzed.dependencies)
    var lines = planner().explain(analyzed, parameters: parameters)
    if isAnalyze { lines += try await analyzeRun(analyzed, parameters, scope) }
    return .rows(explanation(lines, command, scope))
  }

  private func flag(_ option: DefinitionOption) throws(SQLError) -> Bool {
    switch option.value {
    case .none: return true
    case .boolean(let flag): return flag
    case .integer(let number): return number != 0
    case .string(let text):
      if let flag = SettingDefinition.boolean(text) { return flag }
      fallthrough
    default: throw SQLError(.syntaxError, "\(option.name) requires a Boolean value")
    }
  }

  private func analyzeRun(
    _ analyzed: AnalyzedStatement, _ parameters: [StoredValue], _ scope: StatementScope
  ) async throws(SQLError) -> [String] {
    beginImplicitly()
    let start = Loop.now
    var rowCount = 0
    switch analyzed.plan {
    case .query(let plan):
      let source = try await withReplanning(scope) { () throws(AttemptFailure) in
        try await self.open(plan, parameters, scope)
      }
      while let batch = try await source.next() {
        try scope.check()
        rowCount += batch.rowCount
      }
    case .write(let plan):
      rowCount = try await withReplanning(scope) { () throws(AttemptFailure) in
        try await self.write(analyzed, plan, parameters, scope, mayCommit: false).affected
      }
    }
    let microseconds = (Loop.now - start) / 1000
    let fraction = String(microseconds % 1000 + 1000).dropFirst()
    return ["Rows: \(rowCount)", "Execution Time: \(microseconds / 1000).\(fraction) ms"]
  }

  private func explanation(
    _ lines: [String], _ command: PreparedCommand, _ scope: StatementScope
  ) -> any RowSource {
    rows(
      [ResultColumn(name: "QUERY PLAN", type: .text)],
      StaticSource(RowBatch(columnCount: 1, rows: lines.map { [.text($0)] })), scope
    ) { _ in "EXPLAIN" }
  }
}
