/// Text forms of bytea and uuid.
package enum ByteaText {
  private static let digits = Array("0123456789abcdef".utf8)

  /// Two hexadecimal digits per byte.
  package static func hexadecimal(_ bytes: [UInt8]) -> String {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count * 2)
    for byte in bytes {
      result.append(digits[Int(byte >> 4)])
      result.append(digits[Int(byte & 15)])
    }
    return String(decoding: result, as: UTF8.self)
  }

  /// bytea as PostgreSQL prints it: `\x` and hexadecimal digits.
  package static func text(_ bytes: [UInt8]) -> String { "\\x" + hexadecimal(bytes) }

  /// bytea from its hexadecimal or its escape form.
  /// - Throws: 22P02 for a malformed escape, 22023 for a malformed hexadecimal form.
  package static func parse(_ text: String) throws(SQLError) -> [UInt8] {
    let bytes = Array(text.utf8)
    if bytes.count >= 2, bytes[0] == 0x5c, bytes[1] == 0x78 { return try parseHexadecimal(bytes[2...]) }
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
      if bytes[index] != 0x5c {
        result.append(bytes[index])
        index += 1
      } else if index + 1 < bytes.count, bytes[index + 1] == 0x5c {
        result.append(0x5c)
        index += 2
      } else {
        let octal = bytes[(index + 1)...].prefix(3)
        guard octal.count == 3, octal.allSatisfy({ $0 >= 0x30 && $0 <= 0x37 }), octal.first! <= 0x33 else {
          throw SQLError(.invalidTextRepresentation, "invalid input syntax for type bytea")
        }
        result.append(octal.reduce(0) { $0 &<< 3 | ($1 - 0x30) })
        index += 4
      }
    }
    return result
  }

  /// Bytes from hexadecimal digits; white space between pairs is skipped.
  package static func parseHexadecimal(_ digits: ArraySlice<UInt8>) throws(SQLError) -> [UInt8] {
    var result: [UInt8] = []
    var high: UInt8?
    for byte in digits {
      if isSpace(byte), high == nil { continue }
      guard let value = nibble(byte) else {
        throw SQLError(
          .invalidParameterValue,
          "invalid hexadecimal digit: \"\(String(decoding: [byte], as: UTF8.self))\"")
      }
      if let first = high {
        result.append(first << 4 | value)
        high = nil
      } else {
        high = value
      }
    }
    if high != nil { throw SQLError(.invalidParameterValue, "invalid hexadecimal data: odd number of digits") }
    return result
  }

  /// A uuid as PostgreSQL prints it.
  package static func uuid(_ bytes: [UInt8]) -> String {
    let text = hexadecimal(bytes)
    guard bytes.count == 16 else { return text }
    var result = ""
    for (index, character) in text.enumerated() {
      if [8, 12, 16, 20].contains(index) { result.append("-") }
      result.append(character)
    }
    return result
  }

  /// A uuid's 16 bytes: hexadecimal digits, a hyphen after any group of four, braces around.
  /// - Throws: 22P02.
  package static func parseUUID(_ text: String) throws(SQLError) -> [UInt8] {
    let invalid = SQLError(.invalidTextRepresentation, "invalid input syntax for type uuid: \"\(text)\"")
    var scanner = ByteScanner(text)
    let braced = scanner.accept(0x7b)
    var result: [UInt8] = []
    for index in 0..<16 {
      guard let high = scanner.peek.flatMap(nibble), let low = scanner.peek(1).flatMap(nibble) else { throw invalid }
      result.append(high << 4 | low)
      scanner.advance(2)
      if index % 2 == 1, index < 15 { _ = scanner.accept(0x2d) }
    }
    if braced, !scanner.accept(0x7d) { throw invalid }
    guard scanner.isAtEnd else { throw invalid }
    return result
  }

  private static func nibble(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: return byte - 0x30
    case 0x61...0x66: return byte - 0x57
    case 0x41...0x46: return byte - 0x37
    default: return nil
    }
  }
}
