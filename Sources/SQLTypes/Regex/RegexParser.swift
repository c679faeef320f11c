/// Parses an advanced regular expression.
struct RegexParser {
  private var scalars: [Unicode.Scalar]
  private var index = 0
  private(set) var options: RegexOptions
  private(set) var groupCount = 0
  private var depth = 0

  init(_ pattern: String, _ options: RegexOptions) {
    scalars = Array(pattern.unicodeScalars)
    self.options = options
  }

  static func invalid(_ reason: String) -> SQLError {
    SQLError(.invalidRegularExpression, "invalid regular expression: \(reason)")
  }

  mutating func parse() throws(SQLError) -> RegexNode {
    if starts(with: "***=") {
      options.isLiteral = true
      index += 4
    } else if starts(with: "***:") {
      index += 4
    }
    if options.isLiteral { return .sequence(scalars[index...].map { .set(.scalar($0)) }) }
    try embeddedOptions()
    let node = try alternatives()
    if index < scalars.count { throw RegexParser.invalid("parentheses () not balanced") }
    return node
  }

  private var peek: Unicode.Scalar? { index < scalars.count ? scalars[index] : nil }

  private func starts(with text: String) -> Bool { scalars[index...].starts(with: text.unicodeScalars) }

  /// `(?flags)` at the very start.
  private mutating func embeddedOptions() throws(SQLError) {
    guard starts(with: "(?"), index + 2 < scalars.count, scalars[index + 2].properties.isAlphabetic else { return }
    index += 2
    while let scalar = peek, scalar != ")" {
      guard options.apply(Character(scalar)) else { throw RegexParser.invalid("invalid embedded option") }
      index += 1
    }
    if peek == nil { throw RegexParser.invalid("invalid embedded option") }
    index += 1
  }

  private mutating func alternatives() throws(SQLError) -> RegexNode {
    depth += 1
    defer { depth -= 1 }
    if depth > 250 { throw RegexParser.invalid("regular expression is too complex") }
    var branches: [RegexNode] = [try branch()]
    while peek == "|" {
      index += 1
      branches.append(try branch())
    }
    return branches.count == 1 ? branches[0] : .alternatives(branches)
  }

  private mutating func branch() throws(SQLError) -> RegexNode {
    var parts: [RegexNode] = []
    while let scalar = peek, scalar != "|", !(scalar == ")" && depth > 1) {
      if scalar == ")" { throw RegexParser.invalid("parentheses () not balanced") }
      if options.isExpanded, scalar.properties.isWhitespace {
        index += 1
        continue
      }
      if options.isExpanded, scalar == "#" {
        while let next = peek, next != "\n" {
          _ = next
          index += 1
        }
        continue
      }
      if starts(with: "(?#") {
        while let next = peek, next != ")" {
          _ = next
          index += 1
        }
        index += 1
        continue
      }
      parts.append(try quantified(try atom(scalar)))
    }
    return parts.count == 1 ? parts[0] : parts.isEmpty ? .empty : .sequence(parts)
  }

  private mutating func quantified(_ node: RegexNode) throws(SQLError) -> RegexNode {
    guard let scalar = peek else { return node }
    var minimum = 0
    var maximum: Int?
    var isFixed = false
    switch scalar {
    case "*": index += 1
    case "+":
      minimum = 1
      index += 1
    case "?":
      maximum = 1
      index += 1
    case "{":
      guard index + 1 < scalars.count, isDigit(scalars[index + 1]) else { return node }
      (minimum, maximum, isFixed) = try bounds()
    default: return node
    }
    if case .assertion = node { throw RegexParser.invalid("quantifier operand invalid") }
    if case .look = node { throw RegexParser.invalid("quantifier operand invalid") }
    var isGreedy = true
    if peek == "?" {
      isGreedy = false
      index += 1
    }
    if let next = peek, next == "*" || next == "+" || next == "?" {
      throw RegexParser.invalid("quantifier operand invalid")
    }
    return .repetition(node, minimum: minimum, maximum: maximum, isGreedy: isGreedy, isFixed: isFixed)
  }

