/// Values from their text form: what the input functions of PostgreSQL's types do.
package enum TypeInput {
  /// The stored value of a text, brought to the type's modifier as an assignment brings it.
  /// - Throws: 22P02 and its like, worded as PostgreSQL does; 0A000 for a type that has no values.
  package static func parse(
    _ text: String, as type: SQLType, context: ConversionContext = .standard
  ) throws(SQLError) -> StoredValue {
    switch type.oid {
    case SQLType.text.oid, SQLType.unknown.oid, SQLType.cstring.oid, SQLType.pgNodeTree.oid: return .text(text)
    case SQLType.int4.oid: return .integer(try integer(text, .int4))
    case SQLType.int8.oid: return .integer(try integer(text, .int8))
    case SQLType.int2.oid: return .integer(try integer(text, .int2))
    case SQLType.bool.oid: return .boolean(try boolean(text))
    case SQLType.numeric.oid: return .text(try NumericValue(parsing: text).fitted(to: type).text)
    case SQLType.float8.oid: return .float(try FloatText.parseDouble(text))
    case SQLType.float4.oid: return .float(try FloatText.parseFloat(text))
    case SQLType.varchar.oid, SQLType.bpchar.oid:
      return .text(try CharacterLength.fit(text, to: type, isExplicit: false))
    case SQLType.name.oid: return .text(CharacterLength.name(text))
    case SQLType.char.oid: return .text(String(text.prefix(1)))
    case SQLType.bytea.oid: return .blob(try ByteaText.parse(text))
    case SQLType.uuid.oid: return .blob(try ByteaText.parseUUID(text))
    case SQLType.json.oid:
      _ = try JSONParser.parseKeepingOrder(text)
      return .text(text)
    case SQLType.jsonb.oid: return .text(try JSONParser.parse(text).text)
    case SQLType.date.oid: return .integer(try DateTimeInput.date(text, context: context))
    case SQLType.time.oid:
      return .integer(try DateTimeInput.time(text, digits: type.fractionalSecondDigits, context: context))
    case SQLType.timestamp.oid:
      return .integer(try DateTimeInput.timestamp(text, digits: type.fractionalSecondDigits, context: context))
    case SQLType.timestamptz.oid:
      return .integer(try DateTimeInput.timestamptz(text, digits: type.fractionalSecondDigits, context: context))
    case SQLType.interval.oid: return .blob(try IntervalInput.parse(text, type: type).stored)
    case SQLType.oid.oid: return .integer(try objectIdentifier(text, "oid"))
    case SQLType.xid.oid: return .integer(try objectIdentifier(text, "xid"))
    case SQLType.cid.oid: return .integer(try objectIdentifier(text, "cid"))
    case SQLType.int2vector.oid, SQLType.oidvector.oid: return .text(text)
    default: return try other(text, type, context)
    }
  }

  private static func other(
    _ text: String, _ type: SQLType, _ context: ConversionContext
  ) throws(SQLError) -> StoredValue {
    if type.isRegistered { return .integer(try registered(text, type, context)) }
    if let element = type.elementType {
      let elements = try ArrayText.parse(text)
      var texts: [String?] = []
      texts.reserveCapacity(elements.texts.count)
      for text in elements.texts {
        guard let text else {
          texts.append(nil)
          continue
        }
        texts.append(TypeOutput.text(try parse(text, as: element, context: context), as: element, context: context))
      }
      return .text(ArrayText.text(ArrayText.Elements(dimensions: elements.dimensions, texts: texts)))
    }
    if type.category == .pseudo {
      throw SQLError(.featureNotSupported, "cannot accept a value of type \(type.displayName)")
    }
    if type.entry == nil { throw SQLError(.featureNotSupported, "type with OID \(type.oid) is not supported") }
    return .text(text)
  }

  /// An integer of a type.
  static func integer(_ text: String, _ width: IntegerWidth) throws(SQLError) -> Int64 {
    var scanner = ByteScanner(text)
    scanner.skipWhitespace()
    let negative = scanner.peek == 0x2d
    if negative || scanner.peek == 0x2b { scanner.advance() }
    var value: Int64 = 0
    var overflow = false
    var count = 0
    while let byte = scanner.peek, isDigit(byte) {
      let (product, first) = value.multipliedReportingOverflow(by: 10)
      let (next, second) = product.subtractingReportingOverflow(Int64(byte - 0x30))
      overflow = overflow || first || second
      value = next
      count += 1
      scanner.advance()
    }
    scanner.skipWhitespace()
    guard count > 0, scanner.isAtEnd else {
      throw SQLError(.invalidTextRepresentation, "invalid input syntax for type \(width.name): \"\(text)\"")
    }
    if !negative {
      let (positive, third) = Int64(0).subtractingReportingOverflow(value)
      overflow = overflow || third
      value = positive
    }
    guard !overflow, width.range.contains(value) else {
      throw SQLError(.numericValueOutOfRange, "value \"\(text)\" is out of range for type \(width.name)")
    }
    return value
  }

  /// A boolean: any prefix of true, false, yes, no, or on, off, 1, 0.
  static func boolean(_ text: String) throws(SQLError) -> Bool {
    let word = lowercaseASCII(trimSpaces(text))
    switch word {
    case "on", "1": return true
    case "off", "of", "0": return false
    case "": break
    default:
      if "true".hasPrefix(word) || "yes".hasPrefix(word) { return true }
      if "false".hasPrefix(word) || "no".hasPrefix(word) { return false }
    }
    throw SQLError(.invalidTextRepresentation, "invalid input syntax for type boolean: \"\(text)\"")
  }

  private static func objectIdentifier(_ text: String, _ type: String) throws(SQLError) -> Int64 {
    guard let value = Int64(trimSpaces(text)) else {
      throw SQLError(.invalidTextRepresentation, "invalid input syntax for type \(type): \"\(text)\"")
    }
    guard value >= Int64(Int32.min), value <= Int64(UInt32.max) else {
      throw SQLError(.numericValueOutOfRange, "value \"\(text)\" is out of range for type \(type)")
    }
    return Int64(UInt32(truncatingIfNeeded: value))
  }

  private static func registered(
    _ text: String, _ type: SQLType, _ context: ConversionContext
  ) throws(SQLError) -> Int64 {
    if text == "-" { return 0 }
    if let number = UInt32(text) { return Int64(number) }
    return Int64(try context.findObject(type, text))
  }
}

