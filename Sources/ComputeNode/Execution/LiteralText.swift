/// A statement's text with literals taken out of it, so that statements that differ only in those share a plan.
///
/// Only literals are taken whose meaning is the same as a parameter's: the whole of a value in the rows of INSERT … VALUES, and
/// the right side of a comparison. All else stays in the text. A text that this cannot read for certain (comments, escapes,
/// dollar quotes, parameters) is left alone; so are statements that are not SELECT, INSERT, UPDATE or DELETE.
struct LiteralText: Equatable {
  /// A literal that was taken out.
  struct Literal: Equatable {
    /// Without quotes; a number with its sign.
    var text: String
    var isNumber: Bool
    /// Stands in a row of VALUES, not in a comparison.
    var isRowValue: Bool
  }

  /// The text with `$1`, `$2` … in the places of the literals.
  let text: String
  let literals: [Literal]

  /// What the plan is kept by: a number and a quoted literal do not mean the same in the same place.
  var key: String {
    text + "\0" + String(decoding: literals.map { $0.isNumber ? 0x6e : 0x73 } as [UInt8], as: UTF8.self)
  }

  /// More literals are seldom seen twice in the same number.
  private static let maximumLiterals = 64
  /// Longer texts are not kept.
  private static let maximumBytes = 16 << 10

  /// nil where the text is not of this kind, or holds no such literal.
  init?(_ sql: String) {
    let scanned = sql.utf8.withContiguousStorageIfAvailable { bytes -> (String, [Literal])? in
      guard bytes.count <= Self.maximumBytes else { return nil }
      var scanner = LiteralScanner(UnsafeRawBufferPointer(bytes))
      guard scanner.run(), !scanner.literals.isEmpty, scanner.literals.count <= Self.maximumLiterals else { return nil }
      return (String(decoding: scanner.output, as: UTF8.self), scanner.literals)
    }
    guard let (text, literals) = scanned ?? nil else { return nil }
    self.text = text
    self.literals = literals
  }
}

/// Reads a statement token by token (PostgreSQL 15 manual, 4.1) and copies it, but for the literals.
private struct LiteralScanner {
  /// What the token before the present one was.
  private enum Before: Equatable {
    case comparison
    /// An opening parenthesis or a comma.
    case opening
    /// A minus sign behind an opening parenthesis or a comma; it was not copied yet.
    case sign
    case other
  }

  private let bytes: UnsafeRawBufferPointer
  private var place = 0
  private var depth = 0
  private var isInsert = false
  private var isInValues = false
  private var before = Before.other
  private(set) var output: [UInt8] = []
  private(set) var literals: [LiteralText.Literal] = []