  private mutating func bounds() throws(SQLError) -> (Int, Int?, Bool) {
    index += 1
    let minimum = number()
    var maximum: Int? = minimum
    let isFixed = peek != ","
    if !isFixed {
      index += 1
      maximum = peek == "}" ? nil : number()
    }
    guard peek == "}" else { throw RegexParser.invalid("braces {} not balanced") }
    index += 1
    if minimum > 255 || (maximum ?? 0) > 255 || (maximum ?? 255) < minimum {
      throw RegexParser.invalid("invalid repetition count(s)")
    }
    return (minimum, maximum, isFixed)
  }

  private mutating func number() -> Int {
    var value = 0
    while let scalar = peek, isDigit(scalar) {
      value = min(value * 10 + Int(scalar.value - 0x30), 1000)
      index += 1
    }
    return value
  }

  private func isDigit(_ scalar: Unicode.Scalar) -> Bool { scalar.value >= 0x30 && scalar.value <= 0x39 }

  private mutating func atom(_ scalar: Unicode.Scalar) throws(SQLError) -> RegexNode {
    index += 1
    switch scalar {
    case "^": return .assertion(options.anchorsAtNewline ? .lineStart : .textStart)
    case "$": return .assertion(options.anchorsAtNewline ? .lineEnd : .textEnd)
    case ".": return .set(any)
    case "(": return try group()
    case "[": return try bracket()
    case "\\": return try escape()
    case "*", "+", "?": throw RegexParser.invalid("quantifier operand invalid")
    case "{":
      if let next = peek, isDigit(next) { throw RegexParser.invalid("quantifier operand invalid") }
      return .set(.scalar(scalar))
    default: return .set(.scalar(scalar))
    }
  }

  private var any: RegexSet {
    RegexSet(ranges: options.dotStopsAtNewline ? [0x0a...0x0a] : [], isNegated: true)
  }

  private mutating func group() throws(SQLError) -> RegexNode {
    var kind: (isBehind: Bool, isNegated: Bool)?
    var capture: Int?
    if starts(with: "?:") {
      index += 2
    } else if starts(with: "?=") || starts(with: "?!") {
      kind = (false, scalars[index + 1] == "!")
      index += 2
    } else if starts(with: "?<=") || starts(with: "?<!") {
      kind = (true, scalars[index + 2] == "!")
      index += 3
    } else if peek == "?" {
      throw RegexParser.invalid("quantifier operand invalid")
    } else {
      groupCount += 1
      capture = groupCount
    }
    let inner = try alternatives()
    guard peek == ")" else { throw RegexParser.invalid("parentheses () not balanced") }
    index += 1
    if let kind { return .look(inner, isBehind: kind.isBehind, isNegated: kind.isNegated) }
    return .group(inner, capture: capture)
  }

  // MARK: Brackets

  private mutating func bracket() throws(SQLError) -> RegexNode {
    if starts(with: "[:<:]]") || starts(with: "[:>:]]") {
      let isStart = scalars[index + 2] == "<"
      index += 6
      return .assertion(isStart ? .wordStart : .wordEnd)
    }
    var set = RegexSet()
    if peek == "^" {
      set.isNegated = true
      index += 1
      if options.dotStopsAtNewline { set.ranges.append(0x0a...0x0a) }
    }
    var isFirst = true
    while let scalar = peek, scalar != "]" || isFirst {
      isFirst = false
      try bracketItem(scalar, &set)
    }
    guard peek == "]" else { throw RegexParser.invalid("brackets [] not balanced") }
    index += 1
    return .set(set)
  }

  private mutating func bracketItem(_ scalar: Unicode.Scalar, _ set: inout RegexSet) throws(SQLError) {
    if starts(with: "[:") {
      guard let end = scalars[index...].firstIndex(of: "]"), scalars[end - 1] == ":", end > index + 2 else {
        throw RegexParser.invalid("brackets [] not balanced")
      }
      let name = String(String.UnicodeScalarView(scalars[(index + 2)..<(end - 1)]))
      guard let kind = RegexSet.names[name] else { throw RegexParser.invalid("invalid character class") }
      set.classes.append(kind)
      index = end + 1
      return
    }
    guard let low = try bracketScalar(&set) else { return }
    guard peek == "-", index + 1 < scalars.count, scalars[index + 1] != "]" else {
      set.ranges.append(low.value...low.value)
      return
    }
    index += 1
    guard let high = try bracketScalar(&set), low.value <= high.value else {
      throw RegexParser.invalid("invalid character range")
    }
    set.ranges.append(low.value...high.value)
  }

