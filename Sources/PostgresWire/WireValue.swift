import SQLTypes

/// Values between their stored form and the forms that travel: the one place where this target meets types.
package enum WireValue {
  /// Appends a value's text form.
  package static func appendText(
    _ value: StoredValue, _ type: SQLType, _ context: ConversionContext, to bytes: inout [UInt8]
  ) throws(SQLError) {
    switch value {
    case .null: break
    case .integer(let integer): bytes.append(contentsOf: String(integer).utf8)
    case .real(let real): bytes.append(contentsOf: String(real).utf8)
    case .text(let text): bytes.append(contentsOf: text.utf8)
    case .blob(let blob): bytes.append(contentsOf: blob)
    }
  }

  /// Appends a value's binary form.
  package static func appendBinary(_ value: StoredValue, _ type: SQLType, to bytes: inout [UInt8]) throws(SQLError) {
    try appendText(value, type, .standard, to: &bytes)
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
      case .binary: try appendBinary(value, type, to: &bytes)
      }
    }
  }

  /// Reads a value that a client sent.
  package static func decode(
    _ bytes: ArraySlice<UInt8>, as type: SQLType, format: FormatCode, _ context: ConversionContext
  ) throws(SQLError) -> StoredValue {
    .text(try UTF8Text.decode(bytes))
  }
}
