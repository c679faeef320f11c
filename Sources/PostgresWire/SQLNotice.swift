import SQLTypes

/// How bad a message is; ERROR ends the statement, FATAL and PANIC the session.
package enum Severity: String, Sendable, Equatable {
  case error = "ERROR"
  case fatal = "FATAL"
  case panic = "PANIC"
  case warning = "WARNING"
  case notice = "NOTICE"
  case debug = "DEBUG"
  case info = "INFO"
  case log = "LOG"
}

/// A message to the client that is no error.
package struct SQLNotice: Sendable, Equatable {
  /// WARNING, NOTICE, DEBUG, INFO or LOG.
  package var severity: Severity
  /// Code, message and the optional fields.
  package var fields: SQLError

  /// A notice with its fields.
  package init(severity: Severity, fields: SQLError) {
    self.severity = severity
    self.fields = fields
  }

  /// A NOTICE with SQLSTATE 00000, as PostgreSQL sends for `IF NOT EXISTS`.
  package static func notice(_ message: String, detail: String? = nil, hint: String? = nil) -> SQLNotice {
    SQLNotice(
      severity: .notice, fields: SQLError(SQLState(rawValue: "00000"), message, detail: detail, hint: hint))
  }

  /// A WARNING.
  package static func warning(
    _ sqlState: SQLState, _ message: String, detail: String? = nil, hint: String? = nil
  ) -> SQLNotice {
    SQLNotice(severity: .warning, fields: SQLError(sqlState, message, detail: detail, hint: hint))
  }
}
