/// PostgreSQL's `numeric`: a decimal of any precision with the number of digits after the point that it displays
/// (`1.10` is not `1.1`, though they are equal), NaN (equal to itself, above all else) and the infinities.
package struct NumericValue: Sendable {
  /// What kind of value this is.
  package enum Kind: Sendable, Hashable {
    case finite
    case notANumber
    case positiveInfinity
    case negativeInfinity
  }

  /// Finite or special.
  package let kind: Kind
  /// Whether a finite value is below zero.
  package let isNegative: Bool
  /// The digits of a finite value, without the point.
  package let magnitude: DecimalMagnitude
  /// The number of digits after the point, 0...16383.
  package let scale: Int

  /// The most digits after the point of a stored value.
  package static let maximumScale = 16383
  /// The most digits before the point.
  package static let maximumIntegerDigits = 131_072
  /// The most digits after the point that division and the like produce.
  static let maximumDisplayScale = 1000
  /// The significant digits that division and the like produce at least.
  static let minimumSignificantDigits = 16

  /// Not a number.
  package static let notANumber = NumericValue(special: .notANumber)
  /// Infinity.
  package static let infinity = NumericValue(special: .positiveInfinity)
  /// Negative infinity.
  package static let negativeInfinity = NumericValue(special: .negativeInfinity)
  /// Zero.
  package static let zero = NumericValue(0)
  /// One.
  package static let one = NumericValue(1)

  private init(special kind: Kind) {
    self.kind = kind
    isNegative = kind == .negativeInfinity
    magnitude = .zero
    scale = 0
  }

  /// A finite value: the magnitude divided by 10 to the scale.
  package init(isNegative: Bool, magnitude: DecimalMagnitude, scale: Int) {
    kind = .finite
    self.isNegative = isNegative && !magnitude.isZero
    self.magnitude = magnitude
    self.scale = scale
  }

  /// From an integer.
  package init(_ value: Int64) {
    self.init(isNegative: value < 0, magnitude: DecimalMagnitude(value.magnitude), scale: 0)
  }

  /// Whether this is neither NaN nor infinite.
  package var isFinite: Bool { kind == .finite }
  /// Whether this is not a number.
  package var isNaN: Bool { kind == .notANumber }
  /// Whether this is an infinity.
  package var isInfinite: Bool { kind == .positiveInfinity || kind == .negativeInfinity }
  /// Whether this is a finite zero.
  package var isZero: Bool { kind == .finite && magnitude.isZero }
  /// -1, 0, 1; NaN has none and gives 0.
  package var signum: Int {
    switch kind {
    case .finite: return magnitude.isZero ? 0 : isNegative ? -1 : 1
    case .positiveInfinity: return 1
    case .negativeInfinity: return -1
    case .notANumber: return 0
    }
  }

  /// The value as PostgreSQL prints it.
  package var text: String {
    switch kind {
    case .notANumber: return "NaN"
    case .positiveInfinity: return "Infinity"
    case .negativeInfinity: return "-Infinity"
    case .finite: break
    }
    let digits = magnitude.digits
    var result: [UInt8] = []
    result.reserveCapacity(max(digits.count, scale) + 3)
    if isNegative { result.append(0x2d) }
    let integerCount = digits.count - scale
    if integerCount > 0 {
      result.append(contentsOf: digits[..<integerCount])
    } else {
      result.append(0x30)
    }
    if scale > 0 {
      result.append(0x2e)
      if integerCount < 0 { result.append(contentsOf: repeatElement(0x30, count: -integerCount)) }
      result.append(contentsOf: digits[max(0, integerCount)...])
    }
    return String(decoding: result, as: UTF8.self)
  }

  /// From text, by PostgreSQL's rules.
  /// - Throws: 22P02 for anything but a decimal, `NaN` or an infinity; 22003 for one that is too long.
  package init(parsing text: String) throws(SQLError) {
    guard let value = try NumericValue.parse(Array(text.utf8)) else {
      throw SQLError(.invalidTextRepresentation, "invalid input syntax for type numeric: \"\(text)\"")
    }
    self = value
  }

  /// From text that is known to be canonical (a stored value).
  /// - Throws: XX001 where it is not.
  package init(stored text: String) throws(SQLError) {
    guard let value = try NumericValue.parse(Array(text.utf8)) else {
      throw SQLError(.dataCorrupted, "invalid stored numeric value: \"\(text)\"")
    }
    self = value
  }

  private static func parse(_ bytes: [UInt8]) throws(SQLError) -> NumericValue? {
    var scanner = ByteScanner(bytes)
    scanner.skipWhitespace()
    let negative = scanner.peek == 0x2d
    if negative || scanner.peek == 0x2b { scanner.advance() }
    if let special = specialValue(&scanner, negative: negative) {
      scanner.skipWhitespace()
      return scanner.isAtEnd ? special : nil
    }
    var digits = scanner.digits()
    var scale = 0
    if scanner.peek == 0x2e {
      scanner.advance()
      let fraction = scanner.digits()
      scale = fraction.count
      digits += fraction
    }
    if digits.isEmpty { return nil }
    if scanner.peek == 0x65 || scanner.peek == 0x45 {
      scanner.advance()
      guard let exponent = scanner.exponent() else { return nil }
      guard abs(exponent) < Int(Int32.max) / 2 else { throw overflow }
      scale -= exponent
    }
    scanner.skipWhitespace()
    guard scanner.isAtEnd else { return nil }
    let magnitude = DecimalMagnitude(digits: digits)
    if magnitude.digitCount - scale > maximumIntegerDigits, !magnitude.isZero { throw overflow }
    if scale < 0 {
      return NumericValue(
        isNegative: negative, magnitude: magnitude.isZero ? .zero : magnitude.scaledUp(by: -scale), scale: 0)
    }
    let value = NumericValue(isNegative: negative, magnitude: magnitude, scale: scale)
    return scale > maximumScale ? value.rounded(toScale: maximumScale) : value
  }

  private static func specialValue(_ scanner: inout ByteScanner, negative: Bool) -> NumericValue? {
    if scanner.accept("infinity") || scanner.accept("inf") { return negative ? .negativeInfinity : .infinity }
    if !negative, scanner.accept("nan") { return .notANumber }
    return nil
  }

  static let overflow = SQLError(.numericValueOutOfRange, "value overflows numeric format")
}

