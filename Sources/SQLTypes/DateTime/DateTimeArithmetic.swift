/// Arithmetic of dates and timestamps (`date.c` and `timestamp.c` of PostgreSQL 15), on stored values.
package enum DateTimeArithmetic {
  static let timestampOutOfRange = SQLError(.datetimeFieldOverflow, "timestamp out of range")
  static let dateOutOfRange = SQLError(.datetimeFieldOverflow, "date out of range")

  /// A date so many days later.
  package static func add(date: Int64, days: Int64) throws(SQLError) -> Int64 {
    if CivilCalendar.isInfinite(date: date) { return date }
    let (sum, overflow) = date.addingReportingOverflow(days)
    guard !overflow, CivilCalendar.dateRange.contains(sum) else { throw dateOutOfRange }
    return sum
  }

  /// Days between two dates.
  /// - Throws: 22008 for infinite ones.
  package static func days(from earlier: Int64, to later: Int64) throws(SQLError) -> Int64 {
    if CivilCalendar.isInfinite(date: earlier) || CivilCalendar.isInfinite(date: later) {
      throw SQLError(.datetimeFieldOverflow, "cannot subtract infinite dates")
    }
    return later - earlier
  }

  /// The midnight of a date.
  package static func timestamp(date: Int64) throws(SQLError) -> Int64 {
    if date == CivilCalendar.dateInfinity { return .max }
    if date == CivilCalendar.dateNegativeInfinity { return .min }
    guard let value = CivilCalendar.timestamp(days: date, microseconds: 0) else {
      throw SQLError(.datetimeFieldOverflow, "date out of range for timestamp")
    }
    return value
  }

  /// The date of a timestamp.
  package static func date(timestamp: Int64) -> Int64 {
    if timestamp == .max { return CivilCalendar.dateInfinity }
    if timestamp == .min { return CivilCalendar.dateNegativeInfinity }
    return CivilCalendar.split(timestamp).days
  }

  /// A date's time of day as a timestamp.
  package static func timestamp(date: Int64, time: Int64) throws(SQLError) -> Int64 {
    let midnight = try timestamp(date: date)
    if CivilCalendar.isInfinite(midnight) { return midnight }
    return try checked(midnight.addingReportingOverflow(time))
  }

  /// A timestamp later by an interval: months (the day cut to the month's length), then days, then time.
  package static func add(timestamp: Int64, _ interval: IntervalValue) throws(SQLError) -> Int64 {
    if CivilCalendar.isInfinite(timestamp) { return timestamp }
    var (days, time) = CivilCalendar.split(timestamp)
    days = addMonths(days, interval.months) + Int64(interval.days)
    guard let shifted = CivilCalendar.timestamp(days: days, microseconds: time) else { throw timestampOutOfRange }
    return try checked(shifted.addingReportingOverflow(interval.microseconds))
  }

  /// An instant later by an interval: months and days count in the zone's wall clock.
  package static func add(
    instant: Int64, _ interval: IntervalValue, in zone: TimeZoneRule
  ) throws(SQLError) -> Int64 {
    if CivilCalendar.isInfinite(instant) { return instant }
    var result = instant
    if interval.months != 0 || interval.days != 0 {
      let local = try add(
        timestamp: zone.wallClock(at: instant), IntervalValue(months: interval.months, days: interval.days))
      result = zone.instant(wallClock: local)
    }
    return try checked(result.addingReportingOverflow(interval.microseconds))
  }

  /// The interval from one timestamp to another, in days and time.
  package static func difference(_ later: Int64, _ earlier: Int64) throws(SQLError) -> IntervalValue {
    if CivilCalendar.isInfinite(later) || CivilCalendar.isInfinite(earlier) {
      throw SQLError(.datetimeFieldOverflow, "cannot subtract infinite timestamps")
    }
    let (difference, overflow) = later.subtractingReportingOverflow(earlier)
    if overflow { throw IntervalValue.outOfRange }
    return try IntervalValue(microseconds: difference).justifiedHours()
  }

  /// A time of day later by an interval's time, around midnight.
  package static func add(time: Int64, _ interval: IntervalValue) -> Int64 {
    floorModulo(time + interval.microseconds % CivilCalendar.microsecondsPerDay, CivilCalendar.microsecondsPerDay)
  }

  /// `age`: the interval from one timestamp to another in years, months, days and time.
  package static func age(_ later: Int64, _ earlier: Int64) throws(SQLError) -> IntervalValue {
    if CivilCalendar.isInfinite(later) || CivilCalendar.isInfinite(earlier) { throw timestampOutOfRange }
    if later < earlier { return try age(earlier, later).negated() }
    let (laterDays, laterTime) = CivilCalendar.split(later)
    let (earlierDays, earlierTime) = CivilCalendar.split(earlier)
    let end = CivilCalendar.date(days: laterDays)
    let start = CivilCalendar.date(days: earlierDays)
    var months = (end.year - start.year) * 12 + end.month - start.month
    var days = end.day - start.day
    var time = laterTime - earlierTime
    if time < 0 {
      time += CivilCalendar.microsecondsPerDay
      days -= 1
    }
    if days < 0 {
      days += CivilCalendar.length(ofMonth: start.month, year: start.year)
      months -= 1
    }
    return IntervalValue(months: Int32(months), days: Int32(days), microseconds: time)
  }

  /// `date_bin`: the start of the bin of a width, counted from an origin, that a timestamp lies in.
  package static func bin(
    _ stride: IntervalValue, _ timestamp: Int64, origin: Int64
  ) throws(SQLError) -> Int64 {
    if CivilCalendar.isInfinite(timestamp) { return timestamp }
    if CivilCalendar.isInfinite(origin) { throw SQLError(.datetimeFieldOverflow, "origin out of range") }
    if stride.months != 0 {
      throw SQLError(
        .featureNotSupported, "timestamps cannot be binned into intervals containing months or years")
    }
    let (dayTime, first) = Int64(stride.days).multipliedReportingOverflow(by: CivilCalendar.microsecondsPerDay)
    let (width, second) = dayTime.addingReportingOverflow(stride.microseconds)
    if first || second { throw IntervalValue.outOfRange }
    if width <= 0 { throw SQLError(.datetimeFieldOverflow, "stride must be greater than zero") }
    let (difference, third) = timestamp.subtractingReportingOverflow(origin)
    if third { throw IntervalValue.outOfRange }
    return origin + floorDivide(difference, width) * width
  }

  private static func addMonths(_ days: Int64, _ months: Int32) -> Int64 {
    if months == 0 { return days }
    let (year, month, day) = CivilCalendar.date(days: days)
    let total = Int64(year) * 12 + Int64(month - 1) + Int64(months)
    let newYear = Int(floorDivide(total, 12))
    let newMonth = Int(floorModulo(total, 12)) + 1
    return CivilCalendar.days(
      year: newYear, month: newMonth, day: min(day, CivilCalendar.length(ofMonth: newMonth, year: newYear)))
  }

  static func checked(_ result: (partialValue: Int64, overflow: Bool)) throws(SQLError) -> Int64 {
    guard !result.overflow, CivilCalendar.timestampRange.contains(result.partialValue) else {
      throw timestampOutOfRange
    }
    return result.partialValue
  }
}
