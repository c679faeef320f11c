/// Reads dates and times as PostgreSQL's input functions do (manual, appendix B.1): ISO forms, forms with slashes, dots and
/// month names, concatenated digits, Julian days, special words, zones by offset, abbreviation or name.
struct DateTimeParser {
  /// What a string said.
  struct Result {
    var special: Special?
    var year: Int?
    var month: Int?
    var day: Int?
    var microseconds: Int64?
    var zone: Zone?
    var days: Int64?
    /// `today`, `tomorrow`: the date is relative to now and the time is midnight.
    var relativeDays: Int64?
  }

  enum Special { case infinity, negativeInfinity, now, epoch }

  enum Zone {
    case offset(Int)
    case rule(TimeZoneRule)
  }

  enum Failure: Error {
    case badFormat
    case fieldOverflow
    case monthDayOverflow
    case zoneOverflow
    case unknownZone(String)
  }

  private enum Field {
    case date(String)
    case time(String)
    case number(String)
    case word(String)
    case offset(String)
  }

  private let context: ConversionContext
  private var result = Result()
  private var isBeforeChrist = false
  private var meridian: Int?
  private var hasTextMonth = false
  private var afterTimeMark = false
  private var isTimeOfDay = false
  private var yearDigits = 0
  private var dayOfYear: Int?

  private init(context: ConversionContext) { self.context = context }

  /// Reads a string.
  /// - Parameter isTimeOfDay: whether lone digits are a time, as for type time.
  static func parse(
    _ text: String, context: ConversionContext, isTimeOfDay: Bool = false
  ) throws(Failure) -> Result {
    guard text.utf8.count <= 256 else { throw .badFormat }
    let fields = try split(text)
    guard !fields.isEmpty else { throw .badFormat }
    var parser = DateTimeParser(context: context)
    parser.isTimeOfDay = isTimeOfDay
    for field in fields { try parser.take(field) }
    if parser.afterTimeMark, parser.result.special == nil, parser.result.microseconds == nil { throw .badFormat }
    return try parser.finish()
  }

  // MARK: Splitting

  private static func split(_ text: String) throws(Failure) -> [Field] {
    var scanner = ByteScanner(text)
    var fields: [Field] = []
    while true {
      while let byte = scanner.peek, isSpace(byte) || byte == 0x2c { scanner.advance() }
      guard let byte = scanner.peek else { return fields }
      if isDigit(byte) {
        fields.append(numeric(&scanner))
      } else if isLetter(byte) {
        fields.append(word(&scanner))
      } else if byte == 0x2b || byte == 0x2d {
        fields.append(try signed(&scanner))
      } else {
        throw .badFormat
      }
    }
  }

  private static func numeric(_ scanner: inout ByteScanner) -> Field {
    let start = scanner.index
    _ = scanner.digits()
    guard let delimiter = scanner.peek else { return .number(text(scanner, from: start)) }
    if delimiter == 0x3a {
      while let byte = scanner.peek, isDigit(byte) || byte == 0x3a || byte == 0x2e { scanner.advance() }
      return .time(text(scanner, from: start))
    }
    guard delimiter == 0x2d || delimiter == 0x2f || delimiter == 0x2e else {
      return .number(text(scanner, from: start))
    }
    if delimiter == 0x2d, let next = scanner.peek(1), !isDigit(next), !isLetter(next) {
      return .number(text(scanner, from: start))
    }
    scanner.advance()
    if let byte = scanner.peek, isLetter(byte) {
      while let byte = scanner.peek, isLetter(byte) || isDigit(byte) || byte == delimiter { scanner.advance() }
      return .date(text(scanner, from: start))
    }
    _ = scanner.digits()
    if scanner.peek == delimiter {
      while let byte = scanner.peek, isDigit(byte) || byte == delimiter { scanner.advance() }
      return .date(text(scanner, from: start))
    }
    return delimiter == 0x2e ? .number(text(scanner, from: start)) : .date(text(scanner, from: start))
  }

  private static func word(_ scanner: inout ByteScanner) -> Field {
    let start = scanner.index
    while let byte = scanner.peek, isLetter(byte) { scanner.advance() }
    let letters = lowercaseASCII(text(scanner, from: start))
    if let byte = scanner.peek, byte == 0x2f || byte == 0x5f || byte == 0x2d || byte == 0x2e {
      if DateTimeWords.months[letters] != nil, let next = scanner.peek(1), isDigit(next) {
        while let byte = scanner.peek, isDigit(byte) || byte == 0x2d || byte == 0x2f || byte == 0x2e {
          scanner.advance()
        }
        return .date(text(scanner, from: start))
      }
      if byte == 0x2f || byte == 0x5f {
        while let byte = scanner.peek, !isSpace(byte), byte != 0x2c { scanner.advance() }
        return .word(text(scanner, from: start))
      }
      if byte == 0x2e, DateTimeWords.months[letters] != nil || DateTimeWords.weekdays.contains(letters) {
        scanner.advance()
      }
    }
    if letters == "j", let byte = scanner.peek, isDigit(byte) {
      _ = scanner.digits()
      return .word(text(scanner, from: start))
    }
    return .word(letters)
  }

