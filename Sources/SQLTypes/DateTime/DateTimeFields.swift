/// `extract`, `date_trunc` and the `make_…` functions.
package enum DateTimeFields {
  /// A field of a timestamp (of a date at midnight).
  /// - Parameter offsetSeconds: the zone's offset for a timestamp with zone, nil for one without.
  /// - Returns: nil where an infinity has no such field.
  /// - Throws: 22023 for an unknown field, 0A000 for one that the type does not have.
  package static func extract(
    _ field: String, from timestamp: Int64, offsetSeconds: Int?, typeName: String
  ) throws(SQLError) -> NumericValue? {
    let name = lowercaseASCII(trimSpaces(field))
    if CivilCalendar.isInfinite(timestamp) { return try infinite(name, timestamp > 0, field, typeName) }
    let (days, time) = CivilCalendar.split(timestamp)
    let (year, month, day) = CivilCalendar.date(days: days)
    if let value = try timeField(name, time) { return value }
    if let value = calendarField(name, days: days, year: year, month: month, day: day) { return value }
    switch name {
    case "epoch":
      let instant = timestamp - Int64(offsetSeconds ?? 0) * 1_000_000
      let sum = Int128(instant) + Int128(CivilCalendar.unixEpochMicroseconds)
      return decimal(sum, scale: 6)
    case "julian", "j":
      let whole = NumericValue(days + CivilCalendar.epochJulianDay)
      let part = try NumericValue(time).divided(by: NumericValue(CivilCalendar.microsecondsPerDay))
      return time == 0 && typeName == "date" ? whole : try whole.adding(part)
    case "timezone", "timezone_hour", "timezone_minute", "timezone_h", "timezone_m":
      guard let offsetSeconds else { throw unsupported(field, typeName) }
      return timezoneField(name, offsetSeconds)
    default: throw unknown(field, typeName)
    }
  }

  /// A field of a date. Fields of the time are not supported, as in PostgreSQL.
  package static func extract(_ field: String, fromDate date: Int64) throws(SQLError) -> NumericValue? {
    let name = lowercaseASCII(trimSpaces(field))
    if try timeField(name, 0) != nil || name.hasPrefix("timezone") { throw unsupported(field, "date") }
    let timestamp = try? DateTimeArithmetic.timestamp(date: date)
    if name == "epoch", !CivilCalendar.isInfinite(date: date) {
      return NumericValue((date + CivilCalendar.unixEpochDays) * 86_400)
    }
    if timestamp == nil {
      let (year, month, day) = CivilCalendar.date(days: date)
      if let value = calendarField(name, days: date, year: year, month: month, day: day) { return value }
    }
    return try extract(field, from: timestamp ?? 0, offsetSeconds: nil, typeName: "date")
  }

  /// A field of a time of day.
  package static func extract(_ field: String, fromTime time: Int64) throws(SQLError) -> NumericValue {
    let name = lowercaseASCII(trimSpaces(field))
    if let value = try timeField(name, time) { return value }
    if name == "epoch" { return decimal(Int128(time), scale: 6) }
    if calendarField(name, days: 0, year: 2000, month: 1, day: 1) != nil || name.hasPrefix("timezone") {
      throw unsupported(field, "time without time zone")
    }
    throw unknown(field, "time without time zone")
  }

  /// A field of an interval.
  package static func extract(_ field: String, from interval: IntervalValue) throws(SQLError) -> NumericValue {
    let name = lowercaseASCII(trimSpaces(field))
    let years = Int64(interval.months / 12)
    let months = Int64(interval.months % 12)
    switch name {
    case "hour", "hours", "h", "hr", "hrs":
      return NumericValue(interval.microseconds / CivilCalendar.microsecondsPerHour)
    case "day", "days", "d": return NumericValue(Int64(interval.days))
    case "month", "months", "mon", "mons": return NumericValue(months)
    case "quarter": return NumericValue(months / 3 + 1)
    case "year", "years", "y", "yr", "yrs": return NumericValue(years)
    case "decade", "decades": return NumericValue(years / 10)
    case "century", "centuries": return NumericValue(years / 100)
    case "millennium", "millennia": return NumericValue(years / 1000)
    case "epoch":
      let days = Int128(interval.months % 12) * 30 + Int128(interval.days)
      let seconds = days * 86_400 + Int128(years) * 31_557_600
      return decimal(seconds * 1_000_000 + Int128(interval.microseconds), scale: 6)
    default:
      if let value = try timeField(name, interval.microseconds) { return value }
      if calendarField(name, days: 0, year: 2000, month: 1, day: 1) != nil || name.hasPrefix("timezone") {
        throw unsupported(field, "interval")
      }
      throw unknown(field, "interval")
    }
  }

  /// A number in units of 10^-scale.
  static func decimal(_ value: Int128, scale: Int) -> NumericValue {
    let digits = Array(String(value.magnitude).utf8)
    return NumericValue(isNegative: value < 0, magnitude: DecimalMagnitude(digits: digits), scale: scale)
  }

  private static func timeField(_ name: String, _ time: Int64) throws(SQLError) -> NumericValue? {
    switch name {
    case "hour", "hours", "h", "hr", "hrs": return NumericValue(time / CivilCalendar.microsecondsPerHour)
    case "minute", "minutes", "m", "min", "mins":
      return NumericValue(time / CivilCalendar.microsecondsPerMinute % 60)
    case "second", "seconds", "s", "sec", "secs": return decimal(Int128(time % 60_000_000), scale: 6)
    case "millisecond", "milliseconds", "ms", "msec", "msecs": return decimal(Int128(time % 60_000_000), scale: 3)
    case "microsecond", "microseconds", "us", "usec", "usecs": return NumericValue(time % 60_000_000)
    default: return nil
    }
  }

  private static func calendarField(_ name: String, days: Int64, year: Int, month: Int, day: Int) -> NumericValue? {
    let shownYear = year > 0 ? year : year - 1
    let value: Int
    switch name {
    case "year", "years", "y", "yr", "yrs": value = shownYear
    case "month", "months", "mon", "mons": value = month
    case "day", "days", "d": value = day
    case "quarter": value = (month - 1) / 3 + 1
    case "week", "weeks", "w": value = CivilCalendar.isoWeek(days: days).week
    case "isoyear":
      let isoYear = CivilCalendar.isoWeek(days: days).year
      value = isoYear > 0 ? isoYear : isoYear - 1
    case "dow": value = CivilCalendar.weekday(days: days)
    case "isodow": value = (CivilCalendar.weekday(days: days) + 6) % 7 + 1
    case "doy": value = CivilCalendar.dayOfYear(days: days)
    case "decade", "decades": value = year >= 0 ? year / 10 : -((8 - (year - 1)) / 10)
    case "century", "centuries": value = shownYear > 0 ? (shownYear + 99) / 100 : -((99 - (shownYear - 1)) / 100)
    case "millennium", "millennia": value = shownYear > 0 ? (shownYear + 999) / 1000 : -((999 - (shownYear - 1)) / 1000)
    default: return nil
    }
    return NumericValue(Int64(value))
  }

  private static func timezoneField(_ name: String, _ offset: Int) -> NumericValue {
    switch name {
    case "timezone": return NumericValue(Int64(offset))
    case "timezone_hour", "timezone_h": return NumericValue(Int64(offset / 3600))
    default: return NumericValue(Int64(offset % 3600 / 60))
    }
  }

  private static func infinite(
    _ name: String, _ positive: Bool, _ field: String, _ typeName: String
  ) throws(SQLError) -> NumericValue? {
    switch name {
    case "year", "decade", "century", "millennium", "julian", "isoyear", "epoch":
      return positive ? .infinity : .negativeInfinity
    case "microseconds", "milliseconds", "second", "minute", "hour", "day", "month", "quarter", "week", "dow",
      "isodow", "doy", "timezone", "timezone_hour", "timezone_minute":
      return nil
    default: throw unknown(field, typeName)
    }
  }

  static func unknown(_ field: String, _ type: String) -> SQLError {
    SQLError(.invalidParameterValue, "unit \"\(field)\" not recognized for type \(type)")
  }

  static func unsupported(_ field: String, _ type: String) -> SQLError {
    SQLError(.featureNotSupported, "unit \"\(field)\" not supported for type \(type)")
  }

  // MARK: Truncation

  /// `date_trunc` of a timestamp.
  package static func truncate(
    _ field: String, _ timestamp: Int64, typeName: String = "timestamp without time zone"
  ) throws(SQLError) -> Int64 {
    let name = lowercaseASCII(trimSpaces(field))
    if CivilCalendar.isInfinite(timestamp) { return timestamp }
    let (days, time) = CivilCalendar.split(timestamp)
    var (year, month, _) = CivilCalendar.date(days: days)
    switch name {
    case "microsecond", "microseconds", "us", "usec": return timestamp
    case "millisecond", "milliseconds", "ms", "msec": return timestamp - floorModulo(timestamp, 1000)
    case "second", "seconds", "s", "sec": return timestamp - floorModulo(timestamp, 1_000_000)
    case "minute", "minutes", "m", "min": return timestamp - floorModulo(timestamp, 60_000_000)
    case "hour", "hours", "h", "hr": return timestamp - floorModulo(timestamp, 3_600_000_000)
    case "day", "days", "d": return timestamp - time
    case "week", "weeks", "w":
      return timestamp - time
        - Int64((CivilCalendar.weekday(days: days) + 6) % 7) * CivilCalendar.microsecondsPerDay
    case "month", "months", "mon": break
    case "quarter": month = (month - 1) / 3 * 3 + 1
    case "year", "years", "y", "yr": month = 1
    case "decade", "decades":
      month = 1
      year = year > 0 ? year / 10 * 10 : -((8 - (year - 1)) / 10 * 10)
    case "century", "centuries":
      month = 1
      year = year > 0 ? (year + 99) / 100 * 100 - 99 : -((99 - (year - 1)) / 100 * 100) + 1
    case "millennium", "millennia":
      month = 1
      year = year > 0 ? (year + 999) / 1000 * 1000 - 999 : -((999 - (year - 1)) / 1000 * 1000) + 1
    default: throw unknown(field, typeName)
    }
    guard
      let value = CivilCalendar.timestamp(
        days: CivilCalendar.days(year: year, month: month, day: 1), microseconds: 0)
    else { throw DateTimeArithmetic.timestampOutOfRange }
    return value
  }

  /// `date_trunc` of an interval.
  package static func truncate(_ field: String, _ interval: IntervalValue) throws(SQLError) -> IntervalValue {
    let name = lowercaseASCII(trimSpaces(field))
    var value = interval
    func cut(_ unit: Int64) { value.microseconds = interval.microseconds / unit * unit }
    func cutMonths(_ unit: Int32) {
      value = IntervalValue(months: interval.months / unit * unit)
    }
    switch name {
    case "microsecond", "microseconds", "us", "usec": break
    case "millisecond", "milliseconds", "ms", "msec": cut(1000)
    case "second", "seconds", "s", "sec": cut(1_000_000)
    case "minute", "minutes", "m", "min": cut(60_000_000)
    case "hour", "hours", "h", "hr": cut(3_600_000_000)
    case "day", "days", "d": value.microseconds = 0
    case "month", "months", "mon": cutMonths(1)
    case "quarter": cutMonths(3)
    case "year", "years", "y", "yr": cutMonths(12)
    case "decade", "decades": cutMonths(120)
    case "century", "centuries": cutMonths(1200)
    case "millennium", "millennia": cutMonths(12_000)
    case "week", "weeks", "w":
      throw SQLError(
        .featureNotSupported, "unit \"\(field)\" not supported for type interval",
        detail: "Months usually have fractional weeks.")
    default: throw unknown(field, "interval")
    }
    return value
  }

  // MARK: Construction

  /// `make_date`; a negative year is BC.
  package static func makeDate(_ year: Int64, _ month: Int64, _ day: Int64) throws(SQLError) -> Int64 {
    let overflow = SQLError(
      .datetimeFieldOverflow, "date field value out of range: \(year)-\(padded(month))-\(padded(day))")
    guard let y = Int(exactly: year), abs(year) <= 5_874_897, y != 0, (1...12).contains(month) else { throw overflow }
    let astronomical = y < 0 ? y + 1 : y
    guard day >= 1, day <= CivilCalendar.length(ofMonth: Int(month), year: astronomical) else { throw overflow }
    let days = CivilCalendar.days(year: astronomical, month: Int(month), day: Int(day))
    guard CivilCalendar.dateRange.contains(days) else { throw overflow }
    return days
  }

  /// `make_time`.
  package static func makeTime(_ hour: Int64, _ minute: Int64, _ second: Double) throws(SQLError) -> Int64 {
    let overflow = SQLError(
      .datetimeFieldOverflow,
      "time field value out of range: \(hour):\(padded(minute)):\(second < 10 ? "0" : "")\(FloatText.text(second))")
    guard (0...24).contains(hour), (0...59).contains(minute), second >= 0, second <= 60 else { throw overflow }
    let total = (hour * 60 + minute) * 60_000_000 + Int64((second * 1_000_000).rounded(.toNearestOrEven))
    guard total <= CivilCalendar.microsecondsPerDay else { throw overflow }
    return total
  }

  private static func padded(_ value: Int64) -> String { value >= 0 && value < 10 ? "0\(value)" : "\(value)" }
}
