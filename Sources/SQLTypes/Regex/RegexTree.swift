/// A parsed regular expression.
indirect enum RegexNode: Sendable {
  case empty
  case set(RegexSet)
  case sequence([RegexNode])
  case alternatives([RegexNode])
  case group(RegexNode, capture: Int?)
  /// `isFixed` for `{m}`, which has no preference of its own.
  case repetition(RegexNode, minimum: Int, maximum: Int?, isGreedy: Bool, isFixed: Bool)
  case assertion(RegexAssertion)
  case look(RegexNode, isBehind: Bool, isNegated: Bool)
  case backReference(Int)

  /// Whether the longest or the shortest match is preferred; nil where there is no preference (manual, 9.7.3.5).
  var prefersLongest: Bool? {
    switch self {
    case .sequence(let parts):
      for part in parts { if let preference = part.prefersLongest { return preference } }
      return nil
    case .alternatives(let branches): return branches.count > 1 ? true : branches.first?.prefersLongest
    case .group(let inner, _): return inner.prefersLongest
    case .repetition(let inner, _, _, let isGreedy, let isFixed): return isFixed ? inner.prefersLongest : isGreedy
    default: return nil
    }
  }
}

enum RegexAssertion: Sendable {
  case lineStart
  case lineEnd
  case textStart
  case textEnd
  case wordStart
  case wordEnd
  case wordBoundary
  case notWordBoundary
}

/// A set of characters.
struct RegexSet: Sendable {
  enum Class: Sendable {
    case alpha, digit, alnum, upper, lower, space, blank, punct, print, graph, cntrl, xdigit, word
  }

  var ranges: [ClosedRange<UInt32>] = []
  var classes: [Class] = []
  var negatedClasses: [Class] = []
  var isNegated = false

  static func scalar(_ scalar: Unicode.Scalar) -> RegexSet { RegexSet(ranges: [scalar.value...scalar.value]) }

  func contains(_ scalar: Unicode.Scalar, ignoresCase: Bool) -> Bool {
    var found = holds(scalar)
    if !found, ignoresCase {
      for mapping in [scalar.properties.lowercaseMapping, scalar.properties.uppercaseMapping] {
        let mapped = mapping.unicodeScalars
        if mapped.count == 1, let other = mapped.first, other != scalar, holds(other) { found = true }
      }
    }
    return found != isNegated
  }

  private func holds(_ scalar: Unicode.Scalar) -> Bool {
    for range in ranges where range.contains(scalar.value) { return true }
    for kind in classes where RegexSet.belongs(scalar, to: kind) { return true }
    for kind in negatedClasses where !RegexSet.belongs(scalar, to: kind) { return true }
    return false
  }

  static func belongs(_ scalar: Unicode.Scalar, to kind: Class) -> Bool {
    let value = scalar.value
    let properties = scalar.properties
    switch kind {
    case .digit: return value < 0x80 ? (0x30...0x39).contains(value) : properties.numericType == .decimal
    case .alpha: return properties.isAlphabetic
    case .alnum: return belongs(scalar, to: .alpha) || belongs(scalar, to: .digit)
    case .word: return value == 0x5f || belongs(scalar, to: .alnum)
    case .upper: return properties.isUppercase
    case .lower: return properties.isLowercase
    case .space: return properties.isWhitespace
    case .blank: return value == 0x20 || value == 0x09
    case .xdigit: return scalar.isASCII && properties.isASCIIHexDigit
    case .cntrl: return value < 0x20 || (0x7f...0x9f).contains(value)
    case .print: return !belongs(scalar, to: .cntrl)
    case .graph: return !belongs(scalar, to: .cntrl) && !properties.isWhitespace
    case .punct: return belongs(scalar, to: .graph) && !belongs(scalar, to: .alnum)
    }
  }

  static let names: [String: Class] = [
    "alpha": .alpha, "digit": .digit, "alnum": .alnum, "upper": .upper, "lower": .lower, "space": .space,
    "blank": .blank, "punct": .punct, "print": .print, "graph": .graph, "cntrl": .cntrl, "xdigit": .xdigit,
    "word": .word,
  ]
}
