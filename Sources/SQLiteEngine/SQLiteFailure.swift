import CSQLite
import Metadata
import SQLTypes
import StorageEngine
import TabletSQL

/// What SQLite reports, in PostgreSQL's terms.
enum SQLiteFailure {
  // SQLITE_CONSTRAINT_…, whose macros Swift does not import (sqlite3.h, "Extended Result Codes").
  private static let violatedCheck = SQLITE_CONSTRAINT | 1 << 8
  private static let violatedNotNull = SQLITE_CONSTRAINT | 5 << 8
  private static let violatedPrimaryKey = SQLITE_CONSTRAINT | 6 << 8
  private static let violatedUnique = SQLITE_CONSTRAINT | 8 << 8
  private static let violatedRowID = SQLITE_CONSTRAINT | 10 << 8

  /// The failure of the last call on the connection.
  static func last(_ handle: OpaquePointer, tablet: TabletID?) -> EngineFailure {
    let code = sqlite3_extended_errcode(handle)
    let text = String(cString: sqlite3_errmsg(handle))
    if code & 0xff == SQLITE_CONSTRAINT, let constraint = constraint(code, text, tablet: tablet) {
      return EngineFailure(error: violation(constraint), constraint: constraint, tabletID: tablet)
    }
    return EngineFailure(error: error(code, text), tabletID: tablet)
  }

  /// The error of a result code, with SQLite's own text.
  static func error(_ code: Int32, _ text: String) -> SQLError {
    switch code & 0xff {
    case SQLITE_INTERRUPT: SQLError(.queryCanceled, "canceling statement due to user request")
    case SQLITE_FULL: SQLError(.diskFull, "could not write to the tablet: no space left on device")
    case SQLITE_NOMEM: SQLError(.outOfMemory, "out of memory")
    case SQLITE_TOOBIG: SQLError(.programLimitExceeded, "a value or a statement is too large for the tablet: \(text)")
    case SQLITE_CORRUPT, SQLITE_NOTADB: SQLError(.dataCorrupted, "the tablet's file is damaged: \(text)")
    case SQLITE_IOERR, SQLITE_CANTOPEN, SQLITE_PERM: SQLError(.ioError, "could not access the tablet's file: \(text)")
    case SQLITE_READONLY: SQLError(.readOnlySQLTransaction, "cannot write in a read-only transaction")
    case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_PROTOCOL:
      SQLError(.lockNotAvailable, "could not lock the tablet's file: \(text)")
    case SQLITE_MISMATCH: SQLError(.datatypeMismatch, "the value does not fit the column: \(text)")
    case SQLITE_ERROR where text == "integer overflow":
      SQLError(.numericValueOutOfRange, "bigint out of range")
    case SQLITE_ERROR where text.hasPrefix("no such table: t"):
      SQLError(.undefinedTable, "tablet \(text.dropFirst(16)) does not exist on this shard")
    default: SQLError(.internalError, "the tablet cannot run the statement: \(text)")
    }
  }

  private static func constraint(_ code: Int32, _ text: String, tablet: TabletID?) -> EngineFailure.Constraint? {
    guard let colon = text.firstIndex(of: ":") else { return nil }
    let subject = text[text.index(after: colon)...].drop { $0 == " " }
    let table = tablet.map { TabletSchema.tableName($0) + "." } ?? ""
    switch code {
    case violatedCheck:
      return .check(name: String(subject))
    case violatedNotNull:
      return .notNull(column: String(subject.hasPrefix(table) ? subject.dropFirst(table.count) : subject))
    case violatedUnique where subject.hasPrefix("index '"):
      return TabletSchema.indexID(subject.dropFirst(7).dropLast()).map { .index($0) }
    case violatedUnique:
      return .unique(columns: columns(subject, table: table))
    case violatedPrimaryKey, violatedRowID:
      return .primaryKey(columns: columns(subject, table: table))
    default:
      return nil
    }
  }

  /// "t1.a, t1.b" gives a and b; a column's name may itself contain a comma.
  private static func columns(_ subject: Substring, table: String) -> [String] {
    var columns: [String] = []
    var rest = subject.hasPrefix(table) ? subject.dropFirst(table.count) : subject
    let separator = ", " + table
    while true {
      guard let end = rest.indices.first(where: { rest[$0...].hasPrefix(separator) }) else { break }
      columns.append(String(rest[..<end]))
      rest = rest[end...].dropFirst(separator.count)
    }
    columns.append(String(rest))
    return columns
  }

  /// The error without the names that only the metadata knows; the compute node words it in full.
  private static func violation(_ constraint: EngineFailure.Constraint) -> SQLError {
    switch constraint {
    case .primaryKey, .unique, .index: SQLError(.uniqueViolation, "duplicate key value violates a unique constraint")
    case .notNull(let column):
      SQLError(.notNullViolation, "null value in column \"\(column)\" violates not-null constraint", column: column)
    case .check(let name):
      SQLError(.checkViolation, "new row violates check constraint \"\(name)\"", constraint: name)
    }
  }
}
