import SQLTypes

/// Arithmetic of integers and numerics.
enum NumberFunctions {
  static let all: [ScalarFunction] =
    integers("int2", .int2) + integers("int4", .int4) + integers("int8", .int8) + bits + numerics + casts

  private typealias Binary = @Sendable (IntegerWidth) -> @Sendable (Int64, Int64) throws(SQLError) -> Int64

  private static func integers(_ name: String, _ width: IntegerWidth) -> [ScalarFunction] {
    func binary(
      _ operation: String, _ body: @escaping @Sendable (Int64, Int64) throws(SQLError) -> Int64
    ) -> ScalarFunction {
      ScalarFunction("pg_\(name)_\(operation)", 2) { arguments, _ throws(SQLError) in
        .integer(try body(arguments.integer(0), arguments.integer(1)))
      }
    }
    func unary(
      _ operation: String, _ body: @escaping @Sendable (Int64) throws(SQLError) -> Int64
    ) -> ScalarFunction {
      ScalarFunction("pg_\(name)_\(operation)", 1) { arguments, _ throws(SQLError) in
        .integer(try body(arguments.integer(0)))
      }
    }
    return [
      binary("add") { a, b throws(SQLError) in try width.add(a, b) },
      binary("sub") { a, b throws(SQLError) in try width.subtract(a, b) },
      binary("mul") { a, b throws(SQLError) in try width.multiply(a, b) },
      binary("div") { a, b throws(SQLError) in try width.divide(a, b) },
      binary("mod") { a, b throws(SQLError) in try width.remainder(a, b) },
      binary("gcd") { a, b throws(SQLError) in try width.greatestCommonDivisor(a, b) },
      binary("lcm") { a, b throws(SQLError) in try width.leastCommonMultiple(a, b) },
      binary("shl") { a, b throws(SQLError) in width.shiftedLeft(a, b) },
      binary("shr") { a, b throws(SQLError) in width.shiftedRight(a, b) },
      unary("neg") { a throws(SQLError) in try width.negate(a) },
      unary("abs") { a throws(SQLError) in try width.absolute(a) },
      ScalarFunction("pg_to_\(name)", 1) { arguments, _ throws(SQLError) in
        .integer(try toInteger(arguments, width))
      },
      ScalarFunction("pg_numeric_to_\(name)", 1) { arguments, _ throws(SQLError) in
        .integer(try arguments.numeric(0).integer(as: width))
      },
      ScalarFunction("pg_to_hex_\(name)", 1) { arguments, _ throws(SQLError) in
        .text(TextFunctions.hexadecimal(arguments.integer(0), width: width))
      },
    ]
  }

  /// An integer, real or numeric (text) as an integer.
  private static func toInteger(
    _ arguments: SQLiteArguments, _ width: IntegerWidth
  ) throws(SQLError) -> Int64 {
    switch arguments[0] {
    case .integer(let value): return try width.checked(value)
    case .real(let value):
      guard let rounded = Int64(exactly: value.rounded(.toNearestOrEven)) else { throw width.outOfRange }
      return try width.checked(rounded)
    case .text("NaN") where width != .oid: throw width.outOfRange
    default: return try arguments.numeric(0).integer(as: width)
    }
  }

  private static let bits = [
    ScalarFunction("pg_int_xor", 2) { a, _ throws(SQLError) in .integer(a.integer(0) ^ a.integer(1)) },
    ScalarFunction("pg_int8_to_oid", 1) { a, _ throws(SQLError) in .integer(try IntegerWidth.oid.checked(a.integer(0)))
    },
    ScalarFunction("pg_int4_to_oid", 1) { a, _ throws(SQLError) in
      .integer(Int64(UInt32(truncatingIfNeeded: a.integer(0))))
    },
  ]

