/// Integer arithmetic with PostgreSQL's overflow errors.
extension IntegerWidth {
  /// The sum.
  package func add(_ left: Int64, _ right: Int64) throws(SQLError) -> Int64 {
    let (value, overflow) = left.addingReportingOverflow(right)
    if overflow { throw outOfRange }
    return try checked(value)
  }

  /// The difference.
  package func subtract(_ left: Int64, _ right: Int64) throws(SQLError) -> Int64 {
    let (value, overflow) = left.subtractingReportingOverflow(right)
    if overflow { throw outOfRange }
    return try checked(value)
  }

  /// The product.
  package func multiply(_ left: Int64, _ right: Int64) throws(SQLError) -> Int64 {
    let (value, overflow) = left.multipliedReportingOverflow(by: right)
    if overflow { throw outOfRange }
    return try checked(value)
  }

  /// The quotient, cut off towards zero.
  package func divide(_ left: Int64, _ right: Int64) throws(SQLError) -> Int64 {
    if right == 0 { throw NumericValue.divisionByZero }
    if right == -1 { return try negate(left) }
    return left / right
  }

  /// The remainder with the sign of the dividend.
  package func remainder(_ left: Int64, _ right: Int64) throws(SQLError) -> Int64 {
    if right == 0 { throw NumericValue.divisionByZero }
    return right == -1 ? 0 : left % right
  }

  /// The negated value.
  package func negate(_ value: Int64) throws(SQLError) -> Int64 { try subtract(0, value) }

  /// The absolute value.
  package func absolute(_ value: Int64) throws(SQLError) -> Int64 { value < 0 ? try negate(value) : value }

  /// The greatest common divisor.
  package func greatestCommonDivisor(_ left: Int64, _ right: Int64) throws(SQLError) -> Int64 {
    var (a, b) = (left.magnitude, right.magnitude)
    while b != 0 { (a, b) = (b, a % b) }
    guard let value = Int64(exactly: a) else { throw outOfRange }
    return try checked(value)
  }

  /// The least common multiple.
  package func leastCommonMultiple(_ left: Int64, _ right: Int64) throws(SQLError) -> Int64 {
    if left == 0 || right == 0 { return 0 }
    return try absolute(multiply(left / greatestCommonDivisor(left, right), right))
  }

  /// Shifted left by the low bits of the distance, within the type's width.
  package func shiftedLeft(_ value: Int64, _ distance: Int64) -> Int64 {
    switch self {
    case .int2: return Int64(Int16(truncatingIfNeeded: Int32(truncatingIfNeeded: value) << (distance & 31)))
    case .int4, .oid: return Int64(Int32(truncatingIfNeeded: value) << (distance & 31))
    case .int8: return value << (distance & 63)
    }
  }

  /// Shifted right by the low bits of the distance, keeping the sign.
  package func shiftedRight(_ value: Int64, _ distance: Int64) -> Int64 {
    switch self {
    case .int2, .int4, .oid: return Int64(Int32(truncatingIfNeeded: value) >> (distance & 31))
    case .int8: return value >> (distance & 63)
    }
  }
}