  private static func signed(_ scanner: inout ByteScanner) throws(Failure) -> Field {
    let start = scanner.index
    scanner.advance()
    scanner.skipWhitespace()
    guard let byte = scanner.peek else { throw .badFormat }
    if isDigit(byte) {
      while let byte = scanner.peek, isDigit(byte) || byte == 0x3a || byte == 0x2e || byte == 0x2d {
        scanner.advance()
      }
      return .offset(text(scanner, from: start))
    }
    guard isLetter(byte) else { throw .badFormat }
    while let byte = scanner.peek, isLetter(byte) { scanner.advance() }
    return .word(lowercaseASCII(text(scanner, from: start)))
  }

  private static func text(_ scanner: ByteScanner, from start: Int) -> String {
    String(decoding: scanner.bytes[start..<scanner.index], as: UTF8.self)
  }

  // MARK: Fields

  private mutating func take(_ field: Field) throws(Failure) {
    switch field {
    case .date(let text): try takeDate(text)
    case .time(let text): try takeTime(text)
    case .number(let text): try takeNumber(text)
    case .word(let text): try takeWord(text)
    case .offset(let text): try takeOffset(text)
    }
  }

  private mutating func takeWord(_ word: String) throws(Failure) {
    if let month = DateTimeWords.months[word] {
      // A number before the month's name that was taken for a month is the day.
      if result.month != nil, !hasTextMonth, result.day == nil {
        result.day = result.month
      } else if result.month != nil {
        throw .badFormat
      }
      result.month = month
      hasTextMonth = true
      return
    }
    if DateTimeWords.weekdays.contains(word) { return }
    switch word {
    case "infinity", "+infinity": result.special = .infinity
    case "-infinity": result.special = .negativeInfinity
    case "now": result.special = .now
    case "epoch": result.special = .epoch
    case "today": result.relativeDays = 0
    case "tomorrow": result.relativeDays = 1
    case "yesterday": result.relativeDays = -1
    case "allballs":
      result.microseconds = 0
      result.zone = .offset(0)
    case "am": meridian = 0
    case "pm": meridian = 12
    case "bc": isBeforeChrist = true
    case "ad", "on", "at": break
    case "t":
      guard result.year != nil || result.days != nil else { throw .badFormat }
      afterTimeMark = true
    default: try takeZoneOrJulian(word)
    }
  }

  private mutating func takeZoneOrJulian(_ word: String) throws(Failure) {
    if word.utf8.count > 1, lowercase(word.utf8.first!) == 0x6a, let julian = Int64(word.dropFirst()) {
      guard result.days == nil, julian <= 2_147_483_494 else { throw .fieldOverflow }
      result.days = julian - CivilCalendar.epochJulianDay
      return
    }
    guard result.zone == nil else { throw .badFormat }
    if let offset = DateTimeWords.abbreviations[lowercaseASCII(word)] {
      result.zone = .offset(offset)
    } else if let rule = context.zone(named: word) {
      result.zone = .rule(rule)
    } else if word.utf8.contains(0x2f) {
      throw .unknownZone(word)
    } else {
      throw .badFormat
    }
  }

  private mutating func takeOffset(_ text: String) throws(Failure) {
    // An offset right after an abbreviation, as in GMT+3, is POSIX: it counts west.
    guard result.microseconds != nil || result.year != nil || result.days != nil else { throw .badFormat }
    guard let seconds = DateTimeParser.offsetSeconds(text) else { throw .badFormat }
    guard abs(seconds) < 16 * 3600 else { throw .zoneOverflow }
    switch result.zone {
    case nil: result.zone = .offset(seconds)
    case .offset(0): result.zone = .offset(-seconds)
    default: throw .badFormat
    }
  }

  /// `+hh`, `+hhmm`, `+hh:mm`, `+hh:mm:ss` in seconds.
  static func offsetSeconds(_ text: String) -> Int? {
    var scanner = ByteScanner(text)
    let negative = scanner.peek == 0x2d
    guard negative || scanner.peek == 0x2b else { return nil }
    scanner.advance()
    scanner.skipWhitespace()
    let digits = scanner.digits()
    guard !digits.isEmpty, digits.count <= 6 else { return nil }
    let number = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    var parts = [number, 0, 0]
    if digits.count > 2 {
      parts = digits.count > 4 ? [number / 10000, number / 100 % 100, number % 100] : [number / 100, number % 100, 0]
    } else {
      var place = 1
      while place < 3, scanner.accept(0x3a) {
        let digits = scanner.digits()
        guard digits.count == 2 else { return nil }
        parts[place] = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
        place += 1
      }
    }
    guard scanner.isAtEnd, parts[1] < 60, parts[2] < 60 else { return nil }
    let seconds = parts[0] * 3600 + parts[1] * 60 + parts[2]
    return negative ? -seconds : seconds
  }