  /// One character of a bracket; nil where it was a class, which is then in the set.
  private mutating func bracketScalar(_ set: inout RegexSet) throws(SQLError) -> Unicode.Scalar? {
    guard let scalar = peek else { throw RegexParser.invalid("brackets [] not balanced") }
    if starts(with: "[.") || starts(with: "[=") {
      guard index + 4 < scalars.count, scalars[index + 3] == scalars[index + 1], scalars[index + 4] == "]" else {
        throw RegexParser.invalid("invalid collating element")
      }
      index += 5
      return scalars[index - 3]
    }
    index += 1
    guard scalar == "\\" else { return scalar }
    guard let escaped = peek else { throw RegexParser.invalid("invalid escape \\ sequence") }
    index += 1
    if let (kind, isNegated) = RegexParser.classEscape(escaped) {
      if isNegated { set.negatedClasses.append(kind) } else { set.classes.append(kind) }
      return nil
    }
    return try characterEscape(escaped)
  }

  // MARK: Escapes

  private static func classEscape(_ scalar: Unicode.Scalar) -> (RegexSet.Class, Bool)? {
    switch scalar {
    case "d": return (.digit, false)
    case "D": return (.digit, true)
    case "s": return (.space, false)
    case "S": return (.space, true)
    case "w": return (.word, false)
    case "W": return (.word, true)
    default: return nil
    }
  }

  private mutating func escape() throws(SQLError) -> RegexNode {
    guard let scalar = peek else { throw RegexParser.invalid("invalid escape \\ sequence") }
    index += 1
    if let (kind, isNegated) = RegexParser.classEscape(scalar) {
      return .set(isNegated ? RegexSet(classes: [kind], isNegated: true) : RegexSet(classes: [kind]))
    }
    switch scalar {
    case "y": return .assertion(.wordBoundary)
    case "Y": return .assertion(.notWordBoundary)
    case "m": return .assertion(.wordStart)
    case "M": return .assertion(.wordEnd)
    case "A": return .assertion(.textStart)
    case "Z": return .assertion(.textEnd)
    case "1"..."9":
      let number = Int(scalar.value - 0x30)
      guard number <= groupCount else { throw RegexParser.invalid("invalid backreference number") }
      return .backReference(number)
    default: return .set(.scalar(try characterEscape(scalar)))
    }
  }

  private mutating func characterEscape(_ scalar: Unicode.Scalar) throws(SQLError) -> Unicode.Scalar {
    switch scalar {
    case "a": return "\u{07}"
    case "b": return "\u{08}"
    case "B": return "\\"
    case "e": return "\u{1b}"
    case "f": return "\u{0c}"
    case "n": return "\n"
    case "r": return "\r"
    case "t": return "\t"
    case "v": return "\u{0b}"
    case "0": return "\u{0}"
    case "x": return try hexadecimal(count: 2)
    case "u": return try hexadecimal(count: 4)
    case "U": return try hexadecimal(count: 8)
    case "c":
      guard let next = peek, let control = Unicode.Scalar(next.value & 31) else {
        throw RegexParser.invalid("invalid escape \\ sequence")
      }
      index += 1
      return control
    default:
      if scalar.properties.isAlphabetic || scalar.properties.numericType != nil {
        throw RegexParser.invalid("invalid escape \\ sequence")
      }
      return scalar
    }
  }

  private mutating func hexadecimal(count: Int) throws(SQLError) -> Unicode.Scalar {
    var value: UInt32 = 0
    for _ in 0..<count {
      guard let scalar = peek, scalar.isASCII, let digit = Character(scalar).hexDigitValue else {
        throw RegexParser.invalid("invalid escape \\ sequence")
      }
      value = value << 4 | UInt32(digit)
      index += 1
    }
    guard let scalar = Unicode.Scalar(value) else { throw RegexParser.invalid("invalid escape \\ sequence") }
    return scalar
  }
}
