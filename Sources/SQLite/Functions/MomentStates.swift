import SQLTypes

/// Count, sum and sum of squares, from which average, variance and deviation follow.
protocol Moments {
  mutating func add(_ arguments: SQLiteArguments, sign: Int) throws(SQLError)
  /// Adds another's parts, as ``encoded`` gave them.
  mutating func combine(_ text: String) throws(SQLError)
  var encoded: StoredValue { get }
  func average() throws(SQLError) -> StoredValue
  func variance(isSample: Bool) throws(SQLError) -> StoredValue
  func deviation(isSample: Bool) throws(SQLError) -> StoredValue
}

/// An aggregate that is a function of moments.
final class MomentsState: AggregateState {
  private var moments: any Moments
  private let combines: Bool
  private let result: (any Moments) throws(SQLError) -> StoredValue

  init(
    _ moments: any Moments, combines: Bool, _ result: @escaping (any Moments) throws(SQLError) -> StoredValue
  ) {
    self.moments = moments
    self.combines = combines
    self.result = result
  }

  func step(_ arguments: SQLiteArguments) throws(SQLError) {
    if arguments.isNull(0) { return }
    if combines { try moments.combine(arguments.text(0)) } else { try moments.add(arguments, sign: 1) }
  }

  func inverse(_ arguments: SQLiteArguments) throws(SQLError) {
    if arguments.isNull(0) { return }
    if combines { throw SQLError(.internalError, "partial aggregates cannot be taken back") }
    try moments.add(arguments, sign: -1)
  }

  func value() throws(SQLError) -> StoredValue { try result(moments) }
}

/// Exact moments of integers and numerics (`numeric_stddev_internal` of PostgreSQL 15).
struct NumericMoments: Moments {
  private var sum = NumericTotal()
  private var squares = NumericTotal()
  private var combinedCount = 0

  private var count: Int { sum.count + combinedCount }

  mutating func add(_ arguments: SQLiteArguments, sign: Int) throws(SQLError) {
    let value = try arguments.numeric(0)
    try sum.add(value, sign: sign)
    try squares.add(value.multiplied(by: value), sign: sign)
  }

  mutating func combine(_ text: String) throws(SQLError) {
    let parts = text.split(separator: "|").map(String.init)
    guard parts.count == 3, let count = Int(parts[0]) else {
      throw SQLError(.internalError, "malformed partial aggregate")
    }
    try sum.add(NumericValue(stored: parts[1]), sign: 1)
    try squares.add(NumericValue(stored: parts[2]), sign: 1)
    combinedCount += count - 1
  }

  var encoded: StoredValue {
    count == 0 ? .null : .text("\(count)|\(sum.total.text)|\(squares.total.text)")
  }

  func average() throws(SQLError) -> StoredValue {
    count == 0 ? .null : .numeric(try sum.total.divided(by: NumericValue(Int64(count))))
  }

  func variance(isSample: Bool) throws(SQLError) -> StoredValue {
    guard count > (isSample ? 1 : 0) else { return .null }
    return .numeric(try value(isSample: isSample))
  }

  func deviation(isSample: Bool) throws(SQLError) -> StoredValue {
    guard count > (isSample ? 1 : 0) else { return .null }
    let variance = try value(isSample: isSample)
    if !variance.isFinite || variance.isZero { return .numeric(variance) }
    return .numeric(variance.squareRoot(scale: variance.scale))
  }

  private func value(isSample: Bool) throws(SQLError) -> NumericValue {
    guard sum.total.isFinite, squares.total.isFinite else { return .notANumber }
    let n = NumericValue(Int64(count))
    let numerator = try n.multiplied(by: squares.total).subtracting(sum.total.multiplied(by: sum.total))
    if numerator.signum <= 0 { return .zero }
    let denominator = try n.multiplied(by: NumericValue(Int64(isSample ? count - 1 : count)))
    return try numerator.divided(by: denominator)
  }
}

/// Moments of floats by the method of Youngs and Cramer, as PostgreSQL computes them. When rows leave a window frame they
/// are taken from exact sums instead.
struct FloatMoments: Moments {
  private var count = 0.0
  private var sum = 0.0
  private var squaredDeviations = 0.0
  private var exactSum = ExactFloatSum()
  private var exactSquares = ExactFloatSum()
  private var isMoving = false

  mutating func add(_ arguments: SQLiteArguments, sign: Int) throws(SQLError) {
    let value = arguments.double(0)
    exactSum.add(value, sign: sign)
    let square = value * value
    exactSquares.add(square, sign: sign)
    if square.isFinite { exactSquares.add((-square).addingProduct(value, value), sign: sign) }
    if sign < 0 { isMoving = true }
    count += Double(sign)
    if isMoving {
      sum = exactSum.total
      squaredDeviations = count > 0 ? max(0, exactSquares.total - sum * sum / count) : 0
      return
    }
    sum += value
    if count > 1 {
      let difference = value * count - sum
      squaredDeviations += difference * difference / (count * (count - 1))
    } else if !value.isFinite {
      squaredDeviations = .nan
    }
    if sum.isInfinite || squaredDeviations.isInfinite, value.isFinite, exactSum.total.isFinite {
      throw FloatFunctions.overflow
    }
  }

  mutating func combine(_ text: String) throws(SQLError) {
    let parts = text.split(separator: "|").map(String.init)
    guard parts.count == 3, let otherCount = Double(parts[0]) else {
      throw SQLError(.internalError, "malformed partial aggregate")
    }
    let otherSum = try FloatText.parseDouble(parts[1])
    let otherDeviations = try FloatText.parseDouble(parts[2])
    if count == 0 {
      (count, sum, squaredDeviations) = (otherCount, otherSum, otherDeviations)
      return
    }
    let difference = sum / count - otherSum / otherCount
    let total = count + otherCount
    squaredDeviations += otherDeviations + count * otherCount * difference * difference / total
    sum += otherSum
    count = total
  }

  var encoded: StoredValue {
    count == 0
      ? .null : .text("\(Int(count))|\(FloatText.text(sum))|\(FloatText.text(squaredDeviations))")
  }

  func average() -> StoredValue { count == 0 ? .null : .float(sum / count) }

  func variance(isSample: Bool) -> StoredValue {
    guard count > (isSample ? 1 : 0) else { return .null }
    return .float(squaredDeviations / (isSample ? count - 1 : count))
  }

  func deviation(isSample: Bool) -> StoredValue {
    guard case .real(let variance) = variance(isSample: isSample) else { return variance(isSample: isSample) }
    return .float(variance.squareRoot())
  }
}
