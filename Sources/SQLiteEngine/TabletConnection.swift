import CSQLite
import EventLoop
import Metadata
import SQLTypes
import SQLite
import StorageEngine
import TabletSQL

/// A connection to a tablet's file, with the files of further tablets attached to it where a statement reads several.
///
/// Unchecked: SQLite is opened without its own locks (SQLITE_OPEN_NOMUTEX). The pool on the loop gives a connection to one
/// user at a time, and a user has at most one job with it on a worker; the queues between loop and workers order the
/// accesses. Only `interrupt` may come in between, which SQLite allows.
final class TabletConnection: @unchecked Sendable {
  /// What it is opened for; the pool keeps them apart.
  enum Purpose: Hashable {
    case reader
    /// Executes writes, and records what they change.
    case writer
    /// Applies recorded changes: constraints were checked where they were executed.
    case applier
  }

  let purpose: Purpose
  /// The main file's tablet.
  let tablet: TabletID
  let handle: OpaquePointer
  /// Of writers.
  let recorder: ChangeRecorder?
  /// Tablets whose files are attached.
  private(set) var attached: [TabletID] = []
  private var statements: StatementCache
  private var columns: TabletColumns?
  /// nil once closed.
  private var database: SQLiteDatabase?
  /// nil: it only looks at what the file says of itself.
  private let functions: TabletFunctions?
  /// Savepoints of the transaction under way, outermost first, with where the recorded changes ended when each was set.
  private var savepoints: [(number: UInt32, mark: Int)] = []
  /// Loop's: when it was returned to the pool.
  var idleSince: UInt64 = 0
  /// Loop's: the tablet's life in which it was opened; a dropped or replaced tablet's connections are not used again.
  var life: UInt64 = 0

  /// The most files that one connection can have attached (SQLITE_MAX_ATTACHED of Debian's library).
  static let maximumAttached = 10

  /// Opens a tablet's file, which exists. Blocks.
  ///
  /// - Parameters:
  ///   - path: nil: it is in memory.
  ///   - hasFunctions: whether statements may call PostgreSQL's functions; that there are hundreds is most of what an opening costs.
  ///   - isAlone: nobody else has the file open, or will before this is closed.
  ///   - maximumChangeBytes: what a writer's transaction may change.
  init(
    path: String?, tablet: TabletID, purpose: Purpose, hasFunctions: Bool = true, isAlone: Bool = false,
    maximumChangeBytes: Int = .max
  ) throws(EngineFailure) {
    // SQLite would make an empty file in the place of one that was dropped meanwhile.
    guard path.map(FileSystem.exists) ?? true else {
      throw EngineFailure(error: SQLError(.undefinedTable, "tablet \(tablet) does not exist on this shard"))
    }
    do {
      var options = SQLiteDatabase.Options()
      options.cacheKilobytes = 256
      options.busyTimeoutMilliseconds = 10_000
      options.isExclusive = isAlone
      // Statements are kept here, by their C objects.
      options.statementCacheSize = 0
      let database = try SQLiteDatabase(path.map { .file($0) } ?? .memory, options: options)
      functions = hasFunctions ? try TabletFunctions(database) : nil
      handle = database.pointer
      self.database = database
    } catch {
      throw EngineFailure(error: error.sqlError, tabletID: tablet)
    }
    try Self.configure(handle, purpose, tablet: tablet)
    recorder = purpose == .writer ? try Self.recorder(handle, tablet, maximumBytes: maximumChangeBytes) : nil
    self.tablet = tablet
    self.purpose = purpose
    statements = StatementCache(capacity: purpose == .reader ? 16 : 32)
    recorder?.attach(to: handle)
  }

  deinit { close() }

  /// Closes it, early. Blocks: the last connection of a file moves its log into it.
  func close() {
    statements.finalizeAll()
    database = nil
  }

  /// Has every text compiled anew.
  func forgetStatements() { statements.finalizeAll() }

  /// The table's columns, which stay what they are for the tablet's life.
  func tableColumns() throws(EngineFailure) -> TabletColumns {
    if let columns { return columns }
    let read = try TabletColumns(handle, tablet)
    columns = read
    return read
  }

  private static func configure(
    _ handle: OpaquePointer, _ purpose: Purpose, tablet: TabletID
  ) throws(EngineFailure) {
    // Large sorts go to files, not to memory.
    var pragmas = "PRAGMA temp_store=FILE; PRAGMA secure_delete=OFF; PRAGMA journal_size_limit=4194304;"
    switch purpose {
    case .reader: pragmas += "PRAGMA query_only=ON;"
    case .writer: break
    case .applier: pragmas += "PRAGMA ignore_check_constraints=ON;"
    }
    guard sqlite3_exec(handle, pragmas, nil, nil, nil) == SQLITE_OK else {
      throw SQLiteFailure.last(handle, tablet: tablet)
    }
  }

