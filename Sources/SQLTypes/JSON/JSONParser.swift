/// Reads JSON (RFC 8259) with PostgreSQL's messages.
package struct JSONParser {
  /// How deeply arrays and objects may nest: what the recursion's stack allows.
  static let maximumDepth = 1000

  private var scanner: ByteScanner
  private let keepsDuplicates: Bool

  private init(_ text: String, keepsDuplicates: Bool) {
    scanner = ByteScanner(text)
    self.keepsDuplicates = keepsDuplicates
  }

  /// A document.
  /// - Throws: 22P02 with a detail, 22P05 for a character that text cannot hold, 54001 for one nested too deeply.
  package static func parse(_ text: String) throws(SQLError) -> JSONValue {
    try parse(text, keepsDuplicates: false)
  }

  /// A document whose objects keep their members' order and duplicates, as type json does.
  package static func parseKeepingOrder(_ text: String) throws(SQLError) -> JSONValue {
    try parse(text, keepsDuplicates: true)
  }

  private static func parse(_ text: String, keepsDuplicates: Bool) throws(SQLError) -> JSONValue {
    var parser = JSONParser(text, keepsDuplicates: keepsDuplicates)
    let value = try parser.value(depth: 0)
    parser.scanner.skipWhitespace()
    if !parser.scanner.isAtEnd { throw parser.unexpected("end of input") }
    return value
  }

  private mutating func value(depth: Int) throws(SQLError) -> JSONValue {
    if depth > JSONParser.maximumDepth {
      throw SQLError(
        .statementTooComplex, "stack depth limit exceeded", detail: "JSON nests deeper than \(JSONParser.maximumDepth)."
      )
    }
    scanner.skipWhitespace()
    switch scanner.peek {
    case 0x7b: return try object(depth: depth)
    case 0x5b: return try array(depth: depth)
    case 0x22: return .string(try string())
    case .some(let byte) where byte == 0x2d || isDigit(byte): return try number()
    default: return try word()
    }
  }

  private mutating func word() throws(SQLError) -> JSONValue {
    let start = scanner.index
    while let byte = scanner.peek, isLetter(byte) || isDigit(byte) || byte == 0x5f || byte >= 0x80 {
      scanner.advance()
    }
    switch String(decoding: scanner.bytes[start..<scanner.index], as: UTF8.self) {
    case "true": return .boolean(true)
    case "false": return .boolean(false)
    case "null": return .null
    case "":
      scanner.index = start
      throw unexpected("JSON value")
    case let token:
      throw invalid("Token \"\(token)\" is invalid.")
    }
  }

  private mutating func number() throws(SQLError) -> JSONValue {
    let start = scanner.index
    _ = scanner.accept(0x2d)
    var isValid = true
    let digits = scanner.digits()
    if digits.isEmpty || (digits.count > 1 && digits[0] == 0x30) { isValid = false }
    if scanner.accept(0x2e), scanner.digits().isEmpty { isValid = false }
    if scanner.peek == 0x65 || scanner.peek == 0x45 {
      scanner.advance()
      if scanner.exponent() == nil { isValid = false }
    }
    while let byte = scanner.peek, isLetter(byte) || isDigit(byte) || byte == 0x5f || byte >= 0x80 {
      isValid = false
      scanner.advance()
    }
    let text = String(decoding: scanner.bytes[start..<scanner.index], as: UTF8.self)
    if !isValid { throw invalid("Token \"\(text)\" is invalid.") }
    return .number(try NumericValue(parsing: text))
  }

  private mutating func array(depth: Int) throws(SQLError) -> JSONValue {
    scanner.advance()
    var elements: [JSONValue] = []
    scanner.skipWhitespace()
    if scanner.accept(0x5d) { return .array([]) }
    while true {
      elements.append(try value(depth: depth + 1))
      scanner.skipWhitespace()
      if scanner.accept(0x5d) { return .array(elements) }
      if !scanner.accept(0x2c) { throw unexpected("\",\" or \"]\"") }
    }
  }

  private mutating func object(depth: Int) throws(SQLError) -> JSONValue {
    scanner.advance()
    var members: [JSONValue.Member] = []
    scanner.skipWhitespace()
    if scanner.accept(0x7d) { return .object([]) }
    while true {
      scanner.skipWhitespace()
      guard scanner.peek == 0x22 else { throw unexpected(members.isEmpty ? "string or \"}\"" : "string") }
      let key = try string()
      scanner.skipWhitespace()
      if !scanner.accept(0x3a) { throw unexpected("\":\"") }
      members.append(JSONValue.Member(key: key, value: try value(depth: depth + 1)))
      scanner.skipWhitespace()
      if scanner.accept(0x7d) { return keepsDuplicates ? .object(members) : .object(normalizing: members) }
      if !scanner.accept(0x2c) { throw unexpected("\",\" or \"}\"") }
    }
  }

  private mutating func string() throws(SQLError) -> String {
    let start = scanner.index
    scanner.advance()
    var bytes: [UInt8] = []
    while let byte = scanner.peek {
      scanner.advance()
      switch byte {
      case 0x22: return String(decoding: bytes, as: UTF8.self)
      case 0x5c: try escape(&bytes)
      case 0..<0x20:
        throw invalid("Character with value 0x\(byte < 16 ? "0" : "")\(String(byte, radix: 16)) must be escaped.")
      default: bytes.append(byte)
      }
    }
    throw invalid("Token \"\(String(decoding: scanner.bytes[start...], as: UTF8.self))\" is invalid.")
  }

  private mutating func escape(_ bytes: inout [UInt8]) throws(SQLError) {
    let byte = scanner.peek ?? 0
    scanner.advance()
    switch byte {
    case 0x22, 0x5c, 0x2f: bytes.append(byte)
    case 0x62: bytes.append(0x08)
    case 0x66: bytes.append(0x0c)
    case 0x6e: bytes.append(0x0a)
    case 0x72: bytes.append(0x0d)
    case 0x74: bytes.append(0x09)
    case 0x75:
      var unit = try hexadecimal()
      if unit & 0xfc00 == 0xdc00 { throw invalid("Unicode low surrogate must follow a high surrogate.") }
      if unit & 0xfc00 == 0xd800 {
        guard scanner.accept(0x5c), scanner.accept(0x75) else {
          throw invalid("Unicode low surrogate must follow a high surrogate.")
        }
        let low = try hexadecimal()
        guard low & 0xfc00 == 0xdc00 else { throw invalid("Unicode low surrogate must follow a high surrogate.") }
        unit = 0x10000 + (unit & 0x3ff) << 10 + (low & 0x3ff)
      }
      if unit == 0 {
        throw SQLError(
          .untranslatableCharacter, "unsupported Unicode escape sequence",
          detail: "\\u0000 cannot be converted to text.")
      }
      bytes.append(contentsOf: String(Unicode.Scalar(unit) ?? "\u{fffd}").utf8)
    default:
      throw invalid("Escape sequence \"\\\(String(decoding: [byte], as: UTF8.self))\" is invalid.")
    }
  }

  private mutating func hexadecimal() throws(SQLError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = scanner.peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
        throw invalid("\"\\u\" must be followed by four hexadecimal digits.")
      }
      value = value << 4 | UInt32(digit)
      scanner.advance()
    }
    return value
  }

  private func invalid(_ detail: String) -> SQLError {
    SQLError(.invalidTextRepresentation, "invalid input syntax for type json", detail: detail)
  }

  private func unexpected(_ wanted: String) -> SQLError {
    guard let byte = scanner.peek else { return invalid("The input string ended unexpectedly.") }
    var end = scanner.index + 1
    if byte == 0x22 {
      while end < scanner.bytes.count, scanner.bytes[end] != 0x22 { end += 1 }
      end = min(end + 1, scanner.bytes.count)
    } else if isLetter(byte) || isDigit(byte) || byte == 0x2d || byte >= 0x80 {
      while end < scanner.bytes.count {
        let next = scanner.bytes[end]
        guard isLetter(next) || isDigit(next) || next == 0x2e || next == 0x5f || next >= 0x80 else { break }
        end += 1
      }
    }
    let token = String(decoding: scanner.bytes[scanner.index..<end], as: UTF8.self)
    let isValue =
      isLetter(byte) && wanted == "JSON value" || (!isLetter(byte) && !isStructural(byte) && wanted == "JSON value")
    if isValue { return invalid("Token \"\(token)\" is invalid.") }
    return invalid("Expected \(wanted), but found \"\(token)\".")
  }

  private func isStructural(_ byte: UInt8) -> Bool { [0x7b, 0x7d, 0x5b, 0x5d, 0x2c, 0x3a].contains(byte) }
}
