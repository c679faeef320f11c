import CSQLite
import Metadata
import SQLTypes
import TabletSQL

/// Finds the row that violates a constraint, for the error's detail. SQLite does not tell: so the statement runs once more,
/// with triggers that note each row before its constraints are checked. That costs only who fails.
enum RowDiagnosis {
  private final class Notes {
    var row: [StoredValue] = []
  }

  private static let function = "_kunlog_note_row"
  /// SQLITE_MAX_FUNCTION_ARG of Debian's library.
  private static let maximumColumns = 127

  /// The row, without a hidden key, in the order of the table's columns; empty where it cannot be found. The statement is
  /// reset, with its parameters bound; the connection is within a transaction, which is left as it was.
  static func failingRow(of statement: OpaquePointer, on connection: TabletConnection) -> [StoredValue] {
    guard let table = try? TabletColumns(connection.handle, connection.tablet) else { return [] }
    let columns = table.names.filter { $0 != TabletSchema.hiddenKeyColumn }
    guard !columns.isEmpty, columns.count <= maximumColumns else { return [] }
    let notes = Notes()
    let isRegistered = sqlite3_create_function_v2(
      connection.handle, function, -1, SQLITE_UTF8, Unmanaged.passUnretained(notes).toOpaque(),
      { context, count, arguments in
        let notes = Unmanaged<Notes>.fromOpaque(sqlite3_user_data(context)).takeUnretainedValue()
        notes.row = (0..<Int(count)).map { RowDiagnosis.value(arguments![$0]!) }
      }, nil, nil, nil)
    guard isRegistered == SQLITE_OK else { return [] }
    connection.recorder?.isEnabled = false
    defer {
      connection.recorder?.isEnabled = true
      sqlite3_create_function_v2(connection.handle, function, -1, SQLITE_UTF8, nil, nil, nil, nil, nil)
    }
    guard execute("SAVEPOINT diagnosis", connection) else { return [] }
    defer {
      _ = execute("ROLLBACK TO diagnosis", connection)
      _ = execute("RELEASE diagnosis", connection)
    }
    let values = columns.map { "NEW.\(TabletSchema.quoted($0))" }.joined(separator: ", ")
    let tableName = "main.\(TabletSchema.quoted(TabletSchema.tableName(connection.tablet)))"
    for event in ["INSERT", "UPDATE"] {
      let trigger =
        "CREATE TEMP TRIGGER _kunlog_note_\(event) BEFORE \(event) ON \(tableName) BEGIN SELECT \(function)(\(values)); END"
      guard execute(trigger, connection) else { return [] }
    }
    var result = SQLITE_ROW
    while result == SQLITE_ROW { result = sqlite3_step(statement) }
    sqlite3_reset(statement)
    return result & 0xff == SQLITE_CONSTRAINT ? notes.row : []
  }

  private static func execute(_ sql: String, _ connection: TabletConnection) -> Bool {
    sqlite3_exec(connection.handle, sql, nil, nil, nil) == SQLITE_OK
  }

  private static func value(_ value: OpaquePointer) -> StoredValue {
    switch sqlite3_value_type(value) {
    case SQLITE_INTEGER: return .integer(sqlite3_value_int64(value))
    case SQLITE_FLOAT: return .real(sqlite3_value_double(value))
    case SQLITE_TEXT:
      let text = sqlite3_value_text(value)
      return .text(
        String(decoding: UnsafeBufferPointer(start: text, count: Int(sqlite3_value_bytes(value))), as: UTF8.self))
    case SQLITE_BLOB:
      let blob = sqlite3_value_blob(value)
      return .blob(Array(UnsafeRawBufferPointer(start: blob, count: Int(sqlite3_value_bytes(value)))))
    default: return .null
    }
  }
}
