/// Reading TZif files (RFC 8536) and POSIX TZ strings.
extension TimeZoneRule {
  /// A zone from the bytes of its TZif file; nil where they are not one. Leap seconds are ignored, as in PostgreSQL.
  package init?(name: String, tzif bytes: [UInt8]) {
    guard let first = TZifHeader(bytes, at: 0) else { return nil }
    var header = first
    if first.version >= 2 {
      guard let second = TZifHeader(bytes, at: first.end) else { return nil }
      header = second
    }
    let wide = first.version >= 2
    let timeSize = wide ? 8 : 4
    guard header.typeCount > 0, bytes.count >= header.end(timeSize: timeSize) else { return nil }
    var offset = header.dataStart
    func big(_ start: Int, _ size: Int) -> Int64 {
      var value = Int64(Int8(bitPattern: bytes[start]))
      for index in start + 1..<start + size { value = value << 8 | Int64(bytes[index]) }
      return value
    }
    let times = (0..<header.timeCount).map { big(offset + $0 * timeSize, timeSize) }
    offset += header.timeCount * timeSize
    let indices = bytes[offset..<offset + header.timeCount].map { Int($0) }
    offset += header.timeCount
    let names = offset + header.typeCount * 6
    guard indices.allSatisfy({ $0 < header.typeCount }) else { return nil }
    let types = (0..<header.typeCount).map { index in
      let start = offset + index * 6
      let nameStart = names + Int(bytes[start + 5])
      let abbreviation = bytes[min(nameStart, bytes.count)...].prefix { $0 != 0 }
      return LocalTime(
        offsetSeconds: Int(big(start, 4)), isDaylightSaving: bytes[start + 4] != 0,
        abbreviation: String(decoding: abbreviation, as: UTF8.self))
    }
    var tail: PosixTimeZone?
    if wide {
      let footer = bytes[header.end(timeSize: 8)...].dropFirst().prefix { $0 != 0x0a }
      tail = PosixTimeZone(String(decoding: footer, as: UTF8.self))
    }
    self.init(
      name: name, first: types.first { !$0.isDaylightSaving } ?? types[0], transitions: times,
      following: indices.map { types[$0] }, tail: tail)
  }
}

private struct TZifHeader {
  let version: Int
  let counts: [Int]
  let dataStart: Int

  init?(_ bytes: [UInt8], at start: Int) {
    guard bytes.count >= start + 44, Array(bytes[start..<start + 4]) == Array("TZif".utf8) else { return nil }
    version = bytes[start + 4] == 0 ? 1 : Int(bytes[start + 4]) - 0x30
    counts = (0..<6).map { index in
      bytes[start + 20 + index * 4..<start + 24 + index * 4].reduce(0) { $0 << 8 | Int($1) }
    }
    dataStart = start + 44
  }

  var leapCount: Int { counts[2] }
  var timeCount: Int { counts[3] }
  var typeCount: Int { counts[4] }

  func end(timeSize: Int) -> Int {
    dataStart + timeCount * (timeSize + 1) + typeCount * 6 + counts[5] + leapCount * (timeSize + 4) + counts[1]
      + counts[0]
  }

  /// Where the first block (four-byte times) ends.
  var end: Int { end(timeSize: 4) }
}

extension PosixTimeZone {
  /// From a POSIX TZ string such as `CET-1CEST,M3.5.0,M10.5.0/3`; nil where it is malformed.
  init?(_ text: String) {
    var scanner = ByteScanner(text)
    guard let standardName = scanner.zoneName(), let west = scanner.clockSeconds() else { return nil }
    standard = TimeZoneRule.LocalTime(offsetSeconds: -west, isDaylightSaving: false, abbreviation: standardName)
    guard let daylightName = scanner.zoneName() else {
      guard scanner.isAtEnd else { return nil }
      daylight = nil
      start = Change()
      end = Change()
      return
    }
    var east = -west + 3600
    if scanner.peek != 0x2c, let written = scanner.clockSeconds() { east = -written }
    daylight = TimeZoneRule.LocalTime(offsetSeconds: east, isDaylightSaving: true, abbreviation: daylightName)
    guard scanner.accept(0x2c), let start = scanner.change(), scanner.accept(0x2c), let end = scanner.change() else {
      return nil
    }
    self.start = start
    self.end = end
  }
}

extension ByteScanner {
  fileprivate mutating func zoneName() -> String? {
    let begin = index
    if accept(0x3c) {
      while let byte = peek, byte != 0x3e { _ = accept(byte) }
      let name = bytes[begin + 1..<index]
      return accept(0x3e) ? String(decoding: name, as: UTF8.self) : nil
    }
    while let byte = peek, isLetter(byte) { advance() }
    return index - begin >= 3 ? String(decoding: bytes[begin..<index], as: UTF8.self) : nil
  }

  /// `[+-]hh[:mm[:ss]]` in seconds.
  fileprivate mutating func clockSeconds() -> Int? {
    let negative = peek == 0x2d
    if negative || peek == 0x2b { advance() }
    guard let hours = smallNumber() else { return nil }
    var seconds = hours * 3600
    if accept(0x3a) {
      guard let minutes = smallNumber() else { return nil }
      seconds += minutes * 60
      if accept(0x3a) {
        guard let rest = smallNumber() else { return nil }
        seconds += rest
      }
    }
    return negative ? -seconds : seconds
  }

  fileprivate mutating func change() -> PosixTimeZone.Change? {
    var change = PosixTimeZone.Change()
    if accept(0x4d) {
      guard let month = smallNumber(), accept(0x2e), let week = smallNumber(), accept(0x2e),
        let weekday = smallNumber(), (1...12).contains(month), (1...5).contains(week), weekday < 7
      else { return nil }
      change.month = month
      change.week = week
      change.weekday = weekday
    } else {
      change.countsLeapDay = !accept(0x4a)
      guard let julian = smallNumber() else { return nil }
      change.julian = julian
    }
    if accept(0x2f) {
      guard let seconds = clockSeconds() else { return nil }
      change.secondsOfDay = seconds
    }
    return change
  }

  private mutating func smallNumber() -> Int? {
    let digits = self.digits()
    return digits.isEmpty || digits.count > 4 ? nil : digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
  }
}