  private static func numeric(
    _ name: String, _ body: @escaping @Sendable (NumericValue) throws(SQLError) -> NumericValue
  ) -> ScalarFunction {
    ScalarFunction("pg_numeric_\(name)", 1) { arguments, _ throws(SQLError) in
      .numeric(try body(arguments.numeric(0)))
    }
  }

  private static func numeric2(
    _ name: String, _ body: @escaping @Sendable (NumericValue, NumericValue) throws(SQLError) -> NumericValue
  ) -> ScalarFunction {
    ScalarFunction("pg_numeric_\(name)", 2) { arguments, _ throws(SQLError) in
      .numeric(try body(arguments.numeric(0), arguments.numeric(1)))
    }
  }

  private static let ten = NumericValue(10)

  private static let numerics: [ScalarFunction] = [
    numeric2("add") { a, b throws(SQLError) in try a.adding(b) },
    numeric2("sub") { a, b throws(SQLError) in try a.subtracting(b) },
    numeric2("mul") { a, b throws(SQLError) in try a.multiplied(by: b) },
    numeric2("div") { a, b throws(SQLError) in try a.divided(by: b) },
    numeric2("mod") { a, b throws(SQLError) in try a.remainder(dividingBy: b) },
    numeric2("div_trunc") { a, b throws(SQLError) in try a.dividedTruncating(by: b) },
    numeric2("power") { a, b throws(SQLError) in try a.power(b) },
    numeric2("log") { a, b throws(SQLError) in try b.logarithm(base: a) },
    numeric2("gcd") { a, b throws(SQLError) in try greatestCommonDivisor(a, b) },
    numeric2("lcm") { a, b throws(SQLError) in try leastCommonMultiple(a, b) },
    numeric("neg") { a throws(SQLError) in a.negated() },
    numeric("abs") { a throws(SQLError) in a.absolute() },
    numeric("ceil") { a throws(SQLError) in a.ceiling() },
    numeric("floor") { a throws(SQLError) in a.floor() },
    numeric("round") { a throws(SQLError) in a.rounded(toScale: 0) },
    numeric("trunc") { a throws(SQLError) in a.truncated(toScale: 0) },
    numeric("sign") { a throws(SQLError) in a.sign() },
    numeric("sqrt") { a throws(SQLError) in try a.squareRoot() },
    numeric("exp") { a throws(SQLError) in try a.exponential() },
    numeric("ln") { a throws(SQLError) in try a.naturalLogarithm() },
    numeric("log10") { a throws(SQLError) in try a.logarithm(base: ten) },
    numeric("trim_scale") { a throws(SQLError) in a.trimmingScale() },
    ScalarFunction("pg_numeric_round", 2) { a, _ throws(SQLError) in
      .numeric(try a.numeric(0).rounded(digits: Int(clamping: a.integer(1))))
    },
    ScalarFunction("pg_numeric_trunc", 2) { a, _ throws(SQLError) in
      .numeric(try a.numeric(0).truncated(digits: Int(clamping: a.integer(1))))
    },
    ScalarFunction("pg_numeric_scale", 1) { a, _ throws(SQLError) in
      let value = try a.numeric(0)
      return value.isFinite ? .int(value.scale) : .null
    },
    ScalarFunction("pg_numeric_min_scale", 1) { a, _ throws(SQLError) in
      let value = try a.numeric(0)
      return value.isFinite ? .int(value.trimmingScale().scale) : .null
    },
    ScalarFunction("pg_factorial", 1) { a, _ throws(SQLError) in .numeric(try factorial(a.integer(0))) },
    ScalarFunction("pg_width_bucket_numeric", 4) { a, _ throws(SQLError) in
      .integer(try widthBucket(a.numeric(0), a.numeric(1), a.numeric(2), a.integer(3)))
    },
    ScalarFunction("pg_modify_numeric", 3) { a, _ throws(SQLError) in
      let type = SQLType.numeric.with(modifier: Int32(truncatingIfNeeded: a.integer(1)))
      return .numeric(try a.numeric(0).fitted(to: type))
    },
  ]

