import SQLTypes

/// Conversions of constants that need no SQLite: so that plain literals reach tablets and pruning as values.
/// Each answers nil where it does not know the conversion; the compute node's SQLite then does it.
enum ConstantFolder {
  /// The value of a quoted literal.
  static func input(_ text: String, _ type: SQLType, session: SessionInfo) throws(SQLError) -> StoredValue? {
    switch type.oid {
    case SQLType.date.oid, SQLType.time.oid, SQLType.timestamp.oid:
      // `now`, `today` and the like belong to the transaction that runs the statement.
      return isRelative(text) ? nil : try moment(text, type)
    case SQLType.timestamptz.oid:
      guard !isRelative(text), isUTC(session.timeZone) else { return nil }
      return try moment(text, type)
    case SQLType.timetz.oid: return nil
    default:
      // Arrays of what depends on the session are left to it.
      if let element = type.elementType {
        guard element.category != .dateTime, !element.isRegistered else { return nil }
      }
      return type.isRegistered ? nil : try TypeInput.parse(text, as: type)
    }
  }

  /// A date or time. The names of zones are known where it runs, not here.
  private static func moment(_ text: String, _ type: SQLType) throws(SQLError) -> StoredValue? {
    do throws(SQLError) {
      return try TypeInput.parse(text, as: type)
    } catch {
      if error.sqlState == .invalidParameterValue { return nil }
      throw error
    }
  }

  private static func isRelative(_ text: String) -> Bool {
    let lowered = text.lowercased()
    return ["now", "today", "tomorrow", "yesterday"].contains { lowered.contains($0) }
  }

  private static func isUTC(_ zone: String) -> Bool {
    ["UTC", "GMT", "ETC/UTC", "Z", "ZULU", "UCT"].contains(zone.uppercased())
  }

  /// A constant of one type as one of another.
  static func cast(
    _ value: StoredValue, from source: SQLType, to target: SQLType, session: SessionInfo
  ) throws(SQLError) -> StoredValue? {
    switch (value, target.oid) {
    case (.null, _): return .null
    case (.integer(let integer), SQLType.int8.oid) where isInteger(source): return .integer(integer)
    case (.integer(let integer), SQLType.int4.oid) where isInteger(source):
      return Int32(exactly: integer).map { .integer(Int64($0)) }
    case (.integer(let integer), SQLType.int2.oid) where isInteger(source):
      return Int16(exactly: integer).map { .integer(Int64($0)) }
    case (.integer(let integer), SQLType.oid.oid) where isInteger(source):
      return UInt32(exactly: integer).map { .integer(Int64($0)) }
    case (.integer(let integer), SQLType.numeric.oid) where isInteger(source): return .text(String(integer))
    case (.integer(let integer), SQLType.float8.oid) where isInteger(source): return .real(Double(integer))
    case (.text(let text), SQLType.float8.oid) where source.oid == SQLType.numeric.oid:
      return Double(text).flatMap { $0.isFinite && !$0.isZero ? .real($0) : nil }
    default: return nil
    }
  }

  private static func isInteger(_ type: SQLType) -> Bool {
    [SQLType.int2.oid, SQLType.int4.oid, SQLType.int8.oid].contains(type.oid)
  }

  /// A constant brought to its type's modifier.
  static func modify(_ value: StoredValue, to type: SQLType, isExplicit: Bool) throws(SQLError) -> StoredValue? {
    switch (value, type.oid) {
    case (.null, _): return .null
    case (.text(let text), SQLType.varchar.oid), (.text(let text), SQLType.bpchar.oid):
      return .text(try CharacterLength.fit(text, to: type, isExplicit: isExplicit))
    case (.text(let text), SQLType.numeric.oid):
      return .text(try NumericValue(stored: text).fitted(to: type).text)
    default: return nil
    }
  }
}
