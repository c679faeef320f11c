/// Conversions between `numeric` and the machine's numbers.
extension NumericValue {
  /// The value as an integer where it is whole and fits.
  package var int64Value: Int64? {
    guard isFinite else { return nil }
    let whole = truncated(toScale: 0)
    guard whole == self, let magnitude = whole.magnitude.uint64Value else { return nil }
    if isNegative { return magnitude <= 1 << 63 ? Int64(truncatingIfNeeded: 0 &- magnitude) : nil }
    return Int64(exactly: magnitude)
  }

  /// The nearest integer in the range of a type, half away from zero.
  /// - Throws: 22003 outside the range, 0A000 for NaN and the infinities.
  package func integer(as type: IntegerWidth) throws(SQLError) -> Int64 {
    if isNaN { throw SQLError(.featureNotSupported, "cannot convert NaN to \(type.name)") }
    if isInfinite { throw SQLError(.featureNotSupported, "cannot convert infinity to \(type.name)") }
    guard let value = rounded(toScale: 0).int64Value, type.range.contains(value) else { throw type.outOfRange }
    return value
  }

  /// The nearest double.
  /// - Throws: 22003 where it is too large or too small.
  package func double() throws(SQLError) -> Double {
    switch kind {
    case .notANumber: return .nan
    case .positiveInfinity: return .infinity
    case .negativeInfinity: return -.infinity
    case .finite: return try FloatText.parseDouble(text)
    }
  }

  /// From a double, as PostgreSQL casts it: its first 15 significant digits.
  package init(rounding value: Double) { self.init(value, significantDigits: 15) }

  /// From a single-precision value, as PostgreSQL casts it: its first 6 significant digits.
  package init(rounding value: Float) { self.init(Double(value), significantDigits: 6) }

  /// From a double, rounded to so many significant digits, half to even on an exact tie as C's printf does it.
  package init(_ value: Double, significantDigits: Int) {
    if value.isNaN {
      self = .notANumber
    } else if value.isInfinite {
      self = value < 0 ? .negativeInfinity : .infinity
    } else {
      self = NumericValue(exactly: value).roundedHalfEven(significantDigits: significantDigits).trimmingScale()
    }
  }

  /// A finite double's exact decimal value.
  package init(exactly value: Double) {
    guard value != 0 else {
      self = .zero
      return
    }
    let exponent = Int(value.exponent) - 52
    let isSubnormal = value.isSubnormal || value.exponent < -1022
    let bits = value.significandBitPattern | (isSubnormal ? 0 : 1 << 52)
    let power = isSubnormal ? -1074 : exponent
    var magnitude = DecimalMagnitude(bits)
    for _ in 0..<abs(power) { magnitude = magnitude.multiplied(bySmall: power > 0 ? 2 : 5) }
    self = NumericValue(isNegative: value < 0, magnitude: magnitude, scale: max(0, -power)).trimmingScale()
  }

  /// Rounded to so many significant digits, half to even.
  func roundedHalfEven(significantDigits: Int) -> NumericValue {
    let excess = magnitude.digitCount - significantDigits
    guard excess > 0 else { return self }
    let half = DecimalMagnitude.powerOfTen(excess).divided(bySmall: 2).quotient
    let (quotient, rest) = magnitude.dividedWithRemainder(by: .powerOfTen(excess))
    let order = rest.compare(half)
    let kept = order > 0 || (order == 0 && quotient.isOdd) ? quotient + .one : quotient
    if excess <= scale { return NumericValue(isNegative: isNegative, magnitude: kept, scale: scale - excess) }
    return NumericValue(isNegative: isNegative, magnitude: kept.scaledUp(by: excess - scale), scale: 0)
  }
}

/// The integer types, with their ranges and names in messages.
package enum IntegerWidth: Sendable, Hashable {
  case int2
  case int4
  case int8
  case oid

  /// The values that the type holds.
  package var range: ClosedRange<Int64> {
    switch self {
    case .int2: return Int64(Int16.min)...Int64(Int16.max)
    case .int4: return Int64(Int32.min)...Int64(Int32.max)
    case .int8: return Int64.min...Int64.max
    case .oid: return 0...Int64(UInt32.max)
    }
  }

  /// The SQL name.
  package var name: String {
    switch self {
    case .int2: return "smallint"
    case .int4: return "integer"
    case .int8: return "bigint"
    case .oid: return "oid"
    }
  }

  /// 22003: a result is outside the range.
  package var outOfRange: SQLError { SQLError(.numericValueOutOfRange, "\(name.uppercasedOID) out of range") }

  /// The value, where it is in range.
  package func checked(_ value: Int64) throws(SQLError) -> Int64 {
    guard range.contains(value) else { throw outOfRange }
    return value
  }
}

extension String {
  fileprivate var uppercasedOID: String { self == "oid" ? "OID" : self }
}
