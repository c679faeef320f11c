import CSQLite
import EventLoop
import Metadata
import SQLTypes
import StorageEngine
import TabletSQL

// Statements that lock rows instead of a tablet. Each runs at once, in a SQLite transaction of its own over what is committed and
// what its transaction has changed before; that is undone, and what it changed is kept (`TabletOverlay`) once the rows are locked.
// Where another transaction holds one of them, or has changed one in the meantime, the statement runs again.
extension SQLiteEngine {
  /// A statement with more parameters than this locks the tablet: it would lock very many rows.
  private static let maximumParameterRows = 128
  /// With more changes than this a transaction takes the tablet for itself: they are put over the file for each of its statements.
  private static let maximumOverlayBytes = 256 << 10

  package func hasLockedRows(_ tablet: TabletID, besides: Set<TransactionID>) -> Bool {
    tabletLocks.isShared(tablet) {
      if case .transaction(let id) = $0 { !besides.contains(id) } else { false }
    }
  }

  /// Runs a statement that locks the rows which it changes; nil, and nothing is done, where it has to lock the tablet.
  func writeRows(
    _ fragment: EngineFragment, _ transaction: EngineTransaction, _ session: EngineSession,
    _ rows: @escaping @LoopActor (EncodedRows) async -> Bool
  ) async throws(EngineFailure) -> UInt64? {
    let tablet = fragment.tablets[0]
    guard fragment.locksRows, fragment.parameterRows <= Self.maximumParameterRows,
      fragment.parameters.count <= Self.maximumOverlayBytes, !transaction.options.isRepeatableRead,
      transaction.writers[tablet] == nil, rowLocking[tablet] != false
    else { return nil }
    try await lock(tablet, .shared, transaction)
    do throws(EngineFailure) {
      guard tablets[tablet] != nil else { throw missing(tablet) }
      // The lock keeps schema changes out.
      if try await locksRows(tablet), let result = try await changeRows(fragment, transaction, session) {
        if !transaction.hasWritten(tablet) { unlock(tablet, transaction) }
        for batch in result.rows where await !rows(batch) {
          throw EngineFailure(error: SQLError(.queryCanceled, "canceling statement due to user request"))
        }
        return result.affected
      }
    } catch {
      if !transaction.hasWritten(tablet) { unlock(tablet, transaction) }
      throw error
    }
    if !transaction.hasWritten(tablet) { unlock(tablet, transaction) }
    return nil
  }

  private func changeRows(
    _ fragment: EngineFragment, _ transaction: EngineTransaction, _ session: EngineSession
  ) async throws(EngineFailure) -> RowStatement.Result? {
    let tablet = fragment.tablets[0]
    transaction.overlays[tablet, default: TabletOverlay()].setSavepoints(transaction.savepoints)
    while true {
      let changes = transaction.overlays[tablet]!.changes
      let outcome = try await run(fragment, over: changes, tablet, transaction, session)
      if let doom = transaction.doom { throw EngineFailure(error: doom) }
      switch outcome {
      case .success(let result):
        guard result.changes.count + changes.count <= Self.maximumOverlayBytes else { return nil }
        guard try await lockRows(result, tablet, transaction) else { continue }
        if !result.changes.isEmpty { transaction.overlays[tablet]!.append(result.changes) }
        return result
      case .tooLarge: return nil
      case .failure(let failure, let key):
        guard try await mayEndOtherwise(failure, key, tablet, transaction) else {
          throw failure
        }
        // The row is unknown that is in the way: with the tablet locked, it is found out whether there is one.
        if key == nil { return nil }
      }
    }
  }

  /// Locks what a statement has changed; false where it has to run again.
  private func lockRows(
    _ result: RowStatement.Result, _ tablet: TabletID, _ transaction: EngineTransaction
  ) async throws(EngineFailure) -> Bool {
    let owner = TabletLocks.Owner.transaction(transaction.id)
    switch tabletLocks.takeRows(tablet, result.keys, for: owner) {
    case .success(let areNew):
      // Whoever held one of the rows until now may have changed it after the statement had looked.
      return !areNew || result.snapshotIndex >= tablets[tablet]?.appliedIndex ?? 0
    case .failure(let held):
      try await wait(for: held.key, tablet, transaction)
      return false
    }
  }