  private static func greatestCommonDivisor(
    _ left: NumericValue, _ right: NumericValue
  ) throws(SQLError) -> NumericValue {
    guard left.isFinite, right.isFinite else { return .notANumber }
    let scale = max(left.scale, right.scale)
    var (a, b) = (left.absolute(), right.absolute())
    while !b.isZero { (a, b) = (b, try a.remainder(dividingBy: b)) }
    return a.rounded(toScale: scale)
  }

  private static func leastCommonMultiple(
    _ left: NumericValue, _ right: NumericValue
  ) throws(SQLError) -> NumericValue {
    guard left.isFinite, right.isFinite else { return .notANumber }
    let scale = max(left.scale, right.scale)
    if left.isZero || right.isZero { return NumericValue.zero.rounded(toScale: scale) }
    let divisor = try greatestCommonDivisor(left, right)
    return try left.dividedTruncating(by: divisor).multiplied(by: right).absolute().rounded(toScale: scale)
  }

  private static func factorial(_ value: Int64) throws(SQLError) -> NumericValue {
    if value < 0 { throw SQLError(.numericValueOutOfRange, "factorial of a negative number is undefined") }
    if value > 32_177 { throw SQLError(.numericValueOutOfRange, "value overflows numeric format") }
    var result = NumericValue.one
    for factor in stride(from: Int64(2), through: value, by: 1) {
      result = try result.multiplied(by: NumericValue(factor))
    }
    return result
  }

  private static func widthBucket(
    _ value: NumericValue, _ low: NumericValue, _ high: NumericValue, _ count: Int64
  ) throws(SQLError) -> Int64 {
    let code = SQLState.invalidArgumentForWidthBucketFunction
    if count <= 0 { throw SQLError(code, "count must be greater than zero") }
    if value.isNaN || low.isNaN || high.isNaN {
      throw SQLError(code, "operand, lower bound, and upper bound cannot be NaN")
    }
    if low.isInfinite || high.isInfinite { throw SQLError(code, "lower and upper bounds must be finite") }
    let order = low.compare(high)
    if order == 0 { throw SQLError(code, "lower bound cannot equal upper bound") }
    if order < 0 ? value < low : value > low { return 0 }
    if order < 0 ? value >= high : value <= high { return try IntegerWidth.int4.add(count, 1) }
    let part = try value.subtracting(low).multiplied(by: NumericValue(count))
    return try part.dividedTruncating(by: high.subtracting(low)).integer(as: .int4) + 1
  }

  private static let casts: [ScalarFunction] = [
    ScalarFunction("pg_int_to_numeric", 1) { a, _ throws(SQLError) in .numeric(try a.numeric(0)) },
    ScalarFunction("pg_float8_to_numeric", 1) { a, _ throws(SQLError) in .numeric(NumericValue(rounding: a.double(0)))
    },
    ScalarFunction("pg_float4_to_numeric", 1) { a, _ throws(SQLError) in
      .numeric(NumericValue(rounding: Float(a.double(0))))
    },
    ScalarFunction("pg_numeric_to_float8", 1) { a, _ throws(SQLError) in .float(try a.numeric(0).double()) },
    ScalarFunction("pg_numeric_to_float4", 1) { a, _ throws(SQLError) in
      .float(try FloatText.parseFloat(a.numeric(0).text))
    },
    ScalarFunction("pg_to_float8", 1) { a, _ throws(SQLError) in .float(a.double(0)) },
    ScalarFunction("pg_to_float4", 1) { a, _ throws(SQLError) in
      let value = a.double(0)
      let narrow = Float(value)
      if narrow.isInfinite, value.isFinite {
        throw SQLError(.numericValueOutOfRange, "value out of range: overflow")
      }
      if narrow == 0, value != 0 { throw SQLError(.numericValueOutOfRange, "value out of range: underflow") }
      return .float(Double(narrow))
    },
  ]
}
