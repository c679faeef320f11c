import CSQLite
import SQLTypes

/// A prepared statement. Confined to the thread of its database.
package final class SQLiteStatement {
  /// The text that it was prepared from.
  package let sql: String
  let handle: OpaquePointer
  private let database: SQLiteHandle
  /// Whether a run has begun that was neither finished nor reset.
  package private(set) var isRunning = false

  init(_ database: SQLiteHandle, _ sql: String, isCached: Bool) throws(SQLiteError) {
    var handle: OpaquePointer?
    let flags = isCached ? UInt32(SQLITE_PREPARE_PERSISTENT) : 0
    var text = sql
    let result = text.withUTF8 { buffer in
      buffer.withMemoryRebound(to: CChar.self) {
        sqlite3_prepare_v3(database.pointer, $0.baseAddress, Int32(buffer.count), flags, &handle, nil)
      }
    }
    guard result == SQLITE_OK else { throw SQLiteError(handle: database.pointer, result: result) }
    guard let handle else { throw SQLiteError(extendedCode: SQLITE_MISUSE, message: "empty statement") }
    self.sql = sql
    self.handle = handle
    self.database = database
  }

  deinit { sqlite3_finalize(handle) }

  /// The number of result columns; 0 for a statement that returns no rows.
  package var columnCount: Int { Int(sqlite3_column_count(handle)) }
  /// The number of parameters.
  package var parameterCount: Int { Int(sqlite3_bind_parameter_count(handle)) }
  /// Whether it changes no file.
  package var isReadOnly: Bool { sqlite3_stmt_readonly(handle) != 0 }

  /// The name of a column, from 0.
  package func columnName(_ index: Int) -> String {
    sqlite3_column_name(handle, Int32(index)).map { String(cString: $0) } ?? ""
  }

  /// The names of all columns.
  package var columnNames: [String] { (0..<columnCount).map(columnName) }

  /// Resets, then binds the first parameters; the others are NULL.
  package func bind(_ values: [StoredValue]) throws(SQLiteError) {
    reset()
    sqlite3_clear_bindings(handle)
    for (index, value) in values.enumerated() { try bind(value, at: index + 1) }
  }

  /// Binds one parameter, from 1. The statement must not be running.
  package func bind(_ value: StoredValue, at index: Int) throws(SQLiteError) {
    let result = value.bind(to: handle, at: Int32(index))
    guard result == SQLITE_OK else { throw SQLiteError(handle: database.pointer, result: result) }
  }

  /// Goes to the next row; false at the end.
  package func step() throws(SQLiteError) -> Bool {
    isRunning = true
    let result = sqlite3_step(handle)
    switch result {
    case SQLITE_ROW: return true
    case SQLITE_DONE:
      isRunning = false
      return false
    default:
      let error = SQLiteError(handle: database.pointer, result: result)
      reset()
      throw error
    }
  }

  /// The value in a column (from 0) of the current row.
  package func value(_ index: Int) -> StoredValue { StoredValue(column: Int32(index), of: handle) }

  /// The values of the current row.
  package func row() -> [StoredValue] { (0..<Int(sqlite3_data_count(handle))).map(value) }

  /// Appends the current row in the encoding of ``RowCodec``, without a value in between.
  package func appendRow(to bytes: inout [UInt8]) {
    for index in 0..<sqlite3_data_count(handle) { RowCodec.append(StoredValue(column: index, of: handle), to: &bytes) }
  }

  /// Ends the run, so that the statement's locks go and it can be run again.
  package func reset() {
    sqlite3_reset(handle)
    isRunning = false
  }

  /// Binds and runs to the end.
  /// - Returns: all rows.
  package func all(_ parameters: [StoredValue] = []) throws(SQLiteError) -> [[StoredValue]] {
    try bind(parameters)
    var rows: [[StoredValue]] = []
    while try step() { rows.append(row()) }
    reset()
    return rows
  }

  /// Binds and runs to the end, ignoring rows.
  package func run(_ parameters: [StoredValue] = []) throws(SQLiteError) {
    try bind(parameters)
    while try step() {}
    reset()
  }
}
