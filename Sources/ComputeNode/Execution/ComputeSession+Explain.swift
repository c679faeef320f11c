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

  /// The one column that EXPLAIN answers.
  static func explanationColumn(isJSON: Bool) -> ResultColumn {
    ResultColumn(name: "QUERY PLAN", type: isJSON ? .json : .text)
  }

  /// EXPLAIN: the plan as text, a row per line. ANALYZE runs the statement and tells its rows and time.
  func explain(
    _ inner: Statement, _ options: [DefinitionOption], _ command: PreparedCommand, _ parameters: [StoredValue],
    _ scope: StatementScope
  ) async throws(SQLError) -> StatementResult {
    var isAnalyze = false
    var isJSON = false
    for option in options {
      switch option.name {
      case "analyze": isAnalyze = try flag(option)
      case "format": isJSON = try self.isJSON(option, text: command.text)
      case "verbose", "costs", "settings", "buffers", "wal", "timing", "summary": break
      default:
        throw SQLError(
          .syntaxError, "unrecognized EXPLAIN option \"\(option.name)\"",
          position: position(option.location, command.text))
      }
    }
    let analyzed: AnalyzedStatement
    switch inner {
    case .select, .insert, .update, .delete:
      analyzed = try await plan(inner, text: command.text, declaredTypes: command.declaredTypes)
    case .execute(let name, _):
      guard let tree = try preparedCommand(name).tree else { return .empty }
      analyzed = try await currentPlan(preparedCommand(name), tree)
    default:
      let lines = isJSON ? ["[\n  \"Utility Statement\"\n]"] : ["Utility statements have no plan structure"]
      return .rows(explanation(lines, isJSON: isJSON, scope))
    }
    try checkAccess(analyzed.dependencies)
    let explanation = planner().explain(analyzed, parameters: parameters)
    let run = isAnalyze ? try await analyzeRun(analyzed, parameters, scope) : nil
    guard isJSON else {
      var lines = explanation.lines
      if let run { lines += ["Rows: \(run.rowCount)", "Execution Time: \(run.milliseconds) ms"] }
      return .rows(self.explanation(lines, isJSON: false, scope))
    }
    let measured = run.map { [("Actual Rows", "\($0.rowCount)"), ("Execution Time", $0.milliseconds)] } ?? []
    return .rows(self.explanation([explanation.json(measured)], isJSON: true, scope))
  }

  /// FORMAT TEXT or JSON.
  private func isJSON(_ option: DefinitionOption, text: String) throws(SQLError) -> Bool {
    switch option.value {
    case .string("text"): return false
    case .string("json"): return true
    case .string("xml"), .string("yaml"):
      throw SQLError(
        .featureNotSupported, "EXPLAIN formats other than TEXT and JSON are not supported",
        position: position(option.location, text))
    default:
      throw SQLError(
        .invalidParameterValue, "unrecognized value for EXPLAIN option \"format\": \"\(option.value.text)\"",
        position: position(option.location, text))
    }
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
  ) async throws(SQLError) -> (rowCount: Int, milliseconds: String) {
    beginImplicitly()
    let start = Loop.now
    var rowCount = 0
    switch analyzed.plan {
    case .query(let plan):
      let source = try await withReplanning(scope) { () throws(AttemptFailure) in
        if let locks = plan.locks { try await self.lockRows(locks, parameters, scope) }
        return try await self.open(plan, parameters, scope)
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
    return (rowCount, "\(microseconds / 1000).\(fraction)")
  }

  private func explanation(_ lines: [String], isJSON: Bool, _ scope: StatementScope) -> any RowSource {
    rows(
      [Self.explanationColumn(isJSON: isJSON)],
      StaticSource(RowBatch(columnCount: 1, rows: lines.map { [.text($0)] })), scope
    ) { _ in "EXPLAIN" }
  }
}
