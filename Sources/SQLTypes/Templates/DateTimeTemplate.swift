/// The templates of `to_char`, `to_date` and `to_timestamp` for dates and times (manual, 9.8, tables 9.27 and 9.28).
package struct DateTimeTemplate: Sendable {
  /// A piece of a template.
  enum Node: Sendable {
    case field(Field)
    /// A character that is no letter and no digit: on input it stands for any separators.
    case separator(String)
    case literal(String)
  }

  /// A pattern with its modifiers.
  struct Field: Sendable {
    var name: String
    /// As it is written: `Month`, `MONTH`, `month`.
    var written: String
    /// `FM`: no padding.
    var isTrimmed: Bool
    var ordinal: Bool?
    /// Whether digits follow immediately on input, so that this field has a fixed width.
    var isFixedWidth = false
  }

  /// Longest first.
  private static let names = [
    "sssss", "month", "y,yyy", "ssss", "yyyy", "iyyy", "hh24", "hh12", "a.m.", "p.m.", "b.c.", "a.d.", "iddd", "mon",
    "day", "ddd", "yyy", "iyy", "tzh", "tzm", "ff1", "ff2", "ff3", "ff4", "ff5", "ff6", "hh", "mi", "ss", "ms", "us",
    "am", "pm", "yy", "iy", "bc", "ad", "mm", "dy", "dd", "id", "ww", "iw", "cc", "rm", "tz", "of", "y", "i", "d", "w",
    "q", "j",
  ]

  static let numeric: Set<String> = [
    "sssss", "ssss", "y,yyy", "yyyy", "iyyy", "hh24", "hh12", "iddd", "ddd", "yyy", "iyy", "ff1", "ff2", "ff3", "ff4",
    "ff5", "ff6", "hh", "mi", "ss", "ms", "us", "yy", "iy", "mm", "dd", "id", "ww", "iw", "cc", "y", "i", "d", "w", "q",
    "j",
  ]

  let nodes: [Node]

  /// Reads a template; anything that is no pattern stands for itself.
  package init(_ text: String) {
    var nodes: [Node] = []
    var scanner = ByteScanner(text)
    while let byte = scanner.peek {
      if byte == 0x22 || byte == 0x5c {
        nodes.append(.literal(NumberTemplate.quoted(&scanner)))
      } else if let field = DateTimeTemplate.field(&scanner) {
        nodes.append(.field(field))
      } else {
        var bytes = [byte]
        scanner.advance()
        while let next = scanner.peek, next & 0xc0 == 0x80 {
          bytes.append(next)
          scanner.advance()
        }
        let character = String(decoding: bytes, as: UTF8.self)
        nodes.append(isLetter(byte) || isDigit(byte) || byte >= 0x80 ? .literal(character) : .separator(character))
      }
    }
    for index in nodes.indices.dropLast() {
      if case .field(var field) = nodes[index], case .field(let next) = nodes[index + 1],
        DateTimeTemplate.numeric.contains(field.name), DateTimeTemplate.numeric.contains(next.name)
      {
        field.isFixedWidth = true
        nodes[index] = .field(field)
      }
    }
    self.nodes = nodes
  }

  private static func field(_ scanner: inout ByteScanner) -> Field? {
    let start = scanner.index
    var isTrimmed = false
    while true {
      if scanner.accept("fm") {
        isTrimmed = true
      } else if !scanner.accept("fx"), !scanner.accept("tm") {
        break
      }
    }
    let begin = scanner.index
    guard let name = names.first(where: { scanner.accept($0) }) else {
      if begin > start { return Field(name: "", written: "", isTrimmed: true, ordinal: nil) }
      scanner.index = start
      return nil
    }
    let written = String(decoding: scanner.bytes[begin..<scanner.index], as: UTF8.self)
    var ordinal: Bool?
    if let byte = scanner.peek, scanner.accept("th") { ordinal = byte == 0x54 }
    return Field(name: name, written: written, isTrimmed: isTrimmed, ordinal: ordinal)
  }
}

/// What a template shows.
package struct DateTimeParts: Sendable {
  var year = 0
  var month = 1
  var day = 1
  /// Days since 2000-01-01; nil for an interval.
  var days: Int64?
  var hour: Int64 = 0
  var minute: Int64 = 0
  var second: Int64 = 0
  var microsecond: Int64 = 0
  var offsetSeconds: Int?
  var zoneName: String?

  /// Of a timestamp, in the wall clock of its zone where it has one.
  package init(timestamp: Int64, zone: TimeZoneRule.LocalTime? = nil) {
    let (days, time) = CivilCalendar.split(timestamp)
    (year, month, day) = CivilCalendar.date(days: days)
    self.days = days
    setTime(time)
    offsetSeconds = zone?.offsetSeconds
    zoneName = zone?.abbreviation
  }

  /// Of an interval.
  package init(_ interval: IntervalValue) {
    year = Int(interval.months / 12)
    month = Int(interval.months % 12)
    day = Int(interval.days)
    setTime(interval.microseconds)
  }

  private mutating func setTime(_ time: Int64) {
    hour = time / CivilCalendar.microsecondsPerHour
    minute = time / CivilCalendar.microsecondsPerMinute % 60
    second = time / CivilCalendar.microsecondsPerSecond % 60
    microsecond = time % CivilCalendar.microsecondsPerSecond
  }
}