extension NumericValue: Hashable, Comparable {
  /// Whether the values are equal: 1.0 equals 1, NaN equals itself.
  package static func == (left: NumericValue, right: NumericValue) -> Bool { left.compare(right) == 0 }

  /// The order of PostgreSQL: -Infinity, finite values, Infinity, NaN.
  package static func < (left: NumericValue, right: NumericValue) -> Bool { left.compare(right) < 0 }

  /// -1, 0, 1 in PostgreSQL's order.
  package func compare(_ other: NumericValue) -> Int {
    if kind != .finite || other.kind != .finite {
      let ranks = (rank, other.rank)
      return ranks.0 < ranks.1 ? -1 : ranks.0 > ranks.1 ? 1 : 0
    }
    let signs = (signum, other.signum)
    if signs.0 != signs.1 { return signs.0 < signs.1 ? -1 : 1 }
    if signs.0 == 0 { return 0 }
    let result: Int
    let weights = (magnitude.digitCount - scale, other.magnitude.digitCount - other.scale)
    if weights.0 != weights.1 {
      result = weights.0 < weights.1 ? -1 : 1
    } else if scale >= other.scale {
      result = magnitude.compare(other.magnitude.scaledUp(by: scale - other.scale))
    } else {
      result = magnitude.scaledUp(by: other.scale - scale).compare(other.magnitude)
    }
    return signs.0 > 0 ? result : -result
  }

  private var rank: Int {
    switch kind {
    case .negativeInfinity: return -1
    case .finite: return 0
    case .positiveInfinity: return 1
    case .notANumber: return 2
    }
  }

  /// Equal values have equal hashes, whatever their scale.
  package func hash(into hasher: inout Hasher) {
    hasher.combine(rank)
    guard kind == .finite else { return }
    let trimmed = trimmingScale()
    hasher.combine(trimmed.isNegative)
    hasher.combine(trimmed.magnitude)
    hasher.combine(trimmed.scale)
  }
}
