/// SQL's `SIMILAR TO` patterns as advanced regular expressions (manual, 9.7.2).
package enum SimilarPattern {
  /// The regular expression that matches the same whole texts.
  /// - Throws: 22025 for an escape longer than one character.
  package static func regularExpression(_ pattern: String, escape: String) throws(SQLError) -> String {
    let escape = try character(escape)
    return "^(?:" + convert(Array(pattern.unicodeScalars), escape).joined() + ")$"
  }

  /// `substring(text similar pattern escape …)`: the part between two escaped double quotes is captured.
  package static func substringExpression(_ pattern: String, escape: String) throws(SQLError) -> String {
    let escape = try character(escape)
    let parts = convert(Array(pattern.unicodeScalars), escape)
    if parts.count == 3 { return "^(?:\(parts[0])){1,1}?(\(parts[1])){1,1}(?:\(parts[2]))$" }
    if parts.count > 3 {
      throw SQLError(
        .invalidEscapeSequence, "SQL regular expression may not contain more than two escape-double-quote separators")
    }
    return "^(?:" + parts.joined() + ")$"
  }

  private static func character(_ escape: String) throws(SQLError) -> Unicode.Scalar? {
    let scalars = escape.unicodeScalars
    guard scalars.count <= 1 else {
      throw SQLError(
        .invalidEscapeSequence, "invalid escape string", hint: "Escape string must be empty or one character.")
    }
    return scalars.first
  }

  /// The converted parts between escaped double quotes.
  private static func convert(_ pattern: [Unicode.Scalar], _ escape: Unicode.Scalar?) -> [String] {
    var parts = [""]
    var isEscaped = false
    var inBracket = false
    func append(_ text: String) { parts[parts.count - 1] += text }
    for scalar in pattern {
      if isEscaped {
        if scalar == "\"", !inBracket {
          parts.append("")
        } else {
          append("\\" + String(scalar))
        }
        isEscaped = false
      } else if scalar == escape {
        isEscaped = true
      } else if inBracket {
        append(scalar == "\\" ? "\\\\" : String(scalar))
        if scalar == "]" { inBracket = false }
      } else {
        switch scalar {
        case "%": append(".*")
        case "_": append(".")
        case "(": append("(?:")
        case "\\", ".", "^", "$": append("\\" + String(scalar))
        case "[":
          append("[")
          inBracket = true
        default: append(String(scalar))
        }
      }
    }
    return parts
  }
}
