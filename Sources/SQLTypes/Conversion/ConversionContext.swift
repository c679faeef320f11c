/// The order in which an ambiguous date's parts are read (the second half of `DateStyle`).
package enum DateOrder: String, Sendable {
  case monthDayYear = "MDY"
  case dayMonthYear = "DMY"
  case yearMonthDay = "YMD"
}

/// What the text forms of types depend on besides the value: the session's settings and the clock of its transaction.
package struct ConversionContext: Sendable {
  /// The session's time zone.
  package var timeZone: TimeZoneRule
  /// How ambiguous dates are read. Dates are always printed in ISO style.
  package var dateOrder: DateOrder
  /// The start of the transaction, in microseconds since 2000-01-01 UTC: what `now` and `today` mean.
  package var transactionTimestamp: Int64
  /// Finds a zone by its full name or abbreviation; nil for an unknown one.
  package var findTimeZone: @Sendable (String) -> TimeZoneRule?
  /// Finds the oid that a name stands for in `regclass` and the like.
  /// - Throws: 42P01, 42704… where there is none.
  package var findObject: @Sendable (SQLType, String) throws(SQLError) -> UInt32
  /// The name to print for an oid in `regclass` and the like; nil where there is none (then the number is printed).
  package var nameObject: @Sendable (SQLType, UInt32) -> String?

  /// UTC, ISO, MDY, no catalog.
  package static let standard = ConversionContext()

  /// A context with the settings; the rest as in ``standard``.
  package init(
    timeZone: TimeZoneRule = .utc, dateOrder: DateOrder = .monthDayYear, transactionTimestamp: Int64 = 0
  ) {
    self.timeZone = timeZone
    self.dateOrder = dateOrder
    self.transactionTimestamp = transactionTimestamp
    findTimeZone = { _ in nil }
    findObject = ConversionContext.noObject
    nameObject = ConversionContext.typeName
  }

  /// A zone by full name or abbreviation, or by a fixed offset such as `+02` or `-03:30`.
  package func zone(named name: String) -> TimeZoneRule? {
    switch lowercaseASCII(name) {
    case "utc", "z", "zulu", "gmt", "etc/utc", "ut", "uct", "etc/gmt", "greenwich", "universal":
      return TimeZoneRule(name: name == "z" ? "UTC" : name, offsetSeconds: 0, abbreviation: "UTC")
    default:
      return findTimeZone(name)
    }
  }

  /// Without a catalog only types are known by name.
  package static func noObject(_ type: SQLType, _ name: String) throws(SQLError) -> UInt32 {
    if type.oid == SQLType.regtype.oid {
      if let found = SQLType.named(lowercaseASCII(name)) { return found.oid }
      throw SQLError(.undefinedObject, "type \"\(name)\" does not exist")
    }
    if type.oid == SQLType.regclass.oid { throw SQLError(.undefinedTable, "relation \"\(name)\" does not exist") }
    throw SQLError(.undefinedObject, "\(type.displayName) \"\(name)\" does not exist")
  }

  /// Without a catalog only types have names.
  package static func typeName(_ type: SQLType, _ oid: UInt32) -> String? {
    type.oid == SQLType.regtype.oid ? SQLType(oid: oid).entry?.displayName : nil
  }
}
