import SQLTypes

/// Times as auditors write them: microseconds since 1970-01-01 UTC, in words and back.
package enum AuditTime {
  /// What `parse` understands.
  package static let help = "2026-11-26T23:15:03Z, 2026-11-26 23:15 (UTC), 2026-11-26, or 30s, 5m, 2h, 3d ago"

  /// A time, or nil where the text is none: `YYYY-MM-DD[(T| )HH:MM[:SS[.ffffff]]][Z|+HH:MM]`, or a number with s, m, h or d,
  /// which counts back from now.
  package static func parse(_ text: String, nowMicroseconds: Int64) -> Int64? {
    if let unit = text.last, let microseconds = units[unit], let count = Int64(text.dropLast()), count >= 0 {
      let (product, overflows) = count.multipliedReportingOverflow(by: microseconds)
      return overflows ? nil : nowMicroseconds - product
    }
    var rest = Substring(text)
    guard let year = number(&rest, digits: 4), skip(&rest, "-"), let month = number(&rest, digits: 2), skip(&rest, "-"),
      let day = number(&rest, digits: 2), (1...12).contains(month), (1970...9999).contains(year),
      (1...CivilCalendar.length(ofMonth: month, year: year)).contains(day)
    else { return nil }
    var time =
      (CivilCalendar.days(year: year, month: month, day: day) + CivilCalendar.unixEpochDays)
      * CivilCalendar.microsecondsPerDay
    guard !rest.isEmpty else { return time }
    guard skip(&rest, "T") || skip(&rest, " "), let ofDay = timeOfDay(&rest), let offset = offset(&rest), rest.isEmpty
    else { return nil }
    time += ofDay - offset
    return time
  }

  /// `2026-11-26T23:15:03.123Z`
  package static func text(_ microseconds: Int64) -> String {
    let (days, rest) = microseconds.quotientAndFlooredRemainder(CivilCalendar.microsecondsPerDay)
    let date = CivilCalendar.date(days: days - CivilCalendar.unixEpochDays)
    let seconds = rest / CivilCalendar.microsecondsPerSecond
    return "\(padded(date.year, 4))-\(padded(date.month, 2))-\(padded(date.day, 2))T"
      + "\(padded(Int(seconds / 3600), 2)):\(padded(Int(seconds / 60 % 60), 2)):\(padded(Int(seconds % 60), 2))"
      + ".\(padded(Int(rest % CivilCalendar.microsecondsPerSecond / 1000), 3))Z"
  }

  private static let units: [Character: Int64] = [
    "s": CivilCalendar.microsecondsPerSecond, "m": CivilCalendar.microsecondsPerMinute,
    "h": CivilCalendar.microsecondsPerHour, "d": CivilCalendar.microsecondsPerDay,
  ]

  private static func timeOfDay(_ rest: inout Substring) -> Int64? {
    guard let hour = number(&rest, digits: 2), skip(&rest, ":"), let minute = number(&rest, digits: 2), hour < 24,
      minute < 60
    else { return nil }
    var time = Int64(hour) * CivilCalendar.microsecondsPerHour + Int64(minute) * CivilCalendar.microsecondsPerMinute
    guard skip(&rest, ":") else { return time }
    guard let second = number(&rest, digits: 2), second < 60 else { return nil }
    time += Int64(second) * CivilCalendar.microsecondsPerSecond
    guard skip(&rest, ".") else { return time }
    let digits = rest.prefix { $0.isASCII && $0.isNumber }
    guard (1...6).contains(digits.count), let fraction = Int64(digits) else { return nil }
    rest = rest.dropFirst(digits.count)
    var scaled = fraction
    for _ in digits.count..<6 { scaled *= 10 }
    return time + scaled
  }

  /// Microseconds east of UTC; 0 where nothing is said.
  private static func offset(_ rest: inout Substring) -> Int64? {
    guard !rest.isEmpty, !skip(&rest, "Z") else { return 0 }
    let isEast = skip(&rest, "+")
    guard isEast || skip(&rest, "-"), let hours = number(&rest, digits: 2), hours < 24 else { return nil }
    _ = skip(&rest, ":")
    let minutes = rest.isEmpty ? 0 : number(&rest, digits: 2)
    guard let minutes, minutes < 60 else { return nil }
    let offset =
      Int64(hours) * CivilCalendar.microsecondsPerHour + Int64(minutes) * CivilCalendar.microsecondsPerMinute
    return isEast ? offset : -offset
  }

  private static func skip(_ rest: inout Substring, _ character: Character) -> Bool {
    guard rest.first == character else { return false }
    rest.removeFirst()
    return true
  }

  private static func number(_ rest: inout Substring, digits: Int) -> Int? {
    let text = rest.prefix(digits)
    guard text.count == digits, text.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
    rest = rest.dropFirst(digits)
    return Int(text)
  }

  private static func padded(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}

extension Int64 {
  /// Towards negative infinity.
  fileprivate func quotientAndFlooredRemainder(_ divisor: Int64) -> (Int64, Int64) {
    let remainder = (self % divisor + divisor) % divisor
    return ((self - remainder) / divisor, remainder)
  }
}