  init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    output.reserveCapacity(bytes.count)
  }

  /// False where the text cannot be read for certain.
  mutating func run() -> Bool {
    skipBlanks()
    guard let command = takeWord() else { return false }
    switch command {
    case "insert": isInsert = true
    case "select", "update", "delete": break
    default: return false
    }
    while true {
      skipBlanks()
      guard place < bytes.count else { return depth == 0 && before != .sign }
      guard token() else { return false }
    }
  }

  private mutating func token() -> Bool {
    let byte = bytes[place]
    switch byte {
    case UInt8(ascii: "'"): return string()
    case UInt8(ascii: "0")...UInt8(ascii: "9"): return number()
    case UInt8(ascii: "."):
      if let next = peek(1), Self.isDigit(next) { return false }
      return single(.other)
    case UInt8(ascii: "("):
      depth += 1
      return single(.opening)
    case UInt8(ascii: ","): return single(.opening)
    case UInt8(ascii: ")"):
      depth -= 1
      return depth >= 0 && single(.other)
    case UInt8(ascii: "\""): return quotedName()
    case UInt8(ascii: ";"):
      // Only at the end: one statement.
      place += 1
      skipBlanks()
      return place == bytes.count
    case UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: ":"): return single(.other)
    default:
      if Self.isOperator(byte) { return operatorToken() }
      guard let word = takeWord() else { return false }
      // The system catalog's queries are many, each seldom: not worth a place in the cache.
      if word.hasPrefix("pg_") || word == "information_schema" { return false }
      // E'…', B'…', date'…' and U&'…' have meanings of their own.
      if let next = peek(0), next == UInt8(ascii: "'") || next == UInt8(ascii: "&") { return false }
      if depth == 0 { isInValues = isInsert && word == "values" }
      before = .other
      return true
    }
  }

  private mutating func single(_ kind: Before) -> Bool {
    guard before != .sign else { return false }
    output.append(bytes[place])
    place += 1
    before = kind
    return true
  }

  private mutating func operatorToken() -> Bool {
    guard before != .sign else { return false }
    let start = place
    while place < bytes.count, Self.isOperator(bytes[place]) { place += 1 }
    let text = bytes[start..<place]
    if text.elementsEqual("-".utf8), before == .opening, isInValues, depth == 1 {
      before = .sign
      return true
    }
    // Comments.
    for pair in zip(text, text.dropFirst()) where pair == (0x2d, 0x2d) || pair == (0x2f, 0x2a) { return false }
    output.append(contentsOf: text)
    switch String(decoding: text, as: UTF8.self) {
    case "=", "<", ">", "<=", ">=", "<>", "!=": before = .comparison
    default: before = .other
    }
    return true
  }

  private mutating func quotedName() -> Bool {
    guard before != .sign else { return false }
    let start = place
    place += 1
    while place < bytes.count, bytes[place] != UInt8(ascii: "\"") { place += 1 }
    guard place < bytes.count else { return false }
    place += 1
    output.append(contentsOf: bytes[start..<place])
    before = .other
    // A name after VALUES' rows ends them.
    if depth == 0 { isInValues = false }
    return true
  }

  private mutating func string() -> Bool {
    guard before != .sign else { return false }
    let start = place
    var content: [UInt8] = []
    place += 1
    while true {
      guard place < bytes.count else { return false }
      let byte = bytes[place]
      // With standard_conforming_strings a backslash is itself; it is left to the parser to know.
      if byte == UInt8(ascii: "\\") || byte == 0 { return false }
      place += 1
      if byte == UInt8(ascii: "'") {
        guard let next = peek(0), next == UInt8(ascii: "'") else { break }
        place += 1
      }
      content.append(byte)
    }
    take(start, String(decoding: content, as: UTF8.self), isNumber: false)
    return true
  }

  private mutating func number() -> Bool {
    let start = place
    while let byte = peek(0), Self.isDigit(byte) { place += 1 }
    if let byte = peek(0), byte == UInt8(ascii: ".") {
      place += 1
      while let byte = peek(0), Self.isDigit(byte) { place += 1 }
    }
    // Exponents and trailing junk are left to the parser.
    if let byte = peek(0), Self.isName(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "'") { return false }
    let digits = String(decoding: bytes[start..<place], as: UTF8.self)
    take(start, before == .sign ? "-" + digits : digits, isNumber: true)
    return true
  }

  /// Takes a literal out where it is a whole value, else copies it.
  private mutating func take(_ start: Int, _ text: String, isNumber: Bool) {
    let wasSigned = before == .sign
    let isRowValue = isInValues && depth == 1 && (before == .opening || wasSigned) && endsRowValue()
    if isRowValue || (before == .comparison && endsComparison()) {
      literals.append(LiteralText.Literal(text: text, isNumber: isNumber, isRowValue: isRowValue))
      output.append(UInt8(ascii: "$"))
      output.append(contentsOf: String(literals.count).utf8)
    } else {
      if wasSigned { output.append(UInt8(ascii: "-")) }
      output.append(contentsOf: bytes[start..<place])
    }
    before = .other
  }

  // MARK: What follows

  private func next() -> Int {
    var place = place
    while place < bytes.count, Self.isBlank(bytes[place]) { place += 1 }
    return place
  }

  private func endsRowValue() -> Bool {
    let place = next()
    return place < bytes.count && (bytes[place] == UInt8(ascii: ",") || bytes[place] == UInt8(ascii: ")"))
  }

  private func endsComparison() -> Bool {
    let place = next()
    guard place < bytes.count else { return true }
    switch bytes[place] {
    case UInt8(ascii: ","), UInt8(ascii: ")"), UInt8(ascii: ";"): return true
    default:
      var end = place
      while end < bytes.count, Self.isName(bytes[end]) { end += 1 }
      switch String(decoding: bytes[place..<end], as: UTF8.self).lowercased() {
      case "and", "or", "where", "order", "group", "limit", "offset", "returning", "for", "from": return true
      default: return false
      }
    }
  }

  // MARK: Bytes

  private func peek(_ distance: Int) -> UInt8? {
    place + distance < bytes.count ? bytes[place + distance] : nil
  }

  /// A word, copied as it is; in small letters for comparison. nil where there is none.
  private mutating func takeWord() -> String? {
    guard before != .sign else { return nil }
    let start = place
    while place < bytes.count, Self.isName(bytes[place]) { place += 1 }
    guard place > start else { return nil }
    output.append(contentsOf: bytes[start..<place])
    return String(decoding: bytes[start..<place], as: UTF8.self).lowercased()
  }

  /// Runs of blanks become one: they mean nothing.
  private mutating func skipBlanks() {
    let start = place
    while place < bytes.count, Self.isBlank(bytes[place]) { place += 1 }
    if place > start, place < bytes.count, !output.isEmpty { output.append(0x20) }
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0d).contains(byte) }
  private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
  private static func isName(_ byte: UInt8) -> Bool {
    (0x61...0x7a).contains(byte) || (0x41...0x5a).contains(byte) || isDigit(byte) || byte == 0x5f || byte >= 0x80
  }
  private static func isOperator(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "*"), UInt8(ascii: "/"), UInt8(ascii: "<"),
      UInt8(ascii: ">"), UInt8(ascii: "="), UInt8(ascii: "~"), UInt8(ascii: "!"), UInt8(ascii: "@"),
      UInt8(ascii: "#"), UInt8(ascii: "%"), UInt8(ascii: "^"), UInt8(ascii: "&"), UInt8(ascii: "|"),
      UInt8(ascii: "`"), UInt8(ascii: "?"):
      true
    default: false
    }
  }
}
