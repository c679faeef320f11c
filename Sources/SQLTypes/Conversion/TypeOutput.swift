/// Values in their text form: what the output functions of PostgreSQL's types do.
package enum TypeOutput {
  /// The text of a stored value, nil for NULL. A value of a storage class that the type does not use prints as it is.
  package static func text(
    _ value: StoredValue, as type: SQLType, context: ConversionContext = .standard
  ) -> String? {
    switch value {
    case .null: return nil
    case .text(let text): return type.oid == SQLType.bpchar.oid ? CharacterLength.padded(text, to: type) : text
    case .integer(let integer): return self.text(integer, type, context)
    case .real(let real):
      return type.oid == SQLType.float4.oid ? FloatText.text(Float(real)) : FloatText.text(real)
    case .blob(let bytes):
      if type.oid == SQLType.uuid.oid { return ByteaText.uuid(bytes) }
      if type.oid == SQLType.interval.oid, let interval = try? IntervalValue(stored: bytes) { return interval.text }
      return ByteaText.text(bytes)
    }
  }

  private static func text(_ integer: Int64, _ type: SQLType, _ context: ConversionContext) -> String {
    switch type.oid {
    case SQLType.int4.oid, SQLType.int8.oid, SQLType.int2.oid, SQLType.oid.oid: return String(integer)
    case SQLType.bool.oid: return integer != 0 ? "t" : "f"
    case SQLType.date.oid: return DateTimeText.date(integer)
    case SQLType.time.oid: return DateTimeText.time(integer)
    case SQLType.timestamp.oid: return DateTimeText.timestamp(integer)
    case SQLType.timestamptz.oid: return DateTimeText.timestamptz(integer, in: context.timeZone)
    case SQLType.float8.oid: return FloatText.text(Double(integer))
    case SQLType.float4.oid: return FloatText.text(Float(integer))
    default:
      guard type.isRegistered else { return String(integer) }
      if integer == 0 { return "-" }
      return context.nameObject(type, UInt32(truncatingIfNeeded: integer)) ?? String(integer)
    }
  }

  /// The text that a cast to text gives: as the output function's, but a boolean is spelled out and `char(n)` is not
  /// padded.
  package static func castText(
    _ value: StoredValue, as type: SQLType, context: ConversionContext = .standard
  ) -> String? {
    if type.oid == SQLType.bool.oid, case .integer(let integer) = value { return integer != 0 ? "true" : "false" }
    if type.oid == SQLType.bpchar.oid, case .text(let text) = value { return text }
    return text(value, as: type, context: context)
  }
}
