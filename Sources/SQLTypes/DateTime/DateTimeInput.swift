/// Dates and times from text.
package enum DateTimeInput {
  /// A date, in days since 2000-01-01.
  /// - Throws: 22007, 22008, 22009 or 22023, worded as PostgreSQL does.
  package static func date(_ text: String, context: ConversionContext) throws(SQLError) -> Int64 {
    let result = try parse(text, type: "date", context: context)
    switch result.special {
    case .infinity: return CivilCalendar.dateInfinity
    case .negativeInfinity: return CivilCalendar.dateNegativeInfinity
    case .epoch: return -CivilCalendar.unixEpochDays
    case .now: return today(context)
    case nil: break
    }
    if let relative = result.relativeDays { return today(context) + relative }
    guard let days = result.days else { throw invalid(text, "date") }
    guard CivilCalendar.dateRange.contains(days) else {
      throw SQLError(.datetimeFieldOverflow, "date out of range: \"\(text)\"")
    }
    return days
  }

  /// A time of day, in microseconds.
  package static func time(_ text: String, digits: Int?, context: ConversionContext) throws(SQLError) -> Int64 {
    let result = try parse(text, type: "time", context: context)
    if result.special == .now {
      let wallClock = context.timeZone.wallClock(at: context.transactionTimestamp)
      return round(CivilCalendar.split(wallClock).microseconds, digits: digits)
    }
    guard result.special == nil, let microseconds = result.microseconds else { throw invalid(text, "time") }
    return round(microseconds, digits: digits)
  }

  /// A timestamp without zone; a zone in the text is read and ignored.
  package static func timestamp(_ text: String, digits: Int?, context: ConversionContext) throws(SQLError) -> Int64 {
    let result = try parse(text, type: "timestamp", context: context)
    switch result.special {
    case .infinity: return .max
    case .negativeInfinity: return .min
    case .epoch: return -CivilCalendar.unixEpochMicroseconds
    case .now: return round(context.timeZone.wallClock(at: context.transactionTimestamp), digits: digits)
    case nil: return round(try wallClock(result, text, "timestamp", context), digits: digits)
    }
  }

  /// A timestamp with zone; the session's zone where the text has none.
  package static func timestamptz(
    _ text: String, digits: Int?, context: ConversionContext
  ) throws(SQLError) -> Int64 {
    let result = try parse(text, type: "timestamp with time zone", context: context)
    switch result.special {
    case .infinity: return .max
    case .negativeInfinity: return .min
    case .epoch: return -CivilCalendar.unixEpochMicroseconds
    case .now: return round(context.transactionTimestamp, digits: digits)
    case nil: break
    }
    let wallClock = try wallClock(result, text, "timestamp with time zone", context)
    let instant: Int64
    switch result.zone {
    case .offset(let seconds): instant = wallClock - Int64(seconds) * CivilCalendar.microsecondsPerSecond
    case .rule(let rule): instant = rule.instant(wallClock: wallClock)
    case nil: instant = context.timeZone.instant(wallClock: wallClock)
    }
    guard CivilCalendar.timestampRange.contains(instant) else { throw outOfRange(text) }
    return round(instant, digits: digits)
  }

  /// Rounded to so many digits after the second.
  package static func round(_ microseconds: Int64, digits: Int?) -> Int64 {
    guard let digits, digits < 6, !CivilCalendar.isInfinite(microseconds) else { return microseconds }
    var unit: Int64 = 1
    for _ in digits..<6 { unit *= 10 }
    let rest = microseconds % unit
    if rest >= 0 { return microseconds - rest + (rest * 2 >= unit ? unit : 0) }
    return microseconds - rest - (-rest * 2 >= unit ? unit : 0)
  }

  /// The current date of the session.
  package static func today(_ context: ConversionContext) -> Int64 {
    CivilCalendar.split(context.timeZone.wallClock(at: context.transactionTimestamp)).days
  }

  private static func wallClock(
    _ result: DateTimeParser.Result, _ text: String, _ type: String, _ context: ConversionContext
  ) throws(SQLError) -> Int64 {
    let relative = result.relativeDays.map { today(context) + $0 }
    guard let days = relative ?? result.days else { throw invalid(text, type) }
    guard let value = CivilCalendar.timestamp(days: days, microseconds: result.microseconds ?? 0) else {
      throw outOfRange(text)
    }
    return value
  }

  private static func parse(
    _ text: String, type: String, context: ConversionContext
  ) throws(SQLError) -> DateTimeParser.Result {
    do {
      return try DateTimeParser.parse(text, context: context, isTimeOfDay: type == "time")
    } catch {
      switch error {
      case .badFormat: throw invalid(text, type)
      case .fieldOverflow:
        throw SQLError(.datetimeFieldOverflow, "date/time field value out of range: \"\(text)\"")
      case .monthDayOverflow:
        throw SQLError(
          .datetimeFieldOverflow, "date/time field value out of range: \"\(text)\"",
          hint: "Perhaps you need a different \"datestyle\" setting.")
      case .zoneOverflow:
        throw SQLError(.invalidTimeZoneDisplacementValue, "time zone displacement out of range: \"\(text)\"")
      case .unknownZone(let zone):
        throw SQLError(.invalidParameterValue, "time zone \"\(lowercaseASCII(zone))\" not recognized")
      }
    }
  }

  private static func invalid(_ text: String, _ type: String) -> SQLError {
    SQLError(.invalidDatetimeFormat, "invalid input syntax for type \(type): \"\(text)\"")
  }

  private static func outOfRange(_ text: String) -> SQLError {
    SQLError(.datetimeFieldOverflow, "timestamp out of range: \"\(text)\"")
  }
}
