import SQLTypes

/// Values between their stored form and the forms that travel: the one place where this target meets types.
///
/// `TypeInput`, `TypeOutput` and `BinaryFormat` say what the forms are; the commonest are written here without a
/// detour over a String or an array.
package enum WireValue {
  /// Appends a value's text form; NULL has none and appends nothing.
  package static func appendText(
    _ value: StoredValue, _ type: SQLType, _ context: ConversionContext, to bytes: inout [UInt8]
  ) throws(SQLError) {
    switch value {
    case .text(let text) where type.oid != SQLType.bpchar.oid: bytes.append(contentsOf: text.utf8)
    case .integer(let integer) where isInteger(type): appendDigits(integer, to: &bytes)
    default:
      guard let text = TypeOutput.text(value, as: type, context: context) else { return }
      bytes.append(contentsOf: text.utf8)
    }
  }

  /// Appends a value's binary form; NULL has none and appends nothing.
  ///
  /// - Throws: 42883 for a type without a binary form.
  package static func appendBinary(
    _ value: StoredValue, _ type: SQLType, _ context: ConversionContext, to bytes: inout [UInt8]
  ) throws(SQLError) {
    switch (value, type.oid) {
    case (.integer(let integer), SQLType.int4.oid):
      withUnsafeBytes(of: Int32(truncatingIfNeeded: integer).bigEndian) { bytes.append(contentsOf: $0) }
    case (.integer(let integer), SQLType.int8.oid):
      withUnsafeBytes(of: integer.bigEndian) { bytes.append(contentsOf: $0) }
    case (.text(let text), SQLType.text.oid), (.text(let text), SQLType.varchar.oid):
      bytes.append(contentsOf: text.utf8)
    default:
      guard let encoded = try BinaryFormat.encode(value, as: type, context: context) else { return }
      bytes.append(contentsOf: encoded)
    }
  }

  /// Appends a field of DataRow or of binary COPY: its length (-1 for NULL) and its form.
  package static func appendField(
    _ value: StoredValue, _ type: SQLType, _ format: FormatCode, _ context: ConversionContext,
    to output: inout MessageWriter
  ) throws(SQLError) {
    if value.isNull {
      output.append(Int32(-1))
      return
    }
    try output.appendCounted { (bytes: inout [UInt8]) throws(SQLError) in
      switch format {
      case .text: try appendText(value, type, context, to: &bytes)
      case .binary: try appendBinary(value, type, context, to: &bytes)
      }
    }
  }

  /// Reads a value that a client sent, brought to the type's modifier.
  ///
  /// - Throws: what the type says to a text (22P02 and its like) or to bytes (22P03); 22021 for text that is not UTF-8.
  package static func decode(
    _ bytes: ArraySlice<UInt8>, as type: SQLType, format: FormatCode, _ context: ConversionContext
  ) throws(SQLError) -> StoredValue {
    switch format {
    case .text: try TypeInput.parse(UTF8Text.decode(bytes), as: type, context: context)
    case .binary: try BinaryFormat.decode(Array(bytes), as: type, context: context)
    }
  }

  private static func isInteger(_ type: SQLType) -> Bool {
    type.oid == SQLType.int4.oid || type.oid == SQLType.int8.oid || type.oid == SQLType.int2.oid
      || type.oid == SQLType.oid.oid
  }

  /// Appends a number in decimal, its digits written in place from the last to the first.
  private static func appendDigits(_ number: Int64, to bytes: inout [UInt8]) {
    if number < 0 { bytes.append(UInt8(ascii: "-")) }
    var rest = number.magnitude
    let start = bytes.count
    repeat {
      bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
      rest /= 10
    } while rest > 0
    bytes[start...].reverse()
  }
}
