import SQLTypes

/// `sum` of integers: bigint for the small ones, numeric (wide) for bigint.
final class IntegerSum: AggregateState {
  private let isWide: Bool
  private let emptyIsZero: Bool
  private var sum: Int128 = 0
  private var count = 0

  init(isWide: Bool, emptyIsZero: Bool) {
    self.isWide = isWide
    self.emptyIsZero = emptyIsZero
  }

  func step(_ arguments: SQLiteArguments) {
    if arguments.isNull(0) { return }
    sum += Int128(arguments.integer(0))
    count += 1
  }

  func inverse(_ arguments: SQLiteArguments) {
    if arguments.isNull(0) { return }
    sum -= Int128(arguments.integer(0))
    count -= 1
  }

  func value() throws(SQLError) -> StoredValue {
    if count == 0, !emptyIsZero { return .null }
    if isWide { return .text(String(sum)) }
    guard let narrow = Int64(exactly: sum) else { throw IntegerWidth.int8.outOfRange }
    return .integer(narrow)
  }
}

/// A sum of numerics that can be taken back: NaN and the infinities are counted apart.
struct NumericTotal {
  private(set) var count = 0
  private var sum = NumericValue.zero
  private var nans = 0
  private var infinities = 0
  private var negativeInfinities = 0

  mutating func add(_ value: NumericValue, sign: Int) throws(SQLError) {
    count += sign
    switch value.kind {
    case .notANumber: nans += sign
    case .positiveInfinity: infinities += sign
    case .negativeInfinity: negativeInfinities += sign
    case .finite: sum = sign > 0 ? try sum.adding(value) : try sum.subtracting(value)
    }
  }

  var total: NumericValue {
    if nans > 0 || (infinities > 0 && negativeInfinities > 0) { return .notANumber }
    return infinities > 0 ? .infinity : negativeInfinities > 0 ? .negativeInfinity : sum
  }
}

/// `sum` of numerics.
final class NumericSum: AggregateState {
  private var state = NumericTotal()

  func step(_ arguments: SQLiteArguments) throws(SQLError) {
    if !arguments.isNull(0) { try state.add(arguments.numeric(0), sign: 1) }
  }

  func inverse(_ arguments: SQLiteArguments) throws(SQLError) {
    if !arguments.isNull(0) { try state.add(arguments.numeric(0), sign: -1) }
  }

  func value() -> StoredValue { state.count == 0 ? .null : .numeric(state.total) }
}

/// `sum` of floats, added one after the other as PostgreSQL does. Once a row leaves a window frame, the sum is taken
/// from an exact expansion (Shewchuk, Adaptive Precision Floating-Point Arithmetic, 1997), which can be undone.
final class FloatSum: AggregateState {
  private let narrow: (Double) -> Double
  private var sum = 0.0
  private var count = 0
  private var exact = ExactFloatSum()
  private var isMoving = false

  init(_ narrow: @escaping (Double) -> Double) { self.narrow = narrow }

  func step(_ arguments: SQLiteArguments) throws(SQLError) {
    if arguments.isNull(0) { return }
    let value = arguments.double(0)
    let next = narrow(sum + value)
    if next.isInfinite, sum.isFinite, value.isFinite { throw FloatFunctions.overflow }
    sum = next
    count += 1
    exact.add(value, sign: 1)
  }

  func inverse(_ arguments: SQLiteArguments) {
    if arguments.isNull(0) { return }
    exact.add(arguments.double(0), sign: -1)
    count -= 1
    isMoving = true
  }

  func value() -> StoredValue { count == 0 ? .null : .float(isMoving ? narrow(exact.total) : sum) }
}

/// A sum of doubles without rounding error, as a list of parts that do not overlap.
struct ExactFloatSum {
  private var parts: [Double] = []
  private var nans = 0
  private var infinities = 0
  private var negativeInfinities = 0

  mutating func add(_ value: Double, sign: Int) {
    guard value.isFinite else {
      if value.isNaN { nans += sign } else if value > 0 { infinities += sign } else { negativeInfinities += sign }
      return
    }
    var x = sign > 0 ? value : -value
    var kept: [Double] = []
    for part in parts {
      let (big, small) = abs(x) >= abs(part) ? (x, part) : (part, x)
      let high = big + small
      let low = small - (high - big)
      if low != 0 { kept.append(low) }
      x = high
    }
    kept.append(x)
    parts = kept
  }

  var total: Double {
    if nans > 0 || (infinities > 0 && negativeInfinities > 0) { return .nan }
    if infinities > 0 { return .infinity }
    if negativeInfinities > 0 { return -.infinity }
    return parts.reduce(0, +)
  }
}

/// `sum` and `avg` of intervals.
final class IntervalSum: AggregateState {
  private let isAverage: Bool
  private var sum = IntervalValue()
  private var count = 0

  init(isAverage: Bool) { self.isAverage = isAverage }

  func step(_ arguments: SQLiteArguments) throws(SQLError) {
    if arguments.isNull(0) { return }
    sum = try sum.adding(arguments.interval(0))
    count += 1
  }

  func inverse(_ arguments: SQLiteArguments) throws(SQLError) {
    if arguments.isNull(0) { return }
    sum = try sum.subtracting(arguments.interval(0))
    count -= 1
  }

  func value() throws(SQLError) -> StoredValue {
    if count == 0 { return .null }
    return .interval(isAverage ? try sum.divided(by: Double(count)) : sum)
  }
}

/// `bit_and`, `bit_or`, `bit_xor`: how many values have each bit.
final class BitCounts: AggregateState {
  private var bits = [Int](repeating: 0, count: 64)
  private var count = 0
  private let isSet: (Int, Int) -> Bool

  init(_ isSet: @escaping (Int, Int) -> Bool) { self.isSet = isSet }

  func step(_ arguments: SQLiteArguments) { add(arguments, 1) }

  func inverse(_ arguments: SQLiteArguments) { add(arguments, -1) }

  private func add(_ arguments: SQLiteArguments, _ sign: Int) {
    if arguments.isNull(0) { return }
    count += sign
    let value = UInt64(bitPattern: arguments.integer(0))
    for place in 0..<64 where value >> UInt64(place) & 1 == 1 { bits[place] += sign }
  }

  func value() -> StoredValue {
    if count == 0 { return .null }
    var result: UInt64 = 0
    for place in 0..<64 where isSet(bits[place], count) { result |= 1 << UInt64(place) }
    return .integer(Int64(bitPattern: result))
  }
}
