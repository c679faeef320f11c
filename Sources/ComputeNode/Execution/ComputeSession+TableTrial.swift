import EventLoop
import Metadata
import SQLTypes

extension ComputeSession {
  /// Makes the table in the local SQLite, which has the functions and collations of the tablets': a definition that a
  /// tablet refuses would reach the shards as a fact that they cannot follow.
  ///
  /// - Throws: 0A000 where it would be refused.
  func tryOut(_ draft: TableDraft) async throws(SQLError) {
    let checks = draft.checks.map { "CHECK (\($0.storageExpression))" }
    // A partition has its parent's columns, which were tried with it.
    guard draft.partition == nil, !draft.columns.isEmpty, !isSimple(draft) else { return }
    let columns = draft.columns.map { column in
      let collation = column.type.sqliteCollation.map { " COLLATE \($0)" } ?? ""
      return "\(Self.quoted(column.name)) \(column.type.sqliteColumnType)\(collation)"
    }
    let run = services.local.open(context: localContext, limitBytes: settings.bytes("work_mem"))
    defer { run.close() }
    do {
      try await run.create(
        "CREATE TEMP TABLE trial (\((columns + checks).joined(separator: ", ")))", table: "trial")
    } catch {
      throw SQLError(
        .featureNotSupported, "the shards cannot hold table \"\(draft.name)\"", detail: error.message)
    }
  }

  /// Columns of types that SQLite knows by itself, and nothing else.
  private func isSimple(_ draft: TableDraft) -> Bool {
    draft.checks.isEmpty && draft.columns.allSatisfy { $0.type.sqliteCollation == nil }
  }

  private static func quoted(_ name: String) -> String {
    "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
  }
}
