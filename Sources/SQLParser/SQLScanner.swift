/// A rough lexer of SQL text: it knows where strings, quoted names and comments end (PostgreSQL 15 manual, 4.1), and
/// splits the rest into words, numbers and single signs. For what the grammar's tree leaves out.
struct SQLScanner {
  enum Kind { case word, quotedName, string, number, sign }
  struct Token {
    var kind: Kind
    var start: Int
    var end: Int
  }

  private let bytes: UnsafeBufferPointer<UInt8>
  private var at: Int

  init(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int = 0) {
    self.bytes = bytes
    at = start
  }

  /// The next token behind blanks and comments; nil at the end.
  mutating func next() -> Token? {
    skipBlanks()
    guard at < bytes.count else { return nil }
    let start = at
    let byte = bytes[at]
    if Self.startsWord(byte) { return word(from: start) }
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"):
      while at < bytes.count, Self.continuesWord(bytes[at]) || bytes[at] == UInt8(ascii: ".") { at += 1 }
      return Token(kind: .number, start: start, end: at)
    case UInt8(ascii: "'"):
      skipQuoted(UInt8(ascii: "'"), hasEscapes: false)
      return Token(kind: .string, start: start, end: at)
    case UInt8(ascii: "\""):
      skipQuoted(UInt8(ascii: "\""), hasEscapes: false)
      return Token(kind: .quotedName, start: start, end: at)
    case UInt8(ascii: "$") where skipDollarQuoted():
      return Token(kind: .string, start: start, end: at)
    default:
      at += 1
      return Token(kind: .sign, start: start, end: at)
    }
  }

  /// Whether a token is that word, in any case (`lowercase` in lower case).
  func matches(_ token: Token, _ lowercase: StaticString) -> Bool {
    guard token.kind == .word, token.end - token.start == lowercase.utf8CodeUnitCount else { return false }
    for offset in 0..<lowercase.utf8CodeUnitCount
    where bytes[token.start + offset] | 0x20 != lowercase.utf8Start[offset] { return false }
    return true
  }

  /// Whether a token is that sign.
  func isSign(_ token: Token, _ sign: UInt8) -> Bool { token.kind == .sign && bytes[token.start] == sign }

  private mutating func word(from start: Int) -> Token {
    while at < bytes.count, Self.continuesWord(bytes[at]) { at += 1 }
    // E'…', B'…', X'…', N'…', U&'…' and U&"…": one token with what they introduce.
    let length = at - start
    guard at < bytes.count else { return Token(kind: .word, start: start, end: at) }
    let first = bytes[start] | 0x20
    if length == 1, bytes[at] == UInt8(ascii: "'"), "ebxn".utf8.contains(first) {
      skipQuoted(UInt8(ascii: "'"), hasEscapes: first == UInt8(ascii: "e"))
      return Token(kind: .string, start: start, end: at)
    }
    return Token(kind: .word, start: start, end: at)
  }

  private mutating func skipBlanks() {
    while at < bytes.count {
      let byte = bytes[at]
      let following = at + 1 < bytes.count ? bytes[at + 1] : 0
      if byte == 32 || (9...13).contains(byte) {
        at += 1
      } else if byte == UInt8(ascii: "-"), following == UInt8(ascii: "-") {
        while at < bytes.count, bytes[at] != 10, bytes[at] != 13 { at += 1 }
      } else if byte == UInt8(ascii: "/"), following == UInt8(ascii: "*") {
        skipComment()
      } else {
        return
      }
    }
  }

  /// `/* … */`, which nests.
  private mutating func skipComment() {
    var depth = 0
    while at < bytes.count {
      let following = at + 1 < bytes.count ? bytes[at + 1] : 0
      if bytes[at] == UInt8(ascii: "/"), following == UInt8(ascii: "*") {
        depth += 1
        at += 2
      } else if bytes[at] == UInt8(ascii: "*"), following == UInt8(ascii: "/") {
        depth -= 1
        at += 2
        if depth == 0 { return }
      } else {
        at += 1
      }
    }
  }

  private mutating func skipQuoted(_ quote: UInt8, hasEscapes: Bool) {
    at += 1
    while at < bytes.count {
      if hasEscapes, bytes[at] == UInt8(ascii: "\\") {
        at += 2
      } else if bytes[at] == quote {
        at += 1
        guard at < bytes.count, bytes[at] == quote else { return }
        at += 1
      } else {
        at += 1
      }
    }
    at = min(at, bytes.count)
  }

  /// `$tag$ … $tag$`; false, and nothing skipped, where the dollar starts no such string.
  private mutating func skipDollarQuoted() -> Bool {
    var end = at + 1
    while end < bytes.count, Self.continuesWord(bytes[end]), bytes[end] != UInt8(ascii: "$") {
      if end == at + 1, !Self.startsWord(bytes[end]) { return false }
      end += 1
    }
    guard end < bytes.count, bytes[end] == UInt8(ascii: "$") else { return false }
    let tag = bytes[at...end]
    var place = end + 1
    while place + tag.count <= bytes.count {
      if bytes[place] == UInt8(ascii: "$"), bytes[place..<(place + tag.count)].elementsEqual(tag) {
        at = place + tag.count
        return true
      }
      place += 1
    }
    at = bytes.count
    return true
  }

  private static func startsWord(_ byte: UInt8) -> Bool {
    (byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z")) || byte == UInt8(ascii: "_") || byte >= 0x80
  }

  private static func continuesWord(_ byte: UInt8) -> Bool {
    startsWord(byte) || (byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")) || byte == UInt8(ascii: "$")
  }
}
