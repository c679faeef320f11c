/// Base64 (RFC 4648, section 4) as SCRAM uses it: with padding, without line breaks.
package enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let padding = UInt8(ascii: "=")

  /// The text of some bytes.
  package static func encode(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let second = start + 1 < bytes.count ? bytes[start + 1] : 0
      let third = start + 2 < bytes.count ? bytes[start + 2] : 0
      let group = UInt32(bytes[start]) << 16 | UInt32(second) << 8 | UInt32(third)
      text.append(alphabet[Int(group >> 18)])
      text.append(alphabet[Int(group >> 12 & 63)])
      text.append(start + 1 < bytes.count ? alphabet[Int(group >> 6 & 63)] : padding)
      text.append(start + 2 < bytes.count ? alphabet[Int(group & 63)] : padding)
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// The bytes of a text, nil where it is not base64.
  package static func decode(_ text: some StringProtocol) -> [UInt8]? {
    let digits = Array(text.utf8)
    guard digits.count % 4 == 0 else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(digits.count / 4 * 3)
    for start in stride(from: 0, to: digits.count, by: 4) {
      let isLast = start + 4 == digits.count
      let paddingCount = isLast ? digits[start..<start + 4].reversed().prefix { $0 == padding }.count : 0
      guard paddingCount <= 2 else { return nil }
      var group: UInt32 = 0
      for place in 0..<4 {
        guard place < 4 - paddingCount else {
          group <<= 6
          continue
        }
        guard let value = value(of: digits[start + place]) else { return nil }
        group = group << 6 | UInt32(value)
      }
      bytes.append(UInt8(group >> 16))
      if paddingCount < 2 { bytes.append(UInt8(group >> 8 & 255)) }
      if paddingCount < 1 { bytes.append(UInt8(group & 255)) }
    }
    return bytes
  }

  private static func value(of digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): digit - UInt8(ascii: "A")
    case UInt8(ascii: "a")...UInt8(ascii: "z"): digit - UInt8(ascii: "a") + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0") + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }
}
