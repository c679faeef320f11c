/// Values in the binary format of PostgreSQL's protocol: what the send and receive functions of its types do. Integers are
/// big-endian.
package enum BinaryFormat {
  /// The binary form of a stored value, nil for NULL.
  /// - Throws: 0A000 for a type that has none here.
  package static func encode(
    _ value: StoredValue, as type: SQLType, context: ConversionContext = .standard
  ) throws(SQLError) -> [UInt8]? {
    if value.isNull { return nil }
    switch type.oid {
    case SQLType.bool.oid: return [value.integerValue == 0 ? 0 : 1]
    case SQLType.int2.oid: return bigEndian(Int16(truncatingIfNeeded: value.integerValue ?? 0))
    case SQLType.int4.oid, SQLType.date.oid: return bigEndian(Int32(truncatingIfNeeded: value.integerValue ?? 0))
    case SQLType.oid.oid, SQLType.xid.oid, SQLType.cid.oid:
      return bigEndian(UInt32(truncatingIfNeeded: value.integerValue ?? 0))
    case SQLType.int8.oid, SQLType.time.oid, SQLType.timestamp.oid, SQLType.timestamptz.oid:
      return bigEndian(value.integerValue ?? 0)
    case SQLType.float4.oid: return bigEndian(Float(double(value)).bitPattern)
    case SQLType.float8.oid: return bigEndian(double(value).bitPattern)
    case SQLType.bytea.oid, SQLType.uuid.oid: return value.blobValue ?? []
    // One byte always: the empty value is a zero.
    case SQLType.char.oid: return [value.textValue?.utf8.first ?? 0]
    case SQLType.numeric.oid: return encode(try NumericValue(stored: value.textValue ?? ""))
    case SQLType.interval.oid:
      let interval = try IntervalValue(stored: value.blobValue ?? [])
      return bigEndian(interval.microseconds) + bigEndian(interval.days) + bigEndian(interval.months)
    case SQLType.jsonb.oid: return [1] + Array((value.textValue ?? "").utf8)
    case SQLType.int2vector.oid, SQLType.oidvector.oid:
      return try encodeArray(ArrayText.parseVector(value.textValue ?? ""), of: type, lowerBound: 0, context)
    default: break
    }
    if type.isRegistered { return bigEndian(UInt32(truncatingIfNeeded: value.integerValue ?? 0)) }
    if type.isArray { return try encodeArray(ArrayText.parse(value.textValue ?? ""), of: type, lowerBound: 1, context) }
    if type.category == .pseudo, type.oid != SQLType.void.oid, type.oid != SQLType.cstring.oid {
      throw SQLError(.undefinedFunction, "no binary output function available for type \(type.displayName)")
    }
    return Array((TypeOutput.text(value, as: type, context: context) ?? "").utf8)
  }

  /// A stored value from its binary form.
  /// - Throws: 22P03 for bytes of the wrong length or content, 22021 for text that is not UTF-8.
  package static func decode(
    _ bytes: [UInt8], as type: SQLType, context: ConversionContext = .standard
  ) throws(SQLError) -> StoredValue {
    switch type.oid {
    case SQLType.bool.oid: return .boolean(try fixed(bytes, 1)[0] != 0)
    case SQLType.int2.oid: return .integer(Int64(Int16(truncatingIfNeeded: integer(try fixed(bytes, 2)))))
    case SQLType.int4.oid: return .integer(Int64(Int32(truncatingIfNeeded: integer(try fixed(bytes, 4)))))
    case SQLType.oid.oid, SQLType.xid.oid, SQLType.cid.oid: return .integer(integer(try fixed(bytes, 4)))
    case SQLType.int8.oid: return .integer(integer(try fixed(bytes, 8)))
    case SQLType.date.oid:
      let days = Int64(Int32(truncatingIfNeeded: integer(try fixed(bytes, 4))))
      guard CivilCalendar.dateRange.contains(days) || CivilCalendar.isInfinite(date: days) else {
        throw SQLError(.datetimeFieldOverflow, "date out of range")
      }
      return .integer(days)
    case SQLType.time.oid:
      let value = integer(try fixed(bytes, 8))
      guard (0...CivilCalendar.microsecondsPerDay).contains(value) else {
        throw SQLError(.datetimeFieldOverflow, "time out of range")
      }
      return .integer(DateTimeInput.round(value, digits: type.fractionalSecondDigits))
    case SQLType.timestamp.oid, SQLType.timestamptz.oid:
      let value = integer(try fixed(bytes, 8))
      guard CivilCalendar.timestampRange.contains(value) || CivilCalendar.isInfinite(value) else {
        throw SQLError(.datetimeFieldOverflow, "timestamp out of range")
      }
      return .integer(DateTimeInput.round(value, digits: type.fractionalSecondDigits))
    case SQLType.float4.oid:
      return .float(Double(Float(bitPattern: UInt32(truncatingIfNeeded: integer(try fixed(bytes, 4))))))
    case SQLType.float8.oid: return .float(Double(bitPattern: UInt64(bitPattern: integer(try fixed(bytes, 8)))))
    case SQLType.bytea.oid: return .blob(bytes)
    case SQLType.uuid.oid: return .blob(try fixed(bytes, 16))
    case SQLType.numeric.oid: return .text(try decodeNumeric(bytes).fitted(to: type).text)
    case SQLType.interval.oid: return .blob(try decodeInterval(bytes).fitted(to: type).stored)
    case SQLType.jsonb.oid:
      guard bytes.first == 1 else {
        throw SQLError(.internalError, "unsupported jsonb version number \(bytes.first ?? 0)")
      }
      return .text(try JSONParser.parse(text(Array(bytes.dropFirst()))).text)
    default: break
    }
    if type.isRegistered { return .integer(integer(try fixed(bytes, 4))) }
    if let element = type.elementType { return .text(try decodeArray(bytes, element, context)) }
    return try TypeInput.parse(text(bytes), as: type, context: context)
  }

  // MARK: Numbers

  private static func bigEndian<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { Array($0) }
  }

  /// Bytes, big-endian; unsigned up to seven of them.
  private static func integer(_ bytes: [UInt8]) -> Int64 { bytes.reduce(0) { $0 << 8 | Int64($1) } }

  private static func double(_ value: StoredValue) -> Double {
    switch value {
    case .real(let real): return real
    case .integer(let integer): return Double(integer)
    default: return .nan
    }
  }

  private static func fixed(_ bytes: [UInt8], _ count: Int) throws(SQLError) -> [UInt8] {
    guard bytes.count == count else { throw invalid }
    return bytes
  }

  private static let invalid = SQLError(.invalidBinaryRepresentation, "incorrect binary data format")

  private static func text(_ bytes: [UInt8]) throws(SQLError) -> String {
    guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
      throw SQLError(.characterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\"")
    }
    return text
  }

  private static func decodeInterval(_ bytes: [UInt8]) throws(SQLError) -> IntervalValue {
    let bytes = try fixed(bytes, 16)
    return IntervalValue(
      months: Int32(truncatingIfNeeded: integer(Array(bytes[12..<16]))),
      days: Int32(truncatingIfNeeded: integer(Array(bytes[8..<12]))), microseconds: integer(Array(bytes[0..<8])))
  }

  /// Digits in base 10000: count, weight of the first, sign, scale, digits, 16 bits each.
  private static func encode(_ value: NumericValue) -> [UInt8] {
    switch value.kind {
    case .notANumber: return [0, 0, 0, 0, 0xc0, 0, 0, 0]
    case .positiveInfinity: return [0, 0, 0, 0, 0xd0, 0, 0, 0x20]
    case .negativeInfinity: return [0, 0, 0, 0, 0xf0, 0, 0, 0x20]
    case .finite: break
    }
    let padding = (4 - value.scale % 4) % 4
    let fractionGroups = (value.scale + padding) / 4
    var ascii = value.magnitude.scaledUp(by: padding).digits
    while ascii.count % 4 != 0 { ascii.insert(0x30, at: 0) }
    var groups = stride(from: 0, to: ascii.count, by: 4).map { start in
      ascii[start..<start + 4].reduce(UInt16(0)) { $0 * 10 + UInt16($1 - 0x30) }
    }
    var weight = groups.count - fractionGroups - 1
    while groups.first == 0 {
      groups.removeFirst()
      weight -= 1
    }
    while groups.last == 0 { groups.removeLast() }
    if groups.isEmpty { weight = 0 }
    var bytes = bigEndian(UInt16(groups.count)) + bigEndian(Int16(weight))
    bytes += bigEndian(UInt16(value.isNegative ? 0x4000 : 0)) + bigEndian(UInt16(value.scale))
    for group in groups { bytes += bigEndian(group) }
    return bytes
  }

  private static func decodeNumeric(_ bytes: [UInt8]) throws(SQLError) -> NumericValue {
    guard bytes.count >= 8 else { throw invalid }
    let words = stride(from: 0, to: bytes.count - 1, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
    let count = Int(words[0])
    guard words.count == count + 4, bytes.count % 2 == 0 else { throw invalid }
    let weight = Int(Int16(bitPattern: words[1]))
    let scale = Int(words[3])
    switch words[2] {
    case 0xc000: return .notANumber
    case 0xd000: return .infinity
    case 0xf000: return .negativeInfinity
    case 0, 0x4000: break
    default: throw SQLError(.invalidBinaryRepresentation, "invalid sign in external \"numeric\" value")
    }
    guard scale <= NumericValue.maximumScale else {
      throw SQLError(.invalidBinaryRepresentation, "invalid scale in external \"numeric\" value")
    }
    var digits: [UInt8] = []
    for word in words[4...] {
      guard word < 10000 else {
        throw SQLError(.invalidBinaryRepresentation, "invalid digit in external \"numeric\" value")
      }
      for divisor in [1000, 100, 10, 1] as [UInt16] { digits.append(0x30 + UInt8(word / divisor % 10)) }
    }
    // The value is the digits times 10000^(weight - count + 1).
    let magnitude = DecimalMagnitude(digits: digits)
    let exponent = 4 * (weight - count + 1)
    let exact =
      exponent >= 0
      ? NumericValue(isNegative: words[2] == 0x4000, magnitude: magnitude.scaledUp(by: exponent), scale: 0)
      : NumericValue(isNegative: words[2] == 0x4000, magnitude: magnitude, scale: -exponent)
    return try exact.truncated(toScale: scale).checked()
  }

  // MARK: Arrays

  /// Dimensions, a flag for NULLs, the element's oid; per dimension its length and lower bound; the elements, each
  /// with its length.
  private static func encodeArray(
    _ elements: ArrayText.Elements, of type: SQLType, lowerBound: Int32, _ context: ConversionContext
  ) throws(SQLError) -> [UInt8] {
    let element = type.elementType ?? .text
    let hasNull: Int32 = elements.texts.contains { $0 == nil } ? 1 : 0
    var bytes = bigEndian(Int32(elements.dimensions.count)) + bigEndian(hasNull) + bigEndian(element.oid)
    for dimension in elements.dimensions { bytes += bigEndian(Int32(dimension)) + bigEndian(lowerBound) }
    for text in elements.texts {
      guard let text else {
        bytes += bigEndian(Int32(-1))
        continue
      }
      let value = try TypeInput.parse(text, as: element, context: context)
      let encoded = try encode(value, as: element, context: context) ?? []
      bytes += bigEndian(Int32(encoded.count)) + encoded
    }
    return bytes
  }

  private static func decodeArray(
    _ bytes: [UInt8], _ element: SQLType, _ context: ConversionContext
  ) throws(SQLError) -> String {
    var offset = 0
    func word() throws(SQLError) -> Int {
      guard bytes.count - offset >= 4 else { throw invalid }
      offset += 4
      return Int(Int32(truncatingIfNeeded: integer(Array(bytes[offset - 4..<offset]))))
    }
    let dimensionCount = try word()
    _ = try word()
    _ = try word()
    guard (0...6).contains(dimensionCount) else { throw invalid }
    var dimensions: [Int] = []
    var count = dimensionCount == 0 ? 0 : 1
    for _ in 0..<dimensionCount {
      let length = try word()
      _ = try word()
      guard length >= 0 else { throw invalid }
      let (product, overflow) = count.multipliedReportingOverflow(by: length)
      // Each element takes at least its length word.
      guard !overflow, product <= bytes.count / 4 else { throw invalid }
      count = product
      dimensions.append(length)
    }
    var texts: [String?] = []
    for _ in 0..<count {
      let length = try word()
      if length == -1 {
        texts.append(nil)
        continue
      }
      guard length >= 0, bytes.count - offset >= length else { throw invalid }
      let value = try decode(Array(bytes[offset..<offset + length]), as: element, context: context)
      texts.append(TypeOutput.text(value, as: element, context: context))
      offset += length
    }
    guard offset == bytes.count else { throw invalid }
    return ArrayText.text(ArrayText.Elements(dimensions: texts.isEmpty ? [] : dimensions, texts: texts))
  }
}
