/// Exact arithmetic with PostgreSQL's result scales (`numeric.c` of PostgreSQL 15).
extension NumericValue {
  /// The negated value.
  package func negated() -> NumericValue {
    switch kind {
    case .finite: return NumericValue(isNegative: !isNegative, magnitude: magnitude, scale: scale)
    case .positiveInfinity: return .negativeInfinity
    case .negativeInfinity: return .infinity
    case .notANumber: return self
    }
  }

  /// The absolute value.
  package func absolute() -> NumericValue { signum < 0 ? negated() : self }

  /// The sum, with the greater scale.
  package func adding(_ other: NumericValue) throws(SQLError) -> NumericValue {
    if !isFinite || !other.isFinite { return specialSum(other) }
    let commonScale = max(scale, other.scale)
    let left = magnitude.scaledUp(by: commonScale - scale)
    let right = other.magnitude.scaledUp(by: commonScale - other.scale)
    if isNegative == other.isNegative {
      return try NumericValue(isNegative: isNegative, magnitude: left + right, scale: commonScale).checked()
    }
    if left.compare(right) >= 0 {
      return NumericValue(isNegative: isNegative, magnitude: left - right, scale: commonScale)
    }
    return NumericValue(isNegative: other.isNegative, magnitude: right - left, scale: commonScale)
  }

  /// The difference, with the greater scale.
  package func subtracting(_ other: NumericValue) throws(SQLError) -> NumericValue { try adding(other.negated()) }

  /// The product, with the sum of the scales.
  package func multiplied(by other: NumericValue) throws(SQLError) -> NumericValue {
    if !isFinite || !other.isFinite {
      if isNaN || other.isNaN || isZero || other.isZero { return .notANumber }
      return signum == other.signum ? .infinity : .negativeInfinity
    }
    let product = NumericValue(
      isNegative: isNegative != other.isNegative, magnitude: magnitude * other.magnitude, scale: scale + other.scale)
    return try
      (product.scale > NumericValue.maximumScale
      ? product.rounded(toScale: NumericValue.maximumScale) : product).checked()
  }

  /// The quotient, with at least 16 significant digits.
  /// - Throws: 22012 for division by zero.
  package func divided(by other: NumericValue) throws(SQLError) -> NumericValue {
    if !isFinite || !other.isFinite {
      if isNaN || other.isNaN || (isInfinite && other.isInfinite) { return .notANumber }
      if other.isZero { throw NumericValue.divisionByZero }
      if other.isInfinite { return .zero }
      return signum == other.signum ? .infinity : .negativeInfinity
    }
    return try divided(by: other, scale: NumericValue.divisionScale(self, other)).checked()
  }

  /// The quotient of finite values, rounded to the scale.
  func divided(by other: NumericValue, scale resultScale: Int) throws(SQLError) -> NumericValue {
    if other.isZero { throw NumericValue.divisionByZero }
    let shift = resultScale + 1 + other.scale - scale
    let numerator = shift >= 0 ? magnitude.scaledUp(by: shift) : magnitude
    let denominator = shift >= 0 ? other.magnitude : other.magnitude.scaledUp(by: -shift)
    let quotient = numerator.dividedWithRemainder(by: denominator).quotient
    return NumericValue(
      isNegative: isNegative != other.isNegative, magnitude: quotient.scaledDownRounding(by: 1), scale: resultScale)
  }

  /// The whole part of the quotient (`div`).
  package func dividedTruncating(by other: NumericValue) throws(SQLError) -> NumericValue {
    if !isFinite || !other.isFinite { return try divided(by: other) }
    if other.isZero { throw NumericValue.divisionByZero }
    let commonScale = max(scale, other.scale)
    let quotient = magnitude.scaledUp(by: commonScale - scale)
      .dividedWithRemainder(by: other.magnitude.scaledUp(by: commonScale - other.scale)).quotient
    return NumericValue(isNegative: isNegative != other.isNegative, magnitude: quotient, scale: 0)
  }

  /// The remainder with the sign of the dividend.
  package func remainder(dividingBy other: NumericValue) throws(SQLError) -> NumericValue {
    if !isFinite || !other.isFinite {
      if isNaN || other.isNaN { return .notANumber }
      if other.isZero { throw NumericValue.divisionByZero }
      return isInfinite ? .notANumber : self
    }
    if other.isZero { throw NumericValue.divisionByZero }
    let commonScale = max(scale, other.scale)
    let rest = magnitude.scaledUp(by: commonScale - scale)
      .dividedWithRemainder(by: other.magnitude.scaledUp(by: commonScale - other.scale)).remainder
    return NumericValue(isNegative: isNegative, magnitude: rest, scale: commonScale)
  }

  /// Rounded half away from zero to the scale, which may be negative; the result shows `max(scale, 0)` digits.
  package func rounded(toScale newScale: Int) -> NumericValue {
    guard isFinite else { return self }
    if newScale >= scale {
      return NumericValue(isNegative: isNegative, magnitude: magnitude.scaledUp(by: newScale - scale), scale: newScale)
    }
    let kept = magnitude.scaledDownRounding(by: scale - newScale)
    if newScale >= 0 { return NumericValue(isNegative: isNegative, magnitude: kept, scale: newScale) }
    return NumericValue(isNegative: isNegative, magnitude: kept.scaledUp(by: -newScale), scale: 0)
  }

