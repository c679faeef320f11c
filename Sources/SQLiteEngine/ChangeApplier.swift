import CSQLite
import Metadata
import SQLTypes
import StorageEngine
import TabletSQL

/// Does to a tablet what recorded changes say. The tablet must contain exactly what it contained where they were recorded: a
/// row that is missing, or there already, means that this replica is not what it should be.
struct ChangeApplier {
  private let connection: TabletConnection
  private let columns: TabletColumns
  private let table: String

  /// For an `applier` connection, within a transaction.
  init(_ connection: TabletConnection) throws(EngineFailure) {
    self.connection = connection
    columns = try connection.tableColumns()
    table = TabletSchema.quoted(TabletSchema.tableName(connection.tablet))
  }

  /// Applies a changeset.
  func apply(_ changeset: [UInt8]) throws(EngineFailure) {
    var failure: EngineFailure?
    changeset.withUnsafeBytes { bytes in
      do throws(EngineFailure) {
        try apply(bytes)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }

  private func apply(_ bytes: UnsafeRawBufferPointer) throws(EngineFailure) {
    do {
      var reader = try ChangeReader(bytes)
      guard reader.columnCount == columns.names.count else { throw diverged("its columns differ") }
      var old: [Range<Int>] = []
      var new: [Range<Int>] = []
      while let kind = try reader.nextKind() {
        switch kind {
        case .insert:
          try reader.nextRow(into: &new)
          try insert(new, bytes)
        case .delete:
          try reader.nextRow(into: &old)
          try delete(old, bytes)
        case .update:
          try reader.nextRow(into: &old)
          try reader.nextRow(into: &new)
          try update(old, new, bytes)
        }
      }
    } catch let failure as EngineFailure {
      throw failure
    } catch {
      throw diverged("the logged changes are damaged: \(error)")
    }
  }

  private func insert(_ row: [Range<Int>], _ bytes: UnsafeRawBufferPointer) throws(EngineFailure) {
    let statement = try connection.prepare(columns.insertText)
    defer { connection.reset(statement) }
    for (place, range) in row.enumerated() { try bind(statement, place + 1, range, bytes) }
    try finish(statement, "a row that is inserted exists already")
  }

  private func delete(_ row: [Range<Int>], _ bytes: UnsafeRawBufferPointer) throws(EngineFailure) {
    let statement = try connection.prepare("DELETE FROM \(table) WHERE \(keyCondition(from: 1))")
    defer { connection.reset(statement) }
    for (place, column) in columns.key.enumerated() { try bind(statement, place + 1, row[column], bytes) }
    try finish(statement, "a row that is deleted does not exist")
  }

  private func update(
    _ old: [Range<Int>], _ new: [Range<Int>], _ bytes: UnsafeRawBufferPointer
  ) throws(EngineFailure) {
    let changed = new.indices.filter { bytes[new[$0].lowerBound] != ChangeFormat.unchangedTag }
    let assignments = changed.enumerated().map { "\(TabletSchema.quoted(columns.names[$1])) = ?\($0 + 1)" }
    let statement = try connection.prepare(
      "UPDATE \(table) SET \(assignments.joined(separator: ", ")) WHERE \(keyCondition(from: changed.count + 1))")
    defer { connection.reset(statement) }
    for (place, column) in changed.enumerated() { try bind(statement, place + 1, new[column], bytes) }
    for (place, column) in columns.key.enumerated() {
      try bind(statement, changed.count + place + 1, old[column], bytes)
    }
    try finish(statement, "a row that is updated does not exist")
  }

  private func keyCondition(from first: Int) -> String {
    columns.key.enumerated().map { "\(TabletSchema.quoted(columns.names[$1])) = ?\(first + $0)" }
      .joined(separator: " AND ")
  }

  private func bind(
    _ statement: OpaquePointer, _ parameter: Int, _ range: Range<Int>, _ bytes: UnsafeRawBufferPointer
  ) throws(EngineFailure) {
    guard ValueBytes.bind(bytes, at: range.lowerBound, to: Int32(parameter), of: statement) != nil else {
      throw diverged("the logged changes are damaged")
    }
  }

  private func finish(_ statement: OpaquePointer, _ problem: String) throws(EngineFailure) {
    guard sqlite3_step(statement) == SQLITE_DONE else {
      let failure = connection.failure()
      throw failure.constraint == nil ? failure : diverged(problem)
    }
    guard sqlite3_changes64(connection.handle) == 1 else { throw diverged(problem) }
  }

  private func diverged(_ problem: String) -> EngineFailure {
    EngineFailure(
      error: SQLError(
        .dataCorrupted, "tablet \(connection.tablet) differs from the shard's log: \(problem)",
        hint: "Remove this replica's data directory: it fetches everything from the others."),
      tabletID: connection.tablet)
  }
}
