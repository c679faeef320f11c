import CSQLite
import EventLoop
import Metadata
import SQLTypes
import StorageEngine
import Synchronization
import TabletSQL

/// Makes the files of new tablets: in memory, in a connection that is kept, and then written as they are. Of a tablet that is made in
/// its file, nearly all of the time goes into opening that, into PostgreSQL's functions, which a definition may call, and into the
/// files that SQLite keeps beside it.
final class TabletMaker: Sendable {
  private let directory: EngineDirectory
  /// Empty between two tablets; nil: it is opened when it is needed.
  private let kept = Mutex<TabletConnection?>(nil)

  init(_ directory: EngineDirectory) { self.directory = directory }

  func close() { kept.withLock { $0 = nil } }

  /// Makes the file with its table and indexes, in the place of what may be there. A definition that SQLite refuses is noted in the
  /// file. Answers what came of it. Blocks.
  func create(
    _ id: TabletID, _ table: TableDefinition, indexes: [IndexDefinition], generation: UInt64, index: UInt64
  ) throws(EngineFailure) -> TabletSummary {
    let made: Result<(TabletSummary, [UInt8]), EngineFailure> = kept.withLock { kept in
      do throws(EngineFailure) {
        let connection =
          if let kept { kept } else { try TabletConnection(path: nil, tablet: id, purpose: .applier) }
        // Not kept where something fails.
        kept = nil
        let made = try Self.make(connection, id, table, indexes: indexes, generation: generation, index: index)
        kept = connection
        return .success(made)
      } catch {
        return .failure(error)
      }
    }
    let (summary, content) = try made.get()
    do throws(FileError) { try directory.writeTablet(id, content) } catch {
      throw EngineFailure(error: SQLError(error), tabletID: id)
    }
    return summary
  }

  /// The tablet and the content of its file. What was made in the connection is undone.
  private static func make(
    _ connection: TabletConnection, _ id: TabletID, _ table: TableDefinition, indexes: [IndexDefinition],
    generation: UInt64, index: UInt64
  ) throws(EngineFailure) -> (TabletSummary, [UInt8]) {
    try connection.run("BEGIN IMMEDIATE")
    try connection.run(
      """
      CREATE TABLE _kunlog_tablet (
        one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER, generation INTEGER, applied_index INTEGER)
      """)
    try connection.integer(
      "INSERT INTO _kunlog_tablet VALUES (1, 1, ?1, ?2)", Int64(generation), Int64(index))
    var statements = TabletSchema.createStatements(id, table, indexes: indexes)
    statements.append(TabletSchema.trialStatement(id))
    var refusals: [TabletPart: String] = [:]
    if let refusal = try connection.attempt(statements) {
      refusals[.table] = refusal.error.message
      try connection.note(refusal.error.message, .table)
    }
    let content = try connection.content()
    try connection.run("ROLLBACK")
    // The same text may stand for another table next time.
    connection.forgetStatements()
    let made = Set(indexes.filter { $0.constraint != .primaryKey }.map(\.id))
    let summary = TabletSummary(indexes: made, generation: generation, appliedIndex: index, refusals: refusals)
    return (summary, content)
  }
}

extension TabletConnection {
  /// The bytes of a file in WAL mode with what the connection sees, its open transaction included.
  fileprivate func content() throws(EngineFailure) -> [UInt8] {
    var size: sqlite3_int64 = 0
    guard let bytes = sqlite3_serialize(handle, "main", &size, 0) else {
      throw EngineFailure(error: SQLError(.outOfMemory, "there is no memory for a new tablet"), tabletID: tablet)
    }
    defer { sqlite3_free(bytes) }
    var content = Array(UnsafeBufferPointer(start: bytes, count: Int(size)))
    // The versions that writers and readers must know ("Database File Format", 1.3.3): 2 is WAL.
    content[18] = 2
    content[19] = 2
    return content
  }
}
