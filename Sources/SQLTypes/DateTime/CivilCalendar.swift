/// The proleptic Gregorian calendar, on days and microseconds counted from 2000-01-01 (PostgreSQL's epoch).
package enum CivilCalendar {
  package static let microsecondsPerSecond: Int64 = 1_000_000
  package static let microsecondsPerMinute: Int64 = 60_000_000
  package static let microsecondsPerHour: Int64 = 3_600_000_000
  package static let microsecondsPerDay: Int64 = 86_400_000_000
  /// Days from 1970-01-01 to 2000-01-01.
  package static let unixEpochDays: Int64 = 10_957
  /// Microseconds from 1970-01-01 to 2000-01-01.
  package static let unixEpochMicroseconds: Int64 = 946_684_800_000_000
  /// The Julian day of 2000-01-01.
  package static let epochJulianDay: Int64 = 2_451_545

  /// `infinity` as a date, in stored form.
  package static let dateInfinity = Int64(Int32.max)
  /// `-infinity` as a date, in stored form.
  package static let dateNegativeInfinity = Int64(Int32.min)
  /// Dates that PostgreSQL holds: 4714-11-24 BC to 5874897-12-31.
  package static let dateRange: ClosedRange<Int64> = -2_451_545...2_145_031_948
  /// Timestamps that PostgreSQL holds: 4714-11-24 BC to 294276-12-31.
  package static let timestampRange: ClosedRange<Int64> = -211_813_488_000_000_000...9_223_371_331_199_999_999

  /// Whether a stored timestamp is one of the infinities.
  package static func isInfinite(_ timestamp: Int64) -> Bool { timestamp == .max || timestamp == .min }

  /// Whether a stored date is one of the infinities.
  package static func isInfinite(date: Int64) -> Bool { date == dateInfinity || date == dateNegativeInfinity }

  /// Days from 2000-01-01 of a date; years count astronomically (0 is 1 BC).
  package static func days(year: Int, month: Int, day: Int) -> Int64 {
    let shifted = month <= 2 ? year - 1 : year
    let era = (shifted >= 0 ? shifted : shifted - 399) / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return Int64(era * 146_097 + dayOfEra - 719_468) - unixEpochDays
  }

  /// The date of a count of days from 2000-01-01; years count astronomically.
  package static func date(days: Int64) -> (year: Int, month: Int, day: Int) {
    let shifted = Int(days) + 719_468 + Int(unixEpochDays)
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthPlace = (5 * dayOfYear + 2) / 153
    let month = monthPlace + (monthPlace < 10 ? 3 : -9)
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * monthPlace + 2) / 5 + 1)
  }

  /// Whether the (astronomical) year has a 29 February.
  package static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

  /// The number of days of a month.
  package static func length(ofMonth month: Int, year: Int) -> Int {
    switch month {
    case 2: return isLeap(year) ? 29 : 28
    case 4, 6, 9, 11: return 30
    default: return 31
    }
  }

  /// The day of the week, 0 for Sunday.
  package static func weekday(days: Int64) -> Int { Int(floorModulo(days + 6, 7)) }

  /// The day of the year, from 1.
  package static func dayOfYear(days: Int64) -> Int {
    Int(days - self.days(year: date(days: days).year, month: 1, day: 1)) + 1
  }

  /// The ISO 8601 week and the year that it belongs to.
  package static func isoWeek(days: Int64) -> (year: Int, week: Int) {
    let monday = days - Int64((weekday(days: days) + 6) % 7)
    let year = date(days: monday + 3).year
    return (year, Int((monday - isoWeekStart(year: year)) / 7) + 1)
  }

  /// The Monday of the first ISO week of a year.
  package static func isoWeekStart(year: Int) -> Int64 {
    let fourth = days(year: year, month: 1, day: 4)
    return fourth - Int64((weekday(days: fourth) + 6) % 7)
  }

  /// Days and microseconds of the day of a timestamp.
  package static func split(_ timestamp: Int64) -> (days: Int64, microseconds: Int64) {
    let days = floorDivide(timestamp, microsecondsPerDay)
    return (days, timestamp - days * microsecondsPerDay)
  }

  /// A timestamp from days and microseconds of the day; nil outside PostgreSQL's range.
  package static func timestamp(days: Int64, microseconds: Int64) -> Int64? {
    let (product, overflow) = days.multipliedReportingOverflow(by: microsecondsPerDay)
    let (sum, carry) = product.addingReportingOverflow(microseconds)
    return !overflow && !carry && timestampRange.contains(sum) ? sum : nil
  }
}

/// The quotient rounded down.
func floorDivide(_ left: Int64, _ right: Int64) -> Int64 {
  let (quotient, remainder) = left.quotientAndRemainder(dividingBy: right)
  return remainder != 0 && (remainder < 0) != (right < 0) ? quotient - 1 : quotient
}

/// The remainder that is not negative.
func floorModulo(_ left: Int64, _ right: Int64) -> Int64 { left - floorDivide(left, right) * right }
