import Glibc
import SQLTypes

/// Arithmetic of float4 and float8 with PostgreSQL's range checks.
enum FloatFunctions {
  static let all: [ScalarFunction] =
    arithmetic("float8") { $0 } + arithmetic("float4") { Double(Float($0)) } + others + trigonometric

  static let overflow = SQLError(.numericValueOutOfRange, "value out of range: overflow")
  static let underflow = SQLError(.numericValueOutOfRange, "value out of range: underflow")

  private static func arithmetic(_ name: String, _ narrow: @escaping @Sendable (Double) -> Double) -> [ScalarFunction] {
    func binary(
      _ operation: String, checksZero: Bool, _ body: @escaping @Sendable (Double, Double) throws(SQLError) -> Double
    ) -> ScalarFunction {
      ScalarFunction("pg_\(name)_\(operation)", 2) { arguments, _ throws(SQLError) in
        let (a, b) = (arguments.double(0), arguments.double(1))
        let value = narrow(try body(a, b))
        if value.isInfinite, a.isFinite, b.isFinite { throw overflow }
        if checksZero, value == 0, a != 0, b != 0, b.isFinite { throw underflow }
        return .float(value)
      }
    }
    return [
      binary("add", checksZero: false) { a, b throws(SQLError) in a + b },
      binary("sub", checksZero: false) { a, b throws(SQLError) in a - b },
      binary("mul", checksZero: true) { a, b throws(SQLError) in a * b },
      binary("div", checksZero: true) { a, b throws(SQLError) in
        if b == 0, !a.isNaN { throw SQLError(.divisionByZero, "division by zero") }
        return a / b
      },
    ]
  }

  /// A function of one float8 that cannot fail.
  private static func simple(_ name: String, _ body: @escaping @Sendable (Double) -> Double) -> ScalarFunction {
    ScalarFunction("pg_\(name)", 1) { arguments, _ throws(SQLError) in .float(body(arguments.double(0))) }
  }

  /// A function of one float8 with a domain; outside of it, and where the result overflows, it fails.
  private static func checked(
    _ name: String, domain: @escaping @Sendable (Double) -> Bool = { _ in true },
    _ body: @escaping @Sendable (Double) -> Double
  ) -> ScalarFunction {
    ScalarFunction("pg_\(name)", 1) { arguments, _ throws(SQLError) in
      let argument = arguments.double(0)
      if argument.isNaN { return .float(.nan) }
      guard domain(argument) else { throw SQLError(.numericValueOutOfRange, "input is out of range") }
      let value = body(argument)
      if value.isInfinite, argument.isFinite { throw overflow }
      return .float(value)
    }
  }

  private static let others: [ScalarFunction] = [
    simple("float_neg") { -$0 },
    simple("float_abs") { abs($0) },
    simple("float8_ceil") { $0.rounded(.up) },
    simple("float8_floor") { $0.rounded(.down) },
    simple("float8_round") { $0.rounded(.toNearestOrEven) },
    simple("float8_trunc") { $0.rounded(.towardZero) },
    simple("float8_sign") { $0.isNaN ? $0 : $0 > 0 ? 1 : $0 < 0 ? -1 : 0 },
    simple("float8_cbrt") { cbrt($0) },
    simple("float8_degrees") { $0 * 180 / .pi },
    simple("float8_radians") { $0 * .pi / 180 },
    ScalarFunction("pg_float8_sqrt", 1) { a, _ throws(SQLError) in
      if a.double(0) < 0 {
        throw SQLError(.invalidArgumentForPowerFunction, "cannot take square root of a negative number")
      }
      return .float(a.double(0).squareRoot())
    },
    ScalarFunction("pg_float8_exp", 1) { a, _ throws(SQLError) in
      let value = exp(a.double(0))
      if value.isInfinite, a.double(0).isFinite { throw overflow }
      if value == 0, a.double(0).isFinite { throw underflow }
      return .float(value)
    },
    ScalarFunction("pg_float8_ln", 1) { a, _ throws(SQLError) in .float(log(try logarithmArgument(a.double(0)))) },
    ScalarFunction("pg_float8_log10", 1) { a, _ throws(SQLError) in .float(log10(try logarithmArgument(a.double(0)))) },
    ScalarFunction("pg_float8_power", 2) { a, _ throws(SQLError) in .float(try power(a.double(0), a.double(1))) },
    ScalarFunction("pg_pi", 0) { _, _ throws(SQLError) in .real(.pi) },
    ScalarFunction("pg_width_bucket_float8", 4) { a, _ throws(SQLError) in
      .integer(try widthBucket(a.double(0), a.double(1), a.double(2), a.integer(3)))
    },
    ScalarFunction("pg_random", 0, isDeterministic: false) { _, context throws(SQLError) in .real(random(context)) },
    ScalarFunction("pg_setseed", 1, isDeterministic: false) { a, context throws(SQLError) in
      let seed = a.double(0)
      guard seed >= -1, seed <= 1 else {
        throw SQLError(
          .invalidParameterValue, "setseed parameter \(FloatText.text(seed)) is out of allowed range [-1,1]")
      }
      context.randomState = seed.bitPattern ^ 0x9e37_79b9_7f4a_7c15
      return .text("")
    },
  ]

