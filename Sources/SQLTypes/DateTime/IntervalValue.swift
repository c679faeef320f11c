/// PostgreSQL's `interval`: months, days and microseconds, which do not convert into each other by themselves.
package struct IntervalValue: Sendable, Hashable {
  /// Whole months.
  package var months: Int32
  /// Whole days.
  package var days: Int32
  /// The rest, in microseconds.
  package var microseconds: Int64

  /// Memberwise.
  package init(months: Int32 = 0, days: Int32 = 0, microseconds: Int64 = 0) {
    self.months = months
    self.days = days
    self.microseconds = microseconds
  }

  static let outOfRange = SQLError(.datetimeFieldOverflow, "interval out of range")

  /// From its 16 stored bytes: months, days, microseconds, big-endian with the sign bit flipped.
  /// - Throws: XX001 for anything else.
  package init(stored bytes: [UInt8]) throws(SQLError) {
    guard bytes.count == 16 else { throw SQLError(.dataCorrupted, "invalid stored interval value") }
    let values = bytes.withUnsafeBytes { buffer in
      (
        UInt32(bigEndian: buffer.loadUnaligned(fromByteOffset: 0, as: UInt32.self)),
        UInt32(bigEndian: buffer.loadUnaligned(fromByteOffset: 4, as: UInt32.self)),
        UInt64(bigEndian: buffer.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
      )
    }
    months = Int32(bitPattern: values.0 ^ 1 << 31)
    days = Int32(bitPattern: values.1 ^ 1 << 31)
    microseconds = Int64(bitPattern: values.2 ^ 1 << 63)
  }

  /// The 16 stored bytes.
  package var stored: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(16)
    withUnsafeBytes(of: (UInt32(bitPattern: months) ^ 1 << 31).bigEndian) { bytes.append(contentsOf: $0) }
    withUnsafeBytes(of: (UInt32(bitPattern: days) ^ 1 << 31).bigEndian) { bytes.append(contentsOf: $0) }
    withUnsafeBytes(of: (UInt64(bitPattern: microseconds) ^ 1 << 63).bigEndian) { bytes.append(contentsOf: $0) }
    return bytes
  }

  /// The length by which intervals compare: months count 30 days, days 24 hours.
  package var comparisonMicroseconds: Int128 {
    (Int128(months) * 30 + Int128(days)) * Int128(CivilCalendar.microsecondsPerDay) + Int128(microseconds)
  }

  /// 16 bytes that order and equal as intervals do.
  package var comparisonKey: [UInt8] {
    let flipped = UInt128(bitPattern: comparisonMicroseconds) ^ (1 << 127)
    return withUnsafeBytes(of: flipped.bigEndian) { Array($0) }
  }

  /// -1, 0, 1.
  package func compare(_ other: IntervalValue) -> Int {
    let (left, right) = (comparisonMicroseconds, other.comparisonMicroseconds)
    return left < right ? -1 : left > right ? 1 : 0
  }

  /// The value as PostgreSQL prints it with `IntervalStyle` postgres: `1 year 2 mons 3 days 04:05:06.789`.
  package var text: String {
    var bytes: [UInt8] = []
    var isBefore = false
    func part(_ value: Int32, _ unit: String) {
      guard value != 0 else { return }
      if !bytes.isEmpty { bytes.append(0x20) }
      if isBefore && value > 0 { bytes.append(0x2b) }
      bytes.append(contentsOf: "\(value) \(unit)\(value == 1 ? "" : "s")".utf8)
      isBefore = value < 0
    }
    part(months / 12, "year")
    part(months % 12, "mon")
    part(days, "day")
    if bytes.isEmpty || microseconds != 0 {
      if !bytes.isEmpty { bytes.append(0x20) }
      if microseconds < 0 {
        bytes.append(0x2d)
      } else if isBefore {
        bytes.append(0x2b)
      }
      let magnitude = microseconds.magnitude
      DateTimeText.appendPadded(Int(magnitude / 3_600_000_000), 2, to: &bytes)
      bytes.append(0x3a)
      DateTimeText.appendPadded(Int(magnitude / 60_000_000 % 60), 2, to: &bytes)
      bytes.append(0x3a)
      DateTimeText.appendPadded(Int(magnitude / 1_000_000 % 60), 2, to: &bytes)
      DateTimeText.appendFraction(Int(magnitude % 1_000_000), to: &bytes)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Brought to an interval type's fields and digits after the second.
  package func fitted(to type: SQLType) -> IntervalValue {
    guard type.modifier >= 0 else { return self }
    var value = self
    let fields = IntervalFields(modifier: type.modifier)
    let has: (Int32) -> Bool = { fields.mask & IntervalFields.bit($0) != 0 }
    if fields != .full {
      if has(12) {
      } else if has(11) {
        value.microseconds = microseconds / 60_000_000 * 60_000_000
      } else if has(10) {
        value.microseconds = microseconds / 3_600_000_000 * 3_600_000_000
      } else {
        value.microseconds = 0
        if !has(3) {
          value.days = 0
          if !has(1) { value.months = months / 12 * 12 }
        }
      }
    }
    if let digits = type.fractionalSecondDigits {
      value.microseconds = DateTimeInput.round(value.microseconds, digits: digits)
    }
    return value
  }
}