  private func wait(
    for key: TabletLocks.RowKey, _ tablet: TabletID, _ transaction: EngineTransaction
  ) async throws(EngineFailure) {
    do throws(SQLError) {
      try await tabletLocks.acquireRow(
        tablet, key, for: .transaction(transaction.id),
        timeoutMilliseconds: transaction.options.lockTimeoutMilliseconds)
    } catch {
      throw EngineFailure(error: error, tabletID: tablet)
    }
    if let doom = transaction.doom { throw EngineFailure(error: doom) }
  }

  /// A key that is there already may be about to go: waits for who holds its row. False: the failure is final.
  private func mayEndOtherwise(
    _ failure: EngineFailure, _ key: TabletLocks.RowKey?, _ tablet: TabletID, _ transaction: EngineTransaction
  ) async throws(EngineFailure) -> Bool {
    guard case .primaryKey = failure.constraint else { return false }
    let owner = TabletLocks.Owner.transaction(transaction.id)
    guard let key else { return tabletLocks.hasOthers(tablet, than: owner) }
    guard tabletLocks.isHeld(tablet, key, byOtherThan: owner) else { return false }
    try await wait(for: key, tablet, transaction)
    return true
  }

  private func run(
    _ fragment: EngineFragment, over changes: [UInt8], _ tablet: TabletID, _ transaction: EngineTransaction,
    _ session: EngineSession
  ) async throws(EngineFailure) -> RowStatement.Outcome {
    let connection = try await pool.take(.writer, [tablet])
    let gate = tabletGate(of: tablet)
    let outcome = await job(transaction, connection) {
      RowStatement.run(fragment, over: changes, on: connection, session, gate)
    }
    pool.give(connection)
    return outcome
  }

  // MARK: Reading

  /// Reads a tablet with what the transaction has changed there, and others beside it; nil where the rows are too many for memory.
  func readBesideOthers(
    _ fragment: EngineFragment, _ own: TabletID, _ others: [TabletID], _ transaction: EngineTransaction,
    _ session: EngineSession, _ rows: @escaping @LoopActor (EncodedRows) async -> Bool
  ) async throws(EngineFailure) -> UInt64? {
    let connection = try await pool.take(.writer, [own])
    let (gate, directory) = (tabletGate(of: own), directory)
    let changes = transaction.overlays[own]?.changes ?? []
    let outcome: RowStatement.Outcome = await job(transaction, connection) {
      do throws(EngineFailure) {
        try connection.attach(others, path: { directory.tabletPath($0) })
      } catch {
        connection.detachAll()
        return .failure(error, nil)
      }
      return RowStatement.run(fragment, over: changes, on: connection, session, gate)
    }
    pool.give(connection)
    if let doom = transaction.doom { throw EngineFailure(error: doom) }
    switch outcome {
    case .success(let result):
      for batch in result.rows where await !rows(batch) {
        throw EngineFailure(error: SQLError(.queryCanceled, "canceling statement due to user request"))
      }
      return 0
    case .tooLarge: return nil
    case .failure(let failure, _): throw failure
    }
  }

  // MARK: From rows to the tablet

  /// Brings what the transaction has changed beside others to the connection with which it has the tablet for itself.
  func carryOver(
    _ tablet: TabletID, to connection: TabletConnection, _ transaction: EngineTransaction
  ) async throws(EngineFailure) {
    guard let overlay = transaction.overlays.removeValue(forKey: tablet), !overlay.isEmpty else { return }
    let failure: EngineFailure? = await job(transaction, connection) {
      do throws(EngineFailure) {
        try connection.run("BEGIN IMMEDIATE")
        try connection.put(overlay)
        return nil
      } catch {
        connection.endTransaction("ROLLBACK")
        return error
      }
    }
    guard let failure else { return }
    transaction.overlays[tablet] = overlay
    pool.give(connection)
    throw failure
  }