/// Lengths of `varchar(n)`, `char(n)` and `name`.
package enum CharacterLength {
  /// The text brought to a type's length. A stored `char(n)` has no trailing blanks.
  /// - Throws: 22001 where more than blanks would be lost, unless the cast is explicit.
  package static func fit(_ text: String, to type: SQLType, isExplicit: Bool) throws(SQLError) -> String {
    let blankPadded = type.oid == SQLType.bpchar.oid
    let body = blankPadded ? trimmingTrailingBlanks(text) : text
    guard let limit = type.characterLength, body.utf8.count > limit else { return body }
    let scalars = body.unicodeScalars
    guard let end = scalars.index(scalars.startIndex, offsetBy: limit, limitedBy: scalars.endIndex),
      end < scalars.endIndex
    else { return body }
    if !isExplicit, scalars[end...].contains(where: { $0 != " " }) {
      throw SQLError(.stringDataRightTruncation, "value too long for type \(type.displayName)")
    }
    let kept = String(scalars[..<end])
    return blankPadded ? trimmingTrailingBlanks(kept) : kept
  }

  /// A `char(n)` with its trailing blanks, as clients see it.
  package static func padded(_ text: String, to type: SQLType) -> String {
    guard type.oid == SQLType.bpchar.oid, let length = type.characterLength else { return text }
    let missing = length - text.unicodeScalars.count
    return missing > 0 ? text + String(repeating: " ", count: missing) : text
  }

  /// The text without blanks at its end.
  package static func trimmingTrailingBlanks(_ text: String) -> String {
    guard text.utf8.last == 0x20 else { return text }
    var bytes = text.utf8[...]
    while bytes.last == 0x20 { bytes = bytes.dropLast() }
    return String(Substring(bytes))
  }

  /// The first 63 bytes, whole characters.
  package static func name(_ text: String) -> String {
    guard text.utf8.count > 63 else { return text }
    var result = ""
    var count = 0
    for scalar in text.unicodeScalars {
      count += String(scalar).utf8.count
      if count > 63 { break }
      result.unicodeScalars.append(scalar)
    }
    return result
  }
}
