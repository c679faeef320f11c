/// Roots, exponentials, logarithms and powers with PostgreSQL's result scales (`numeric.c` of PostgreSQL 15). They work on
/// fixed-point integers with guard digits.
extension NumericValue {
  /// The square root.
  /// - Throws: 2201F for a negative value.
  package func squareRoot() throws(SQLError) -> NumericValue {
    if isNaN || kind == .positiveInfinity { return self }
    if signum < 0 {
      throw SQLError(.invalidArgumentForPowerFunction, "cannot take square root of a negative number")
    }
    let weight = leadingDigit.weight
    let resultWeight = weight >= 0 ? weight * 4 / 2 + 1 : 1 - (1 - weight * 4) / 2
    let scale = NumericValue.resultScale(NumericValue.minimumSignificantDigits - resultWeight, self.scale)
    return squareRoot(scale: scale)
  }

  /// The square root of a finite value that is not negative, rounded to the scale.
  package func squareRoot(scale resultScale: Int) -> NumericValue {
    let shift = 2 * (resultScale + 1) - scale
    let radicand = shift >= 0 ? magnitude.scaledUp(by: shift) : magnitude.scaledDown(by: -shift)
    return NumericValue(
      isNegative: false, magnitude: radicand.squareRoot().scaledDownRounding(by: 1), scale: resultScale)
  }

  /// e to the power of the value.
  package func exponential() throws(SQLError) -> NumericValue {
    switch kind {
    case .notANumber, .positiveInfinity: return self
    case .negativeInfinity: return .zero
    case .finite: break
    }
    let weight = max(-2000, min(2000, approximateDouble * 0.434294481903252))
    let scale = NumericValue.resultScale(NumericValue.minimumSignificantDigits - Int(weight), self.scale)
    return try exponential(scale: scale)
  }

  /// e to the power of a finite value, rounded to the scale.
  func exponential(scale resultScale: Int) throws(SQLError) -> NumericValue {
    let approximate = approximateDouble
    if approximate >= Double(NumericValue.maximumIntegerDigits) * 2.4 { throw NumericValue.overflow }
    let weight = Int(approximate * 0.434294481903252)
    if weight < -(resultScale + 5) { return NumericValue(isNegative: false, magnitude: .zero, scale: resultScale) }
    // e^x = (e^(x / 2^n))^(2^n): the reduced argument is small, each squaring loses a bit.
    var halvings = 0
    var reduced = abs(approximate)
    while reduced > 0.01 {
      reduced /= 2
      halvings += 1
    }
    let working = resultScale + max(0, weight) + halvings / 3 + 12
    var x = try divided(by: NumericValue.two(toThe: halvings), scale: working)
    if x.isNegative { x = x.negated() }
    var term = NumericValue.one.rounded(toScale: working)
    var sum = term
    var count: Int64 = 1
    while !term.isZero {
      term = try term.product(x, scale: working).divided(by: NumericValue(count), scale: working)
      sum = try sum.adding(term)
      count += 1
    }
    for _ in 0..<halvings { sum = sum.product(sum, scale: working) }
    if isNegative { sum = try NumericValue.one.divided(by: sum, scale: resultScale + 10) }
    return try sum.rounded(toScale: resultScale).checked()
  }

  /// The natural logarithm.
  /// - Throws: 2201E for zero and negative values.
  package func naturalLogarithm() throws(SQLError) -> NumericValue {
    try checkLogarithmArgument()
    if !isFinite { return self }
    let scale = NumericValue.resultScale(
      NumericValue.minimumSignificantDigits - logarithmWeight(), self.scale)
    return try naturalLogarithm(scale: scale)
  }

  /// The natural logarithm of a positive finite value, rounded to the scale.
  func naturalLogarithm(scale resultScale: Int) throws(SQLError) -> NumericValue {
    // ln(x) = 2^n ln(x^(1 / 2^n)), then 2 artanh((x - 1) / (x + 1)) near 1.
    let digits = max(0, abs(magnitude.digitCount - scale))
    var working = resultScale + 12 + digits / 2
    var roots = 0
    var x = self
    let low = try NumericValue(parsing: "0.9")
    let high = try NumericValue(parsing: "1.1")
    let steps = 8 + NumericValue.bitCount(digits * 4)
    working += steps
    while x < low || x > high {
      x = x.squareRoot(scale: working + max(0, -(x.magnitude.digitCount - x.scale)))
      roots += 1
    }
    let ratio = try x.subtracting(.one).divided(by: x.adding(.one), scale: working)
    let square = ratio.product(ratio, scale: working)
    var power = ratio
    var sum = ratio
    var divisor: Int64 = 3
    while true {
      power = power.product(square, scale: working)
      let term = try power.divided(by: NumericValue(divisor), scale: working)
      if term.isZero { break }
      sum = try sum.adding(term)
      divisor += 2
    }
    return try sum.multiplied(by: NumericValue.two(toThe: roots + 1)).rounded(toScale: resultScale)
  }