  /// The locks of what was prepared under another leader.
  func adopt(_ changeset: TabletChangeset, _ transaction: EngineTransaction) async {
    let (tablet, owner) = (changeset.tabletID, TabletLocks.Owner.transaction(transaction.id))
    // Only schema changes under an earlier leadership hold any, which end by themselves.
    try? await tabletLocks.acquire(tablet, .shared, for: owner, timeoutMilliseconds: 0)
    let keys = try? await keys(of: changeset)
    if let keys, case .success = tabletLocks.takeRows(tablet, keys, for: owner) { return }
    // Where rows cannot be locked, nobody else had anything prepared in the tablet.
    try? await tabletLocks.acquire(tablet, .exclusive, for: owner, timeoutMilliseconds: 0)
  }

  /// nil where the tablet's rows cannot be locked one by one.
  private func keys(of changeset: TabletChangeset) async throws(EngineFailure) -> [TabletLocks.RowKey]? {
    let tablet = changeset.tabletID
    guard tablets[tablet] != nil, try await locksRows(tablet) else { return nil }
    let connection = try await pool.take(.reader, [tablet])
    let result: Result<[TabletLocks.RowKey], EngineFailure> = await workers.run {
      do { return .success(try RowKeys.of(changeset.bytes, keyColumns: connection.tableColumns().key)) } catch {
        return .failure(
          error as? EngineFailure ?? EngineFailure(error: SQLError(.dataCorrupted, "\(error)"), tabletID: tablet))
      }
    }
    pool.give(connection)
    return try result.get()
  }

  /// Whether the rows of a tablet can be locked one by one, by their keys.
  private func locksRows(_ tablet: TabletID) async throws(EngineFailure) -> Bool {
    if let known = rowLocking[tablet] { return known }
    let connection = try await pool.take(.reader, [tablet])
    let result: Result<Bool, EngineFailure> = await workers.run {
      do throws(EngineFailure) { return .success(try connection.locksRows()) } catch { return .failure(error) }
    }
    pool.give(connection)
    let found = try result.get()
    rowLocking[tablet] = found
    return found
  }
}

/// A statement over what is committed and what its transaction has changed.
enum RowStatement {
  struct Result {
    var affected: UInt64
    var rows: [EncodedRows]
    /// What it has changed; empty where it is nothing.
    var changes: [UInt8]
    var keys: [TabletLocks.RowKey]
    /// The last entry that the tablet contained.
    var snapshotIndex: UInt64
  }

  /// Entries cannot be applied to the tablet meanwhile, nor others after them: what takes more steps of SQLite's machine than these,
  /// some tens of milliseconds, has to have the tablet for itself.
  private static let writeSteps: Int32 = 300_000
  private static let readSteps: Int32 = 1_000_000

  enum Outcome {
    case success(Result)
    /// More rows or changes than are kept in memory, or too much work.
    case tooLarge
    /// With the key of the row that is in the way, where one is and it is known.
    case failure(EngineFailure, TabletLocks.RowKey?)
  }

  /// On a worker. Leaves the file and the connection as they were.
  static func run(
    _ fragment: EngineFragment, over changes: [UInt8], on connection: TabletConnection, _ session: EngineSession,
    _ gate: TabletGate
  ) -> Outcome {
    gate.enter()
    defer {
      connection.endTransaction("ROLLBACK")
      gate.leave()
    }
    let limit = StepLimit(connection, steps: fragment.isWrite ? writeSteps : readSteps)
    defer { limit.end() }
    do throws(EngineFailure) {
      connection.setSession(session)
      try connection.run("BEGIN IMMEDIATE")
      let index = try connection.integer("SELECT applied_index FROM main._kunlog_tablet") ?? 0
      try connection.putOver(changes)
      let cursor = FragmentCursor(fragment, on: connection)
      var rows: [EncodedRows] = []
      var size = 0
      while !cursor.isDone {
        let batch = try cursor.next(limitBytes: 64 << 10)
        if batch.count > 0 { rows.append(batch) }
        size += batch.bytes.count
        guard size <= EngineStatement.maximumRowBytes else {
          cursor.abandon()
          return .tooLarge
        }
      }
      let changed = connection.recorder?.takeChangeset() ?? []
      return .success(
        Result(
          affected: cursor.affected, rows: rows, changes: changed, keys: try connection.keys(of: changed),
          snapshotIndex: UInt64(index)))
    } catch {
      if limit.isReached || error.error.sqlState == .programLimitExceeded { return .tooLarge }
      let columns = try? connection.tableColumns()
      return .failure(error, columns.flatMap { RowKeys.of(error.failingRow, $0) })
    }
  }
}

