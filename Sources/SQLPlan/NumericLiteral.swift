/// Number literals as numeric values are stored.
enum NumericLiteral {
  /// Most digits before and after the point that PostgreSQL's numeric has.
  private static let maximumWholeDigits = 131_072
  private static let maximumFractionDigits = 16_383

  /// `.5` as 0.5, `1e3` as 1000, `001.50` as 1.50, with a sign where the grammar has drawn one in; nil for what is no
  /// number or overflows.
  static func canonical(_ text: String) -> String? {
    if text.hasPrefix("-") {
      guard let magnitude = canonical(String(text.dropFirst())) else { return nil }
      let isZero = magnitude.utf8.allSatisfy { $0 == 0x30 || $0 == UInt8(ascii: ".") }
      return isZero ? magnitude : "-" + magnitude
    }
    let bytes = Array(text.utf8)
    var index = 0
    var digits: [UInt8] = []
    var pointAt: Int?
    while index < bytes.count {
      let byte = bytes[index]
      if byte >= 0x30 && byte <= 0x39 {
        digits.append(byte)
      } else if byte == UInt8(ascii: "."), pointAt == nil {
        pointAt = digits.count
      } else {
        break
      }
      index += 1
    }
    var exponent = 0
    if index < bytes.count {
      guard bytes[index] | 0x20 == UInt8(ascii: "e"),
        let value = Int(String(decoding: bytes[(index + 1)...], as: UTF8.self)), abs(value) < 200_000
      else { return nil }
      exponent = value
    }
    guard !digits.isEmpty else { return nil }
    let point = (pointAt ?? digits.count) + exponent
    var whole: [UInt8]
    var fraction: [UInt8]
    if point <= 0 {
      whole = []
      fraction = Array(repeating: 0x30, count: -point) + digits
    } else if point >= digits.count {
      whole = digits + Array(repeating: 0x30, count: point - digits.count)
      fraction = []
    } else {
      whole = Array(digits[..<point])
      fraction = Array(digits[point...])
    }
    whole = Array(whole.drop { $0 == 0x30 })
    guard whole.count <= maximumWholeDigits, fraction.count <= maximumFractionDigits else { return nil }
    if whole.isEmpty { whole = [0x30] }
    let text = String(decoding: whole, as: UTF8.self)
    return fraction.isEmpty ? text : text + "." + String(decoding: fraction, as: UTF8.self)
  }
}
