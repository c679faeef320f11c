import EventLoop
import Metadata
import PostgresWire
import SQLParser
import SQLPlan
import SQLTypes

/// CREATE UNIQUE INDEX on a table that has rows.
extension ComputeSession {
  /// Looks for rows that a unique index would refuse. Rows written between this look and the index are not seen.
  ///
  /// - Throws: 23505 where two rows agree in all columns of the index, none of them null.
  func checkUniqueness(
    of parts: [IndexDefinition.Part], in table: TableDefinition, indexName: String?, _ scope: StatementScope
  ) async throws(SQLError) {
    // Without the partition key it is refused whatever the rows are.
    if let partitioning = table.partitioning, !Set(partitioning.columns).isSubset(of: parts.map(\.column)) { return }
    let columns = parts.map { table.columns[$0.column - 1] }
    let names = columns.map { Self.quotedName($0.name) }
    let schema = image.schemas[table.schemaID]?.name ?? "public"
    let list = names.joined(separator: ", ")
    let sql =
      "SELECT \(list) FROM \(Self.quotedName(schema)).\(Self.quotedName(table.name)) "
      + "WHERE \(names.map { "\($0) IS NOT NULL" }.joined(separator: " AND ")) "
      + "GROUP BY \(list) HAVING count(*) > 1 LIMIT 1"
    guard let tree = try SQLParser.parse(sql).first?.statement else { return }
    let found = try await withReplanning(scope) { () throws(AttemptFailure) in
      let analyzed = try await self.failingAsync { () throws(SQLError) in
        try await self.analyze(tree, text: sql, declaredTypes: [])
      }
      guard case .query(let plan) = analyzed.plan else { return nil as RowBatch? }
      let source = try await self.open(plan, [], scope)
      return try await self.failingAsync { () throws(SQLError) in
        try await self.drain(source, plan.columnCount, scope)
      }
    }
    guard let found, found.rowCount > 0 else { return }
    let index = indexName ?? ([table.name] + columns.map(\.name) + ["idx"]).joined(separator: "_")
    let detail = ViolationDetail(table: table, image: image, context: conversionContext)
    throw SQLError(
      .uniqueViolation, "could not create unique index \"\(index)\"",
      detail: "\(detail.key(parts.map { $0.column - 1 }, Array(found[0]))) is duplicated.", schema: schema,
      table: table.name, constraint: index)
  }

  /// A name in quotes, for PostgreSQL's SQL as for SQLite's.
  static func quotedName(_ name: String) -> String {
    "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
  }
}