  private mutating func takeTime(_ text: String) throws(Failure) {
    guard result.microseconds == nil else { throw .badFormat }
    result.microseconds = try DateTimeParser.timeOfDay(text)
  }

  /// `hh:mm`, `hh:mm:ss`, `hh:mm:ss.ffffff` in microseconds; 24:00:00 and 60 seconds are allowed.
  static func timeOfDay(_ text: String) throws(Failure) -> Int64 {
    var scanner = ByteScanner(text)
    var parts: [Int] = []
    repeat {
      let digits = scanner.digits()
      guard !digits.isEmpty, digits.count <= 9 else { throw .badFormat }
      parts.append(digits.reduce(0) { $0 * 10 + Int($1 - 0x30) })
    } while parts.count < 3 && scanner.accept(0x3a)
    var fraction: Int64 = 0
    if scanner.accept(0x2e) { fraction = microseconds(fraction: scanner.digits()) }
    guard scanner.isAtEnd, parts.count >= 2 else { throw .badFormat }
    if parts.count == 2 {
      // mm:ss.fff
      parts = fraction > 0 ? [0, parts[0], parts[1]] : parts + [0]
    }
    guard parts[0] <= 24, parts[1] < 60, parts[2] <= 60 else { throw .fieldOverflow }
    let total =
      Int64(parts[0]) * CivilCalendar.microsecondsPerHour + Int64(parts[1]) * CivilCalendar.microsecondsPerMinute
      + Int64(parts[2]) * CivilCalendar.microsecondsPerSecond + fraction
    guard total <= CivilCalendar.microsecondsPerDay else { throw .fieldOverflow }
    return total
  }

  /// Digits after the second's point, rounded to microseconds.
  static func microseconds(fraction digits: [UInt8]) -> Int64 {
    var value: Int64 = 0
    for index in 0..<6 { value = value * 10 + (index < digits.count ? Int64(digits[index] - 0x30) : 0) }
    return digits.count > 6 && digits[6] >= 0x35 ? value + 1 : value
  }

  private mutating func takeNumber(_ text: String) throws(Failure) {
    let point = text.utf8.firstIndex(of: 0x2e)
    let whole = Array(text[..<(point ?? text.endIndex)].utf8)
    let fraction = point.map { Array(text[$0...].utf8.dropFirst()) } ?? []
    let hasDate = result.days != nil || (result.year != nil && result.month != nil && result.day != nil)
    if hasDate || afterTimeMark || isTimeOfDay, result.microseconds == nil,
      whole.count == 6 || whole.count == 4 || whole.count == 2
    {
      if whole.count == 2, !afterTimeMark { throw .badFormat }
      var padded = whole.map { Int($0 - 0x30) }
      while padded.count < 6 { padded.append(0) }
      let parts = [padded[0] * 10 + padded[1], padded[2] * 10 + padded[3], padded[4] * 10 + padded[5]]
      guard parts[0] <= 24, parts[1] < 60, parts[2] <= 60 else { throw .fieldOverflow }
      result.microseconds =
        Int64(parts[0] * 3600 + parts[1] * 60 + parts[2]) * 1_000_000
        + DateTimeParser.microseconds(fraction: fraction)
      return
    }
    if !hasDate, whole.count == 4, fraction.count == 3, result.year == nil, fraction.allSatisfy(isDigit) {
      result.year = whole.reduce(0) { $0 * 10 + Int($1 - 0x30) }
      yearDigits = 4
      dayOfYear = fraction.reduce(0) { $0 * 10 + Int($1 - 0x30) }
      return
    }
    guard point == nil, whole.count <= 9 else { throw .badFormat }
    let value = whole.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    if hasDate { throw .badFormat }
    if whole.count == 8 || whole.count == 6, result.year == nil, result.month == nil, result.day == nil {
      let yearPlaces = whole.count - 4
      result.year = value / 10000
      yearDigits = yearPlaces
      result.month = value / 100 % 100
      result.day = value % 100
      return
    }
    try takeDatePart(value, digitCount: whole.count)
  }

