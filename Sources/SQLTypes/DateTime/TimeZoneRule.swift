/// A time zone: offsets from UTC and when they change. Either fixed, or read from a TZif file (RFC 8536) by ``init(name:tzif:)``.
package struct TimeZoneRule: Sendable, Hashable {
  /// One kind of local time.
  package struct LocalTime: Sendable, Hashable {
    /// Seconds east of UTC.
    package let offsetSeconds: Int
    /// Whether this is daylight saving time.
    package let isDaylightSaving: Bool
    /// The abbreviation, `CET`.
    package let abbreviation: String
  }

  /// The zone's name, as `SHOW timezone` prints it.
  package let name: String
  let first: LocalTime
  /// Seconds of the Unix clock, ascending, and the local time from then on.
  let transitions: [Int64]
  let following: [LocalTime]
  let tail: PosixTimeZone?

  /// Universal time.
  package static let utc = TimeZoneRule(name: "UTC", offsetSeconds: 0, abbreviation: "UTC")

  /// A fixed offset, in seconds east of UTC.
  package init(name: String, offsetSeconds: Int, abbreviation: String) {
    self.name = name
    first = LocalTime(offsetSeconds: offsetSeconds, isDaylightSaving: false, abbreviation: abbreviation)
    transitions = []
    following = []
    tail = nil
  }

  /// A fixed offset named as PostgreSQL names it: `<+02>-02`.
  package init(offsetSeconds: Int) {
    let digits = DateTimeText.offset(offsetSeconds)
    let reverse = DateTimeText.offset(-offsetSeconds)
    self.init(name: "<\(digits)>\(reverse)", offsetSeconds: offsetSeconds, abbreviation: digits)
  }

  init(name: String, first: LocalTime, transitions: [Int64], following: [LocalTime], tail: PosixTimeZone?) {
    self.name = name
    self.first = first
    self.transitions = transitions
    self.following = following
    self.tail = tail
  }

  /// The local time at an instant (stored form of timestamptz).
  package func localTime(at instant: Int64) -> LocalTime {
    localTime(atUnixSeconds: unixSeconds(instant))
  }

  /// The wall clock (stored form of timestamp) at an instant.
  package func wallClock(at instant: Int64) -> Int64 {
    if CivilCalendar.isInfinite(instant) { return instant }
    return instant + Int64(localTime(at: instant).offsetSeconds) * CivilCalendar.microsecondsPerSecond
  }

  /// The instant at which the wall clock shows a time. Of two, the later (standard time); in a gap, as before it.
  package func instant(wallClock: Int64) -> Int64 {
    if CivilCalendar.isInfinite(wallClock) { return wallClock }
    let (result, overflow) = wallClock.subtractingReportingOverflow(
      Int64(offsetSeconds(wallClock: wallClock)) * CivilCalendar.microsecondsPerSecond)
    return overflow ? wallClock : result
  }

  /// The offset in seconds east that a wall clock's time has.
  package func offsetSeconds(wallClock: Int64) -> Int {
    let wall = unixSeconds(wallClock)
    let before = localTime(atUnixSeconds: wall - 86_400).offsetSeconds
    guard let boundary = nextTransition(afterUnixSeconds: wall - 86_400) else { return before }
    let after = localTime(atUnixSeconds: boundary).offsetSeconds
    let early = wall - Int64(before)
    let late = wall - Int64(after)
    if early < boundary, late < boundary { return before }
    if early >= boundary, late >= boundary { return after }
    return early > late ? before : after
  }

  private func unixSeconds(_ instant: Int64) -> Int64 {
    floorDivide(instant, CivilCalendar.microsecondsPerSecond) + CivilCalendar.unixEpochMicroseconds / 1_000_000
  }

  private func localTime(atUnixSeconds seconds: Int64) -> LocalTime {
    let index = firstTransition(after: seconds)
    if index == transitions.count, let tail, transitions.isEmpty || seconds >= transitions[index - 1] {
      return tail.localTime(atUnixSeconds: seconds)
    }
    return index == 0 ? first : following[index - 1]
  }

  private func nextTransition(afterUnixSeconds seconds: Int64) -> Int64? {
    let index = firstTransition(after: seconds)
    return index < transitions.count ? transitions[index] : tail?.nextTransition(afterUnixSeconds: seconds)
  }

  private func firstTransition(after seconds: Int64) -> Int {
    var low = 0
    var high = transitions.count
    while low < high {
      let middle = (low + high) / 2
      if transitions[middle] <= seconds { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// The rule in a TZif file's last line (POSIX TZ string): two local times and the days on which they change.
struct PosixTimeZone: Sendable, Hashable {
  struct Change: Sendable, Hashable {
    var month = 0
    var week = 0
    var weekday = 0
    /// `Jn` (1) or `n` (0) instead of month, week and weekday.
    var julian: Int?
    var countsLeapDay = false
    var secondsOfDay = 7200
  }

  let standard: TimeZoneRule.LocalTime
  let daylight: TimeZoneRule.LocalTime?
  let start: Change
  let end: Change

  /// The two changes of a year, in seconds of the Unix clock: to daylight saving, and back.
  private func changes(year: Int) -> (start: Int64, end: Int64) {
    (
      seconds(of: start, year: year) - Int64(standard.offsetSeconds),
      seconds(of: end, year: year) - Int64(daylight?.offsetSeconds ?? standard.offsetSeconds)
    )
  }

  func localTime(atUnixSeconds seconds: Int64) -> TimeZoneRule.LocalTime {
    guard let daylight else { return standard }
    let days = floorDivide(seconds + Int64(standard.offsetSeconds), 86_400) - CivilCalendar.unixEpochDays
    let (start, end) = changes(year: CivilCalendar.date(days: days).year)
    let isDaylight = start < end ? (seconds >= start && seconds < end) : (seconds >= start || seconds < end)
    return isDaylight ? daylight : standard
  }

  func nextTransition(afterUnixSeconds seconds: Int64) -> Int64? {
    guard daylight != nil else { return nil }
    let days = floorDivide(seconds, 86_400) - CivilCalendar.unixEpochDays
    let year = CivilCalendar.date(days: days).year
    for candidate in year - 1...year + 1 {
      let (start, end) = changes(year: candidate)
      if let next = [start, end].sorted().first(where: { $0 > seconds }) { return next }
    }
    return nil
  }

  private func seconds(of change: Change, year: Int) -> Int64 {
    let day: Int64
    if let julian = change.julian {
      let newYear = CivilCalendar.days(year: year, month: 1, day: 1)
      let leap = !change.countsLeapDay && CivilCalendar.isLeap(year) && julian >= 60 ? 1 : 0
      day = newYear + Int64(julian - (change.countsLeapDay ? 0 : 1) + leap)
    } else {
      let first = CivilCalendar.days(year: year, month: change.month, day: 1)
      var place = (change.weekday - CivilCalendar.weekday(days: first) + 7) % 7 + (change.week - 1) * 7
      while place >= CivilCalendar.length(ofMonth: change.month, year: year) { place -= 7 }
      day = first + Int64(place)
    }
    return (day + CivilCalendar.unixEpochDays) * 86_400 + Int64(change.secondsOfDay)
  }
}
