import CSQLite
import SQLTypes

/// What SQLite refused, with its codes (sqlite.org/rescode.html). Where one of PostgreSQL's functions refused,
/// ``sqlError`` has its SQLSTATE and message.
package struct SQLiteError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The primary result code, `SQLITE_CONSTRAINT`.
  package let code: Int32
  /// The extended result code, `SQLITE_CONSTRAINT_UNIQUE`.
  package let extendedCode: Int32
  /// SQLite's message.
  package let message: String
  /// The error that a function raised, nil where the error is SQLite's own.
  package let functionError: SQLError?

  /// An error from its codes and message; the message of a function's error is decoded.
  package init(extendedCode: Int32, message: String) {
    code = extendedCode & 0xff
    self.extendedCode = extendedCode
    functionError = SQLErrorText.decode(message)
    self.message = functionError?.message ?? message
  }

  init(handle: OpaquePointer?, result: Int32) {
    let message = handle.flatMap { sqlite3_errmsg($0) } ?? sqlite3_errstr(result)
    let extended = handle.map { sqlite3_extended_errcode($0) } ?? result
    self.init(
      extendedCode: extended & 0xff == result & 0xff ? extended : result,
      message: message.map { String(cString: $0) } ?? "unknown error")
  }

  /// The message with the code.
  package var description: String { "\(message) (SQLite \(extendedCode))" }

  /// Whether the statement was stopped by ``SQLiteInterrupt`` or a progress handler.
  package var isInterrupted: Bool { code == SQLITE_INTERRUPT }

  /// Whether another connection holds a lock.
  package var isBusy: Bool { code == SQLITE_BUSY || code == SQLITE_LOCKED }

  /// Whether a constraint is violated.
  package var isConstraintViolation: Bool { code == SQLITE_CONSTRAINT }

  /// The error as a client may see it. Constraint violations get their SQLSTATE, but the caller, who knows the
  /// catalog, words them better.
  package var sqlError: SQLError {
    if let functionError { return functionError }
    switch extendedCode {
    case kunlogUniqueCode, kunlogPrimaryKeyCode, kunlogRowIDCode: return SQLError(.uniqueViolation, message)
    case kunlogNotNullCode: return SQLError(.notNullViolation, message)
    case kunlogCheckCode: return SQLError(.checkViolation, message)
    case kunlogForeignKeyCode: return SQLError(.foreignKeyViolation, message)
    default: break
    }
    switch code {
    case SQLITE_INTERRUPT: return SQLError(.queryCanceled, "canceling statement due to user request")
    case SQLITE_FULL: return SQLError(.diskFull, message)
    case SQLITE_NOMEM: return SQLError(.outOfMemory, "out of memory")
    case SQLITE_BUSY, SQLITE_LOCKED: return SQLError(.lockNotAvailable, message)
    case SQLITE_TOOBIG: return SQLError(.programLimitExceeded, "value is too large: \(message)")
    case SQLITE_IOERR, SQLITE_CANTOPEN: return SQLError(.ioError, message)
    case SQLITE_CORRUPT, SQLITE_NOTADB: return SQLError(.dataCorrupted, message)
    case SQLITE_READONLY: return SQLError(.readOnlySQLTransaction, message)
    case SQLITE_ERROR where isLimit: return SQLError(.statementTooComplex, "statement is too complex: \(message)")
    default: return SQLError(.internalError, message)
    }
  }

  /// Whether a statement exceeds one of SQLite's fixed limits (sqlite.org/limits.html), which it tells by message only.
  private var isLimit: Bool {
    ["parser stack overflow", "Expression tree is too large", "too many", "at most 64 tables in a join"]
      .contains { message.hasPrefix($0) }
  }
}

// The extended codes are macros of expressions, which Swift does not import.
private let kunlogUniqueCode = SQLITE_CONSTRAINT | 8 << 8
private let kunlogPrimaryKeyCode = SQLITE_CONSTRAINT | 6 << 8
private let kunlogRowIDCode = SQLITE_CONSTRAINT | 10 << 8
private let kunlogNotNullCode = SQLITE_CONSTRAINT | 5 << 8
private let kunlogCheckCode = SQLITE_CONSTRAINT | 1 << 8
private let kunlogForeignKeyCode = SQLITE_CONSTRAINT | 3 << 8

/// How a function's error travels through SQLite, which only carries a message: fields after control characters that no
/// message of SQLite contains.
enum SQLErrorText {
  private static let mark: Character = "\u{1}"

  static func encode(_ error: SQLError) -> String {
    let fields = [error.sqlState.rawValue, error.message, error.detail ?? "", error.hint ?? ""]
    return fields.reduce(into: "") { $0 += "\(mark)\($1)" }
  }

  static func decode(_ message: String) -> SQLError? {
    guard message.first == mark else { return nil }
    let fields = message.dropFirst().split(separator: mark, omittingEmptySubsequences: false).map(String.init)
    guard fields.count == 4 else { return nil }
    return SQLError(
      SQLState(rawValue: fields[0]), fields[1], detail: fields[2].isEmpty ? nil : fields[2],
      hint: fields[3].isEmpty ? nil : fields[3])
  }
}
