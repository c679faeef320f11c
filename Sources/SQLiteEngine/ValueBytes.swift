import CSQLite

/// Between SQLite's values and RowCodec's bytes, without a value in between.
enum ValueBytes {
  /// Appends a value that SQLite lends (`sqlite3_value`).
  static func append(_ value: OpaquePointer, to bytes: inout [UInt8]) {
    switch sqlite3_value_type(value) {
    case SQLITE_INTEGER:
      append(tag: 1, UInt64(bitPattern: sqlite3_value_int64(value)), to: &bytes)
    case SQLITE_FLOAT:
      append(tag: 2, sqlite3_value_double(value).bitPattern, to: &bytes)
    case SQLITE_TEXT:
      let text = sqlite3_value_text(value)
      append(tag: 3, text, Int(sqlite3_value_bytes(value)), to: &bytes)
    case SQLITE_BLOB:
      let blob = sqlite3_value_blob(value)
      append(tag: 4, blob, Int(sqlite3_value_bytes(value)), to: &bytes)
    default:
      bytes.append(0)
    }
  }

  /// Appends a column of a statement's present row.
  static func append(column: Int32, of statement: OpaquePointer, to bytes: inout [UInt8]) {
    switch sqlite3_column_type(statement, column) {
    case SQLITE_INTEGER:
      append(tag: 1, UInt64(bitPattern: sqlite3_column_int64(statement, column)), to: &bytes)
    case SQLITE_FLOAT:
      append(tag: 2, sqlite3_column_double(statement, column).bitPattern, to: &bytes)
    case SQLITE_TEXT:
      let text = sqlite3_column_text(statement, column)
      append(tag: 3, text, Int(sqlite3_column_bytes(statement, column)), to: &bytes)
    case SQLITE_BLOB:
      let blob = sqlite3_column_blob(statement, column)
      append(tag: 4, blob, Int(sqlite3_column_bytes(statement, column)), to: &bytes)
    default:
      bytes.append(0)
    }
  }

  /// Binds the value at the offset and answers its length; nil where the bytes are no value. Text must be UTF-8.
  static func bind(
    _ bytes: UnsafeRawBufferPointer, at offset: Int, to parameter: Int32, of statement: OpaquePointer
  ) -> Int? {
    guard let length = EncodedValue.length(at: offset, in: bytes), length <= 1 << 30 else { return nil }
    switch bytes[offset] {
    case 0:
      sqlite3_bind_null(statement, parameter)
    case 1:
      sqlite3_bind_int64(statement, parameter, Int64(bitPattern: eightBytes(bytes, offset)))
    case 2:
      sqlite3_bind_double(statement, parameter, Double(bitPattern: eightBytes(bytes, offset)))
    case 3:
      let content = UnsafeRawBufferPointer(rebasing: bytes[(offset + 5)..<(offset + length)])
      guard isUTF8(content) else { return nil }
      sqlite3_bind_text(
        statement, parameter, (content.baseAddress ?? emptyText).assumingMemoryBound(to: CChar.self),
        Int32(content.count), transient)
    case 4:
      let content = UnsafeRawBufferPointer(rebasing: bytes[(offset + 5)..<(offset + length)])
      sqlite3_bind_blob(statement, parameter, content.baseAddress ?? emptyText, Int32(content.count), transient)
    default:
      return nil
    }
    return length
  }

  /// SQLITE_TRANSIENT, which Swift cannot import: SQLite copies what it is given.
  private static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
  /// What an empty text points to: a null pointer would bind NULL.
  private static var emptyText: UnsafeRawPointer { UnsafeRawPointer(bitPattern: 1)! }

  private static func eightBytes(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
    UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + 1, as: UInt64.self))
  }

  private static func isUTF8(_ content: UnsafeRawBufferPointer) -> Bool {
    if content.allSatisfy({ $0 < 0x80 }) { return true }
    return String(validating: content, as: UTF8.self) != nil
  }

  private static func append(tag: UInt8, _ word: UInt64, to bytes: inout [UInt8]) {
    bytes.append(tag)
    withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
  }

  private static func append(tag: UInt8, _ content: UnsafeRawPointer?, _ count: Int, to bytes: inout [UInt8]) {
    bytes.append(tag)
    withUnsafeBytes(of: UInt32(count).littleEndian) { bytes.append(contentsOf: $0) }
    if let content, count > 0 { bytes.append(contentsOf: UnsafeRawBufferPointer(start: content, count: count)) }
  }
}
