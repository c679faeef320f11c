import CSQLite
import SQLTypes

/// Tells SQLite to copy what it is given before the call returns.
let sqliteTransient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

/// Moving values between Swift and SQLite. Text is UTF-8 on both sides; what SQLite holds that is not UTF-8 is repaired.
extension StoredValue {
  /// Binds the value to a parameter (from 1); the result is SQLite's code.
  func bind(to statement: OpaquePointer, at index: Int32) -> Int32 {
    switch self {
    case .null: return sqlite3_bind_null(statement, index)
    case .integer(let value): return sqlite3_bind_int64(statement, index, value)
    case .real(let value): return sqlite3_bind_double(statement, index, value)
    case .text(var value):
      return value.withUTF8 { buffer in
        buffer.withMemoryRebound(to: CChar.self) { characters in
          sqlite3_bind_text64(
            statement, index, characters.baseAddress ?? emptyText, sqlite3_uint64(buffer.count), sqliteTransient,
            UInt8(SQLITE_UTF8))
        }
      }
    case .blob(let value):
      if value.isEmpty { return sqlite3_bind_zeroblob(statement, index, 0) }
      return value.withUnsafeBytes {
        sqlite3_bind_blob64(statement, index, $0.baseAddress, sqlite3_uint64($0.count), sqliteTransient)
      }
    }
  }

  /// The value in a column (from 0) of the current row.
  init(column index: Int32, of statement: OpaquePointer) {
    switch sqlite3_column_type(statement, index) {
    case SQLITE_INTEGER: self = .integer(sqlite3_column_int64(statement, index))
    case SQLITE_FLOAT: self = .real(sqlite3_column_double(statement, index))
    case SQLITE_TEXT:
      let text = sqlite3_column_text(statement, index)
      let count = Int(sqlite3_column_bytes(statement, index))
      self = .text(String(decoding: UnsafeBufferPointer(start: text, count: count), as: UTF8.self))
    case SQLITE_BLOB:
      let bytes = sqlite3_column_blob(statement, index)
      let count = Int(sqlite3_column_bytes(statement, index))
      self = .blob([UInt8](UnsafeRawBufferPointer(start: bytes, count: count)))
    default: self = .null
    }
  }

  /// A value that SQLite passes: a function's argument, a changeset's column. No pointer is SQL's NULL.
  init(_ value: OpaquePointer?) {
    guard let value else {
      self = .null
      return
    }
    switch sqlite3_value_type(value) {
    case SQLITE_INTEGER: self = .integer(sqlite3_value_int64(value))
    case SQLITE_FLOAT: self = .real(sqlite3_value_double(value))
    case SQLITE_TEXT: self = .text(StoredValue.text(value))
    case SQLITE_BLOB: self = .blob(StoredValue.blob(value))
    default: self = .null
    }
  }

  static func text(_ value: OpaquePointer) -> String {
    let text = sqlite3_value_text(value)
    let count = Int(sqlite3_value_bytes(value))
    return String(decoding: UnsafeBufferPointer(start: text, count: count), as: UTF8.self)
  }

  static func blob(_ value: OpaquePointer) -> [UInt8] {
    let bytes = sqlite3_value_blob(value)
    let count = Int(sqlite3_value_bytes(value))
    return [UInt8](UnsafeRawBufferPointer(start: bytes, count: count))
  }

  /// Makes the value the result of a function's call.
  func setResult(of context: OpaquePointer) {
    switch self {
    case .null: sqlite3_result_null(context)
    case .integer(let value): sqlite3_result_int64(context, value)
    case .real(let value): sqlite3_result_double(context, value)
    case .text(var value):
      value.withUTF8 { buffer in
        buffer.withMemoryRebound(to: CChar.self) { characters in
          sqlite3_result_text64(
            context, characters.baseAddress ?? emptyText, sqlite3_uint64(buffer.count), sqliteTransient,
            UInt8(SQLITE_UTF8))
        }
      }
    case .blob(let value):
      if value.isEmpty {
        sqlite3_result_zeroblob(context, 0)
      } else {
        value.withUnsafeBytes {
          sqlite3_result_blob64(context, $0.baseAddress, sqlite3_uint64($0.count), sqliteTransient)
        }
      }
    }
  }
}

/// An empty C string that lives as long as the process: SQLite takes a missing pointer for NULL.
nonisolated(unsafe) private let emptyText: UnsafePointer<CChar> = {
  let pointer = UnsafeMutablePointer<CChar>.allocate(capacity: 1)
  pointer.initialize(to: 0)
  return UnsafePointer(pointer)
}()
