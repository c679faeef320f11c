/// An error as a client of PostgreSQL sees it: SQLSTATE, message and the optional fields of an ErrorResponse
/// (PostgreSQL 15 manual, 55.8).
package struct SQLError: Error, Sendable, Equatable {
  /// The five-character code.
  package var sqlState: SQLState
  /// The primary message, as PostgreSQL words it.
  package var message: String
  /// A second sentence with the particulars.
  package var detail: String?
  /// What the user may do.
  package var hint: String?
  /// Where in the statement, in characters, from 1.
  package var position: Int?
  /// The schema that the error concerns.
  package var schema: String?
  /// The table that the error concerns.
  package var table: String?
  /// The column that the error concerns.
  package var column: String?
  /// The constraint that was violated.
  package var constraint: String?
  /// The data type that the error concerns.
  package var dataType: String?
  /// Where it happened beyond the statement's text, e.g. a line of COPY's data.
  package var context: String?
  /// The routine of PostgreSQL that reports it, where drivers tell errors of one code apart by it.
  package var routine: String?

  /// An error with its code and message; the rest as far as known.
  package init(
    _ sqlState: SQLState, _ message: String, detail: String? = nil, hint: String? = nil, position: Int? = nil,
    schema: String? = nil, table: String? = nil, column: String? = nil, constraint: String? = nil,
    dataType: String? = nil, context: String? = nil, routine: String? = nil
  ) {
    self.sqlState = sqlState
    self.message = message
    self.detail = detail
    self.hint = hint
    self.position = position
    self.schema = schema
    self.table = table
    self.column = column
    self.constraint = constraint
    self.dataType = dataType
    self.context = context
    self.routine = routine
  }

  /// A prepared statement would answer other columns than it announced. Drivers that see the routine prepare it anew.
  package static let cachedPlanChanged = SQLError(
    .featureNotSupported, "cached plan must not change result type", routine: "RevalidateCachedQuery")

  /// The same error, at a position (kept where it has one already).
  package func at(_ position: Int?) -> SQLError {
    var copy = self
    copy.position = copy.position ?? position
    return copy
  }
}

extension SQLError: CustomStringConvertible {
  /// Message and code on one line.
  package var description: String { "\(message) (SQLSTATE \(sqlState.rawValue))" }
}