  /// The logarithm to a base.
  package func logarithm(base: NumericValue) throws(SQLError) -> NumericValue {
    if isNaN || base.isNaN { return .notANumber }
    try base.checkLogarithmArgument()
    try checkLogarithmArgument()
    if base.isInfinite { return isInfinite ? .notANumber : .zero }
    if isInfinite { return .infinity }
    let baseWeight = base.logarithmWeight()
    let weight = logarithmWeight()
    let scale = NumericValue.resultScale(
      NumericValue.minimumSignificantDigits - (weight - baseWeight), base.scale, self.scale)
    let working = scale + max(0, weight - baseWeight) + abs(baseWeight) + 10
    return try naturalLogarithm(scale: working).divided(by: base.naturalLogarithm(scale: working), scale: scale)
  }

  /// The value to a power.
  /// - Throws: 2201F where there is no real result, 22003 where it is too large.
  package func power(_ exponent: NumericValue) throws(SQLError) -> NumericValue {
    if !isFinite || !exponent.isFinite { return try specialPower(exponent) }
    if isZero, exponent.signum < 0 {
      throw SQLError(.invalidArgumentForPowerFunction, "zero raised to a negative power is undefined")
    }
    let whole = exponent.truncated(toScale: 0)
    if whole == exponent, let power = whole.int64Value, abs(power) <= Int64(Int32.max) {
      let scale = NumericValue.resultScale(
        NumericValue.minimumSignificantDigits, self.scale, exponent.scale)
      return try wholePower(Int(power), scale: scale)
    }
    if isNegative {
      throw SQLError(
        .invalidArgumentForPowerFunction, "a negative number raised to a non-integer power yields a complex result")
    }
    if isZero {
      return NumericValue(isNegative: false, magnitude: .zero, scale: NumericValue.minimumSignificantDigits)
    }
    let firstScale = NumericValue.resultScale(8 - logarithmWeight(), self.scale, exponent.scale)
    let estimate = try naturalLogarithm(scale: firstScale).multiplied(by: exponent).approximateDouble
    if estimate > 2000 * 3.01 * 30 { throw NumericValue.overflow }
    let weight = estimate * 0.434294481903252
    if weight < -1001 { return NumericValue(isNegative: false, magnitude: .zero, scale: 1000) }
    let scale = NumericValue.resultScale(
      NumericValue.minimumSignificantDigits - Int(weight), self.scale, exponent.scale)
    let working = scale + max(0, Int(weight)) + max(0, exponent.magnitude.digitCount - exponent.scale) + 12
    return try naturalLogarithm(scale: working).multiplied(by: exponent).rounded(toScale: working)
      .exponential(scale: scale)
  }

  /// A whole power, keeping enough significant digits along the way.
  private func wholePower(_ exponent: Int, scale resultScale: Int) throws(SQLError) -> NumericValue {
    if exponent == 0 { return NumericValue.one.rounded(toScale: resultScale) }
    if isZero { return NumericValue(isNegative: false, magnitude: .zero, scale: resultScale) }
    let weight = Double(exponent) * (NumericValue.approximateLogarithm(absolute()) * 0.434294481903252)
    if weight > Double(NumericValue.maximumIntegerDigits) { throw NumericValue.overflow }
    if weight + 1 < -Double(NumericValue.maximumDisplayScale) {
      return NumericValue(isNegative: false, magnitude: .zero, scale: resultScale)
    }
    let significant = max(20, resultScale + Int(weight) + 20)
    var result = NumericValue.one
    var factor = self
    var rest = exponent.magnitude
    while rest > 0 {
      if rest & 1 == 1 { result = try result.multipliedUnchecked(by: factor).keeping(significantDigits: significant) }
      rest >>= 1
      if rest > 0 { factor = try factor.multipliedUnchecked(by: factor).keeping(significantDigits: significant) }
    }
    if exponent < 0 { return try NumericValue.one.divided(by: result, scale: resultScale).checked() }
    return try result.rounded(toScale: resultScale).checked()
  }

