/// PostgreSQL's array literals (manual, 8.15): the elements' text forms between braces.
package enum ArrayText {
  /// An array: its dimensions (none for an empty one) and the elements in row-major order, nil for NULL.
  package struct Elements: Sendable, Hashable {
    /// The length of each dimension.
    package let dimensions: [Int]
    /// The elements' text forms.
    package let texts: [String?]

    /// An array of one dimension.
    package init(_ texts: [String?]) {
      dimensions = texts.isEmpty ? [] : [texts.count]
      self.texts = texts
    }

    /// An array with its dimensions.
    package init(dimensions: [Int], texts: [String?]) {
      self.dimensions = dimensions
      self.texts = texts
    }
  }

  /// The literal of an array.
  package static func text(_ elements: Elements) -> String {
    if elements.texts.isEmpty { return "{}" }
    var rest = elements.texts[...]
    return text(elements.dimensions[...], &rest)
  }

  /// The literal of an array of one dimension.
  package static func text(_ elements: [String?]) -> String { text(Elements(elements)) }

  private static func text(_ dimensions: ArraySlice<Int>, _ rest: inout ArraySlice<String?>) -> String {
    var parts: [String] = []
    for _ in 0..<(dimensions.first ?? 0) {
      if dimensions.count > 1 {
        parts.append(text(dimensions.dropFirst(), &rest))
      } else {
        parts.append(quoted(rest.removeFirst()))
      }
    }
    return "{\(parts.joined(separator: ","))}"
  }

  private static func quoted(_ element: String?) -> String {
    guard let element else { return "NULL" }
    let needsQuotes =
      element.isEmpty || lowercaseASCII(element) == "null"
      || element.utf8.contains { isSpace($0) || [0x7b, 0x7d, 0x2c, 0x22, 0x5c].contains($0) }
    guard needsQuotes else { return element }
    var result = "\""
    for character in element.unicodeScalars {
      if character == "\"" || character == "\\" { result.unicodeScalars.append("\\") }
      result.unicodeScalars.append(character)
    }
    return result + "\""
  }

  /// Reads a literal.
  /// - Throws: 22P02 for a malformed one.
  package static func parse(_ text: String) throws(SQLError) -> Elements {
    var parser = ArrayParser(text)
    return try parser.parse()
  }

  /// Reads `int2vector` and `oidvector`: numbers separated by blanks.
  package static func parseVector(_ text: String) -> Elements {
    Elements(text.split(separator: " ").map(String.init))
  }
}

private struct ArrayParser {
  private let text: String
  private var scanner: ByteScanner
  private var texts: [String?] = []
  private var dimensions: [Int] = []

  init(_ text: String) {
    self.text = text
    scanner = ByteScanner(text)
  }

  mutating func parse() throws(SQLError) -> ArrayText.Elements {
    scanner.skipWhitespace()
    if scanner.peek == 0x5b {
      // Explicit bounds, [1:3]=: the lower bound is not kept.
      while let byte = scanner.peek, byte != 0x3d { scanner.advance() }
      scanner.advance()
      scanner.skipWhitespace()
    }
    guard scanner.peek == 0x7b else {
      throw malformed("Array value must start with \"{\" or dimension information.")
    }
    try level(0)
    scanner.skipWhitespace()
    if !scanner.isAtEnd { throw malformed("Junk after closing right brace.") }
    return ArrayText.Elements(dimensions: texts.isEmpty ? [] : dimensions, texts: texts)
  }

  private mutating func level(_ depth: Int) throws(SQLError) {
    if depth >= 6 {
      throw SQLError(.programLimitExceeded, "number of array dimensions exceeds the maximum allowed (6)")
    }
    scanner.advance()
    scanner.skipWhitespace()
    var count = 0
    if scanner.accept(0x7d) {
      if depth > 0 { throw malformed("Unexpected \"}\" character.") }
      return
    }
    if dimensions.count == depth { dimensions.append(-1) }
    while true {
      scanner.skipWhitespace()
      if scanner.peek == 0x7b {
        if dimensions.count == depth + 1, count > 0 { throw ragged }
        try level(depth + 1)
      } else {
        if dimensions.count > depth + 1 { throw ragged }
        texts.append(try element())
      }
      count += 1
      scanner.skipWhitespace()
      if scanner.accept(0x7d) { break }
      guard scanner.accept(0x2c) else { throw malformed("Unexpected end of input.") }
    }
    if dimensions[depth] >= 0, dimensions[depth] != count { throw ragged }
    dimensions[depth] = count
  }

  private mutating func element() throws(SQLError) -> String? {
    var bytes: [UInt8] = []
    var kept = 0
    var isQuoted = false
    if scanner.accept(0x22) {
      isQuoted = true
      while let byte = scanner.peek, byte != 0x22 {
        if byte == 0x5c { scanner.advance() }
        if let next = scanner.peek { bytes.append(next) }
        scanner.advance()
      }
      guard scanner.accept(0x22) else { throw malformed("Unexpected end of input.") }
      scanner.skipWhitespace()
      if let byte = scanner.peek, byte != 0x2c, byte != 0x7d { throw malformed("Incorrectly quoted array element.") }
      kept = bytes.count
    } else {
      while let byte = scanner.peek, byte != 0x2c, byte != 0x7d {
        if byte == 0x7b { throw malformed("Unexpected \"{\" character.") }
        if byte == 0x22 { throw malformed("Incorrectly quoted array element.") }
        var character = byte
        var isEscaped = false
        if byte == 0x5c {
          isEscaped = true
          scanner.advance()
          guard let next = scanner.peek else { break }
          character = next
        }
        bytes.append(character)
        if isEscaped || !isSpace(character) { kept = bytes.count }
        scanner.advance()
      }
      guard !scanner.isAtEnd else { throw malformed("Unexpected end of input.") }
      if kept == 0 { throw malformed("Unexpected \"\(scanner.peek == 0x2c ? "," : "}")\" character.") }
    }
    let value = String(decoding: bytes[..<kept], as: UTF8.self)
    return !isQuoted && lowercaseASCII(value) == "null" ? nil : value
  }

  private var ragged: SQLError {
    malformed("Multidimensional arrays must have sub-arrays with matching dimensions.")
  }

  private func malformed(_ detail: String) -> SQLError {
    SQLError(.invalidTextRepresentation, "malformed array literal: \"\(text)\"", detail: detail)
  }
}
