/// Intervals from text: PostgreSQL's verbose form, the SQL standard's, and ISO 8601 durations.
package enum IntervalInput {
  /// An interval.
  /// - Throws: 22007 for what is none, 22015 where a field is too large.
  package static func parse(_ text: String, type: SQLType = .interval) throws(SQLError) -> IntervalValue {
    var reader = IntervalReader(fields: IntervalFields(modifier: type.modifier))
    guard text.utf8.count <= 256, let success = reader.read(ByteScanner(trimSpaces(text))), success else {
      throw SQLError(.invalidDatetimeFormat, "invalid input syntax for type interval: \"\(text)\"")
    }
    guard let months = Int32(exactly: reader.months), let days = Int32(exactly: reader.days),
      let microseconds = Int64(exactly: reader.microseconds)
    else { throw SQLError(.intervalFieldOverflow, "interval field value out of range: \"\(text)\"") }
    return IntervalValue(months: months, days: days, microseconds: microseconds).fitted(to: type)
  }
}

/// Adds up the parts of an interval as it reads them; `Int128` so that sums are checked once, at the end.
private struct IntervalReader {
  var months: Int128 = 0
  var days: Int128 = 0
  var microseconds: Int128 = 0
  let fields: IntervalFields
  /// The units that were given: none may come twice.
  private var seen: Set<Character> = []

  init(fields: IntervalFields) { self.fields = fields }

  /// A number as it stands in the text.
  private struct Number {
    var isNegative: Bool
    var whole: Int128
    /// The digits after the point, as a fraction below 1.
    var fraction: Double

    var sign: Int128 { isNegative ? -1 : 1 }
    var signedFraction: Double { isNegative ? -fraction : fraction }
  }

  mutating func read(_ start: ByteScanner) -> Bool? {
    var scanner = start
    if scanner.peek == 0x50 { return readISO(&scanner) }
    var isEmpty = true
    var isAgo = false
    _ = scanner.accept(0x40)
    while true {
      scanner.skipWhitespace()
      while scanner.accept(0x2c) { scanner.skipWhitespace() }
      guard let byte = scanner.peek else { break }
      if isLetter(byte) {
        guard scanner.accept("ago"), !isEmpty else { return nil }
        scanner.skipWhitespace()
        guard scanner.isAtEnd else { return nil }
        isAgo = true
        break
      }
      guard readPart(&scanner) else { return nil }
      isEmpty = false
    }
    if isAgo {
      months = -months
      days = -days
      microseconds = -microseconds
    }
    return !isEmpty
  }

  private mutating func readPart(_ scanner: inout ByteScanner) -> Bool {
    guard let number = readNumber(&scanner) else { return false }
    if scanner.peek == 0x3a { return readTime(number, &scanner) }
    if scanner.peek == 0x2d, number.fraction == 0, let next = scanner.peek(1), isDigit(next) {
      scanner.advance()
      guard let months = readNumber(&scanner), months.fraction == 0, months.whole < 12 else { return false }
      self.months += number.sign * (number.whole * 12 + months.whole)
      return true
    }
    scanner.skipWhitespace()
    if let byte = scanner.peek, isLetter(byte) {
      let start = scanner.index
      while let byte = scanner.peek, isLetter(byte) { scanner.advance() }
      return add(number, unit: lowercaseASCII(String(decoding: scanner.bytes[start..<scanner.index], as: UTF8.self)))
    }
    // A number without unit: days before a time, else what the type's fields say, seconds by default.
    var ahead = scanner
    if readNumber(&ahead) != nil, ahead.peek == 0x3a {
      return add(number, unit: "day")
    }
    return scanner.isAtEnd && add(number, unit: defaultUnit)
  }

  private var defaultUnit: String {
    let units: [(Int32, String)] = [
      (12, "second"), (11, "minute"), (10, "hour"), (3, "day"), (1, "month"), (2, "year"),
    ]
    return units.first { fields.mask & IntervalFields.bit($0.0) != 0 }?.1 ?? "second"
  }

  private func readNumber(_ scanner: inout ByteScanner) -> Number? {
    scanner.skipWhitespace()
    let negative = scanner.peek == 0x2d
    if negative || scanner.peek == 0x2b {
      scanner.advance()
      scanner.skipWhitespace()
    }
    let digits = scanner.digits()
    var fraction: [UInt8] = []
    if scanner.accept(0x2e) { fraction = scanner.digits() }
    guard !digits.isEmpty || !fraction.isEmpty, digits.count <= 20 else { return nil }
    let value = Double("0." + String(decoding: fraction.isEmpty ? [0x30] : fraction, as: UTF8.self)) ?? 0
    return Number(
      isNegative: negative, whole: digits.reduce(0) { $0 * 10 + Int128($1 - 0x30) }, fraction: value)
  }

