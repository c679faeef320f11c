/// A LIKE pattern: `%` any characters, `_` one, `\` takes the next as it is (manual, 9.7.1).
package struct LikePattern: Sendable {
  private enum Part: Sendable, Equatable {
    case scalar(Unicode.Scalar)
    case one
    case any
    /// An escape character at the end: an error once the text reaches it.
    case loneEscape
  }

  private let parts: [Part]
  private let ignoresCase: Bool

  /// Reads a pattern.
  package init(_ pattern: String, ignoresCase: Bool = false) {
    var parts: [Part] = []
    var isEscaped = false
    for scalar in pattern.unicodeScalars {
      if isEscaped {
        parts.append(.scalar(LikePattern.fold(scalar, ignoresCase)))
        isEscaped = false
      } else if scalar == "\\" {
        isEscaped = true
      } else if scalar == "%" {
        if parts.last != .any { parts.append(.any) }
      } else {
        parts.append(scalar == "_" ? .one : .scalar(LikePattern.fold(scalar, ignoresCase)))
      }
    }
    if isEscaped { parts.append(.loneEscape) }
    self.parts = parts
    self.ignoresCase = ignoresCase
  }

  /// Whether the whole text matches; takes time at most proportional to text times pattern.
  /// - Throws: 22025 where the text reaches an escape character at the pattern's end.
  package func matches(_ text: String) throws(SQLError) -> Bool {
    let scalars = text.unicodeScalars
    var position = scalars.startIndex
    var part = 0
    var retry: (part: Int, position: String.UnicodeScalarView.Index)?
    while position < scalars.endIndex {
      if part < parts.count {
        switch parts[part] {
        case .any:
          retry = (part + 1, position)
          part += 1
          continue
        case .one:
          part += 1
          scalars.formIndex(after: &position)
          continue
        case .loneEscape:
          throw SQLError(.invalidEscapeSequence, "LIKE pattern must not end with escape character")
        case .scalar(let wanted):
          if LikePattern.fold(scalars[position], ignoresCase) == wanted {
            part += 1
            scalars.formIndex(after: &position)
            continue
          }
        }
      }
      guard let last = retry else { return false }
      part = last.part
      position = scalars.index(after: last.position)
      retry = (part, position)
    }
    while part < parts.count, parts[part] == .any { part += 1 }
    return part == parts.count
  }

  /// A pattern with another escape character, rewritten to use the backslash (`LIKE … ESCAPE`).
  /// - Throws: 22025 where the escape is longer than one character.
  package static func replacingEscape(_ pattern: String, _ escape: String) throws(SQLError) -> String {
    let escapes = escape.unicodeScalars
    if escapes.isEmpty { return TextFunctions.replace(pattern, "\\", with: "\\\\") }
    guard escapes.count == 1, let escape = escapes.first else {
      throw SQLError(
        .invalidEscapeSequence, "invalid escape string", hint: "Escape string must be empty or one character.")
    }
    if escape == "\\" { return pattern }
    var result = String.UnicodeScalarView()
    var afterEscape = false
    for scalar in pattern.unicodeScalars {
      if scalar == escape, !afterEscape {
        result.append("\\")
        afterEscape = true
      } else {
        if scalar == "\\" && !afterEscape { result.append("\\") }
        result.append(scalar)
        afterEscape = false
      }
    }
    return String(result)
  }

  private static func fold(_ scalar: Unicode.Scalar, _ ignoresCase: Bool) -> Unicode.Scalar {
    guard ignoresCase else { return scalar }
    let mapped = scalar.properties.lowercaseMapping.unicodeScalars
    return mapped.count == 1 ? mapped.first! : scalar
  }

  /// LIKE on bytes.
  package static func matches(_ bytes: [UInt8], pattern: [UInt8]) throws(SQLError) -> Bool {
    // Each byte stands for the character with its number.
    func text(_ bytes: [UInt8]) -> String {
      String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
    }
    return try LikePattern(text(pattern)).matches(text(bytes))
  }
}