  /// Learns the table's columns, for a writer.
  private static func recorder(
    _ handle: OpaquePointer, _ tablet: TabletID, maximumBytes: Int
  ) throws(EngineFailure) -> ChangeRecorder {
    let columns = try TabletColumns(handle, tablet)
    return ChangeRecorder(
      tableName: TabletSchema.tableName(tablet), columnCount: columns.names.count, keyColumns: columns.key,
      maximumBytes: maximumBytes)
  }

  /// Ends what runs on it, from any thread, as long as it is not closed.
  func interrupt() { sqlite3_interrupt(handle) }

  /// Whether a transaction is open.
  var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

  /// Sets what now(), current_user and the like answer.
  func setSession(_ session: EngineSession) { functions?.setSession(session) }

  // MARK: Statements

  /// A statement ready to bind, from the cache where it was used before.
  func prepare(_ sql: String) throws(EngineFailure) -> OpaquePointer {
    if let statement = statements.take(sql) { return statement }
    var statement: OpaquePointer?
    var code = SQLITE_OK
    var hasMore = false
    var text = sql
    text.withUTF8 { bytes in
      bytes.withMemoryRebound(to: CChar.self) { characters in
        var tail: UnsafePointer<CChar>?
        code = sqlite3_prepare_v3(
          handle, characters.baseAddress, Int32(characters.count), UInt32(SQLITE_PREPARE_PERSISTENT), &statement, &tail)
        if let tail, let base = characters.baseAddress {
          hasMore = characters[(tail - base)...].contains { $0 > 0x20 && $0 != 0x3b }
        }
      }
    }
    guard code == SQLITE_OK else { throw failure() }
    guard let statement, !hasMore else {
      sqlite3_finalize(statement)
      throw EngineFailure(
        error: SQLError(.protocolViolation, "a fragment must be exactly one statement"), tabletID: tablet)
    }
    statements.insert(sql, statement)
    return statement
  }

  /// Makes a statement ready for its next use.
  func reset(_ statement: OpaquePointer) {
    sqlite3_reset(statement)
    sqlite3_clear_bindings(statement)
  }

  /// Runs a text without parameters or result.
  func run(_ sql: String) throws(EngineFailure) {
    let statement = try prepare(sql)
    defer { reset(statement) }
    while true {
      switch sqlite3_step(statement) {
      case SQLITE_ROW: continue
      case SQLITE_DONE: return
      default: throw failure()
      }
    }
  }

  /// Runs a text with integers as parameters and answers the first column of its first row, as an integer.
  @discardableResult
  func integer(_ sql: String, _ parameters: Int64...) throws(EngineFailure) -> Int64? {
    let statement = try prepare(sql)
    defer { reset(statement) }
    for (place, value) in parameters.enumerated() { sqlite3_bind_int64(statement, Int32(place + 1), value) }
    switch sqlite3_step(statement) {
    case SQLITE_ROW: return sqlite3_column_int64(statement, 0)
    case SQLITE_DONE: return nil
    default: throw failure()
    }
  }

  /// Why the last call failed.
  func failure() -> EngineFailure {
    if let recorder, recorder.isFull {
      return EngineFailure(error: .transactionTooLarge(maximumBytes: recorder.maximumBytes), tabletID: tablet)
    }
    if let error = functions?.functionError(handle) { return EngineFailure(error: error, tabletID: tablet) }
    return SQLiteFailure.last(handle, tablet: tablet)
  }

  // MARK: Savepoints

  /// Makes the given savepoints the open ones: sets what is missing and releases what is not among them.
  func setSavepoints(_ numbers: [UInt32]) throws(EngineFailure) {
    let kept = zip(savepoints, numbers).prefix { $0.number == $1 }.count
    if kept < savepoints.count {
      try run("RELEASE level\(kept)")
      savepoints.removeLast(savepoints.count - kept)
    }
    for number in numbers[kept...] {
      try run("SAVEPOINT level\(savepoints.count)")
      savepoints.append((number, recorder?.mark ?? 0))
    }
  }

  /// Undoes what was written since a savepoint was set. One that was never set here had nothing written after it.
  func rollback(toSavepoint number: UInt32) throws(EngineFailure) {
    guard isInTransaction else {
      throw EngineFailure(error: SQLError(.internalError, "the tablet lost its transaction"), tabletID: tablet)
    }
    guard let place = savepoints.firstIndex(where: { $0.number >= number }) else { return }
    try run("ROLLBACK TO level\(place)")
    recorder?.truncate(to: savepoints[place].mark)
    savepoints.removeLast(savepoints.count - place - 1)
  }

  /// The transaction is over.
  func forgetSavepoints() { savepoints = [] }

  // MARK: Further files

