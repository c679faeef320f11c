import CSQLite

/// Writes down the rows that a connection changes, as SQLite reports them before each change.
///
/// Confined to whoever uses its connection: one worker's job at a time.
final class ChangeRecorder {
  private let columnCount: Int
  private let isKey: [Bool]
  /// The changes so far, as they are logged.
  private(set) var bytes: [UInt8]
  private let header: [UInt8]
  /// The most bytes of changes; the statement that would make more is interrupted.
  let maximumBytes: Int
  /// Whether a statement was interrupted for its changes.
  private(set) var isFull = false
  /// Changes to other tables than the tablet's own (its administrative one) are not recorded.
  private let tableName: [CChar]
  var isEnabled = true

  // Scratch for updates.
  private var oldRow: [UInt8] = []
  private var newRow: [UInt8] = []
  private var oldPlaces: [Range<Int>] = []
  private var newPlaces: [Range<Int>] = []

  init(tableName: String, columnCount: Int, keyColumns: [Int], maximumBytes: Int) {
    header = [
      ChangeFormat.version, UInt8(truncatingIfNeeded: columnCount), UInt8(truncatingIfNeeded: columnCount >> 8),
    ]
    bytes = header
    self.maximumBytes = maximumBytes
    self.tableName = Array(tableName.utf8CString)
    self.columnCount = columnCount
    isKey = (0..<columnCount).map { keyColumns.contains($0) }
  }

  /// Where the changes end now: to come back to when a statement is undone.
  var mark: Int { bytes.count }

  /// Whether something was changed.
  var hasChanges: Bool { bytes.count > header.count }

  func truncate(to mark: Int) { bytes.removeLast(bytes.count - mark) }

  func reset() {
    isFull = false
    if bytes.capacity <= 1 << 16 { bytes.removeLast(bytes.count - header.count) } else { bytes = header }
  }

  /// Adds changes that were recorded before, without their header.
  func add(_ changes: ArraySlice<UInt8>) { bytes += changes }

  /// Hands the changes out; empty where there is none. Nothing is recorded after it.
  func takeChangeset() -> [UInt8] {
    guard hasChanges else { return [] }
    defer { bytes = header }
    return bytes
  }

  /// Begins to listen. The recorder must outlive the connection.
  func attach(to handle: OpaquePointer) {
    sqlite3_preupdate_hook(
      handle,
      { context, handle, operation, database, table, _, _ in
        Unmanaged<ChangeRecorder>.fromOpaque(context!).takeUnretainedValue()
          .record(handle!, operation, database!, table!)
      }, Unmanaged.passUnretained(self).toOpaque())
  }

  private func record(
    _ handle: OpaquePointer, _ operation: Int32, _ database: UnsafePointer<CChar>, _ table: UnsafePointer<CChar>
  ) {
    guard isEnabled, isTabletTable(table) else { return }
    guard bytes.count <= maximumBytes else {
      isFull = true
      sqlite3_interrupt(handle)
      return
    }
    switch operation {
    case SQLITE_INSERT:
      bytes.append(ChangeFormat.Kind.insert.rawValue)
      for column in 0..<columnCount { append(handle, Int32(column), isNew: true, to: &bytes) }
    case SQLITE_DELETE:
      bytes.append(ChangeFormat.Kind.delete.rawValue)
      for column in 0..<columnCount { append(handle, Int32(column), isNew: false, to: &bytes) }
    default:
      recordUpdate(handle)
    }
  }

  private func isTabletTable(_ table: UnsafePointer<CChar>) -> Bool {
    for (place, character) in tableName.enumerated() where table[place] != character { return false }
    return true
  }

  private func recordUpdate(_ handle: OpaquePointer) {
    gather(handle, isNew: false, into: &oldRow, &oldPlaces)
    gather(handle, isNew: true, into: &newRow, &newPlaces)
    let isChanged = (0..<columnCount).map { column in
      !oldRow[oldPlaces[column]].elementsEqual(newRow[newPlaces[column]])
    }
    guard isChanged.contains(true) else { return }
    bytes.append(ChangeFormat.Kind.update.rawValue)
    for column in 0..<columnCount {
      if isChanged[column] || isKey[column] {
        bytes.append(contentsOf: oldRow[oldPlaces[column]])
      } else {
        bytes.append(ChangeFormat.unchangedTag)
      }
    }
    for column in 0..<columnCount {
      if isChanged[column] {
        bytes.append(contentsOf: newRow[newPlaces[column]])
      } else {
        bytes.append(ChangeFormat.unchangedTag)
      }
    }
  }

  private func gather(
    _ handle: OpaquePointer, isNew: Bool, into row: inout [UInt8], _ places: inout [Range<Int>]
  ) {
    row.removeAll(keepingCapacity: true)
    places.removeAll(keepingCapacity: true)
    for column in 0..<columnCount {
      let start = row.count
      append(handle, Int32(column), isNew: isNew, to: &row)
      places.append(start..<row.count)
    }
  }

  private func append(_ handle: OpaquePointer, _ column: Int32, isNew: Bool, to row: inout [UInt8]) {
    var value: OpaquePointer?
    let result =
      isNew ? sqlite3_preupdate_new(handle, column, &value) : sqlite3_preupdate_old(handle, column, &value)
    guard result == SQLITE_OK, let value else {
      // Out of memory while the row was read: the statement that changes it fails of the same cause.
      row.append(0)
      return
    }
    ValueBytes.append(value, to: &row)
  }
}
