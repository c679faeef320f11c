import SQLTypes

/// The order of partition bounds' values: that of PostgreSQL's default btree operator class, with collation C.
enum BoundOrder {
  /// Negative, zero or positive. Nulls are equal to each other and above all else.
  static func compare(_ left: StoredValue, _ right: StoredValue, _ type: SQLType) -> Int {
    switch (left, right) {
    case (.null, .null): return 0
    case (.null, _): return 1
    case (_, .null): return -1
    case (.text(let left), .text(let right)):
      return type.oid == SQLType.numeric.oid
        ? compareNumbers(left, right) : compareBytes(Array(left.utf8), Array(right.utf8))
    case (.blob(let left), .blob(let right)):
      guard type.oid == SQLType.interval.oid else { return compareBytes(left, right) }
      return order(intervalMicroseconds(left), intervalMicroseconds(right))
    case (.integer(let left), .integer(let right)): return order(left, right)
    default:
      // float4 and float8: reals, and NaN as text above them.
      guard let left = real(left), let right = real(right) else { return order(rank(left), rank(right)) }
      return order(left, right)
    }
  }

  /// For a message, as PostgreSQL deparses bounds: numbers bare, the rest quoted.
  static func text(_ value: StoredValue, _ type: SQLType) -> String {
    switch value {
    case .null: "NULL"
    case .integer(let integer):
      type.oid == SQLType.bool.oid ? (integer == 0 ? "false" : "true") : integerText(integer, type)
    case .real(let real): "'\(real)'"
    case .text(let text): quotedLiteral(text)
    case .blob(let bytes): "'\(ByteaText.text(bytes))'"
    }
  }

  private static func integerText(_ integer: Int64, _ type: SQLType) -> String {
    switch type.oid {
    case SQLType.int2.oid, SQLType.int4.oid, SQLType.int8.oid, SQLType.oid.oid: String(integer)
    case SQLType.date.oid: quotedLiteral(dateText(integer))
    default: "'\(integer)'"
    }
  }

  /// A day since 2000-01-01 in the proleptic Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms").
  private static func dateText(_ days: Int64) -> String {
    if days >= Int64(Int32.max) { return "infinity" }
    if days <= Int64(Int32.min) { return "-infinity" }
    let shifted = days + 730_425
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthIndex = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * monthIndex + 2) / 5 + 1
    let month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    func padded(_ value: Int64, _ width: Int) -> String {
      let text = String(value)
      return String(repeating: "0", count: max(0, width - text.count)) + text
    }
    return year > 0
      ? "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
      : "\(padded(1 - year, 4))-\(padded(month, 2))-\(padded(day, 2)) BC"
  }

  private static func order<Value: Comparable>(_ left: Value, _ right: Value) -> Int {
    left < right ? -1 : left > right ? 1 : 0
  }

  private static func rank(_ value: StoredValue) -> Int {
    switch value {
    case .integer, .real: 0
    case .text: 1
    case .blob: 2
    case .null: 3
    }
  }

  private static func real(_ value: StoredValue) -> Double? {
    switch value {
    case .integer(let integer): Double(integer)
    case .real(let real): real
    default: nil
    }
  }

  private static func compareBytes(_ left: some Sequence<UInt8>, _ right: some Sequence<UInt8>) -> Int {
    if left.lexicographicallyPrecedes(right) { return -1 }
    return right.lexicographicallyPrecedes(left) ? 1 : 0
  }

  /// A stored interval (months, days, microseconds; big-endian, sign flipped), a month being 30 days as in PostgreSQL.
  private static func intervalMicroseconds(_ bytes: [UInt8]) -> Int128 {
    guard bytes.count == 16 else { return 0 }
    func field(_ range: Range<Int>) -> Int128 {
      var value: Int128 = 0
      for byte in bytes[range] { value = value << 8 | Int128(byte) }
      return value - (Int128(1) << (range.count * 8 - 1))
    }
    return (field(0..<4) * 30 + field(4..<8)) * 86_400_000_000 + field(8..<16)
  }

  // numeric as text: [-]digits[.digits], NaN above Infinity above all numbers.

  private static func compareNumbers(_ left: String, _ right: String) -> Int {
    let (left, right) = (Number(left), Number(right))
    if left.rank != right.rank { return order(left.rank, right.rank) }
    let magnitude = order(left.whole.count, right.whole.count)
    let digits =
      magnitude != 0
      ? magnitude
      : compareBytes(left.whole, right.whole) != 0
        ? compareBytes(left.whole, right.whole) : compareBytes(left.fraction, right.fraction)
    return left.rank < 0 ? -digits : digits
  }

  private struct Number {
    /// -2 -Infinity, -1 negative, 0 zero, 1 positive, 2 Infinity, 3 NaN.
    var rank: Int
    /// Digits without leading zeros.
    var whole: [UInt8]
    /// Digits without trailing zeros.
    var fraction: [UInt8]

    init(_ text: String) {
      whole = []
      fraction = []
      switch text {
      case "NaN": rank = 3
      case "Infinity": rank = 2
      case "-Infinity": rank = -2
      default:
        var digits = Array(text.utf8)
        let isNegative = digits.first == UInt8(ascii: "-")
        if isNegative { digits.removeFirst() }
        let parts = digits.split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
        whole = Array(parts[0].drop { $0 == UInt8(ascii: "0") })
        fraction = parts.count > 1 ? Array(parts[1]) : []
        while fraction.last == UInt8(ascii: "0") { fraction.removeLast() }
        rank = whole.isEmpty && fraction.isEmpty ? 0 : isNegative ? -1 : 1
      }
    }
  }
}
