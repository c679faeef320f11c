/// An unsigned integer of any size in base 10^9, the least significant limb first, without leading zero limbs (zero
/// has none). A decimal base makes scaling by powers of ten and printing cheap.
package struct DecimalMagnitude: Sendable, Hashable {
  /// The limbs, each below 10^9.
  package private(set) var limbs: [UInt32]

  static let base: UInt64 = 1_000_000_000
  static let digitsPerLimb = 9
  static let smallPowers: [UInt32] = [
    1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000,
  ]

  /// Zero.
  package static let zero = DecimalMagnitude(limbs: [])
  /// One.
  package static let one = DecimalMagnitude(1)

  private init(limbs: [UInt32]) { self.limbs = limbs }

  private init(trimming limbs: [UInt32]) {
    self.limbs = limbs
    while self.limbs.last == 0 { self.limbs.removeLast() }
  }

  /// From a machine integer.
  package init(_ value: UInt64) {
    limbs = []
    var rest = value
    while rest > 0 {
      limbs.append(UInt32(rest % DecimalMagnitude.base))
      rest /= DecimalMagnitude.base
    }
  }

  /// From ASCII digits (0x30...0x39 only).
  package init(digits: some BidirectionalCollection<UInt8>) {
    var limbs: [UInt32] = []
    limbs.reserveCapacity(digits.count / 9 + 1)
    var limb: UInt32 = 0
    var place = 0
    for digit in digits.reversed() {
      limb += UInt32(digit - 0x30) * DecimalMagnitude.smallPowers[place]
      place += 1
      if place == 9 {
        limbs.append(limb)
        limb = 0
        place = 0
      }
    }
    if limb > 0 { limbs.append(limb) }
    self.init(trimming: limbs)
  }

  /// 10 to the power.
  package static func powerOfTen(_ exponent: Int) -> DecimalMagnitude { DecimalMagnitude.one.scaledUp(by: exponent) }

  /// Whether this is zero.
  package var isZero: Bool { limbs.isEmpty }

  /// The number of decimal digits; 0 for zero.
  package var digitCount: Int {
    guard let top = limbs.last else { return 0 }
    var count = 1
    while count < 9, top >= DecimalMagnitude.smallPowers[count] { count += 1 }
    return (limbs.count - 1) * 9 + count
  }

  /// The decimal digits as ASCII; empty for zero.
  package var digits: [UInt8] {
    guard let top = limbs.last else { return [] }
    var result = Array(String(top).utf8)
    result.reserveCapacity(limbs.count * 9)
    for limb in limbs.dropLast().reversed() {
      var divisor: UInt32 = 100_000_000
      while divisor > 0 {
        result.append(0x30 + UInt8(limb / divisor % 10))
        divisor /= 10
      }
    }
    return result
  }

  /// The value where it fits 64 bits.
  package var uint64Value: UInt64? {
    guard limbs.count <= 3 else { return nil }
    var result: UInt64 = 0
    for limb in limbs.reversed() {
      let (product, overflow) = result.multipliedReportingOverflow(by: DecimalMagnitude.base)
      if overflow { return nil }
      let (sum, carry) = product.addingReportingOverflow(UInt64(limb))
      if carry { return nil }
      result = sum
    }
    return result
  }

  /// Whether the value is odd.
  var isOdd: Bool { (limbs.first ?? 0) & 1 == 1 }

  /// -1, 0, 1.
  package func compare(_ other: DecimalMagnitude) -> Int {
    if limbs.count != other.limbs.count { return limbs.count < other.limbs.count ? -1 : 1 }
    for index in limbs.indices.reversed() where limbs[index] != other.limbs[index] {
      return limbs[index] < other.limbs[index] ? -1 : 1
    }
    return 0
  }

  /// The sum.
  package static func + (left: DecimalMagnitude, right: DecimalMagnitude) -> DecimalMagnitude {
    let (long, short) = left.limbs.count >= right.limbs.count ? (left.limbs, right.limbs) : (right.limbs, left.limbs)
    var result = long
    var carry: UInt32 = 0
    var index = 0
    while index < long.count, index < short.count || carry > 0 {
      var sum = long[index] + carry
      if index < short.count { sum += short[index] }
      carry = sum >= 1_000_000_000 ? 1 : 0
      result[index] = carry > 0 ? sum - 1_000_000_000 : sum
      index += 1
    }
    if carry > 0 { result.append(carry) }
    return DecimalMagnitude(limbs: result)
  }

  /// The difference; the right side must not be greater.
  package static func - (left: DecimalMagnitude, right: DecimalMagnitude) -> DecimalMagnitude {
    var result = left.limbs
    var borrow: Int64 = 0
    var index = 0
    while index < right.limbs.count || borrow > 0 {
      var difference = Int64(result[index]) - borrow
      if index < right.limbs.count { difference -= Int64(right.limbs[index]) }
      borrow = difference < 0 ? 1 : 0
      result[index] = UInt32(difference < 0 ? difference + 1_000_000_000 : difference)
      index += 1
    }
    return DecimalMagnitude(trimming: result)
  }

  /// The product.
  package static func * (left: DecimalMagnitude, right: DecimalMagnitude) -> DecimalMagnitude {
    if left.isZero || right.isZero { return .zero }
    var result = [UInt32](repeating: 0, count: left.limbs.count + right.limbs.count)
    for (offset, factor) in left.limbs.enumerated() where factor != 0 {
      var carry: UInt64 = 0
      for (index, limb) in right.limbs.enumerated() {
        let sum = UInt64(factor) * UInt64(limb) + UInt64(result[offset + index]) + carry
        carry = sum / base
        result[offset + index] = UInt32(sum % base)
      }
      result[offset + right.limbs.count] = UInt32(carry)
    }
    return DecimalMagnitude(trimming: result)
  }

  /// The product with one limb (below 10^9).
  func multiplied(bySmall factor: UInt32) -> DecimalMagnitude {
    if factor == 0 { return .zero }
    var result = limbs
    var carry: UInt64 = 0
    for index in result.indices {
      let product = UInt64(result[index]) * UInt64(factor) + carry
      carry = product / DecimalMagnitude.base
      result[index] = UInt32(product % DecimalMagnitude.base)
    }
    if carry > 0 { result.append(UInt32(carry)) }
    return DecimalMagnitude(limbs: result)
  }

  /// Quotient and remainder by one limb (1...10^9 - 1).
  func divided(bySmall divisor: UInt32) -> (quotient: DecimalMagnitude, remainder: UInt32) {
    var result = limbs
    var remainder: UInt64 = 0
    for index in result.indices.reversed() {
      let value = remainder * DecimalMagnitude.base + UInt64(result[index])
      result[index] = UInt32(value / UInt64(divisor))
      remainder = value % UInt64(divisor)
    }
    return (DecimalMagnitude(trimming: result), UInt32(remainder))
  }

  /// The value times 10 to the power (not negative).
  package func scaledUp(by places: Int) -> DecimalMagnitude {
    if isZero || places == 0 { return self }
    let (whole, rest) = places.quotientAndRemainder(dividingBy: 9)
    let shifted = rest == 0 ? self : multiplied(bySmall: DecimalMagnitude.smallPowers[rest])
    return DecimalMagnitude(limbs: [UInt32](repeating: 0, count: whole) + shifted.limbs)
  }

  /// The value divided by 10 to the power, cut off.
  package func scaledDown(by places: Int) -> DecimalMagnitude {
    let (whole, rest) = places.quotientAndRemainder(dividingBy: 9)
    if whole >= limbs.count { return .zero }
    let shifted = DecimalMagnitude(limbs: Array(limbs[whole...]))
    return rest == 0 ? shifted : shifted.divided(bySmall: DecimalMagnitude.smallPowers[rest]).quotient
  }

  /// The value divided by 10 to the power, rounded half up (away from zero).
  package func scaledDownRounding(by places: Int) -> DecimalMagnitude {
    if places == 0 { return self }
    if places > digitCount { return .zero }
    let kept = scaledDown(by: places - 1)
    let (quotient, digit) = kept.divided(bySmall: 10)
    return digit >= 5 ? quotient + .one : quotient
  }

  /// The digit at the place (0 is the lowest).
  func digit(at place: Int) -> UInt32 {
    let (index, rest) = place.quotientAndRemainder(dividingBy: 9)
    return index < limbs.count ? limbs[index] / DecimalMagnitude.smallPowers[rest] % 10 : 0
  }

  /// How many of the lowest digits are zero, at most the limit.
  func trailingZeros(limit: Int) -> Int {
    var count = 0
    while count < limit, !isZero, digit(at: count) == 0 { count += 1 }
    return isZero ? limit : count
  }

  /// Quotient and remainder (Knuth, The Art of Computer Programming, 4.3.1, algorithm D); the divisor is not zero.
  package func dividedWithRemainder(
    by divisor: DecimalMagnitude
  ) -> (quotient: DecimalMagnitude, remainder: DecimalMagnitude) {
    if compare(divisor) < 0 { return (.zero, self) }
    if divisor.limbs.count == 1 {
      let (quotient, remainder) = divided(bySmall: divisor.limbs[0])
      return (quotient, DecimalMagnitude(UInt64(remainder)))
    }
    let base = DecimalMagnitude.base
    let factor = UInt32(base / (UInt64(divisor.limbs[divisor.limbs.count - 1]) + 1))
    let v = divisor.multiplied(bySmall: factor).limbs
    var u = multiplied(bySmall: factor).limbs
    while u.count <= limbs.count { u.append(0) }
    let n = v.count
    let m = u.count - n - 1
    var q = [UInt32](repeating: 0, count: m + 1)
    for j in stride(from: m, through: 0, by: -1) {
      let top = UInt64(u[j + n]) * base + UInt64(u[j + n - 1])
      var estimate = top / UInt64(v[n - 1])
      var rest = top % UInt64(v[n - 1])
      while estimate >= base || estimate * UInt64(v[n - 2]) > rest * base + UInt64(u[j + n - 2]) {
        estimate -= 1
        rest += UInt64(v[n - 1])
        if rest >= base { break }
      }
      if DecimalMagnitude.subtract(v, times: estimate, from: &u, at: j) {
        estimate -= 1
        DecimalMagnitude.addBack(v, to: &u, at: j)
      }
      q[j] = UInt32(estimate)
    }
    let remainder = DecimalMagnitude(trimming: Array(u[0..<n])).divided(bySmall: factor).quotient
    return (DecimalMagnitude(trimming: q), remainder)
  }

  /// Step D4; true when the result went negative.
  private static func subtract(_ v: [UInt32], times factor: UInt64, from u: inout [UInt32], at j: Int) -> Bool {
    var borrow: Int64 = 0
    var carry: UInt64 = 0
    for index in v.indices {
      let product = factor * UInt64(v[index]) + carry
      carry = product / base
      let difference = Int64(u[j + index]) - Int64(product % base) - borrow
      borrow = difference < 0 ? 1 : 0
      u[j + index] = UInt32(difference < 0 ? difference + Int64(base) : difference)
    }
    let difference = Int64(u[j + v.count]) - Int64(carry) - borrow
    u[j + v.count] = UInt32(difference < 0 ? difference + Int64(base) : difference)
    return difference < 0
  }

  /// Step D6.
  private static func addBack(_ v: [UInt32], to u: inout [UInt32], at j: Int) {
    var carry: UInt64 = 0
    for index in v.indices {
      let sum = UInt64(u[j + index]) + UInt64(v[index]) + carry
      carry = sum / base
      u[j + index] = UInt32(sum % base)
    }
    u[j + v.count] = UInt32((UInt64(u[j + v.count]) + carry) % base)
  }

  /// The integer square root, by Newton's method from above.
  package func squareRoot() -> DecimalMagnitude {
    if isZero { return .zero }
    var estimate = DecimalMagnitude.powerOfTen((digitCount + 1) / 2)
    while true {
      let next = (estimate + dividedWithRemainder(by: estimate).quotient).divided(bySmall: 2).quotient
      if next.compare(estimate) >= 0 { return estimate }
      estimate = next
    }
  }
}