  /// Attaches other tablets' files, for reading; those that are attached already stay.
  func attach(_ tablets: [TabletID], path: (TabletID) -> String) throws(EngineFailure) {
    for other in tablets where other != tablet && !attached.contains(other) {
      guard attached.count < Self.maximumAttached else {
        throw EngineFailure(
          error: SQLError(
            .featureNotSupported,
            "a statement cannot read more than \(Self.maximumAttached + 1) tablets at once on a shard"))
      }
      let file = "file:\(Self.escaped(path(other)))?mode=rw"
      let sql =
        "ATTACH '\(file.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''"))' AS a\(other)"
      guard sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else { throw failure() }
      attached.append(other)
    }
  }

  /// Detaches what `attach` attached; outside a transaction.
  func detachAll() {
    guard !attached.isEmpty else { return }
    // Statements over the attached tables would be prepared anew anyway.
    statements.finalizeAll()
    for other in attached { sqlite3_exec(handle, "DETACH a\(other)", nil, nil, nil) }
    attached = []
  }

  /// Takes a snapshot of all files now rather than at the first read of each; answers the last entry that each contains.
  @discardableResult
  func beginSnapshot() throws(EngineFailure) -> [TabletID: UInt64] {
    try run("BEGIN")
    var indexes = [tablet: UInt64(try integer("SELECT applied_index FROM main._kunlog_tablet") ?? 0)]
    for other in attached {
      indexes[other] = UInt64(try integer("SELECT applied_index FROM a\(other)._kunlog_tablet") ?? 0)
    }
    return indexes
  }

  /// A path within a `file:` URI.
  private static func escaped(_ path: String) -> String {
    var result = ""
    for byte in path.utf8 {
      switch byte {
      case UInt8(ascii: "%"), UInt8(ascii: "?"), UInt8(ascii: "#"), 0x80...:
        result += "%" + String(byte, radix: 16, uppercase: true)
      default: result.unicodeScalars.append(Unicode.Scalar(byte))
      }
    }
    return result
  }
}

/// A table's columns, as its file has them.
struct TabletColumns {
  /// Hidden key included, in the table's order.
  let names: [String]
  /// Places of the key's columns in `names`.
  let key: [Int]
  /// Inserts a row of all columns.
  let insertText: String

  init(_ handle: OpaquePointer, _ tablet: TabletID) throws(EngineFailure) {
    var statement: OpaquePointer?
    guard
      sqlite3_prepare_v2(
        handle, "SELECT name, pk FROM pragma_table_info('\(TabletSchema.tableName(tablet))') ORDER BY cid", -1,
        &statement, nil) == SQLITE_OK, let statement
    else { throw SQLiteFailure.last(handle, tablet: tablet) }
    defer { sqlite3_finalize(statement) }
    var names: [String] = []
    var key: [Int] = []
    while sqlite3_step(statement) == SQLITE_ROW {
      if sqlite3_column_int64(statement, 1) > 0 { key.append(names.count) }
      names.append(String(cString: sqlite3_column_text(statement, 0)))
    }
    guard !key.isEmpty else {
      throw EngineFailure(
        error: SQLError(.dataCorrupted, "the file of tablet \(tablet) does not contain its table"), tabletID: tablet)
    }
    self.names = names
    self.key = key
    let list = names.map(TabletSchema.quoted).joined(separator: ", ")
    let places = (1...names.count).map { "?\($0)" }.joined(separator: ", ")
    let table = TabletSchema.quoted(TabletSchema.tableName(tablet))
    insertText = "INSERT INTO \(table) (\(list)) VALUES (\(places))"
  }
}

/// A connection's prepared statements; the one that was not used for longest makes room.
struct StatementCache {
  private var entries: [String: (statement: OpaquePointer, usedAt: UInt64)] = [:]
  private var clock: UInt64 = 0
  private let capacity: Int

  init(capacity: Int) { self.capacity = capacity }

  mutating func take(_ sql: String) -> OpaquePointer? {
    guard let place = entries.index(forKey: sql) else { return nil }
    clock += 1
    entries.values[place].usedAt = clock
    return entries.values[place].statement
  }

  mutating func insert(_ sql: String, _ statement: OpaquePointer) {
    if entries.count >= capacity, let oldest = entries.min(by: { $0.value.usedAt < $1.value.usedAt }),
      sqlite3_stmt_busy(oldest.value.statement) == 0
    {
      sqlite3_finalize(oldest.value.statement)
      entries[oldest.key] = nil
    }
    clock += 1
    entries[sql] = (statement, clock)
  }

  mutating func finalizeAll() {
    for entry in entries.values { sqlite3_finalize(entry.statement) }
    entries = [:]
  }
}

extension SQLError {
  /// 54000: a transaction's changes are kept in memory until they are logged.
  static func transactionTooLarge(maximumBytes: Int) -> SQLError {
    SQLError(
      .programLimitExceeded, "the transaction writes more than \(maximumBytes >> 20) MiB in one shard",
      hint: "Commit in smaller parts.")
  }
}
