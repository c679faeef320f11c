import Glibc
import Metadata
import SQLTypes

/// What a transaction has changed in a tablet that others write too: it is kept beside the file, and put over it for each of the
/// transaction's statements. The file itself holds what is committed, and nothing else.
struct TabletOverlay {
  /// As they are logged; empty where nothing was changed.
  private(set) var changes: [UInt8] = []
  /// Open savepoints, outermost first, with where the changes ended when each was set.
  private(set) var savepoints: [(number: UInt32, mark: Int)] = []

  var isEmpty: Bool { changes.isEmpty }

  /// Adds what a statement has changed.
  mutating func append(_ changeset: [UInt8]) {
    if changes.isEmpty { changes = changeset } else { changes += changeset.dropFirst(ChangeFormat.headerBytes) }
  }

  /// As `TabletConnection.setSavepoints`.
  mutating func setSavepoints(_ numbers: [UInt32]) {
    let kept = zip(savepoints, numbers).prefix { $0.number == $1 }.count
    savepoints.removeLast(savepoints.count - kept)
    for number in numbers[kept...] { savepoints.append((number, changes.count)) }
  }

  /// As `TabletConnection.rollback(toSavepoint:)`.
  mutating func rollback(toSavepoint number: UInt32) {
    guard let place = savepoints.firstIndex(where: { $0.number >= number }) else { return }
    changes.removeLast(changes.count - savepoints[place].mark)
    savepoints.removeLast(savepoints.count - place - 1)
  }
}

/// Lets one at a time change a tablet's file: a statement that looks at it with an overlay, or the entries that are applied. Both
/// take microseconds; SQLite's own waiting would sleep.
///
/// Unchecked: the mutex is all that it is.
final class TabletGate: @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t> = .allocate(capacity: 1)

  init() { pthread_mutex_init(mutex, nil) }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  func enter() { pthread_mutex_lock(mutex) }
  func leave() { pthread_mutex_unlock(mutex) }
}

/// The keys of rows, as the changes name them.
enum RowKeys {
  /// Of all rows that the changes touch, in their order: for an update of the key, the old and the new one.
  static func of(_ changeset: [UInt8], keyColumns: [Int]) throws(ChangeReader.Failure) -> [TabletLocks.RowKey] {
    var keys: [TabletLocks.RowKey] = []
    var seen: Set<TabletLocks.RowKey> = []
    var failure: ChangeReader.Failure?
    changeset.withUnsafeBytes { bytes in
      do throws(ChangeReader.Failure) {
        var reader = try ChangeReader(bytes)
        var old: [Range<Int>] = []
        var new: [Range<Int>] = []
        while let kind = try reader.nextKind() {
          try reader.nextRow(into: &old)
          var found = [keyColumns.flatMap { Array(bytes[old[$0]]) }]
          if kind == .update {
            try reader.nextRow(into: &new)
            found.append(
              keyColumns.flatMap { column in
                let isUnchanged = bytes[new[column].lowerBound] == ChangeFormat.unchangedTag
                return Array(bytes[isUnchanged ? old[column] : new[column]])
              })
          }
          for key in found where seen.insert(key).inserted { keys.append(key) }
        }
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return keys
  }

  /// Of a row of the table, without a hidden key; nil where the key is not among its values.
  static func of(_ row: [StoredValue], _ columns: TabletColumns) -> TabletLocks.RowKey? {
    guard row.count == columns.names.count else { return nil }
    return columns.key.flatMap { RowCodec.encode([row[$0]]) }
  }
}
