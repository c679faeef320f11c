import CSQLite
import EventLoop
import Metadata
import SQLTypes
import StorageEngine

extension SQLiteEngine {
  package func writeSnapshot(
    to path: String, index: UInt64, nodeState: [UInt8], onFixed: @escaping @LoopActor () -> Void
  ) async throws(SQLError) {
    let directory = directory
    let ids = tablets.keys.sorted()
    let fixed: Result<[TabletConnection], EngineFailure> = await workers.run {
      var connections: [TabletConnection] = []
      do throws(EngineFailure) {
        for id in ids {
          let connection = try TabletConnection(path: directory.tabletPath(id), tablet: id, purpose: .reader)
          connections.append(connection)
          try connection.beginSnapshot()
        }
        return .success(connections)
      } catch {
        for connection in connections { connection.close() }
        return .failure(error)
      }
    }
    onFixed()
    let connections: [TabletConnection]
    do throws(EngineFailure) { connections = try fixed.get() } catch { throw error.error }
    do throws(SQLError) {
      try await write(connections, to: path, EngineState(index: index, nodeState: nodeState))
    } catch {
      await workers.run { for connection in connections { connection.close() } }
      throw error
    }
    await workers.run { for connection in connections { connection.close() } }
  }

  private func write(
    _ connections: [TabletConnection], to path: String, _ state: EngineState
  ) async throws(SQLError) {
    let writer = try await onWorker { () throws(FileError) in
      let writer = SnapshotWriter(try SnapshotFile.Writer(path))
      try writer.file.writeHeader(state, tablets: connections.count)
      return writer
    }
    for connection in connections {
      let copy = "\(path).tablet"
      try await backUp(connection, to: copy)
      try await onWorker { () throws(FileError) in
        try writer.file.append(tablet: connection.tablet, file: copy)
        try FileSystem.remove(copy)
        connection.close()
      }
    }
    try await onWorker { () throws(FileError) in try writer.file.finish() }
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
    let directory = directory
    let unpacked: Result<EngineState, SQLError> = await workers.run {
      do throws(SnapshotFile.Failure) {
        return .success(try SnapshotFile.unpack(path, into: directory))
      } catch {
        return .failure(error.sqlError)
      }
    }
    let state = try unpacked.get()
    for id in tablets.keys { pool.retire(id) }
    await pool.closeAll()
    let found = try await onWorker { () throws(FileError) in
      try directory.adoptRestored()
      var tablets: [TabletID: TabletFile.Finding] = [:]
      for id in try directory.tabletIDs() { tablets[id] = TabletFile.summary(directory.tabletPath(id), id) }
      try directory.writeCheckpoint(state)
      return tablets
    }
    tablets = [:]
    rowLocking = [:]
    for (id, finding) in found {
      guard case .tablet(let summary) = finding else {
        throw SQLError(.dataCorrupted, "tablet \(id) of the shard's snapshot is damaged")
      }
      pool.retire(id)
      tablets[id] = summary
    }
    highestIndex = state.index
    return state
  }
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
