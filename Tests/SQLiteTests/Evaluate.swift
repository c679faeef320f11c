import SQLTypes

@testable import SQLite

/// The result of an expression as text; errors as SQLSTATE and message.
func evaluate(_ sql: String) throws -> String {
  let database = try SQLiteDatabase(.memory)
  try PostgresFunctions.register(on: database, context: SessionContext())
  do {
    switch try database.query("SELECT \(sql)")[0][0] {
    case .null: return "NULL"
    case .integer(let value): return String(value)
    case .real(let value): return FloatText.text(value)
    case .text(let value): return value
    case .blob(let value): return ByteaText.text(value)
    }
  } catch {
    return "\(error.sqlError.sqlState.rawValue) \(error.sqlError.message)"
  }
}
