/// Text forms of float4 and float8, as PostgreSQL reads and prints them (`extra_float_digits` at 1: the shortest digits
/// that read back as the same value).
package enum FloatText {
  /// A float8 as text.
  package static func text(_ value: Double) -> String {
    if let special = special(value) { return special }
    if abs(value) >= 0x1p53, abs(value) < 1e24 {
      let neighbours = [value.nextUp, value.nextDown].filter(\.isFinite)
      if let text = avoidingMidpoint(value.description, value, neighbours) { return format(text, fixedLimit: 15) }
    }
    return format(value.description, fixedLimit: 15)
  }

  /// A float4 as text.
  package static func text(_ value: Float) -> String {
    if let special = special(Double(value)) { return special }
    if abs(value) >= 0x1p24, abs(value) < 1e12 {
      let neighbours = [Double(value.nextUp), Double(value.nextDown)]
      if let text = avoidingMidpoint(value.description, Double(value), neighbours) {
        return format(text, fixedLimit: 6)
      }
    }
    return format(value.description, fixedLimit: 6)
  }

  /// Swift's shortest digits may lie exactly between two floats (they read back by rounding to even); PostgreSQL then
  /// prints one digit more. Only large whole values have such digits.
  /// - Returns: the text with one digit more, or nil where the shortest one is not such a case.
  private static func avoidingMidpoint(_ shortest: String, _ value: Double, _ neighbours: [Double]) -> String? {
    guard let digits = try? NumericValue(parsing: shortest) else { return nil }
    let exact = NumericValue(exactly: value)
    let two = NumericValue(2)
    for neighbour in neighbours {
      guard let sum = try? exact.adding(NumericValue(exactly: neighbour)),
        let doubled = try? digits.multiplied(by: two),
        sum == doubled
      else { continue }
      let count = digits.magnitude.digitCount - digits.magnitude.trailingZeros(limit: digits.magnitude.digitCount)
      return exact.roundedHalfEven(significantDigits: count + 1).text
    }
    return nil
  }

  /// A float8 from text.
  /// - Throws: 22P02, or 22003 where it is too large or too small.
  package static func parseDouble(_ text: String) throws(SQLError) -> Double {
    guard let body = decimalBody(text) else { throw invalid(text, "double precision") }
    if let special = specialValue(body) { return special }
    guard isDecimal(body), let value = Double(body) else { throw invalid(text, "double precision") }
    if value.isInfinite || (value == 0 && hasNonzeroDigit(body)) {
      throw SQLError(.numericValueOutOfRange, "\"\(text)\" is out of range for type double precision")
    }
    return value
  }

  /// A float4 from text, as the double of the same value.
  /// - Throws: 22P02, or 22003 where it is too large or too small.
  package static func parseFloat(_ text: String) throws(SQLError) -> Double {
    guard let body = decimalBody(text) else { throw invalid(text, "real") }
    if let special = specialValue(body) { return special }
    guard isDecimal(body), let value = Float(body) else { throw invalid(text, "real") }
    if value.isInfinite || (value == 0 && hasNonzeroDigit(body)) {
      throw SQLError(.numericValueOutOfRange, "\"\(text)\" is out of range for type real")
    }
    return Double(value)
  }

  private static func special(_ value: Double) -> String? {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
    return nil
  }

  private static func invalid(_ text: String, _ type: String) -> SQLError {
    SQLError(.invalidTextRepresentation, "invalid input syntax for type \(type): \"\(text)\"")
  }

  private static func decimalBody(_ text: String) -> String? {
    let body = trimSpaces(text)
    return body.isEmpty ? nil : body
  }

  private static func specialValue(_ body: String) -> Double? {
    switch lowercaseASCII(body) {
    case "nan", "+nan", "-nan": return .nan
    case "infinity", "+infinity", "inf", "+inf": return .infinity
    case "-infinity", "-inf": return -.infinity
    default: return nil
    }
  }

  /// Whether the text is a decimal as C's strtod takes it (Swift's parser is not asked about anything else).
  private static func isDecimal(_ body: String) -> Bool {
    var scanner = ByteScanner(body)
    if scanner.peek == 0x2b || scanner.peek == 0x2d { scanner.advance() }
    var count = scanner.digits().count
    if scanner.accept(0x2e) { count += scanner.digits().count }
    if count == 0 { return false }
    if scanner.peek == 0x65 || scanner.peek == 0x45 {
      scanner.advance()
      if scanner.exponent() == nil { return false }
    }
    return scanner.isAtEnd
  }

  private static func hasNonzeroDigit(_ body: String) -> Bool {
    for byte in body.utf8 {
      if byte == 0x65 || byte == 0x45 { return false }
      if byte >= 0x31 && byte <= 0x39 { return true }
    }
    return false
  }

  /// Puts the digits of Swift's shortest form into PostgreSQL's layout: fixed from 1e-4 up to the limit.
  private static func format(_ shortest: String, fixedLimit: Int) -> String {
    var digits: [UInt8] = []
    var pointPlace: Int?
    var exponent = 0
    var negative = false
    var scanner = ByteScanner(shortest)
    if scanner.accept(0x2d) { negative = true }
    while let byte = scanner.peek {
      if isDigit(byte) {
        digits.append(byte)
      } else if byte == 0x2e {
        pointPlace = digits.count
      } else {
        scanner.advance()
        exponent = scanner.exponent() ?? 0
        break
      }
      scanner.advance()
    }
    var place = (pointPlace ?? digits.count) + exponent
    while digits.count > 1, digits.first == 0x30 {
      digits.removeFirst()
      place -= 1
    }
    while digits.count > 1, digits.last == 0x30 { digits.removeLast() }
    if digits == [0x30] { return negative ? "-0" : "0" }
    return (negative ? "-" : "") + layout(digits, exponent: place - 1, fixedLimit: fixedLimit)
  }

  private static func layout(_ digits: [UInt8], exponent: Int, fixedLimit: Int) -> String {
    let text = String(decoding: digits, as: UTF8.self)
    if exponent < -4 || exponent >= fixedLimit {
      let mantissa = digits.count == 1 ? text : "\(text.first!).\(text.dropFirst())"
      let magnitude = abs(exponent)
      return "\(mantissa)e\(exponent < 0 ? "-" : "+")\(magnitude < 10 ? "0" : "")\(magnitude)"
    }
    if exponent < 0 { return "0." + String(repeating: "0", count: -exponent - 1) + text }
    if digits.count <= exponent + 1 { return text + String(repeating: "0", count: exponent + 1 - digits.count) }
    return "\(text.prefix(exponent + 1)).\(text.dropFirst(exponent + 1))"
  }
}
