/// `to_date` and `to_timestamp`.
extension DateTimeTemplate {
  /// A date from a text that is written as the template says.
  /// - Throws: 22007, 22008, 0A000.
  package func parseDate(_ text: String) throws(SQLError) -> Int64 { try read(text).date(text) }

  /// An instant from a text that is written as the template says; the zone counts where the template has none.
  /// - Throws: 22007, 22008, 0A000.
  package func parseTimestamp(_ text: String, in zone: TimeZoneRule) throws(SQLError) -> Int64 {
    let fields = try read(text)
    let days = try fields.date(text)
    guard let wallClock = CivilCalendar.timestamp(days: days, microseconds: try fields.time(text)) else {
      throw SQLError(.datetimeFieldOverflow, "timestamp out of range: \"\(text)\"")
    }
    guard let offset = fields.offsetSeconds else { return zone.instant(wallClock: wallClock) }
    return wallClock - Int64(offset) * CivilCalendar.microsecondsPerSecond
  }

  private func isOffset(_ index: Int) -> Bool {
    guard nodes.indices.contains(index), case .field(let field) = nodes[index] else { return false }
    return field.name == "tzh"
  }

  private func read(_ text: String) throws(SQLError) -> TemplateFields {
    var fields = TemplateFields()
    var scanner = ByteScanner(text)
    for (index, node) in nodes.enumerated() {
      if scanner.isAtEnd { break }
      switch node {
      case .separator:
        // Any run of separators in the text stands for one of the template.
        while let byte = scanner.peek, isSpace(byte) { scanner.advance() }
        // A sign belongs to the zone's offset that follows.
        let isSign = scanner.peek == 0x2d || scanner.peek == 0x2b
        if let byte = scanner.peek, !isLetter(byte), !isDigit(byte), byte < 0x80, !(isSign && isOffset(index + 1)) {
          scanner.advance()
        }
      case .literal(let literal):
        for _ in literal.unicodeScalars where !scanner.isAtEnd { scanner.advance() }
      case .field(let field):
        if field.name.isEmpty { continue }
        while let byte = scanner.peek, isSpace(byte) { scanner.advance() }
        if scanner.isAtEnd { break }
        try fields.take(field, &scanner)
      }
    }
    return fields
  }
}

/// What a text said, field by field.
private struct TemplateFields {
  var year: Int?
  var isBeforeChrist = false
  var month: Int?
  var day: Int?
  var dayOfYear: Int?
  var julian: Int?
  var isoYear: Int?
  var isoWeek: Int?
  var isoDay: Int?
  var week: Int?
  var century: Int?
  var hour: Int?
  var is12Hour = false
  var isPM: Bool?
  var minute = 0
  var second = 0
  var microsecond = 0
  var millisecond = 0
  var secondOfDay: Int?
  var offsetHour: Int?
  var offsetMinute = 0
  var offsetIsNegative = false

  var offsetSeconds: Int? {
    offsetHour.map { ($0 * 3600 + offsetMinute * 60) * (offsetIsNegative ? -1 : 1) }
  }

  private static let widths: [String: Int] = [
    "sssss": 5, "ssss": 5, "yyyy": 4, "iyyy": 4, "hh24": 2, "hh12": 2, "iddd": 3, "ddd": 3, "yyy": 3, "iyy": 3,
    "hh": 2, "mi": 2, "ss": 2, "ms": 3, "us": 6, "yy": 2, "iy": 2, "mm": 2, "dd": 2, "id": 1, "ww": 2, "iw": 2,
    "cc": 2, "y": 1, "i": 1, "d": 1, "w": 1, "q": 1, "j": 7, "tzh": 2, "tzm": 2, "y,yyy": 5,
  ]

