import Metadata
import SQLTypes

/// The SQL that gives a tablet its table. The storage engine runs it; a compute node tries it beforehand, in memory, so that a
/// definition that SQLite refuses never becomes a fact of the metadata log.
///
/// Every declared primary key becomes a table WITHOUT ROWID, also one of a single integer: SQLite's alias of the row id would
/// silently replace a null by a new number, where PostgreSQL refuses it.
package enum TabletSchema {
  /// The first column of a table without primary key.
  package static let hiddenKeyColumn = "_kunlog_row_id"

  /// The name of a tablet's table.
  package static func tableName(_ id: TabletID) -> String { "t\(id.rawValue)" }
  /// The name of an index within its tablet.
  package static func indexName(_ id: ObjectID) -> String { "i\(id.rawValue)" }

  /// The inverse of `indexName`.
  package static func indexID(_ name: some StringProtocol) -> ObjectID? {
    guard name.first == "i", let number = UInt32(name.dropFirst()) else { return nil }
    return ObjectID(rawValue: number)
  }

  /// A name as SQLite reads it, whatever it contains.
  package static func quoted(_ name: String) -> String {
    "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
  }

  /// The statements that make the table and its indexes, in order.
  package static func createStatements(_ id: TabletID, _ table: TableDefinition, indexes: [IndexDefinition]) -> [String]
  {
    var parts: [String] = []
    let primaryKey = indexes.first { $0.constraint == .primaryKey }
    if primaryKey == nil { parts.append("\(quoted(hiddenKeyColumn)) INTEGER PRIMARY KEY") }
    parts += table.columns.map(columnText)
    for check in table.checks {
      parts.append("CONSTRAINT \(quoted(check.name)) CHECK (\(check.storageExpression))")
    }
    if let primaryKey {
      let columns = primaryKey.parts.map { quoted(table.columns[$0.column - 1].name) }
      parts.append("PRIMARY KEY (\(columns.joined(separator: ", ")))")
    }
    let create =
      "CREATE TABLE \(quoted(tableName(id))) (\(parts.joined(separator: ", ")))"
      + (primaryKey == nil ? "" : " WITHOUT ROWID")
    return [create] + indexes.filter { $0.constraint != .primaryKey }.map { indexStatement(id, table, $0) }
  }

  /// The statement that makes one index.
  package static func indexStatement(_ id: TabletID, _ table: TableDefinition, _ index: IndexDefinition) -> String {
    let parts = index.parts.map { part in
      let column = table.columns[part.column - 1]
      let value = column.type.sqliteKeyFunction.map { "\($0)(\(quoted(column.name)))" } ?? quoted(column.name)
      return part.isDescending ? value + " DESC" : value
    }
    return
      "CREATE \(index.isUnique ? "UNIQUE " : "")INDEX IF NOT EXISTS \(quoted(indexName(index.id))) "
      + "ON \(quoted(tableName(id))) (\(parts.joined(separator: ", ")))"
  }

  /// A statement that writes a row of the table: preparing it makes SQLite translate the checks and the indexes' keys, which
  /// creating the table does only in part.
  package static func trialStatement(_ id: TabletID) -> String {
    "INSERT INTO \(quoted(tableName(id))) DEFAULT VALUES"
  }

  private static func columnText(_ column: ColumnDefinition) -> String {
    var text = "\(quoted(column.name)) \(column.type.sqliteColumnType)"
    if let collation = column.type.sqliteCollation { text += " COLLATE \(collation)" }
    if column.isNotNull { text += " NOT NULL" }
    return text
  }
}
