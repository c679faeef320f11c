import SQLTypes

/// Writes rows as CopyData messages, one per row (drivers read them row by row).
package struct CopyEncoder: Sendable {
  private let options: CopyOptions
  private let columns: [ResultColumn]
  private let isForced: [Bool]
  private let context: ConversionContext
  /// Binary's header goes out with what comes first, as from PostgreSQL: drivers look for it there.
  private var isHeaderPending = false

  /// An encoder for a result.
  package init(options: CopyOptions, columns: [ResultColumn], context: ConversionContext) {
    self.context = context
    self.options = options
    self.columns = columns
    isForced = columns.map { options.forceQuote.contains($0.name) }
  }

  /// What comes before the rows: the line of names, binary's header.
  package mutating func appendStart(to output: inout MessageWriter) {
    switch options.format {
    case .binary:
      isHeaderPending = true
    case .text, .csv:
      guard options.header != .none else { return }
      appendMessage(&output) {
        for (index, column) in columns.enumerated() {
          if index > 0 { $0.append(options.delimiter) }
          let place = $0.count
          $0.append(column.name.utf8)
          escapeTail(of: &$0, from: place, isForced: false)
        }
        $0.append(UInt8(ascii: "\n"))
      }
    }
  }

  private mutating func appendPendingHeader(to output: inout MessageWriter) {
    guard isHeaderPending else { return }
    isHeaderPending = false
    output.append(CopyBinaryReader.signature)
    output.append(Int32(0))
    output.append(Int32(0))
  }

  /// One row.
  package mutating func append(
    _ row: ArraySlice<StoredValue>, to output: inout MessageWriter
  ) throws(SQLError) {
    let place = output.beginMessage(UInt8(ascii: "d"))
    if options.format == .binary {
      appendPendingHeader(to: &output)
      try appendBinary(row, &output)
    } else {
      try appendText(row, &output)
    }
    output.endMessage(place)
  }

  /// What comes after the rows: binary's trailer.
  package mutating func appendEnd(to output: inout MessageWriter) {
    guard options.format == .binary else { return }
    let place = output.beginMessage(UInt8(ascii: "d"))
    appendPendingHeader(to: &output)
    output.append(Int16(-1))
    output.endMessage(place)
  }

  private func appendMessage(_ output: inout MessageWriter, _ body: (inout MessageWriter) -> Void) {
    let place = output.beginMessage(UInt8(ascii: "d"))
    body(&output)
    output.endMessage(place)
  }

  private func appendBinary(
    _ row: ArraySlice<StoredValue>, _ output: inout MessageWriter
  ) throws(SQLError) {
    output.append(Int16(truncatingIfNeeded: columns.count))
    for (column, value) in zip(columns, row) {
      try WireValue.appendField(value, column.type, .binary, context, to: &output)
    }
  }

  private func appendText(
    _ row: ArraySlice<StoredValue>, _ output: inout MessageWriter
  ) throws(SQLError) {
    for (index, value) in row.enumerated() {
      if index > 0 { output.append(options.delimiter) }
      if value.isNull {
        output.append(options.null)
        continue
      }
      let place = output.count
      try output.appendInline { (bytes: inout [UInt8]) throws(SQLError) in
        try WireValue.appendText(value, columns[index].type, context, to: &bytes)
      }
      escapeTail(of: &output, from: place, isForced: isForced[index])
    }
    output.append(UInt8(ascii: "\n"))
  }

  /// Escapes the value that was just written, where it needs it: most do not.
  private func escapeTail(of output: inout MessageWriter, from place: Int, isForced: Bool) {
    let value = output.bytes[place...]
    if options.format == .csv {
      let isEndMarker = columns.count == 1 && value.elementsEqual([UInt8(ascii: "\\"), UInt8(ascii: ".")])
      let needsQuotes =
        isForced || isEndMarker || value.elementsEqual(options.null) || value.contains(where: isSpecialInCSV)
      guard needsQuotes else { return }
      let copy = Array(value)
      output.truncate(to: place)
      output.append(options.quote)
      for byte in copy {
        if byte == options.quote || byte == options.escape { output.append(options.escape) }
        output.append(byte)
      }
      output.append(options.quote)
    } else {
      guard value.contains(where: isSpecialInText) else { return }
      let copy = Array(value)
      output.truncate(to: place)
      for byte in copy { appendEscaped(byte, to: &output) }
    }
  }

  private func isSpecialInCSV(_ byte: UInt8) -> Bool {
    byte == options.delimiter || byte == options.quote || byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r")
  }

  private func isSpecialInText(_ byte: UInt8) -> Bool {
    byte == options.delimiter || byte == UInt8(ascii: "\\") || (8...13).contains(byte)
  }

  private func appendEscaped(_ byte: UInt8, to output: inout MessageWriter) {
    let letter: Unicode.Scalar
    switch byte {
    case 8: letter = "b"
    case 9: letter = "t"
    case 10: letter = "n"
    case 11: letter = "v"
    case 12: letter = "f"
    case 13: letter = "r"
    case UInt8(ascii: "\\"), options.delimiter:
      output.append(UInt8(ascii: "\\"))
      output.append(byte)
      return
    default:
      output.append(byte)
      return
    }
    output.append(UInt8(ascii: "\\"))
    output.append(UInt8(ascii: letter))
  }
}
