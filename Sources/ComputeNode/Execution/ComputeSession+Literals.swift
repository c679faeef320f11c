import Metadata
import SQLParser
import SQLPlan
import SQLTree
import SQLTypes

/// Plans that are shared by statements which differ only in their literals (design.md §6: the cache is by normalized text).
extension ComputeSession {
  /// Whether the text, without its literals, has a plan: it is then one statement.
  func hasSharedPlan(_ sql: String) -> Bool {
    guard let literals = literalText(sql) else { return false }
    return services.plans.plan(planKey(literals.key, []), image: image) != nil
  }

  /// The statement with the plan that it shares with its like; nil where it must be read as it stands: there is nothing to
  /// share, or something is wrong with it, for which the error should be its own.
  func sharedCommand(_ sql: String) -> PreparedCommand? {
    guard let literals = literalText(sql) else { return nil }
    let key = planKey(literals.key, [])
    let entry: PlanCache.Entry
    if let known = services.plans.plan(key, image: image) {
      entry = known
    } else {
      guard let planned = plan(literals) else { return nil }
      entry = planned
      services.plans.insert(key, planned)
    }
    guard let values = values(of: literals, entry.analyzed.parameterTypes) else { return nil }
    return PreparedCommand(
      text: sql, tree: entry.tree, columns: entry.analyzed.resultColumns, analyzed: entry.analyzed,
      searchPath: info.searchPath, literals: values)
  }

  /// The plan to run by, and the values for it. A statement whose plan no longer holds is read anew with its literals.
  func current(
    _ command: PreparedCommand, _ tree: Statement, _ parameters: [StoredValue]
  ) async throws(SQLError) -> (analyzed: AnalyzedStatement, parameters: [StoredValue]) {
    guard let values = command.literals else { return (try await currentPlan(command, tree), parameters) }
    if let analyzed = command.analyzed, command.searchPath == info.searchPath, analyzed.isCurrent(in: image) {
      return (analyzed, values)
    }
    guard let tree = try await singleStatement(command.text) else {
      throw SQLError(.internalError, "the statement is empty")
    }
    return (try await analyze(tree, text: command.text, declaredTypes: []), parameters)
  }

  private func literalText(_ sql: String) -> LiteralText? {
    if let lastLiterals, lastLiterals.sql == sql { return lastLiterals.found }
    let found = LiteralText(sql)
    lastLiterals = (sql, found)
    return found
  }

  private func plan(_ literals: LiteralText) -> PlanCache.Entry? {
    guard !services.plans.isUnshared(literals.key, image: image) else { return nil }
    if let statements = try? SQLParser.parse(literals.text), statements.count == 1,
      let analyzed = try? planner().analyze(statements[0].statement, text: literals.text, parameterTypes: []),
      isShareable(literals, analyzed.parameterTypes)
    {
      return PlanCache.Entry(tree: statements[0].statement, analyzed: analyzed)
    }
    services.plans.refuse(literals.key, image: image)
    return nil
  }

  /// Whether a parameter of the inferred type means in each place what the literal meant there. A quoted literal takes the
  /// type that its place asks for, as a parameter does. A number has a type of its own: only among whole and exact numbers
  /// does it come to the same, and in a row of VALUES for the inexact ones too, which it is converted to anyway.
  private func isShareable(_ literals: LiteralText, _ types: [SQLType]) -> Bool {
    guard types.count == literals.literals.count else { return false }
    return zip(literals.literals, types).allSatisfy { literal, type in
      guard literal.isNumber else { return type.oid != SQLType.unknown.oid }
      switch type.oid {
      case SQLType.int2.oid, SQLType.int4.oid, SQLType.int8.oid, SQLType.numeric.oid: return true
      case SQLType.float4.oid, SQLType.float8.oid: return literal.isRowValue
      default: return false
      }
    }
  }

  /// The literals as values of the parameters' types; nil where one cannot be.
  private func values(of literals: LiteralText, _ types: [SQLType]) -> [StoredValue]? {
    var values: [StoredValue] = []
    values.reserveCapacity(types.count)
    let context = conversionContext
    for (literal, type) in zip(literals.literals, types) {
      // What is compared is not cut to a column's length or scale.
      let type = literal.isRowValue ? type : SQLType(oid: type.oid)
      guard let value = try? TypeInput.parse(literal.text, as: type, context: context) else { return nil }
      values.append(value)
    }
    return values
  }
}