  /// `hh:mm`, `hh:mm:ss.f` after the first number has been read; with a fraction and two parts, `mm:ss.f`.
  private mutating func readTime(_ first: Number, _ scanner: inout ByteScanner) -> Bool {
    guard first.fraction == 0 else { return false }
    var parts = [first.whole]
    var fraction: Int64 = 0
    while parts.count < 3, scanner.accept(0x3a) {
      let digits = scanner.digits()
      guard !digits.isEmpty, digits.count <= 9 else { return false }
      parts.append(digits.reduce(0) { $0 * 10 + Int128($1 - 0x30) })
    }
    let hasFraction = scanner.accept(0x2e)
    if hasFraction { fraction = DateTimeParser.microseconds(fraction: scanner.digits()) }
    if parts.count == 2 {
      let minutesFirst = hasFraction || (fields.mask & IntervalFields.bit(10) == 0 && fields != .full)
      parts = minutesFirst ? [0] + parts : parts + [0]
    }
    guard parts[1] < 60, parts[2] <= 60 else { return false }
    let total = ((parts[0] * 60 + parts[1]) * 60 + parts[2]) * 1_000_000 + Int128(fraction)
    microseconds += first.sign * total
    return true
  }

  private mutating func add(_ number: Number, unit: String) -> Bool {
    if let key = IntervalReader.unitKey(unit), !seen.insert(key).inserted { return false }
    switch unit {
    case "us", "usec", "usecs", "usecond", "useconds", "microsecond", "microseconds", "microsecon":
      addTime(number, 1)
    case "ms", "msec", "msecs", "msecond", "mseconds", "millisecond", "milliseconds", "millisecon":
      addTime(number, 1000)
    case "s", "sec", "secs", "second", "seconds": addTime(number, 1_000_000)
    case "m", "min", "mins", "minute", "minutes": addTime(number, 60_000_000)
    case "h", "hr", "hrs", "hour", "hours": addTime(number, 3_600_000_000)
    case "d", "day", "days":
      days += number.sign * number.whole
      addDays(number.signedFraction)
    case "w", "week", "weeks":
      days += number.sign * number.whole * 7
      addDays(number.signedFraction * 7)
    case "mon", "mons", "month", "months":
      months += number.sign * number.whole
      addDays(number.signedFraction * 30)
    case "y", "yr", "yrs", "year", "years": addYears(number, 1)
    case "dec", "decs", "decade", "decades": addYears(number, 10)
    case "c", "cent", "century", "centuries": addYears(number, 100)
    case "mil", "mils", "millennia", "millennium", "millenniums": addYears(number, 1000)
    default: return false
    }
    return true
  }

  /// One letter per unit, whatever its spelling.
  private static func unitKey(_ unit: String) -> Character? {
    if unit.hasPrefix("us") || unit.hasPrefix("micro") { return "u" }
    if unit == "ms" || unit.hasPrefix("msec") || unit.hasPrefix("millis") { return "i" }
    if unit.hasPrefix("mon") { return "M" }
    if unit.hasPrefix("mil") { return "L" }
    if unit.hasPrefix("dec") { return "D" }
    return unit.first
  }

  private mutating func addTime(_ number: Number, _ unit: Int128) {
    microseconds += number.sign * number.whole * unit
    microseconds += Int128((number.signedFraction * Double(unit)).rounded(.toNearestOrEven))
  }

  private mutating func addDays(_ fractional: Double) {
    let whole = fractional.rounded(.towardZero)
    days += Int128(whole)
    microseconds += Int128(((fractional - whole) * Double(CivilCalendar.microsecondsPerDay)).rounded(.toNearestOrEven))
  }

  private mutating func addYears(_ number: Number, _ years: Int128) {
    months += number.sign * number.whole * 12 * years
    months += Int128((number.signedFraction * 12 * Double(years)).rounded(.toNearestOrEven))
  }

  /// `P1Y2M3DT4H5M6S`, `P2W`.
  private mutating func readISO(_ scanner: inout ByteScanner) -> Bool? {
    scanner.advance()
    var inTime = false
    var isEmpty = true
    while !scanner.isAtEnd {
      if scanner.accept(0x54) {
        guard !inTime else { return nil }
        inTime = true
        continue
      }
      guard let number = readNumber(&scanner), let letter = scanner.peek else { return nil }
      scanner.advance()
      let units: [UInt8: String] =
        inTime
        ? [0x48: "hour", 0x4d: "minute", 0x53: "second"] : [0x59: "year", 0x4d: "month", 0x57: "week", 0x44: "day"]
      guard let unit = units[letter], add(number, unit: unit) else { return nil }
      isEmpty = false
    }
    return isEmpty ? nil : true
  }
}
