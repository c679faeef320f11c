import SQLTypes

/// Checks the structure of a changeset (sqlite.org/session/intro.html and the comment at the top of SQLite's
/// sqlite3session.c) before SQLite reads it: with some malformed input SQLite 3.40 never returns.
struct ChangesetFormat {
  private let bytes: [UInt8]
  private var offset = 0

  private init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Refuses bytes that are no changeset.
  /// - Throws: `SQLITE_CORRUPT`.
  static func check(_ bytes: [UInt8]) throws(SQLiteError) {
    var format = ChangesetFormat(bytes)
    guard format.isValid() else {
      throw SQLiteError(extendedCode: 11, message: "malformed changeset at byte \(format.offset)")
    }
  }

  /// Tables, each a header and its changes.
  private mutating func isValid() -> Bool {
    var columnCount = 0
    while offset < bytes.count {
      let mark = bytes[offset]
      offset += 1
      switch mark {
      case 0x54, 0x50:
        // 'T' changeset, 'P' patchset: column count, a key flag per column, the table's name.
        guard mark == 0x54, let count = variableInteger(), (1...2000).contains(count), bytes.count - offset > count
        else { return false }
        columnCount = count
        offset += count
        guard let end = bytes[offset...].firstIndex(of: 0) else { return false }
        offset = end + 1
      case 0x12, 0x09, 0x17:
        // INSERT, DELETE and UPDATE: a flag, then the new, the old, or both records.
        guard columnCount > 0, offset < bytes.count else { return false }
        offset += 1
        for _ in 0..<(mark == 0x17 ? 2 : 1) where !skipRecord(columnCount) { return false }
      default: return false
      }
    }
    return true
  }

  private mutating func skipRecord(_ columnCount: Int) -> Bool {
    for _ in 0..<columnCount {
      guard offset < bytes.count else { return false }
      let type = bytes[offset]
      offset += 1
      switch type {
      case 0, 5: break
      case 1, 2: offset += 8
      case 3, 4:
        guard let length = variableInteger(), length <= bytes.count - offset else { return false }
        offset += length
      default: return false
      }
      guard offset <= bytes.count else { return false }
    }
    return true
  }

  /// SQLite's integers of one to nine bytes, seven bits each; those that matter here fit five.
  private mutating func variableInteger() -> Int? {
    var value = 0
    for _ in 0..<5 {
      guard offset < bytes.count else { return nil }
      let byte = bytes[offset]
      offset += 1
      value = value << 7 | Int(byte & 0x7f)
      if byte & 0x80 == 0 { return value }
    }
    return nil
  }
}
