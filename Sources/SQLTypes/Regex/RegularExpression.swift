/// PostgreSQL's advanced regular expressions (manual, 9.7.3), run by simulating an automaton: time is bounded by the text's
/// length times the expression's. Expressions with back references backtrack instead, within a limit of steps.
package struct RegularExpression: Sendable {
  let program: RegexProgram

  /// Compiles an expression.
  /// - Parameter flags: PostgreSQL's letters; `g` is the caller's.
  /// - Throws: 2201B for a malformed expression, 22023 for an unknown flag.
  package init(_ pattern: String, flags: String = "") throws(SQLError) {
    var options = RegexOptions()
    for flag in flags {
      guard flag == "g" || options.apply(flag) else {
        throw SQLError(.invalidParameterValue, "invalid regular expression option: \"\(flag)\"")
      }
    }
    var parser = RegexParser(pattern, options)
    let tree = try parser.parse()
    var compiler = RegexCompiler(ignoresCase: parser.options.ignoresCase)
    program = try compiler.compile(tree, groupCount: parser.groupCount)
  }

  /// The number of groups that capture.
  package var groupCount: Int { program.groupCount }

  /// Whether any part of the text matches.
  package func matches(_ text: String) throws(SQLError) -> Bool {
    try find(in: RegexText(text), from: 0, wantsGroups: false) != nil
  }

  /// The leftmost match at or after a position, by positions of characters: the whole, then each group (nil where it did not
  /// take part). Of several matches at the same place the longest, unless the expression prefers the shortest.
  package func find(in text: RegexText, from start: Int, wantsGroups: Bool = true) throws(SQLError) -> [Range<Int>?]? {
    if program.hasBackReferences {
      var matcher = RegexBacktracker(program, text)
      return try matcher.find(from: start)
    }
    var matcher = RegexSimulator(program, text, capturing: wantsGroups)
    return matcher.find(from: start, anchored: false)
  }

  /// All matches that do not overlap, from the left.
  package func findAll(in text: RegexText, from start: Int = 0, limit: Int = .max) throws(SQLError) -> [[Range<Int>?]] {
    var found: [[Range<Int>?]] = []
    var position = start
    while position <= text.count, found.count < limit, let match = try find(in: text, from: position) {
      guard let whole = match[0] else { break }
      found.append(match)
      position = whole.isEmpty ? whole.upperBound + 1 : whole.upperBound
    }
    return found
  }

  /// `regexp_replace`: matches replaced, `\1` and `\&` in the replacement standing for groups and the whole.
  /// - Parameter occurrence: which match is replaced, from 1; 0 for all.
  package func replace(
    _ text: String, with replacement: String, from start: Int = 0, occurrence: Int = 1
  ) throws(SQLError) -> String {
    let subject = RegexText(text)
    let matches = try findAll(in: subject, from: start, limit: occurrence == 0 ? .max : occurrence)
    let template = Array(replacement.unicodeScalars)
    var result = String.UnicodeScalarView()
    var position = 0
    for (index, match) in matches.enumerated() where occurrence == 0 || index == occurrence - 1 {
      guard let whole = match[0] else { continue }
      result.append(contentsOf: subject.scalars[position..<whole.lowerBound])
      RegularExpression.expand(template, match, subject, into: &result)
      position = whole.upperBound
    }
    result.append(contentsOf: subject.scalars[position...])
    return String(result)
  }

  private static func expand(
    _ template: [Unicode.Scalar], _ match: [Range<Int>?], _ text: RegexText, into result: inout String.UnicodeScalarView
  ) {
    var index = 0
    while index < template.count {
      let scalar = template[index]
      guard scalar == "\\", index + 1 < template.count else {
        result.append(scalar)
        index += 1
        continue
      }
      let next = template[index + 1]
      index += 2
      if next == "&" {
        result.append(contentsOf: text.scalars[match[0] ?? 0..<0])
      } else if next.value >= 0x31, next.value <= 0x39 {
        let group = Int(next.value - 0x30)
        if group < match.count, let range = match[group] { result.append(contentsOf: text.scalars[range]) }
      } else if next == "\\" {
        result.append("\\")
      } else {
        result.append("\\")
        result.append(next)
      }
    }
  }

  /// The pieces between matches (`regexp_split_to_array`). An empty match splits only between two characters.
  package func split(_ text: String) throws(SQLError) -> [String] {
    let subject = RegexText(text)
    var pieces: [String] = []
    var position = 0
    var end = 0
    for match in try findAll(in: subject) {
      guard let whole = match[0] else { continue }
      let previousEnd = end
      end = whole.upperBound
      if whole.lowerBound >= subject.count || whole.upperBound <= previousEnd { continue }
      pieces.append(subject.string(position..<whole.lowerBound))
      position = whole.upperBound
    }
    pieces.append(subject.string(position..<subject.count))
    return pieces
  }
}

/// A text as an array of characters, for matching.
package struct RegexText: Sendable {
  let scalars: [Unicode.Scalar]

  /// From a string.
  package init(_ text: String) { scalars = Array(text.unicodeScalars) }

  /// The number of characters.
  package var count: Int { scalars.count }

  /// A part as a string.
  package func string(_ range: Range<Int>) -> String { String(String.UnicodeScalarView(scalars[range])) }
}

/// The options that flags and `(?…)` set.
struct RegexOptions: Sendable {
  var ignoresCase = false
  var isLiteral = false
  var isExpanded = false
  /// `.` and negated brackets do not match a newline.
  var dotStopsAtNewline = false
  /// `^` and `$` match around newlines.
  var anchorsAtNewline = false

  /// Applies a flag; false for an unknown one.
  mutating func apply(_ flag: Character) -> Bool {
    switch flag {
    case "i": ignoresCase = true
    case "c": ignoresCase = false
    case "q": isLiteral = true
    case "x": isExpanded = true
    case "t": isExpanded = false
    case "n", "m":
      dotStopsAtNewline = true
      anchorsAtNewline = true
    case "s":
      dotStopsAtNewline = false
      anchorsAtNewline = false
    case "p":
      dotStopsAtNewline = true
      anchorsAtNewline = false
    case "w":
      dotStopsAtNewline = false
      anchorsAtNewline = true
    case "e", "b": break
    default: return false
    }
    return true
  }
}
