import SQLTypes

/// What the server sends (PostgreSQL 15 manual, 55.7, the messages marked B), except for DataRow and CopyData: those are
/// encoded in batches, straight into the output (`DataRowEncoder`, `CopyEncoder`).
package enum BackendMessage: Sendable, Equatable {
  /// `S` before TLS starts, `N` where it does not: a bare byte.
  case encryptionAnswer(accepted: Bool)
  /// `R` 10: the SASL mechanisms on offer.
  case authenticationSASL(mechanisms: [String])
  /// `R` 11: a step of the exchange.
  case authenticationSASLContinue([UInt8])
  /// `R` 12: its last step.
  case authenticationSASLFinal([UInt8])
  /// `R` 0: the client is who it says.
  case authenticationOK
  /// `v`: the newest minor version known here, and the options that are not.
  case negotiateProtocolVersion(newestMinor: Int32, unknownOptions: [String])
  /// `S`: the value of a reported setting.
  case parameterStatus(name: String, value: String)
  /// `K`: what a cancel request must carry.
  case backendKeyData(processID: Int32, secretKey: Int32)
  /// `Z`: the next command may come.
  case readyForQuery(TransactionStatus)
  /// `T`: the columns of the rows that follow.
  case rowDescription([ResultColumn], formats: [FormatCode])
  /// `t`: types of a statement's parameters.
  case parameterDescription([UInt32])
  /// `n`: the statement returns no rows.
  case noData
  /// `1`
  case parseComplete
  /// `2`
  case bindComplete
  /// `3`
  case closeComplete
  /// `s`: the row limit was reached, the portal can go on.
  case portalSuspended
  /// `C`: the command tag.
  case commandComplete(tag: String)
  /// `I`: there was no text to run.
  case emptyQueryResponse
  /// `G`: the client may send COPY data.
  case copyInResponse(format: FormatCode, columnCount: Int)
  /// `H`: COPY data follows.
  case copyOutResponse(format: FormatCode, columnCount: Int)
  /// `c`
  case copyDone
  /// `E`
  case errorResponse(Severity, SQLError)
  /// `N`
  case noticeResponse(SQLNotice)
}

/// The settings that the server reports on its own, at the start and whenever they change (GUC_REPORT in PostgreSQL 15).
package enum ReportedSettings {
  /// Their names, as PostgreSQL spells them.
  package static let names = [
    "application_name", "client_encoding", "DateStyle", "default_transaction_read_only", "in_hot_standby",
    "integer_datetimes", "IntervalStyle", "is_superuser", "server_encoding", "server_version",
    "session_authorization", "standard_conforming_strings", "TimeZone",
  ]

  /// The release of PostgreSQL whose behaviour Kunlog follows; drivers parse it.
  package static let serverVersion = "15.8"

  /// The values of a session that has changed nothing.
  package static func initial(
    user: String, isSuperuser: Bool, applicationName: String
  ) -> [(name: String, value: String)] {
    [
      ("application_name", applicationName), ("client_encoding", "UTF8"), ("DateStyle", "ISO, MDY"),
      ("default_transaction_read_only", "off"), ("in_hot_standby", "off"), ("integer_datetimes", "on"),
      ("IntervalStyle", "postgres"), ("is_superuser", isSuperuser ? "on" : "off"), ("server_encoding", "UTF8"),
      ("server_version", serverVersion), ("session_authorization", user), ("standard_conforming_strings", "on"),
      ("TimeZone", "UTC"),
    ]
  }
}