/// Ends a statement after so many steps of SQLite's machine.
private final class StepLimit {
  private let connection: TabletConnection
  private(set) var isReached = false

  init(_ connection: TabletConnection, steps: Int32) {
    self.connection = connection
    sqlite3_progress_handler(
      connection.handle, steps,
      { context in
        Unmanaged<StepLimit>.fromOpaque(context!).takeUnretainedValue().isReached = true
        return 1
      }, Unmanaged.passUnretained(self).toOpaque())
  }

  func end() { sqlite3_progress_handler(connection.handle, 0, nil, nil) }
}

extension TabletConnection {
  /// Within a transaction: puts changes over the tablet that were recorded before, without recording them again.
  func putOver(_ changes: [UInt8]) throws(EngineFailure) {
    guard !changes.isEmpty else { return }
    recorder?.isEnabled = false
    defer { recorder?.isEnabled = true }
    try ChangeApplier(self).apply(changes)
  }

  /// Within a transaction: goes on with what was changed beside others, and with its savepoints.
  func put(_ overlay: TabletOverlay) throws(EngineFailure) {
    var done = 0
    for (place, savepoint) in overlay.savepoints.enumerated() {
      try putOver(overlay, from: done, to: savepoint.mark)
      done = max(done, savepoint.mark)
      try setSavepoints(overlay.savepoints[...place].map(\.number))
    }
    try putOver(overlay, from: done, to: overlay.changes.count)
  }

  private func putOver(_ overlay: TabletOverlay, from start: Int, to end: Int) throws(EngineFailure) {
    let header = ChangeFormat.headerBytes
    guard end > max(start, header) else { return }
    try putOver(Array(overlay.changes[..<header]) + overlay.changes[max(start, header)..<end])
    recorder?.add(overlay.changes[max(start, header)..<end])
  }

  func keys(of changes: [UInt8]) throws(EngineFailure) -> [TabletLocks.RowKey] {
    guard !changes.isEmpty else { return [] }
    let columns = try tableColumns().key
    do throws(ChangeReader.Failure) {
      return try RowKeys.of(changes, keyColumns: columns)
    } catch {
      throw EngineFailure(error: SQLError(.internalError, "recorded changes are damaged: \(error)"), tabletID: tablet)
    }
  }

  /// Whether two rows of the tablet are in each other's way only where their keys are the same bytes: the primary key is all that
  /// is unique, and its values are equal where their bytes are.
  func locksRows() throws(EngineFailure) -> Bool {
    let table = TabletSchema.tableName(tablet)
    let columns = try tableColumns()
    for place in columns.key {
      var (type, collation): (UnsafePointer<CChar>?, UnsafePointer<CChar>?)
      guard
        sqlite3_table_column_metadata(handle, "main", table, columns.names[place], &type, &collation, nil, nil, nil)
          == SQLITE_OK, let type, let collation
      else { throw failure() }
      guard String(cString: collation) == "BINARY", ["INTEGER", "TEXT", "BLOB"].contains(String(cString: type)) else {
        return false
      }
    }
    return try integer(
      "SELECT count(*) FROM pragma_index_list('\(table)') WHERE \"unique\" = 1 AND origin <> 'pk'") == 0
  }
}
