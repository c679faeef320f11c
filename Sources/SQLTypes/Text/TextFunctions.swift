/// PostgreSQL's string functions (manual, 9.4). A character is a Unicode code point.
package enum TextFunctions {
  /// The most bytes that a result may have: what PostgreSQL allows for one value.
  static let maximumBytes = 1_073_741_819

  static let tooLarge = SQLError(.programLimitExceeded, "requested length too large")

  /// The number of characters.
  package static func length(_ text: String) -> Int { text.unicodeScalars.count }

  /// Small letters, one character for one.
  package static func lower(_ text: String) -> String { map(text) { $0.properties.lowercaseMapping } }

  /// Capitals, one character for one.
  package static func upper(_ text: String) -> String { map(text) { $0.properties.uppercaseMapping } }

  /// The first letter of each word a capital, the others small.
  package static func initcap(_ text: String) -> String {
    var inWord = false
    return map(text) { scalar in
      let mapping = inWord ? scalar.properties.lowercaseMapping : scalar.properties.uppercaseMapping
      inWord = scalar.properties.isAlphabetic || scalar.properties.numericType != nil
      return mapping
    }
  }

  private static func map(_ text: String, _ mapping: (Unicode.Scalar) -> String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      let mapped = mapping(scalar).unicodeScalars
      result.append(mapped.count == 1 ? mapped.first! : scalar)
    }
    return String(result)
  }

  /// `substring(text from start for count)`; without a count up to the end.
  /// - Throws: 22011 for a negative count.
  package static func substring(_ text: String, start: Int64, count: Int64?) throws(SQLError) -> String {
    let range = try slice(start: start, count: count)
    return String(String.UnicodeScalarView(text.unicodeScalars.dropFirst(range.skip).prefix(range.take)))
  }

  /// `substring` of bytes.
  package static func substring(_ bytes: [UInt8], start: Int64, count: Int64?) throws(SQLError) -> [UInt8] {
    let range = try slice(start: start, count: count)
    return Array(bytes.dropFirst(range.skip).prefix(range.take))
  }

  private static func slice(start: Int64, count: Int64?) throws(SQLError) -> (skip: Int, take: Int) {
    guard let count else { return (Int(max(0, start - 1)), Int.max) }
    if count < 0 { throw SQLError(.substringError, "negative substring length not allowed") }
    let end = start.addingReportingOverflow(count)
    let last = end.overflow ? Int64.max : end.partialValue
    let first = max(1, start)
    return (Int(first - 1), Int(max(0, last - first)))
  }

  /// The position (from 1) of a part, 0 where it is not.
  package static func position(of part: String, in text: String) -> Int {
    let needle = Array(part.utf8)
    let bytes = Array(text.utf8)
    guard let offset = find(needle, in: bytes, from: 0) else { return 0 }
    return bytes[..<offset].lazy.filter { $0 & 0xc0 != 0x80 }.count + 1
  }

  /// The offset of bytes in others, nil where they are not.
  package static func find(_ needle: [UInt8], in bytes: [UInt8], from start: Int) -> Int? {
    if needle.isEmpty { return start }
    guard bytes.count >= needle.count else { return nil }
    var offset = start
    while offset <= bytes.count - needle.count {
      if bytes[offset] == needle[0] {
        var index = 1
        while index < needle.count, bytes[offset + index] == needle[index] { index += 1 }
        if index == needle.count { return offset }
      }
      offset += 1
    }
    return nil
  }

  /// The first characters; for a negative count all but the last.
  package static func left(_ text: String, _ count: Int64) -> String {
    let scalars = text.unicodeScalars
    let wanted = count >= 0 ? Int(count) : max(0, scalars.count + Int(count))
    return String(String.UnicodeScalarView(scalars.prefix(wanted)))
  }

  /// The last characters; for a negative count all but the first.
  package static func right(_ text: String, _ count: Int64) -> String {
    let scalars = text.unicodeScalars
    let skipped = count >= 0 ? max(0, scalars.count - Int(count)) : Int(-count)
    return String(String.UnicodeScalarView(scalars.dropFirst(skipped)))
  }

  /// Filled up (or cut) to a length, on the left or on the right.
  package static func pad(_ text: String, _ length: Int64, with fill: String, onLeft: Bool) throws(SQLError) -> String {
    let scalars = Array(text.unicodeScalars)
    let wanted = Int(max(0, length))
    if scalars.count >= wanted { return String(String.UnicodeScalarView(scalars[..<wanted])) }
    let filling = Array(fill.unicodeScalars)
    if filling.isEmpty { return text }
    if wanted > maximumBytes / 4 { throw tooLarge }
    var padding = String.UnicodeScalarView()
    for index in 0..<(wanted - scalars.count) { padding.append(filling[index % filling.count]) }
    return onLeft ? String(padding) + text : text + String(padding)
  }

  /// Without the characters of a set at the ends.
  package static func trim(_ text: String, _ set: String, left: Bool, right: Bool) -> String {
    let characters = Set(set.unicodeScalars)
    var scalars = text.unicodeScalars[...]
    if left { scalars = scalars.drop { characters.contains($0) } }
    if right { while let last = scalars.last, characters.contains(last) { scalars = scalars.dropLast() } }
    return String(String.UnicodeScalarView(scalars))
  }

  /// Every occurrence of a part replaced.
  package static func replace(_ text: String, _ part: String, with replacement: String) -> String {
    let needle = Array(part.utf8)
    guard !needle.isEmpty else { return text }
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    var start = 0
    while let offset = find(needle, in: bytes, from: start) {
      result.append(contentsOf: bytes[start..<offset])
      result.append(contentsOf: replacement.utf8)
      start = offset + needle.count
    }
    result.append(contentsOf: bytes[start...])
    return String(decoding: result, as: UTF8.self)
  }

  /// Each character that is in the first set replaced by its counterpart, or dropped where there is none.
  package static func translate(_ text: String, _ from: String, _ to: String) -> String {
    let targets = Array(to.unicodeScalars)
    var mapping: [Unicode.Scalar: Unicode.Scalar?] = [:]
    for (index, scalar) in from.unicodeScalars.enumerated() where mapping[scalar] == nil {
      mapping[scalar] = .some(index < targets.count ? targets[index] : nil)
    }
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      if let mapped = mapping[scalar] {
        if let mapped { result.append(mapped) }
      } else {
        result.append(scalar)
      }
    }
    return String(result)
  }

  /// The text so many times.
  package static func `repeat`(_ text: String, _ count: Int64) throws(SQLError) -> String {
    guard count > 0, !text.isEmpty else { return "" }
    let (bytes, overflow) = Int64(text.utf8.count).multipliedReportingOverflow(by: count)
    if overflow || bytes > Int64(maximumBytes) { throw tooLarge }
    return String(repeating: text, count: Int(count))
  }

  /// The characters in reverse.
  package static func reverse(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.reversed()))
  }

  /// The field between separators, from 1, or from the end for a negative number.
  /// - Throws: 22023 for field 0.
  package static func splitPart(_ text: String, _ separator: String, _ field: Int64) throws(SQLError) -> String {
    if field == 0 { throw SQLError(.invalidParameterValue, "field position must not be zero") }
    let parts = split(text, separator)
    let index = field > 0 ? Int(clamping: field) - 1 : parts.count + Int(clamping: field)
    return parts.indices.contains(index) ? parts[index] : ""
  }

  /// The parts between separators; the whole where the separator is empty.
  package static func split(_ text: String, _ separator: String) -> [String] {
    let needle = Array(separator.utf8)
    if needle.isEmpty || text.isEmpty { return [text] }
    let bytes = Array(text.utf8)
    var parts: [String] = []
    var start = 0
    while let offset = find(needle, in: bytes, from: start) {
      parts.append(String(decoding: bytes[start..<offset], as: UTF8.self))
      start = offset + needle.count
    }
    parts.append(String(decoding: bytes[start...], as: UTF8.self))
    return parts
  }

  /// A part replaced by position; without a count as many characters as the new part has.
  package static func overlay(
    _ text: String, _ new: String, from start: Int64, count: Int64?
  ) throws(SQLError) -> String {
    if start <= 0 { throw SQLError(.substringError, "negative substring length not allowed") }
    let length = count ?? Int64(new.unicodeScalars.count)
    let head = try substring(text, start: 1, count: start - 1)
    let (next, overflow) = start.addingReportingOverflow(length)
    return head + new + (try substring(text, start: overflow ? Int64.max : next, count: nil))
  }

  /// The code point of the first character, 0 for an empty text.
  package static func ascii(_ text: String) -> Int64 { Int64(text.unicodeScalars.first?.value ?? 0) }

  /// The character with the code point.
  /// - Throws: 54000 where there is none.
  package static func character(_ code: Int64) throws(SQLError) -> String {
    if code == 0 { throw SQLError(.programLimitExceeded, "null character not permitted") }
    if code < 0 { throw SQLError(.programLimitExceeded, "character number must be positive") }
    guard let scalar = UInt32(exactly: code).flatMap(Unicode.Scalar.init) else {
      throw SQLError(.programLimitExceeded, "requested character not valid for encoding: \(code)")
    }
    return String(scalar)
  }

  /// Hexadecimal digits of a number's bits.
  package static func hexadecimal(_ value: Int64, width: IntegerWidth) -> String {
    width == .int8
      ? String(UInt64(bitPattern: value), radix: 16) : String(UInt32(truncatingIfNeeded: value), radix: 16)
  }

  /// A name in double quotes where it needs them.
  package static func quoteIdentifier(_ name: String) -> String {
    let bytes = name.utf8
    let isPlain =
      bytes.first.map { ($0 >= 0x61 && $0 <= 0x7a) || $0 == 0x5f } == true
      && bytes.allSatisfy { ($0 >= 0x61 && $0 <= 0x7a) || isDigit($0) || $0 == 0x5f }
      && !SQLKeywords.reserved.contains(name)
    return isPlain ? name : "\"" + replace(name, "\"", with: "\"\"") + "\""
  }

  /// A text as a literal.
  package static func quoteLiteral(_ text: String) -> String {
    let quoted = replace(text, "'", with: "''")
    guard quoted.utf8.contains(0x5c) else { return "'\(quoted)'" }
    return "E'" + replace(quoted, "\\", with: "\\\\") + "'"
  }

  /// `format(pattern, arguments…)`: `%s`, `%I`, `%L`, `%%`, positions `n$`, width and `-`.
  package static func format(_ pattern: String, _ arguments: [String?]) throws(SQLError) -> String {
    var formatter = TextFormatter(pattern: pattern, arguments: arguments)
    return try formatter.run()
  }
}

