import CSQLite
import SQLTypes

/// The connection's C object, closed when the last of database, statements and sessions is gone.
final class SQLiteHandle {
  let pointer: OpaquePointer

  init(_ pointer: OpaquePointer) { self.pointer = pointer }

  deinit { sqlite3_close_v2(pointer) }
}

/// Stops the running statement of a connection, from any thread.
package struct SQLiteInterrupt: @unchecked Sendable {
  // Sendable: sqlite3_interrupt may be called from any thread while the connection is open, and this keeps it open.
  private let handle: SQLiteHandle

  init(_ handle: SQLiteHandle) { self.handle = handle }

  /// The running statement ends with an error whose `isInterrupted` is true; without one nothing happens.
  package func interrupt() { sqlite3_interrupt(handle.pointer) }
}

/// A connection to a database file or to a database in memory.
///
/// Not thread-safe: its user confines it, with its statements and sessions, to one thread (a `WorkerThread`). SQLite is
/// opened without mutexes. Only ``SQLiteInterrupt`` may cross threads.
package final class SQLiteDatabase {
  /// Where the database is.
  package enum Location: Sendable, Hashable {
    case memory
    case file(String)
  }

  /// How it is opened.
  package struct Options: Sendable {
    /// The page cache, in KiB.
    package var cacheKilobytes = 512
    /// Whether writes are refused.
    package var isReadOnly = false
    /// Whether SQLite syncs (`PRAGMA synchronous`): 0 never, 1 at checkpoints, 2 at each commit.
    package var synchronous = 0
    /// The journal of a file database.
    package var journalMode = "WAL"
    /// The write-ahead log is checkpointed when it has so many pages; 0 never.
    package var checkpointPages = 1000
    /// How long to wait for another connection's lock.
    package var busyTimeoutMilliseconds = 5000
    /// Whether no other connection is to use the file meanwhile: then a write-ahead log is read without a file beside it that is
    /// shared, hence also where the disk has no space for one.
    package var isExclusive = false
    /// How many prepared statements are kept.
    package var statementCacheSize = 64

    /// The defaults.
    package init() {}
  }

  let handle: SQLiteHandle
  private var cache: StatementCache
  private var progressHandler: ProgressHandler?

  /// Opens, and creates where there is none.
  package init(_ location: Location, options: Options = Options()) throws(SQLiteError) {
    var pointer: OpaquePointer?
    let path: String
    switch location {
    case .memory: path = ":memory:"
    case .file(let file): path = file
    }
    let access = options.isReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
    let result = sqlite3_open_v2(path, &pointer, access | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
    guard let pointer else { throw SQLiteError(handle: nil, result: result) }
    handle = SQLiteHandle(pointer)
    cache = StatementCache(capacity: options.statementCacheSize)
    guard result == SQLITE_OK else { throw SQLiteError(handle: pointer, result: result) }
    sqlite3_busy_timeout(pointer, Int32(clamping: options.busyTimeoutMilliseconds))
    // A double-quoted name that does not exist is an error, not a string.
    _ = kunlog_sqlite3_db_config_flag(pointer, SQLITE_DBCONFIG_DQS_DML, 0)
    _ = kunlog_sqlite3_db_config_flag(pointer, SQLITE_DBCONFIG_DQS_DDL, 0)
    _ = kunlog_sqlite3_db_config_lookaside(pointer, 128, 64)
    kunlog_sqlite3_disable_bloom_filters(pointer)
    try configure(location, options)
  }

  private func configure(_ location: Location, _ options: Options) throws(SQLiteError) {
    // First: any other setting reads the file.
    if case .file = location, options.isExclusive { try execute("PRAGMA locking_mode = EXCLUSIVE") }
    try execute("PRAGMA cache_size = \(-options.cacheKilobytes); PRAGMA temp_store = MEMORY")
    if case .file = location {
      // First: the change of a new file's journal would be synced.
      try execute("PRAGMA synchronous = \(options.synchronous)")
      if !options.isReadOnly { try execute("PRAGMA journal_mode = \(options.journalMode)") }
      try execute("PRAGMA wal_autocheckpoint = \(options.checkpointPages)")
    }
  }

  /// Finalizes the cached statements. The connection closes when this object and all that it gave out are gone.
  package func close() { cache.removeAll() }

  /// What stops a running statement, from any thread.
  package var interrupt: SQLiteInterrupt { SQLiteInterrupt(handle) }

  /// Runs statements separated by semicolons, without parameters; rows are ignored.
  package func execute(_ sql: String) throws(SQLiteError) {
    let result = sqlite3_exec(handle.pointer, sql, nil, nil, nil)
    guard result == SQLITE_OK else { throw SQLiteError(handle: handle.pointer, result: result) }
  }

  /// Prepares a statement of its own, outside the cache.
  package func prepare(_ sql: String) throws(SQLiteError) -> SQLiteStatement {
    try SQLiteStatement(handle, sql, isCached: false)
  }

  /// The cached statement with that text, reset; a new one where the cached one is running.
  package func statement(_ sql: String) throws(SQLiteError) -> SQLiteStatement {
    if let cached = cache[sql] {
      if cached.isRunning { return try SQLiteStatement(handle, sql, isCached: false) }
      cached.reset()
      return cached
    }
    let statement = try SQLiteStatement(handle, sql, isCached: true)
    cache.insert(statement)
    return statement
  }

  /// Runs a (cached) statement to the end.
  /// - Returns: all rows.
  @discardableResult
  package func query(_ sql: String, _ parameters: [StoredValue] = []) throws(SQLiteError) -> [[StoredValue]] {
    try statement(sql).all(parameters)
  }

  /// Runs a (cached) statement to the end, ignoring rows.
  /// - Returns: how many rows it changed, where it is INSERT, UPDATE or DELETE.
  @discardableResult
  package func run(_ sql: String, _ parameters: [StoredValue] = []) throws(SQLiteError) -> Int {
    try statement(sql).run(parameters)
    return changes
  }

  /// Rows changed by the last INSERT, UPDATE or DELETE.
  package var changes: Int { Int(sqlite3_changes64(handle.pointer)) }
  /// Rows changed since the connection was opened.
  package var totalChanges: Int { Int(sqlite3_total_changes64(handle.pointer)) }
  /// The rowid of the last inserted row.
  package var lastInsertRowID: Int64 { sqlite3_last_insert_rowid(handle.pointer) }
  /// Whether a transaction is open.
  package var isInTransaction: Bool { sqlite3_get_autocommit(handle.pointer) == 0 }

  /// Waits so long for another connection's lock.
  package func setBusyTimeout(milliseconds: Int) {
    sqlite3_busy_timeout(handle.pointer, Int32(clamping: milliseconds))
  }

  /// Calls the body each so many virtual-machine instructions; it ends the statement by returning true. Nil removes it.
  package func setProgressHandler(everyInstructions count: Int, _ body: (() -> Bool)?) {
    guard let body else {
      sqlite3_progress_handler(handle.pointer, 0, nil, nil)
      progressHandler = nil
      return
    }
    let handler = ProgressHandler(body)
    progressHandler = handler
    sqlite3_progress_handler(
      handle.pointer, Int32(clamping: count),
      { context in Unmanaged<ProgressHandler>.fromOpaque(context!).takeUnretainedValue().body() ? 1 : 0 },
      Unmanaged.passUnretained(handler).toOpaque())
  }

  /// Runs the body in a transaction: committed when it returns, rolled back when it throws.
  package func transaction<T>(_ body: () throws -> T) throws -> T {
    try execute("BEGIN IMMEDIATE")
    do {
      let value = try body()
      try execute("COMMIT")
      return value
    } catch {
      if isInTransaction { try? execute("ROLLBACK") }
      throw error
    }
  }

  /// Copies the whole database, as committed, into another file (which it replaces).
  package func backup(toFile path: String) throws(SQLiteError) {
    var options = Options()
    options.journalMode = "DELETE"
    let target = try SQLiteDatabase(.file(path), options: options)
    guard let backup = sqlite3_backup_init(target.handle.pointer, "main", handle.pointer, "main") else {
      throw SQLiteError(handle: target.handle.pointer, result: SQLITE_ERROR)
    }
    let result = sqlite3_backup_step(backup, -1)
    sqlite3_backup_finish(backup)
    guard result == SQLITE_DONE else { throw SQLiteError(handle: target.handle.pointer, result: result) }
  }

  /// Moves the write-ahead log into the database file and empties it.
  package func checkpoint() throws(SQLiteError) {
    let result = sqlite3_wal_checkpoint_v2(handle.pointer, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
    guard result == SQLITE_OK else { throw SQLiteError(handle: handle.pointer, result: result) }
  }

  /// Gives back memory that the connection does not need: unused pages and cached statements.
  package func releaseMemory() {
    cache.removeAll()
    sqlite3_db_release_memory(handle.pointer)
  }

  /// SQLite's version, `3.40.1`.
  package static var version: String { String(cString: sqlite3_libversion()) }
}

/// Keeps a progress handler's closure alive for SQLite.
private final class ProgressHandler {
  let body: () -> Bool

  init(_ body: @escaping () -> Bool) { self.body = body }
}

/// Prepared statements by text; the one used least recently goes first.
private struct StatementCache {
  private let capacity: Int
  private var statements: [String: (statement: SQLiteStatement, lastUse: UInt64)] = [:]
  private var clock: UInt64 = 0

  init(capacity: Int) { self.capacity = capacity }

  subscript(sql: String) -> SQLiteStatement? {
    mutating get {
      clock += 1
      guard let index = statements.index(forKey: sql) else { return nil }
      statements.values[index].lastUse = clock
      return statements.values[index].statement
    }
  }

  mutating func insert(_ statement: SQLiteStatement) {
    guard capacity > 0 else { return }
    if statements.count >= capacity, let oldest = statements.min(by: { $0.value.lastUse < $1.value.lastUse }) {
      statements[oldest.key] = nil
    }
    clock += 1
    statements[statement.sql] = (statement, clock)
  }

  mutating func removeAll() { statements.removeAll() }
}