  /// Cut off to the scale, which may be negative.
  package func truncated(toScale newScale: Int) -> NumericValue {
    guard isFinite, newScale < scale else { return rounded(toScale: newScale) }
    let kept = magnitude.scaledDown(by: scale - newScale)
    if newScale >= 0 { return NumericValue(isNegative: isNegative, magnitude: kept, scale: newScale) }
    return NumericValue(isNegative: isNegative, magnitude: kept.scaledUp(by: -newScale), scale: 0)
  }

  /// SQL's `round(value, digits)`.
  package func rounded(digits: Int) throws(SQLError) -> NumericValue {
    try rounded(toScale: NumericValue.clampScale(digits)).checked()
  }

  /// SQL's `trunc(value, digits)`.
  package func truncated(digits: Int) -> NumericValue { truncated(toScale: NumericValue.clampScale(digits)) }

  private static func clampScale(_ digits: Int) -> Int { max(-2000, min(2000, digits)) }

  /// The smallest whole number that is not below.
  package func ceiling() -> NumericValue {
    guard isFinite else { return self }
    let whole = truncated(toScale: 0)
    return !isNegative && whole != self
      ? NumericValue(isNegative: false, magnitude: whole.magnitude + .one, scale: 0) : whole
  }

  /// The greatest whole number that is not above.
  package func floor() -> NumericValue { negated().ceiling().negated() }

  /// -1, 0, 1 or NaN.
  package func sign() -> NumericValue { isNaN ? self : NumericValue(Int64(signum)) }

  /// Without the trailing zeros after the point.
  package func trimmingScale() -> NumericValue {
    guard isFinite else { return self }
    let zeros = magnitude.trailingZeros(limit: scale)
    return NumericValue(isNegative: isNegative, magnitude: magnitude.scaledDown(by: zeros), scale: scale - zeros)
  }

  /// Brought to `numeric(precision, scale)`.
  /// - Throws: 22003 where it does not fit.
  package func fitted(to type: SQLType) throws(SQLError) -> NumericValue {
    guard let (precision, newScale) = type.numericPrecision, !isNaN else { return self }
    if isInfinite {
      throw SQLError(
        .numericValueOutOfRange, "numeric field overflow",
        detail: "A field with precision \(precision), scale \(newScale) cannot hold an infinite value.")
    }
    let value = rounded(toScale: newScale)
    if !value.isZero, value.magnitude.digitCount - value.scale > precision - newScale {
      let limit = precision - newScale
      throw SQLError(
        .numericValueOutOfRange, "numeric field overflow",
        detail: "A field with precision \(precision), scale \(newScale) must round to an absolute value less than "
          + "\(limit == 0 ? "1" : "10^\(limit)").")
    }
    return value
  }

  /// The value, where it is not too long to store.
  func checked() throws(SQLError) -> NumericValue {
    if isFinite, magnitude.digitCount - scale > NumericValue.maximumIntegerDigits { throw NumericValue.overflow }
    return self
  }

  static let divisionByZero = SQLError(.divisionByZero, "division by zero")

  private func specialSum(_ other: NumericValue) -> NumericValue {
    if isNaN || other.isNaN { return .notANumber }
    if isInfinite, other.isInfinite { return kind == other.kind ? self : .notANumber }
    return isInfinite ? self : other
  }

  /// The exponent of the leading base-10000 digit, and that digit: PostgreSQL's scales hang on its internal base.
  var leadingDigit: (weight: Int, digit: Int) {
    if magnitude.isZero { return (0, 0) }
    let exponent = magnitude.digitCount - 1 - scale
    let weight = exponent >= 0 ? exponent / 4 : -((3 - exponent) / 4)
    let wanted = exponent - weight * 4 + 1
    let count = magnitude.digitCount
    let top =
      count >= wanted
      ? magnitude.scaledDown(by: count - wanted) : magnitude.scaledUp(by: wanted - count)
    return (weight, Int(top.uint64Value ?? 0))
  }

  /// The scale of a quotient: at least 16 significant digits, and not less than either operand shows.
  private static func divisionScale(_ left: NumericValue, _ right: NumericValue) -> Int {
    let (leftWeight, leftDigit) = left.leadingDigit
    let (rightWeight, rightDigit) = right.leadingDigit
    let weight = leftWeight - rightWeight - (leftDigit <= rightDigit ? 1 : 0)
    return resultScale(minimumSignificantDigits - weight * 4, left.scale, right.scale)
  }

  /// A wanted scale, not less than the operands' and at most what is displayed.
  static func resultScale(_ wanted: Int, _ scales: Int...) -> Int {
    min(max(wanted, scales.max() ?? 0, 0), maximumDisplayScale)
  }
}