  /// A lone number beside a month's name, or a year with a day of the year.
  private mutating func takeDatePart(_ value: Int, digitCount: Int) throws(Failure) {
    if digitCount == 3, result.year != nil, result.month == nil {
      dayOfYear = value
      return
    }
    if digitCount >= 3, result.year == nil {
      result.year = value
      yearDigits = digitCount
    } else if hasTextMonth, result.day == nil {
      result.day = value
    } else if result.month == nil, !hasTextMonth {
      result.month = value
    } else if result.day == nil {
      result.day = value
    } else if result.year == nil {
      result.year = value
      yearDigits = digitCount
    } else {
      throw .badFormat
    }
  }

  private mutating func takeDate(_ text: String) throws(Failure) {
    guard result.year == nil, result.days == nil else { throw .badFormat }
    var parts: [String] = [""]
    for character in text {
      if character == "-" || character == "/" || character == "." {
        parts.append("")
      } else {
        parts[parts.count - 1].append(character)
      }
    }
    guard (2...3).contains(parts.count), parts.allSatisfy({ !$0.isEmpty && $0.utf8.count <= 9 }) else {
      throw .badFormat
    }
    if let place = parts.firstIndex(where: { isLetter($0.utf8.first!) }) {
      guard let month = DateTimeWords.months[lowercaseASCII(parts[place])] else { throw .badFormat }
      result.month = month
      hasTextMonth = true
      parts.remove(at: place)
    }
    let values = parts.compactMap { Int($0) }
    guard values.count == parts.count else { throw .badFormat }
    if hasTextMonth {
      try takeNumbers(values, parts.map(\.utf8.count))
      return
    }
    if values.count == 2 {
      guard parts[0].utf8.count >= 3 else { throw .badFormat }
      if parts[1].utf8.count == 3 {
        result.year = values[0]
        yearDigits = parts[0].utf8.count
        dayOfYear = values[1]
        return
      }
      throw .badFormat
    }
    setNumericDate(values, parts.map(\.utf8.count))
  }

  private mutating func takeNumbers(_ values: [Int], _ digits: [Int]) throws(Failure) {
    guard !values.isEmpty else { throw .badFormat }
    if values.count == 1 {
      if digits[0] >= 3 {
        result.year = values[0]
        yearDigits = digits[0]
      } else {
        result.day = values[0]
      }
      return
    }
    let yearFirst = digits[0] >= 3 || (context.dateOrder == .yearMonthDay && digits[1] < 3)
    result.year = yearFirst ? values[0] : values[1]
    yearDigits = yearFirst ? digits[0] : digits[1]
    result.day = yearFirst ? values[1] : values[0]
  }

  private mutating func setNumericDate(_ values: [Int], _ digits: [Int]) {
    var order = context.dateOrder
    if digits[0] >= 3 { order = .yearMonthDay }
    switch order {
    case .yearMonthDay:
      (result.year, result.month, result.day) = (values[0], values[1], values[2])
      yearDigits = digits[0]
    case .monthDayYear:
      (result.month, result.day, result.year) = (values[0], values[1], values[2])
      yearDigits = digits[2]
    case .dayMonthYear:
      (result.day, result.month, result.year) = (values[0], values[1], values[2])
      yearDigits = digits[2]
    }
  }

  // MARK: The whole

  private mutating func finish() throws(Failure) -> Result {
    if let meridian, let microseconds = result.microseconds {
      let hour = microseconds / CivilCalendar.microsecondsPerHour
      guard hour <= 12, hour > 0 || meridian == 0 else { throw .fieldOverflow }
      if hour == 12, meridian == 0 {
        result.microseconds = microseconds - 12 * CivilCalendar.microsecondsPerHour
      } else if hour != 12, meridian == 12 {
        result.microseconds = microseconds + 12 * CivilCalendar.microsecondsPerHour
      }
    }
    guard result.special == nil, result.relativeDays == nil, result.days == nil else { return result }
    guard var year = result.year else {
      if result.month != nil || result.day != nil { throw .badFormat }
      return result
    }
    if isBeforeChrist {
      guard year > 0 else { throw .fieldOverflow }
      year = 1 - year
    } else if yearDigits <= 2 {
      year += year < 70 ? 2000 : year < 100 ? 1900 : 0
    } else if year == 0 {
      throw .fieldOverflow
    }
    if let dayOfYear {
      guard dayOfYear >= 1, dayOfYear <= (CivilCalendar.isLeap(year) ? 366 : 365) else { throw .fieldOverflow }
      result.days = CivilCalendar.days(year: year, month: 1, day: 1) + Int64(dayOfYear) - 1
      return result
    }
    guard let month = result.month, let day = result.day else { throw .badFormat }
    guard (1...12).contains(month), (1...31).contains(day) else { throw .monthDayOverflow }
    guard day <= CivilCalendar.length(ofMonth: month, year: year) else { throw .fieldOverflow }
    result.days = CivilCalendar.days(year: year, month: month, day: day)
    return result
  }
}
