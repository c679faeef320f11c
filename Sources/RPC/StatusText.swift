/// The text forms of gRPC over HTTP/2 (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
enum StatusText {
  /// Longest `grpc-message`: peers limit their header lists to some 8 KiB.
  private static let maximumBytes = 4096

  /// What counts as forever: 10 years.
  private static let longestNanoseconds: UInt64 = 10 * 365 * 86_400 * 1_000_000_000

  /// `grpc-message`: UTF-8, in which what is not printable ASCII, and `%`, is `%` and two hexadecimal digits.
  static func percentEncode(_ text: String) -> [UInt8] {
    let digits = Array("0123456789ABCDEF".utf8)
    var encoded: [UInt8] = []
    for byte in text.utf8 {
      guard encoded.count < maximumBytes else { break }
      if (0x20...0x7E).contains(byte), byte != UInt8(ascii: "%") {
        encoded.append(byte)
      } else {
        encoded += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return encoded
  }

  /// The reverse; what is not a valid escape stays as it is.
  static func percentDecode(_ bytes: UnsafeBufferPointer<UInt8>) -> String {
    func value(_ digit: UInt8) -> UInt8? {
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
      default: nil
      }
    }
    var decoded: [UInt8] = []
    var position = 0
    while position < bytes.count {
      if bytes[position] == UInt8(ascii: "%"), position + 2 < bytes.count, let high = value(bytes[position + 1]),
        let low = value(bytes[position + 2])
      {
        decoded.append(high << 4 | low)
        position += 3
      } else {
        decoded.append(bytes[position])
        position += 1
      }
    }
    return String(decoding: decoded, as: UTF8.self)
  }

  /// `grpc-timeout` in nanoseconds, at most 10 years: up to 8 digits and a unit; nil where it is not one.
  static func timeoutNanoseconds(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt64? {
    guard (2...9).contains(bytes.count) else { return nil }
    var number: UInt64 = 0
    for digit in bytes.dropLast() {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
      number = number * 10 + UInt64(digit - UInt8(ascii: "0"))
    }
    let unit: UInt64
    switch bytes[bytes.count - 1] {
    case UInt8(ascii: "H"): unit = 3_600_000_000_000
    case UInt8(ascii: "M"): unit = 60_000_000_000
    case UInt8(ascii: "S"): unit = 1_000_000_000
    case UInt8(ascii: "m"): unit = 1_000_000
    case UInt8(ascii: "u"): unit = 1000
    case UInt8(ascii: "n"): unit = 1
    default: return nil
    }
    let (product, overflow) = number.multipliedReportingOverflow(by: unit)
    return overflow ? longestNanoseconds : min(product, longestNanoseconds)
  }

  /// `grpc-timeout` of so many milliseconds.
  static func timeout(milliseconds: Int) -> String {
    milliseconds < 100_000_000 ? "\(max(1, milliseconds))m" : "\(min(milliseconds / 1000, 99_999_999))S"
  }
}
