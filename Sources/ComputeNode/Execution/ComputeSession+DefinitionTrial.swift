import EventLoop
import Metadata
import SQLPlan
import SQLTree
import SQLTypes
import TabletSQL

/// What is tried before it becomes a fact: a definition that a tablet refuses would reach the shards as a fact that they
/// cannot follow.
extension ComputeSession {
  /// Appends commands that define tables or indexes, once the local SQLite, which has the functions and collations of the
  /// tablets', has taken the tables that they lead to.
  ///
  /// - Parameter expressions: scalar texts of the definition that this node will have to evaluate, such as defaults.
  /// - Throws: 0A000 where one would be refused; nothing is appended then.
  func appendTried(_ commands: [Command], relation: String, expressions: [String] = []) async throws(SQLError) {
    for statements in trials(commands) + expressions.map({ ["SELECT \($0)"] }) {
      do {
        try await services.local.attempt(statements, context: localContext)
      } catch {
        guard error.sqlState != .queryCanceled, error.sqlState != .outOfMemory else { throw error }
        throw SQLError(
          .featureNotSupported, "the definition of relation \"\(relation)\" is not supported", detail: error.message,
          hint: "Simplify the expressions of its checks and defaults.", table: relation)
      }
    }
    try await append(commands)
  }

  /// For each table that the commands define or give an index, what makes its tablet. Nothing where the log will refuse the
  /// commands: it says why.
  private func trials(_ commands: [Command]) -> [[String]] {
    guard case .success(let events) = decide(AppendRequest(principal: user, commands: commands), image) else {
      return []
    }
    var after = image
    var tables: [ObjectID] = []
    for event in events {
      after.apply(event, at: image.index + 1)
      switch event {
      case .tableCreated(let table): tables.append(table.id)
      case .indexCreated(let index): tables.append(index.tableID)
      default: break
      }
    }
    let tablet = TabletID(rawValue: 1)
    return Set(tables).sorted().compactMap { id in
      guard let table = after.tables[id] else { return nil }
      let indexes = after.indexes(of: id).sorted { $0.id < $1.id }
      return TabletSchema.createStatements(tablet, table, indexes: indexes) + [TabletSchema.trialStatement(tablet)]
    }
  }

  /// The texts that this node runs for the defaults of a statement's columns.
  func defaultTexts(
    _ statement: CreateTableStatement, _ columns: [ColumnDraft], text: String
  ) throws(SQLError) -> [String] {
    var texts: [String] = []
    for (declaration, column) in zip(statement.columns, columns) {
      for constraint in declaration.constraints {
        guard case .defaultValue(let expression) = constraint.kind,
          case .expression(let local) = try planner().scalar(expression, as: column.type, text: text)
        else { continue }
        texts.append(local.sql)
      }
    }
    return texts
  }
}
