/// Arithmetic of intervals (`timestamp.c` of PostgreSQL 15).
extension IntervalValue {
  /// The sum, field by field.
  /// - Throws: 22008 where a field overflows.
  package func adding(_ other: IntervalValue) throws(SQLError) -> IntervalValue {
    let (months, first) = months.addingReportingOverflow(other.months)
    let (days, second) = days.addingReportingOverflow(other.days)
    let (microseconds, third) = microseconds.addingReportingOverflow(other.microseconds)
    if first || second || third { throw IntervalValue.outOfRange }
    return IntervalValue(months: months, days: days, microseconds: microseconds)
  }

  /// The negated interval.
  package func negated() throws(SQLError) -> IntervalValue {
    if months == .min || days == .min || microseconds == .min { throw IntervalValue.outOfRange }
    return IntervalValue(months: -months, days: -days, microseconds: -microseconds)
  }

  /// The difference, field by field.
  package func subtracting(_ other: IntervalValue) throws(SQLError) -> IntervalValue {
    try adding(other.negated())
  }

  /// The product; fractions of months become days, fractions of days become time.
  package func multiplied(by factor: Double) throws(SQLError) -> IntervalValue {
    try scaled { $0 * factor }
  }

  /// The quotient; fractions of months become days, fractions of days become time.
  /// - Throws: 22012 for division by zero.
  package func divided(by divisor: Double) throws(SQLError) -> IntervalValue {
    if divisor == 0 { throw NumericValue.divisionByZero }
    return try scaled { $0 / divisor }
  }

  private func scaled(_ scale: (Double) -> Double) throws(SQLError) -> IntervalValue {
    func roundMicro(_ value: Double) -> Double { (value * 1e6).rounded(.toNearestOrEven) / 1e6 }
    let wholeMonths = scale(Double(months))
    let wholeDays = scale(Double(days))
    guard let newMonths = Int32(exactly: wholeMonths.rounded(.towardZero)),
      let firstDays = Int32(exactly: wholeDays.rounded(.towardZero))
    else { throw IntervalValue.outOfRange }
    let monthDays = roundMicro((wholeMonths - Double(newMonths)) * 30)
    var seconds = roundMicro((wholeDays - Double(firstDays) + monthDays - monthDays.rounded(.towardZero)) * 86_400)
    var newDays = Int64(firstDays)
    if abs(seconds) >= 86_400 {
      let carry = (seconds / 86_400).rounded(.towardZero)
      newDays += Int64(carry)
      seconds -= carry * 86_400
    }
    newDays += Int64(monthDays)
    let time = (scale(Double(microseconds)) + seconds * 1_000_000).rounded(.toNearestOrEven)
    guard let days = Int32(exactly: newDays), let microseconds = Int64(exactly: time) else {
      throw IntervalValue.outOfRange
    }
    return IntervalValue(months: newMonths, days: days, microseconds: microseconds)
  }

  /// Days of 24 hours taken out of the time.
  package func justifiedHours() throws(SQLError) -> IntervalValue {
    let whole = microseconds / CivilCalendar.microsecondsPerDay
    guard let sum = Int32(exactly: Int64(days) + whole) else { throw IntervalValue.outOfRange }
    var result = IntervalValue(
      months: months, days: sum, microseconds: microseconds - whole * CivilCalendar.microsecondsPerDay)
    if result.days > 0, result.microseconds < 0 {
      result.microseconds += CivilCalendar.microsecondsPerDay
      result.days -= 1
    } else if result.days < 0, result.microseconds > 0 {
      result.microseconds -= CivilCalendar.microsecondsPerDay
      result.days += 1
    }
    return result
  }

  /// Months of 30 days taken out of the days.
  package func justifiedDays() throws(SQLError) -> IntervalValue {
    guard let sum = Int32(exactly: Int64(months) + Int64(days / 30)) else { throw IntervalValue.outOfRange }
    var result = IntervalValue(months: sum, days: days % 30, microseconds: microseconds)
    if result.months > 0, result.days < 0 {
      result.days += 30
      result.months -= 1
    } else if result.months < 0, result.days > 0 {
      result.days -= 30
      result.months += 1
    }
    return result
  }

  /// Both, with all fields of one sign.
  package func justified() throws(SQLError) -> IntervalValue {
    var result = try IntervalValue(months: 0, days: days, microseconds: microseconds).justifiedHours()
    result.months = months
    result = try result.justifiedDays()
    if result.months > 0, result.days < 0 || (result.days == 0 && result.microseconds < 0) {
      result.days += 30
      result.months -= 1
    } else if result.months < 0, result.days > 0 || (result.days == 0 && result.microseconds > 0) {
      result.days -= 30
      result.months += 1
    }
    if result.days > 0, result.microseconds < 0 {
      result.microseconds += CivilCalendar.microsecondsPerDay
      result.days -= 1
    } else if result.days < 0, result.microseconds > 0 {
      result.microseconds -= CivilCalendar.microsecondsPerDay
      result.days += 1
    }
    return result
  }
}
