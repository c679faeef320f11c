/// A position in ASCII-led text, for the input functions of types.
struct ByteScanner {
  let bytes: [UInt8]
  var index = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }
  init(_ text: String) { bytes = Array(text.utf8) }

  var isAtEnd: Bool { index >= bytes.count }
  var peek: UInt8? { index < bytes.count ? bytes[index] : nil }

  func peek(_ ahead: Int) -> UInt8? { index + ahead < bytes.count ? bytes[index + ahead] : nil }

  mutating func advance(_ count: Int = 1) { index += count }

  mutating func skipWhitespace() {
    while let byte = peek, isSpace(byte) { index += 1 }
  }

  /// Consumes the byte where it comes next.
  mutating func accept(_ byte: UInt8) -> Bool {
    guard peek == byte else { return false }
    index += 1
    return true
  }

  /// Consumes the lower-case word in any case where it comes next.
  mutating func accept(_ word: String) -> Bool {
    var position = index
    for byte in word.utf8 {
      guard position < bytes.count, lowercase(bytes[position]) == byte else { return false }
      position += 1
    }
    index = position
    return true
  }

  /// Consumes ASCII digits.
  mutating func digits() -> [UInt8] {
    let start = index
    while let byte = peek, isDigit(byte) { index += 1 }
    return Array(bytes[start..<index])
  }

  /// Consumes a sign and digits; nil where no digit comes or the number is absurd.
  mutating func exponent() -> Int? {
    let negative = peek == 0x2d
    if negative || peek == 0x2b { index += 1 }
    let digits = self.digits()
    guard !digits.isEmpty else { return nil }
    var value = 0
    for digit in digits where value < Int(Int32.max) { value = value * 10 + Int(digit - 0x30) }
    return negative ? -value : value
  }
}

/// Whether the byte is an ASCII space character, as C's isspace sees it.
func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 0x09 && byte <= 0x0d) }
/// Whether the byte is an ASCII digit.
func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
/// Whether the byte is an ASCII letter.
func isLetter(_ byte: UInt8) -> Bool { lowercase(byte) >= 0x61 && lowercase(byte) <= 0x7a }
/// The byte, an ASCII capital made small.
func lowercase(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5a ? byte + 32 : byte }

/// ASCII capitals made small; other characters stay.
func lowercaseASCII(_ text: some StringProtocol) -> String {
  String(decoding: text.utf8.map(lowercase), as: UTF8.self)
}

/// The text without leading and trailing ASCII space characters.
func trimSpaces(_ text: String) -> String {
  let bytes = text.utf8
  guard let first = bytes.first, let last = bytes.last, isSpace(first) || isSpace(last) else { return text }
  var slice = bytes[...]
  while let byte = slice.first, isSpace(byte) { slice = slice.dropFirst() }
  while let byte = slice.last, isSpace(byte) { slice = slice.dropLast() }
  return String(Substring(slice))
}