  mutating func take(_ field: DateTimeTemplate.Field, _ scanner: inout ByteScanner) throws(SQLError) {
    switch field.name {
    case "month", "mon", "day", "dy", "rm", "am", "pm", "a.m.", "p.m.", "bc", "ad", "b.c.", "a.d.":
      try takeWord(field, &scanner)
    case "tz", "of":
      throw SQLError(
        .featureNotSupported, "formatting field \"\(TextFunctions.upper(field.name))\" is only supported in to_char")
    case "y,yyy":
      let thousands = try number(field, &scanner, width: 9)
      guard scanner.accept(0x2c) else {
        throw SQLError(.invalidDatetimeFormat, "invalid input string for \"Y,YYY\"")
      }
      year = thousands.value * 1000 + (try number(field, &scanner, width: 3)).value
    case "tzh":
      offsetIsNegative = scanner.peek == 0x2d
      if scanner.peek == 0x2d || scanner.peek == 0x2b { scanner.advance() }
      offsetHour = try number(field, &scanner, width: 2).value
    default:
      let width = field.isFixedWidth ? TemplateFields.widths[field.name] ?? 9 : 9
      takeNumber(field, try number(field, &scanner, width: max(width, field.name.hasPrefix("ff") ? 6 : 0)))
      if field.ordinal != nil { scanner.advance(2) }
    }
  }

  private func number(
    _ field: DateTimeTemplate.Field, _ scanner: inout ByteScanner, width: Int
  ) throws(SQLError) -> (value: Int, digits: Int) {
    let start = scanner.index
    let isNegative = scanner.peek == 0x2d
    if isNegative { scanner.advance() }
    var value = 0
    var count = 0
    while count < width, let byte = scanner.peek, isDigit(byte) {
      value = value * 10 + Int(byte - 0x30)
      count += 1
      scanner.advance()
    }
    if count == 0 {
      let word = String(decoding: scanner.bytes[start...].prefix(width == 9 ? 4 : width), as: UTF8.self)
      throw SQLError(
        .invalidDatetimeFormat, "invalid value \"\(word)\" for \"\(field.written)\"",
        detail: "Value must be an integer.")
    }
    return (isNegative ? -value : value, count)
  }

  private mutating func takeNumber(_ field: DateTimeTemplate.Field, _ number: (value: Int, digits: Int)) {
    let value = number.value
    switch field.name {
    case "yyyy": year = value
    case "yyy": year = value < 520 && number.digits <= 3 ? 2000 + value : number.digits <= 3 ? 1000 + value : value
    case "yy", "y": year = number.digits <= 2 ? value + (value < 70 ? 2000 : 1900) : value
    case "iyyy": isoYear = value
    case "iyy", "iy", "i": isoYear = number.digits <= 2 ? value + (value < 70 ? 2000 : 1900) : value + 2000
    case "mm": month = value
    case "dd": day = value
    case "ddd": dayOfYear = value
    case "iddd":
      isoWeek = (value - 1) / 7 + 1
      isoDay = (value - 1) % 7 + 1
    case "d": isoDay = value == 1 ? 7 : value - 1
    case "id": isoDay = value
    case "iw": isoWeek = value
    case "ww": week = value
    case "w": week = value
    case "cc": century = value
    case "j": julian = value
    case "hh24": hour = value
    case "hh12", "hh":
      hour = value
      is12Hour = true
    case "mi": minute = value
    case "ss": second = value
    case "ssss", "sssss": secondOfDay = value
    case "tzm": offsetMinute = value
    case "ms", "us", "ff1", "ff2", "ff3", "ff4", "ff5", "ff6":
      var scaled = value
      var digits = number.digits
      while digits < 6 {
        scaled *= 10
        digits += 1
      }
      while digits > 6 {
        scaled /= 10
        digits -= 1
      }
      if field.name == "ms" { millisecond = scaled } else { microsecond = scaled }
    default: break
    }
  }