private struct TextFormatter {
  private var scanner: ByteScanner
  private let arguments: [String?]
  private var next = 0

  init(pattern: String, arguments: [String?]) {
    scanner = ByteScanner(pattern)
    self.arguments = arguments
  }

  mutating func run() throws(SQLError) -> String {
    var result: [UInt8] = []
    while let byte = scanner.peek {
      scanner.advance()
      if byte != 0x25 {
        result.append(byte)
      } else if scanner.accept(0x25) {
        result.append(0x25)
      } else {
        result.append(contentsOf: try specifier().utf8)
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  private mutating func specifier() throws(SQLError) -> String {
    var position: Int?
    let start = scanner.index
    if let number = number(), scanner.accept(0x24) {
      if number == 0 {
        throw SQLError(.invalidParameterValue, "format specifies argument 0, but arguments are numbered from 1")
      }
      position = number - 1
    } else {
      scanner.index = start
    }
    var alignsLeft = false
    while scanner.accept(0x2d) { alignsLeft = true }
    var width = 0
    if scanner.accept(0x2a) {
      let text = try argument(nil) ?? "0"
      width = Int(text) ?? 0
      if width < 0 {
        alignsLeft = true
        width = -width
      }
    } else {
      width = number() ?? 0
    }
    guard let kind = scanner.peek else {
      throw SQLError(
        .invalidParameterValue, "unterminated format() type specifier", hint: "For a single \"%\" use \"%%\".")
    }
    scanner.advance()
    let value = try argument(position)
    let text: String
    switch kind {
    case 0x73: text = value ?? ""
    case 0x49:
      guard let value else {
        throw SQLError(.nullValueNotAllowed, "null values cannot be formatted as an SQL identifier")
      }
      text = TextFunctions.quoteIdentifier(value)
    case 0x4c: text = value.map(TextFunctions.quoteLiteral) ?? "NULL"
    default:
      throw SQLError(
        .invalidParameterValue,
        "unrecognized format() type specifier \"\(String(decoding: [kind], as: UTF8.self))\"",
        hint: "For a single \"%\" use \"%%\".")
    }
    let missing = width - text.unicodeScalars.count
    guard missing > 0 else { return text }
    if missing > 1_000_000 { throw TextFunctions.tooLarge }
    let padding = String(repeating: " ", count: missing)
    return alignsLeft ? text + padding : padding + text
  }

  private mutating func number() -> Int? {
    let digits = scanner.digits()
    return digits.isEmpty || digits.count > 9 ? nil : digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
  }

  private mutating func argument(_ position: Int?) throws(SQLError) -> String? {
    let index = position ?? next
    next = index + 1
    guard arguments.indices.contains(index) else {
      throw SQLError(.invalidParameterValue, "too few arguments for format()")
    }
    return arguments[index]
  }
}
