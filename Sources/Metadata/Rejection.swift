import SQLTypes

/// Why a command was refused: what psql shows where the command came from a statement.
package struct Rejection: Error, Sendable, Hashable {
  package var sqlState: SQLState
  package var message: String
  package var detail: String?
  package var hint: String?

  package init(_ sqlState: SQLState, _ message: String, detail: String? = nil, hint: String? = nil) {
    self.sqlState = sqlState
    self.message = message
    self.detail = detail
    self.hint = hint
  }

  /// The same as a client of PostgreSQL sees it.
  package var sqlError: SQLError { SQLError(sqlState, message, detail: detail, hint: hint) }
}

extension Rejection: CustomStringConvertible {
  package var description: String { "\(message) (SQLSTATE \(sqlState.rawValue))" }
}