  private static func logarithmArgument(_ value: Double) throws(SQLError) -> Double {
    if value == 0 { throw SQLError(.invalidArgumentForLogarithm, "cannot take logarithm of zero") }
    if value < 0 { throw SQLError(.invalidArgumentForLogarithm, "cannot take logarithm of a negative number") }
    return value
  }

  private static func power(_ base: Double, _ exponent: Double) throws(SQLError) -> Double {
    if base.isNaN { return exponent == 0 ? 1 : .nan }
    if exponent.isNaN { return base == 1 ? 1 : .nan }
    if base == 0, exponent < 0 {
      throw SQLError(.invalidArgumentForPowerFunction, "zero raised to a negative power is undefined")
    }
    if base < 0, exponent.isFinite, exponent.rounded(.towardZero) != exponent {
      throw SQLError(
        .invalidArgumentForPowerFunction, "a negative number raised to a non-integer power yields a complex result")
    }
    let value = pow(base, exponent)
    if value.isInfinite, base.isFinite, exponent.isFinite { throw overflow }
    if value == 0, base != 0, base.isFinite, exponent.isFinite { throw underflow }
    return value
  }

  private static func widthBucket(
    _ value: Double, _ low: Double, _ high: Double, _ count: Int64
  ) throws(SQLError) -> Int64 {
    let code = SQLState.invalidArgumentForWidthBucketFunction
    if count <= 0 { throw SQLError(code, "count must be greater than zero") }
    if value.isNaN || low.isNaN || high.isNaN {
      throw SQLError(code, "operand, lower bound, and upper bound cannot be NaN")
    }
    if low.isInfinite || high.isInfinite { throw SQLError(code, "lower and upper bounds must be finite") }
    if low == high { throw SQLError(code, "lower bound cannot equal upper bound") }
    if low < high ? value < low : value > low { return 0 }
    if low < high ? value >= high : value <= high { return try IntegerWidth.int4.add(count, 1) }
    return Int64(Double(count) * ((value - low) / (high - low))) + 1
  }

  /// xorshift after `setseed`, else the system's generator.
  private static func random(_ context: SessionContext) -> Double {
    guard var state = context.randomState else { return Double.random(in: 0..<1) }
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    context.randomState = state
    return Double(state >> 11) / 9_007_199_254_740_992
  }

  private static let trigonometric: [ScalarFunction] = [
    checked("float8_sin", domain: { $0.isFinite }) { sin($0) },
    checked("float8_cos", domain: { $0.isFinite }) { cos($0) },
    checked("float8_tan", domain: { $0.isFinite }) { tan($0) },
    ScalarFunction("pg_float8_cot", 1) { a, _ throws(SQLError) in .float(1 / tan(a.double(0))) },
    checked("float8_asin", domain: { abs($0) <= 1 }) { asin($0) },
    checked("float8_acos", domain: { abs($0) <= 1 }) { acos($0) },
    checked("float8_atan") { atan($0) },
    ScalarFunction("pg_float8_atan2", 2) { a, _ throws(SQLError) in .float(atan2(a.double(0), a.double(1))) },
    checked("float8_sind", domain: { $0.isFinite }) {
      degrees($0, sin, [0: 0, 30: 0.5, 90: 1, 150: 0.5, 180: 0, 210: -0.5, 270: -1, 330: -0.5])
    },
    checked("float8_cosd", domain: { $0.isFinite }) {
      degrees($0, cos, [0: 1, 60: 0.5, 90: 0, 120: -0.5, 180: -1, 240: -0.5, 270: 0, 300: 0.5])
    },
    ScalarFunction("pg_float8_tand", 1) { a, _ throws(SQLError) in
      .float(
        degrees(a.double(0), tan, [0: 0, 45: 1, 90: .infinity, 135: -1, 180: 0, 225: 1, 270: -.infinity, 315: -1]))
    },
    checked("float8_sinh") { sinh($0) },
    checked("float8_cosh") { cosh($0) },
    simple("float8_tanh") { tanh($0) },
    simple("float8_asinh") { asinh($0) },
    checked("float8_acosh", domain: { $0 >= 1 }) { acosh($0) },
    ScalarFunction("pg_float8_atanh", 1) { a, _ throws(SQLError) in
      let value = a.double(0)
      if abs(value) > 1 { throw SQLError(.numericValueOutOfRange, "input is out of range") }
      return .float(atanh(value))
    },
  ]

  /// A function of degrees, exact where its value is.
  private static func degrees(
    _ value: Double, _ function: (Double) -> Double, _ exact: [Double: Double]
  ) -> Double {
    let turn = value.truncatingRemainder(dividingBy: 360)
    return exact[turn < 0 ? turn + 360 : turn] ?? function(turn * .pi / 180)
  }
}
