import CSQLite
import EventLoop
import Metadata
import SQLTypes
import StorageEngine

extension SQLiteEngine {
  package func writeSnapshot(
    to path: String, index: UInt64, nodeState: [UInt8], onFixed: @escaping @LoopActor () -> Void
  ) async throws(SQLError) {
    let ids = tablets.keys.sorted()
    let snapshot = SnapshotInProgress(Set(ids))
    snapshots.append(snapshot)
    onFixed()
    let result: Result<Void, SQLError>
    do throws(SQLError) {
      try await write(ids, snapshot, to: path, EngineState(index: index, nodeState: nodeState))
      result = .success(())
    } catch {
      result = .failure(error)
    }
    snapshots.removeAll { $0 === snapshot }
    for task in snapshot.fixing.values {
      if case .success(let connection) = await task.value { pool.close([connection]) }
    }
    try result.get()
  }

  private func write(
    _ ids: [TabletID], _ snapshot: SnapshotInProgress, to path: String, _ state: EngineState
  ) async throws(SQLError) {
    let writer = try await onWorker { () throws(FileError) in
      let writer = SnapshotWriter(try SnapshotFile.Writer(path))
      try writer.file.writeHeader(state, tablets: ids.count)
      return writer
    }
    for id in ids {
      guard !snapshot.isOvertaken else {
        throw SQLError(.internalError, "the tablets were replaced while a snapshot of them was written")
      }
      let connection: TabletConnection
      do throws(EngineFailure) { connection = try await fixed(id, in: snapshot).value.get() } catch {
        throw error.error
      }
      let copy = "\(path).tablet"
      try await backUp(connection, to: copy)
      snapshot.fixing[id] = nil
      try await onWorker { () throws(FileError) in
        connection.close()
        try writer.file.append(tablet: id, file: copy)
        try FileSystem.remove(copy)
      }
    }
    try await onWorker { () throws(FileError) in try writer.file.finish() }
  }

  /// A connection that sees the tablet as the snapshot must have it.
  private func fixed(
    _ id: TabletID, in snapshot: SnapshotInProgress
  ) -> Task<Result<TabletConnection, EngineFailure>, Never> {
    if let task = snapshot.fixing[id] { return task }
    snapshot.pending.remove(id)
    let path = directory.tabletPath(id)
    let task = Task { @LoopActor [workers] in
      await workers.run { () -> Result<TabletConnection, EngineFailure> in
        do throws(EngineFailure) {
          let connection = try TabletConnection(path: path, tablet: id, purpose: .reader)
          do throws(EngineFailure) { try connection.beginSnapshot() } catch {
            connection.close()
            throw error
          }
          return .success(connection)
        } catch {
          return .failure(error)
        }
      }
    }
    snapshot.fixing[id] = task
    return task
  }

  /// Before tablets change: snapshots that are being written get them as they are.
  func fixForSnapshots(_ ids: some Sequence<TabletID>) async {
    for snapshot in snapshots {
      for id in ids where snapshot.pending.contains(id) || snapshot.fixing[id] != nil {
        _ = await fixed(id, in: snapshot).value
      }
    }
  }

  /// Copies the connection's snapshot into a file, some pages at a time, so that others get their turn on the worker.
  private func backUp(_ connection: TabletConnection, to path: String) async throws(SQLError) {
    try await onWorker { () throws(FileError) in try FileSystem.remove(path) }
    let opened: Result<Backup, SQLError> = await workers.run {
      do throws(SQLError) { return .success(try Backup(connection, to: path)) } catch { return .failure(error) }
    }
    let backup = try opened.get()
    while true {
      let step: Result<Bool, SQLError> = await workers.run {
        do throws(SQLError) { return .success(try backup.step()) } catch { return .failure(error) }
      }
      if try step.get() { return }
    }
  }

  package func restoreSnapshot(from path: String) async throws(SQLError) -> EngineState {
    await rollbackAll()
    for snapshot in snapshots { snapshot.isOvertaken = true }
    let (state, found) = try await withSpace { await unpack(path) }
    for id in found.keys { pool.retire(id) }
    tablets = found
    rowLocking = [:]
    highestIndex = state.index
    return state
  }

  /// Puts a snapshot's tablets in the place of those that are there.
  private func unpack(_ path: String) async -> Result<(EngineState, [TabletID: TabletSummary]), SQLError> {
    let directory = directory
    let unpacked: Result<EngineState, SQLError> = await workers.run {
      do throws(SnapshotFile.Failure) {
        return .success(try SnapshotFile.unpack(path, into: directory))
      } catch {
        // What was unpacked takes space that others wait for.
        try? FileSystem.remove(directory.restoring)
        return .failure(error.sqlError)
      }
    }
    let state: EngineState
    switch unpacked {
    case .success(let found): state = found
    case .failure(let error): return .failure(error)
    }
    for id in tablets.keys { pool.retire(id) }
    await pool.closeAll()
    return await workers.run { directory.adopt(state) }.map { (state, $0) }
  }
}

/// A snapshot that is being written. A tablet is looked at when its turn comes, or before it changes: of very many tablets only those
/// are open at a time that have changed meanwhile.
@LoopActor
final class SnapshotInProgress {
  /// Tablets that have not changed since.
  fileprivate var pending: Set<TabletID>
  /// Those that are not written yet and must be as they were.
  fileprivate var fixing: [TabletID: Task<Result<TabletConnection, EngineFailure>, Never>] = [:]
  /// The tablets are others now.
  var isOvertaken = false

  fileprivate init(_ pending: Set<TabletID>) { self.pending = pending }
}

/// Unchecked: used by one job after another, never by two at once.
private final class SnapshotWriter: @unchecked Sendable {
  let file: SnapshotFile.Writer
  init(_ file: SnapshotFile.Writer) { self.file = file }
}

/// SQLite's online copy of one file.
///
/// Unchecked: used by one job after another, never by two at once.
private final class Backup: @unchecked Sendable {
  private let source: TabletConnection
  private var target: OpaquePointer?
  private var backup: OpaquePointer?
  private static let pagesPerStep: Int32 = 256

  init(_ source: TabletConnection, to path: String) throws(SQLError) {
    self.source = source
    let code = sqlite3_open_v2(
      path, &target, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nil)
    guard code == SQLITE_OK else { throw SQLiteFailure.error(code, "cannot create \(path)") }
    sqlite3_exec(target, "PRAGMA synchronous=OFF", nil, nil, nil)
    backup = sqlite3_backup_init(target, "main", source.handle, "main")
    guard backup != nil else {
      throw SQLiteFailure.error(sqlite3_errcode(target), String(cString: sqlite3_errmsg(target)))
    }
  }

  /// True once all is copied.
  func step() throws(SQLError) -> Bool {
    let code = sqlite3_backup_step(backup, Self.pagesPerStep)
    guard code == SQLITE_DONE else {
      if code == SQLITE_OK { return false }
      throw SQLiteFailure.error(code, String(cString: sqlite3_errmsg(target)))
    }
    close()
    return true
  }

  private func close() {
    sqlite3_backup_finish(backup)
    sqlite3_close_v2(target)
    backup = nil
    target = nil
  }

  deinit { close() }
}
