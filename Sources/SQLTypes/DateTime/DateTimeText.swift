/// Dates and times as PostgreSQL prints them with `DateStyle` ISO.
package enum DateTimeText {
  /// A date.
  package static func date(_ days: Int64) -> String {
    if days == CivilCalendar.dateInfinity { return "infinity" }
    if days == CivilCalendar.dateNegativeInfinity { return "-infinity" }
    let (year, month, day) = CivilCalendar.date(days: days)
    var bytes: [UInt8] = []
    append(year: year, month: month, day: day, to: &bytes)
    if year <= 0 { bytes.append(contentsOf: " BC".utf8) }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// A time of day, in microseconds.
  package static func time(_ microseconds: Int64) -> String {
    var bytes: [UInt8] = []
    append(time: microseconds, to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// A timestamp without zone.
  package static func timestamp(_ timestamp: Int64) -> String { text(timestamp, offset: nil) }

  /// A timestamp with zone, in the zone's wall clock.
  package static func timestamptz(_ instant: Int64, in zone: TimeZoneRule) -> String {
    if CivilCalendar.isInfinite(instant) { return text(instant, offset: nil) }
    let offset = zone.localTime(at: instant).offsetSeconds
    return text(instant + Int64(offset) * CivilCalendar.microsecondsPerSecond, offset: offset)
  }

  /// An offset from UTC: `+02`, `-03:30`.
  package static func offset(_ seconds: Int) -> String {
    var bytes: [UInt8] = [seconds < 0 ? 0x2d : 0x2b]
    let magnitude = abs(seconds)
    appendPadded(magnitude / 3600, 2, to: &bytes)
    if magnitude % 3600 != 0 {
      bytes.append(0x3a)
      appendPadded(magnitude / 60 % 60, 2, to: &bytes)
      if magnitude % 60 != 0 {
        bytes.append(0x3a)
        appendPadded(magnitude % 60, 2, to: &bytes)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func text(_ timestamp: Int64, offset: Int?) -> String {
    if timestamp == .max { return "infinity" }
    if timestamp == .min { return "-infinity" }
    let (days, microseconds) = CivilCalendar.split(timestamp)
    let (year, month, day) = CivilCalendar.date(days: days)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(32)
    append(year: year, month: month, day: day, to: &bytes)
    bytes.append(0x20)
    append(time: microseconds, to: &bytes)
    if let offset { bytes.append(contentsOf: self.offset(offset).utf8) }
    if year <= 0 { bytes.append(contentsOf: " BC".utf8) }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func append(year: Int, month: Int, day: Int, to bytes: inout [UInt8]) {
    appendPadded(year > 0 ? year : 1 - year, 4, to: &bytes)
    bytes.append(0x2d)
    appendPadded(month, 2, to: &bytes)
    bytes.append(0x2d)
    appendPadded(day, 2, to: &bytes)
  }

  static func append(time microseconds: Int64, to bytes: inout [UInt8]) {
    appendPadded(Int(microseconds / CivilCalendar.microsecondsPerHour), 2, to: &bytes)
    bytes.append(0x3a)
    appendPadded(Int(microseconds / CivilCalendar.microsecondsPerMinute % 60), 2, to: &bytes)
    bytes.append(0x3a)
    appendPadded(Int(microseconds / CivilCalendar.microsecondsPerSecond % 60), 2, to: &bytes)
    appendFraction(Int(microseconds % CivilCalendar.microsecondsPerSecond), to: &bytes)
  }

  /// The fraction of a second, without trailing zeros.
  static func appendFraction(_ microseconds: Int, to bytes: inout [UInt8]) {
    guard microseconds != 0 else { return }
    bytes.append(0x2e)
    var divisor = 100_000
    var rest = microseconds
    while rest > 0 {
      bytes.append(0x30 + UInt8(rest / divisor))
      rest %= divisor
      divisor /= 10
    }
  }

  /// The number with leading zeros.
  static func appendPadded(_ value: Int, _ width: Int, to bytes: inout [UInt8]) {
    var digits: [UInt8] = []
    var rest = value
    repeat {
      digits.append(0x30 + UInt8(rest % 10))
      rest /= 10
    } while rest > 0
    while digits.count < width { digits.append(0x30) }
    bytes.append(contentsOf: digits.reversed())
  }
}