  private mutating func takeWord(_ field: DateTimeTemplate.Field, _ scanner: inout ByteScanner) throws(SQLError) {
    func choose(_ words: [String]) throws(SQLError) -> Int {
      for (index, word) in words.enumerated() where scanner.accept(word) { return index }
      var end = scanner.index
      while end < scanner.bytes.count, !isSpace(scanner.bytes[end]) { end += 1 }
      let found = String(decoding: scanner.bytes[scanner.index..<end], as: UTF8.self)
      throw SQLError(
        .invalidDatetimeFormat, "invalid value \"\(found)\" for \"\(field.written)\"",
        detail: "The given value did not match any of the allowed values for this field.")
    }
    switch field.name {
    case "month": month = try choose(DateTimeWords.monthNames.map(lowercaseASCII)) + 1
    case "mon": month = try choose(DateTimeWords.monthNames.map { lowercaseASCII($0.prefix(3)) }) + 1
    case "day": _ = try choose(DateTimeWords.weekdayNames.map(lowercaseASCII))
    case "dy": _ = try choose(DateTimeWords.weekdayNames.map { lowercaseASCII($0.prefix(3)) })
    case "rm":
      let numerals = ["viii", "iii", "vii", "xii", "ii", "iv", "vi", "ix", "xi", "i", "v", "x"]
      let months = [8, 3, 7, 12, 2, 4, 6, 9, 11, 1, 5, 10]
      month = months[try choose(numerals)]
    case "am", "pm", "a.m.", "p.m.":
      isPM = try choose(["a.m.", "am", "p.m.", "pm"]) >= 2
      is12Hour = true
    default: isBeforeChrist = try choose(["a.d.", "ad", "b.c.", "bc"]) >= 2
    }
  }

  // MARK: The whole

  private func overflow(_ text: String) -> SQLError {
    SQLError(.datetimeFieldOverflow, "date/time field value out of range: \"\(text)\"")
  }

  func date(_ text: String) throws(SQLError) -> Int64 {
    if let julian { return Int64(julian) - CivilCalendar.epochJulianDay }
    if let isoYear, let isoWeek {
      guard (1...53).contains(isoWeek) else { throw overflow(text) }
      return CivilCalendar.isoWeekStart(year: isoYear) + Int64((isoWeek - 1) * 7 + (isoDay ?? 1) - 1)
    }
    var year = self.year ?? 0
    if self.year == nil, let century { year = (century - 1) * 100 + 1 }
    if isBeforeChrist { year = year > 0 ? 1 - year : year } else if year < 0 { year += 1 }
    // PostgreSQL takes a missing year for 1 BC.
    if let dayOfYear {
      guard dayOfYear >= 1, dayOfYear <= (CivilCalendar.isLeap(year) ? 366 : 365) else { throw overflow(text) }
      return CivilCalendar.days(year: year, month: 1, day: 1) + Int64(dayOfYear) - 1
    }
    if let week, month == nil {
      return CivilCalendar.days(year: year, month: 1, day: 1) + Int64((week - 1) * 7)
    }
    let month = self.month ?? 1
    let day = self.day ?? week.map { ($0 - 1) * 7 + 1 } ?? 1
    guard (1...12).contains(month), day >= 1, day <= CivilCalendar.length(ofMonth: month, year: year) else {
      throw overflow(text)
    }
    let days = CivilCalendar.days(year: year, month: month, day: day)
    guard CivilCalendar.dateRange.contains(days) else {
      throw SQLError(.datetimeFieldOverflow, "date out of range: \"\(text)\"")
    }
    return days
  }

  func time(_ text: String) throws(SQLError) -> Int64 {
    if let secondOfDay {
      guard (0..<86_400).contains(secondOfDay) else { throw overflow(text) }
      return Int64(secondOfDay) * 1_000_000 + Int64(millisecond + microsecond)
    }
    var hour = self.hour ?? 0
    if is12Hour, self.hour != nil {
      guard (1...12).contains(hour) else {
        throw SQLError(
          .invalidDatetimeFormat, "hour \"\(hour)\" is invalid for the 12-hour clock",
          hint: "Use the 24-hour clock, or give an hour between 1 and 12.")
      }
      if isPM == true, hour < 12 { hour += 12 } else if isPM != true, isPM != nil, hour == 12 { hour = 0 }
    }
    guard (0...24).contains(hour), (0..<60).contains(minute), (0...60).contains(second) else { throw overflow(text) }
    return Int64((hour * 60 + minute) * 60 + second) * 1_000_000 + Int64(millisecond + microsecond)
  }
}
