import SQLTypes

/// The order and equality of stored values, as PostgreSQL compares their types: what partition bounds, merges and hashes go by.
package enum KeyOrder {
  /// Negative, zero or positive. Nulls are equal to each other and above all else; collations are C.
  package static func compare(_ left: StoredValue, _ right: StoredValue, type: SQLType) -> Int {
    compare(left, right, isNumeric: type.oid == SQLType.numeric.oid, isInterval: type.oid == SQLType.interval.oid)
  }

  /// The same, for a column whose type is known only by how it compares.
  package static func compare(_ left: StoredValue, _ right: StoredValue, by comparison: MergeKey.Comparison) -> Int {
    compare(left, right, isNumeric: comparison == .numeric, isInterval: false)
  }

  private static func compare(
    _ left: StoredValue, _ right: StoredValue, isNumeric: Bool, isInterval: Bool
  ) -> Int {
    switch (left, right) {
    case (.null, .null): return 0
    case (.null, _): return 1
    case (_, .null): return -1
    case (.text(let left), .text(let right)) where isNumeric: return compareDecimal(left, right)
    case (.blob(let left), .blob(let right)) where isInterval:
      return order(intervalMicroseconds(left), intervalMicroseconds(right))
    case (.integer(let left), .integer(let right)): return order(left, right)
    case (.text(var left), .text(var right)): return compareBytes(&left, &right)
    case (.blob(let left), .blob(let right)): return compareBytes(left, right)
    case (.real, .real), (.real, .integer), (.integer, .real): return order(real(left), real(right))
    default: return order(rank(left), rank(right))
    }
  }

  /// One stored form for all forms of an equal value.
  static func normalized(_ value: StoredValue, _ type: SQLType) -> StoredValue {
    switch (value, type.oid) {
    case (.text(let text), SQLType.numeric.oid): return .text(normalizedDecimal(text))
    case (.blob(let bytes), SQLType.interval.oid):
      guard let key = intervalMicroseconds(bytes) else { return value }
      return .blob([UInt8]("\(key)".utf8))
    case (.real(let real), _) where real == 0: return .real(0)
    default: return value
    }
  }

  private static func rank(_ value: StoredValue) -> Int {
    switch value {
    case .integer, .real: 0
    case .text: 1
    case .blob: 2
    case .null: 3
    }
  }

  private static func real(_ value: StoredValue) -> Double {
    switch value {
    case .integer(let integer): Double(integer)
    case .real(let real): real
    default: 0
    }
  }

  private static func order<Value: Comparable>(_ left: Value, _ right: Value) -> Int {
    left < right ? -1 : left > right ? 1 : 0
  }

  private static func order(_ left: Int128?, _ right: Int128?) -> Int { order(left ?? 0, right ?? 0) }

  private static func compareBytes(_ left: inout String, _ right: inout String) -> Int {
    left.withUTF8 { left in right.withUTF8 { right in compareBytes(left, right) } }
  }

  private static func compareBytes(_ left: some Collection<UInt8>, _ right: some Collection<UInt8>) -> Int {
    if left.elementsEqual(right) { return 0 }
    return left.lexicographicallyPrecedes(right) ? -1 : 1
  }

  /// Microseconds of a stored interval, a month being 30 days as in PostgreSQL's comparison; nil where it is malformed.
  private static func intervalMicroseconds(_ bytes: [UInt8]) -> Int128? {
    guard bytes.count == 16 else { return nil }
    func signed(_ range: Range<Int>) -> Int128 {
      var value: UInt64 = 0
      for byte in bytes[range] { value = value << 8 | UInt64(byte) }
      // The sign bit is flipped, so that bytes sort as numbers do.
      let bias: Int128 = range.count == 4 ? 1 << 31 : 1 << 63
      return Int128(value) - bias
    }
    let days = signed(0..<4) * 30 + signed(4..<8)
    return days * 86_400_000_000 + signed(8..<16)
  }

  // Decimals as text: [-]digits[.digits], 'NaN', 'Infinity', '-Infinity'.

  private static func normalizedDecimal(_ text: String) -> String {
    var text = text
    if text.utf8.contains(UInt8(ascii: ".")) {
      while text.hasSuffix("0") { text.removeLast() }
      if text.hasSuffix(".") { text.removeLast() }
    }
    return text == "-0" ? "0" : text
  }

  private static func compareDecimal(_ left: String, _ right: String) -> Int {
    let left = Decimal(normalizedDecimal(left))
    let right = Decimal(normalizedDecimal(right))
    if left.kind != right.kind { return order(left.kind, right.kind) }
    guard left.kind == 0 else { return 0 }
    if left.isNegative != right.isNegative { return left.isNegative ? -1 : 1 }
    let magnitude = left.compareMagnitude(right)
    return left.isNegative ? -magnitude : magnitude
  }

  private struct Decimal {
    /// -1: -Infinity, 0: a number, 1: Infinity, 2: NaN.
    var kind: Int
    var isNegative: Bool
    var whole: Substring.UTF8View
    var fraction: Substring.UTF8View

    init(_ text: String) {
      kind = text == "NaN" ? 2 : text == "Infinity" ? 1 : text == "-Infinity" ? -1 : 0
      isNegative = text.hasPrefix("-")
      let digits = isNegative ? text.dropFirst() : text[...]
      let parts = digits.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
      whole = parts[0].drop { $0 == "0" }.utf8
      fraction = (parts.count > 1 ? parts[1] : "").utf8
    }

    func compareMagnitude(_ other: Decimal) -> Int {
      if whole.count != other.whole.count { return whole.count < other.whole.count ? -1 : 1 }
      let order = KeyOrder.compareBytes(whole, other.whole)
      return order != 0 ? order : KeyOrder.compareBytes(fraction, other.fraction)
    }
  }
}
