import CSQLite
import Metadata
import SQLTypes
import StorageEngine

/// A tablet's file as a whole: its creation, and what it says of itself in its administrative table.
enum TabletFile {
  /// What a file turns out to be.
  enum Finding: Sendable {
    case tablet(TabletSummary)
    /// The process ended while it was created.
    case unfinished
    case damaged
  }

  /// Creates the file with its table and indexes. What is at the path must have been removed. Blocks.
  static func create(
    _ path: String, _ id: TabletID, _ table: TableDefinition, indexes: [IndexDefinition], generation: UInt64,
    index: UInt64
  ) throws(EngineFailure) {
    let connection = try TabletConnection(path: path, tablet: id, purpose: .applier, creates: true)
    defer { connection.close() }
    try connection.run("BEGIN IMMEDIATE")
    try connection.run(
      """
      CREATE TABLE _kunlog_tablet (
        one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER, generation INTEGER, applied_index INTEGER)
      """)
    for statement in TabletSchema.createStatements(id, table, indexes: indexes) { try connection.run(statement) }
    try connection.integer(
      "INSERT INTO _kunlog_tablet VALUES (1, 1, ?1, ?2)", Int64(generation), Int64(index))
    try connection.run("COMMIT")
  }

  /// Reads what a file says of itself. Blocks.
  static func summary(_ path: String, _ id: TabletID) -> Finding {
    do throws(EngineFailure) {
      let connection = try TabletConnection(path: path, tablet: id, purpose: .reader)
      defer { connection.close() }
      guard
        try connection.integer("SELECT count(*) FROM sqlite_schema WHERE name = '_kunlog_tablet'") == 1,
        let index = try connection.integer("SELECT applied_index FROM _kunlog_tablet"),
        let generation = try connection.integer("SELECT generation FROM _kunlog_tablet")
      else { return .unfinished }
      var indexes: Set<ObjectID> = []
      let statement = try connection.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name")
      defer { connection.reset(statement) }
      while sqlite3_step(statement) == SQLITE_ROW {
        if let name = sqlite3_column_text(statement, 0), let id = TabletSchema.indexID(String(cString: name)) {
          indexes.insert(id)
        }
      }
      return .tablet(TabletSummary(indexes: indexes, generation: UInt64(generation), appliedIndex: UInt64(index)))
    } catch {
      return .damaged
    }
  }
}

extension TabletConnection {
  /// Within a transaction: the tablet now contains the shard's entries up to here.
  func setAppliedIndex(_ index: UInt64) throws(EngineFailure) {
    try integer("UPDATE main._kunlog_tablet SET applied_index = ?1", Int64(index))
  }
}
