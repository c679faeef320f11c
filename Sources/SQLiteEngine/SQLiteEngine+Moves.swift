import CSQLite
import EventLoop
import Metadata
import SQLTypes
import StorageEngine
import TabletSQL

// Tablets that move from shard to shard.
extension SQLiteEngine {
  package func fence(_ tablet: TabletID, graceMilliseconds: Int) async {
    let timer = LoopTimer(afterMilliseconds: graceMilliseconds, repeatMilliseconds: max(1, graceMilliseconds)) {
      [weak self] in
      guard let self else { return }
      let error = SQLError(
        .serializationFailure, "the transaction held a table that moves to another shard",
        hint: "Retry the transaction.")
      for case .transaction(let id) in tabletLocks.holders(of: tablet) { end(id, error) }
    }
    let owner = TabletLocks.Owner.fence(tablet)
    // It waits for those who hold it now, who end by themselves or are ended.
    try? await tabletLocks.acquire(tablet, for: owner, timeoutMilliseconds: 0)
    timer.cancel()
    tabletLocks.setFences(tabletLocks.fenced.union([tablet]))
    tabletLocks.release(tablet, by: owner)
  }

  package func setFences(_ tablets: Set<TabletID>) { tabletLocks.setFences(tablets) }

  package func readRows(of tablet: TabletID) async throws(SQLError) -> any TabletRows {
    guard tablets[tablet] != nil else {
      throw SQLError(.undefinedTable, "tablet \(tablet) does not exist on this shard")
    }
    let path = directory.tabletPath(tablet)
    let opened: Result<TabletConnection, EngineFailure> = await workers.run {
      do throws(EngineFailure) {
        let connection = try TabletConnection(path: path, tablet: tablet, purpose: .reader)
        // Nothing is fixed before something is read.
        try connection.beginSnapshot()
        return .success(connection)
      } catch {
        return .failure(error)
      }
    }
    do throws(EngineFailure) {
      return SQLiteRows(try opened.get(), workers)
    } catch {
      throw error.error
    }
  }

  package func split(_ changes: [UInt8], pieceBytes: Int) throws(SQLError) -> [[UInt8]] {
    guard changes.count > pieceBytes else { return [changes] }
    do {
      return try changes.withUnsafeBytes { bytes throws(ChangeReader.Failure) in
        let header = Array(bytes.prefix(ChangeFormat.headerBytes))
        var reader = try ChangeReader(bytes)
        var pieces: [[UInt8]] = []
        var start = reader.offset
        var row: [Range<Int>] = []
        while let kind = try reader.nextKind() {
          try reader.nextRow(into: &row)
          if kind == .update { try reader.nextRow(into: &row) }
          guard reader.offset - start >= pieceBytes else { continue }
          pieces.append(header + bytes[start..<reader.offset])
          start = reader.offset
        }
        if start < reader.offset { pieces.append(header + bytes[start..<reader.offset]) }
        return pieces
      }
    } catch {
      throw SQLError(.dataCorrupted, "the logged changes are damaged: \(error)")
    }
  }

  package func join(_ changes: [[UInt8]]) -> [UInt8] {
    guard var joined = changes.first else { return [] }
    for more in changes.dropFirst() { joined += more.dropFirst(ChangeFormat.headerBytes) }
    return joined
  }
}

/// The rows that a connection's snapshot holds.
@LoopActor
final class SQLiteRows: TabletRows {
  private let connection: TabletConnection
  private let workers: WorkerPool
  private let cursor = Cursor()
  private(set) var count: UInt64 = 0
  private var isClosed = false

  init(_ connection: TabletConnection, _ workers: WorkerPool) {
    self.connection = connection
    self.workers = workers
  }

  func next(limitBytes: Int) async throws(SQLError) -> [UInt8]? {
    guard !isClosed else { throw SQLError(.internalError, "the rows are not read any more") }
    let (connection, cursor) = (connection, cursor)
    let result: Result<(bytes: [UInt8], rows: UInt64), EngineFailure> = await workers.run {
      do throws(EngineFailure) { return .success(try cursor.next(connection, limitBytes)) } catch {
        return .failure(error)
      }
    }
    do throws(EngineFailure) {
      let (bytes, rows) = try result.get()
      count += rows
      return rows == 0 ? nil : bytes
    } catch {
      throw error.error
    }
  }

  func rewind() async {
    let (connection, cursor) = (connection, cursor)
    await workers.run { cursor.rewind(connection) }
    count = 0
  }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    let (connection, cursor) = (connection, cursor)
    Task {
      await workers.run {
        cursor.rewind(connection)
        connection.close()
      }
    }
  }

  /// Unchecked: used by one job after another, never by two at once.
  private final class Cursor: @unchecked Sendable {
    private var statement: OpaquePointer?
    private var header: [UInt8] = []
    private var columns: Int32 = 0
    private var isAtEnd = false

    func next(_ connection: TabletConnection, _ limitBytes: Int) throws(EngineFailure) -> (bytes: [UInt8], rows: UInt64)
    {
      guard !isAtEnd else { return ([], 0) }
      let statement: OpaquePointer
      if let begun = self.statement { statement = begun } else { statement = try begin(connection) }
      var bytes = header
      var rows: UInt64 = 0
      while bytes.count < limitBytes {
        switch sqlite3_step(statement) {
        case SQLITE_ROW:
          bytes.append(ChangeFormat.Kind.insert.rawValue)
          for column in 0..<columns { ValueBytes.append(column: column, of: statement, to: &bytes) }
          rows += 1
        case SQLITE_DONE:
          isAtEnd = true
          connection.reset(statement)
          return (bytes, rows)
        default: throw connection.failure()
        }
      }
      return (bytes, rows)
    }

    func rewind(_ connection: TabletConnection) {
      if let statement { connection.reset(statement) }
      statement = nil
      isAtEnd = false
    }

    private func begin(_ connection: TabletConnection) throws(EngineFailure) -> OpaquePointer {
      let table = try connection.tableColumns()
      let names = table.names.map(TabletSchema.quoted)
      columns = Int32(names.count)
      header = [
        ChangeFormat.version, UInt8(truncatingIfNeeded: names.count), UInt8(truncatingIfNeeded: names.count >> 8),
      ]
      let key = table.key.map { names[$0] }.joined(separator: ", ")
      let statement = try connection.prepare(
        "SELECT \(names.joined(separator: ", ")) FROM \(TabletSchema.quoted(TabletSchema.tableName(connection.tablet))) "
          + "ORDER BY \(key)")
      self.statement = statement
      return statement
    }
  }
}
