import SQLTypes

/// What functions know about the session in whose name a connection runs: clock, zone, user, settings. Its owner sets
/// it before each statement. Confined to the thread of its database.
package final class SessionContext {
  /// Time zone, date order, transaction timestamp, and the catalog's names.
  package var conversion: ConversionContext
  /// The start of the statement, in microseconds since 2000-01-01 UTC.
  package var statementTimestamp: Int64 = 0
  /// The effective user.
  package var user = ""
  /// The user that logged in.
  package var sessionUser = ""
  /// The database.
  package var database = ""
  /// The schemas that unqualified names are looked up in.
  package var searchPath = ["public"]
  /// The process number that the client was told for cancel requests.
  package var backendProcessID: Int32 = 0
  /// The number of the current transaction, for `txid_current()`.
  package var transactionID: Int64 = 0
  /// What `version()` says.
  package var version = "PostgreSQL 15.0 (Kunlog)"
  /// The session's other settings, for `current_setting`, by lower-case name.
  package var settings: [String: String] = [:]
  /// Tells the session that `set_config` changed a setting (name, value, only for the transaction).
  package var onSetConfig: ((String, String, Bool) throws -> Void)?
  /// The seed that `setseed` left, nil for a system random number at each call.
  package var randomState: UInt64?

  private var regularExpressions: [String: RegularExpression] = [:]

  /// With the conversions; without them in UTC, with the system's time zones and no catalog.
  package init(conversion: ConversionContext? = nil) {
    var standard = ConversionContext.standard
    standard.findTimeZone = { TimeZoneDatabase.zone(named: $0) }
    self.conversion = conversion ?? standard
  }

  /// The compiled expression; those used before are kept.
  /// - Throws: 2201B for a malformed one.
  func regularExpression(_ pattern: String, flags: String = "") throws(SQLError) -> RegularExpression {
    let key = "\(flags)/\(pattern)"
    if let known = regularExpressions[key] { return known }
    let expression = try RegularExpression(pattern, flags: flags)
    if regularExpressions.count >= 50 { regularExpressions.removeAll() }
    regularExpressions[key] = expression
    return expression
  }
}