  private func specialPower(_ exponent: NumericValue) throws(SQLError) -> NumericValue {
    if isNaN { return exponent.isZero ? .one : .notANumber }
    if exponent.isNaN { return self == .one ? .one : .notANumber }
    if self == .one || exponent.isZero { return .one }
    if isZero, exponent.signum < 0 {
      throw SQLError(.invalidArgumentForPowerFunction, "zero raised to a negative power is undefined")
    }
    if isZero { return .zero }
    if exponent.isInfinite {
      let order = absolute().compare(.one)
      if order == 0 { return .one }
      return (order > 0) == (exponent.signum > 0) ? .infinity : .zero
    }
    if exponent.signum < 0 { return .zero }
    if kind == .positiveInfinity { return .infinity }
    let whole = exponent.truncated(toScale: 0)
    if whole != exponent {
      throw SQLError(
        .invalidArgumentForPowerFunction, "a negative number raised to a non-integer power yields a complex result")
    }
    return whole.magnitude.isOdd ? .negativeInfinity : .infinity
  }

  private func checkLogarithmArgument() throws(SQLError) {
    if isNaN { return }
    if isZero { throw SQLError(.invalidArgumentForLogarithm, "cannot take logarithm of zero") }
    if signum < 0 { throw SQLError(.invalidArgumentForLogarithm, "cannot take logarithm of a negative number") }
  }

  /// The decimal weight of the natural logarithm, as PostgreSQL estimates it.
  private func logarithmWeight() -> Int {
    if let low = try? NumericValue(parsing: "0.9"), let high = try? NumericValue(parsing: "1.1"), self >= low,
      self <= high, let x = try? subtracting(.one)
    {
      if x.isZero { return 0 }
      let (weight, digit) = x.leadingDigit
      return weight * 4 + String(digit).count - 1
    }
    let logarithm = abs(NumericValue.approximateLogarithm(self))
    return Int(NumericValue.logarithm(logarithm) / 2.302585092994046)
  }

  /// The product of finite values, rounded to the scale.
  private func product(_ other: NumericValue, scale resultScale: Int) -> NumericValue {
    NumericValue(
      isNegative: isNegative != other.isNegative, magnitude: magnitude * other.magnitude, scale: scale + other.scale
    ).rounded(toScale: resultScale)
  }

  private func multipliedUnchecked(by other: NumericValue) throws(SQLError) -> NumericValue {
    let product = NumericValue(
      isNegative: isNegative != other.isNegative, magnitude: magnitude * other.magnitude, scale: scale + other.scale)
    if product.magnitude.digitCount - product.scale > 2 * NumericValue.maximumIntegerDigits {
      throw NumericValue.overflow
    }
    return product
  }

  private func keeping(significantDigits: Int) -> NumericValue {
    let excess = magnitude.digitCount - significantDigits
    return excess > 0 && scale > 0 ? rounded(toScale: scale - min(excess, scale)) : self
  }

  private static func two(toThe exponent: Int) -> NumericValue {
    var magnitude = DecimalMagnitude.one
    for _ in 0..<exponent { magnitude = magnitude + magnitude }
    return NumericValue(isNegative: false, magnitude: magnitude, scale: 0)
  }

  private static func bitCount(_ value: Int) -> Int { Int.bitWidth - value.leadingZeroBitCount }

  /// The value of the leading digits as a double; good to about 15 digits, huge values saturate.
  var approximateDouble: Double {
    if magnitude.isZero { return 0 }
    let count = magnitude.digitCount
    let leading = count > 18 ? magnitude.scaledDown(by: count - 18) : magnitude
    var value = Double(leading.uint64Value ?? 0)
    var exponent = max(0, count - 18) - scale
    while exponent > 0, value.isFinite {
      value *= 10
      exponent -= 1
    }
    while exponent < 0, value != 0 {
      value /= 10
      exponent += 1
    }
    return isNegative ? -value : value
  }

  /// The natural logarithm of a positive value, to double precision.
  static func approximateLogarithm(_ value: NumericValue) -> Double {
    let count = value.magnitude.digitCount
    let leading = count > 18 ? value.magnitude.scaledDown(by: count - 18) : value.magnitude
    let exponent = max(0, count - 18) - value.scale
    return logarithm(Double(leading.uint64Value ?? 0)) + Double(exponent) * 2.302585092994046
  }

  /// The natural logarithm of a positive double, without the C library (this target has none).
  static func logarithm(_ value: Double) -> Double {
    guard value > 0, value.isFinite else { return value == 0 ? -.infinity : value }
    var mantissa = value.significand
    var exponent = Double(value.exponent)
    if mantissa > 1.4142135623730951 {
      mantissa /= 2
      exponent += 1
    }
    let ratio = (mantissa - 1) / (mantissa + 1)
    let square = ratio * ratio
    var sum = 0.0
    var power = ratio
    for divisor in stride(from: 1.0, through: 41.0, by: 2) {
      sum += power / divisor
      power *= square
    }
    return 2 * sum + exponent * 0.6931471805599453
  }
}
