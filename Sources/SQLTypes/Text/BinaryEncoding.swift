/// `encode` and `decode` between bytea and text: base64, hex, escape.
package enum BinaryEncoding {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  /// Bytes as text.
  /// - Throws: 22023 for an unknown format.
  package static func encode(_ bytes: [UInt8], _ format: String) throws(SQLError) -> String {
    switch lowercaseASCII(format) {
    case "hex": return ByteaText.hexadecimal(bytes)
    case "base64": return base64(bytes)
    case "escape": return escape(bytes)
    default: throw unknown(format)
    }
  }

  /// Bytes from text.
  /// - Throws: 22023 for an unknown format or malformed text.
  package static func decode(_ text: String, _ format: String) throws(SQLError) -> [UInt8] {
    switch lowercaseASCII(format) {
    case "hex": return try ByteaText.parseHexadecimal(Array(text.utf8)[...])
    case "base64": return try decodeBase64(text)
    case "escape": return try ByteaText.parse(text.hasPrefix("\\x") ? "\\\\" + text.dropFirst() : text)
    default: throw unknown(format)
    }
  }

  private static func unknown(_ format: String) -> SQLError {
    SQLError(.invalidParameterValue, "unrecognized encoding: \"\(format)\"")
  }

  /// Lines of 76 characters, as in RFC 2045.
  private static func base64(_ bytes: [UInt8]) -> String {
    var result: [UInt8] = []
    var column = 0
    for start in stride(from: 0, to: bytes.count, by: 3) {
      if column == 76 {
        result.append(0x0a)
        column = 0
      }
      let chunk = bytes[start..<min(start + 3, bytes.count)]
      var word: UInt32 = 0
      for index in 0..<3 { word = word << 8 | UInt32(index < chunk.count ? chunk[start + index] : 0) }
      for index in 0..<4 {
        result.append(index <= chunk.count ? alphabet[Int(word >> (18 - UInt32(index) * 6) & 63)] : 0x3d)
      }
      column += 4
    }
    return String(decoding: result, as: UTF8.self)
  }

  private static func decodeBase64(_ text: String) throws(SQLError) -> [UInt8] {
    var result: [UInt8] = []
    var word: UInt32 = 0
    var count = 0
    var padding = 0
    for byte in text.utf8 where !isSpace(byte) {
      if byte == 0x3d {
        padding += 1
        guard padding <= 2, count + padding <= 4, count >= 2 else { throw endSequence }
        continue
      }
      guard padding == 0, let value = alphabet.firstIndex(of: byte) else {
        throw SQLError(
          .invalidParameterValue,
          "invalid symbol \"\(String(decoding: [byte], as: UTF8.self))\" found while decoding base64 sequence")
      }
      word = word << 6 | UInt32(value)
      count += 1
      if count == 4 {
        result.append(contentsOf: [UInt8(word >> 16 & 255), UInt8(word >> 8 & 255), UInt8(word & 255)])
        word = 0
        count = 0
      }
    }
    if count == 0 { return result }
    guard count + padding == 4 else { throw endSequence }
    result.append(UInt8(word >> (count == 2 ? 4 : 10) & 255))
    if count == 3 { result.append(UInt8(word >> 2 & 255)) }
    return result
  }

  private static let endSequence = SQLError(
    .invalidParameterValue, "invalid base64 end sequence",
    hint: "Input data is missing padding, is truncated, or is otherwise corrupted.")

  private static func escape(_ bytes: [UInt8]) -> String {
    var result: [UInt8] = []
    for byte in bytes {
      if byte == 0x5c {
        result.append(contentsOf: [0x5c, 0x5c])
      } else if byte == 0 || byte >= 0x80 {
        result.append(contentsOf: [0x5c, 0x30 + (byte >> 6), 0x30 + (byte >> 3 & 7), 0x30 + (byte & 7)])
      } else {
        result.append(byte)
      }
    }
    return String(decoding: result, as: UTF8.self)
  }
}
