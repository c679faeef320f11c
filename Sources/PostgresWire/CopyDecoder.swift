import SQLTypes

/// Turns the data of COPY FROM into rows, as it comes (PostgreSQL 15 manual, COPY, File Formats).
package struct CopyDecoder: Sendable {
  private let options: CopyOptions
  private let columns: [CopyColumn]
  private let tableName: String
  private let context: ConversionContext
  private var lines: CopyLineReader
  private var splitter: CopyFieldSplitter
  private var binary: CopyBinaryReader
  private var isHeaderPending: Bool
  private var hasMetEndMarker = false

  /// A decoder at the start of the data.
  ///
  /// - Parameter tableName: for the context of errors.
  package init(options: CopyOptions, columns: [CopyColumn], tableName: String, context: ConversionContext) {
    self.context = context
    self.options = options
    self.columns = columns
    self.tableName = tableName
    lines = CopyLineReader(options)
    splitter = CopyFieldSplitter(options, columns: columns)
    binary = CopyBinaryReader(columns: columns, context: context)
    isHeaderPending = options.header != .none
  }

  /// Adds data, cut anywhere.
  package mutating func append(_ bytes: some Collection<UInt8>) {
    // What follows the end marker is the client's to send and ours to ignore.
    guard !hasMetEndMarker else { return }
    if options.format == .binary { binary.append(bytes) } else { lines.append(bytes) }
  }

  /// The data has ended; what `decode` still finds are the last rows.
  package mutating func finish() {
    if options.format == .binary { binary.finish() } else { lines.finish() }
  }

  /// Decodes what is there into `batch`, until it holds `maximumRows` or no whole row is left.
  ///
  /// - Returns: whether `batch` is full, so that there may be more.
  /// - Throws: 22P04, or what a column's type says to its value; `context` tells line and column.
  package mutating func decode(into batch: inout RowBatch, maximumRows: Int) throws(SQLError) -> Bool {
    while batch.rowCount < maximumRows {
      guard let row = try options.format == .binary ? nextBinaryRow() : nextTextRow() else { return false }
      batch.append(row)
    }
    return true
  }

  private mutating func nextBinaryRow() throws(SQLError) -> [StoredValue]? {
    do {
      return try binary.next()
    } catch {
      var error = error
      if let column = binary.failedColumn {
        error.context = "COPY \(tableName), line \(binary.rowNumber), column \(columns[column].name)"
      } else {
        error.context = "COPY \(tableName), line \(max(1, binary.rowNumber))"
      }
      throw error
    }
  }

  private mutating func nextTextRow() throws(SQLError) -> [StoredValue]? {
    while !hasMetEndMarker {
      let line: Range<Int>?
      do {
        line = try lines.next()
      } catch {
        var error = error
        error.context = "COPY \(tableName), line \(lines.lineNumber)"
        throw error
      }
      guard let line else { return nil }
      if lines.buffer[line].elementsEqual([UInt8(ascii: "\\"), UInt8(ascii: ".")]) {
        hasMetEndMarker = true
        return nil
      }
      if isHeaderPending {
        isHeaderPending = false
        if options.header == .match { try checkHeader(line) }
        continue
      }
      return try row(line)
    }
    return nil
  }

  private mutating func row(_ line: Range<Int>) throws(SQLError) -> [StoredValue] {
    try split(line)
    let fields = splitter.fields
    // An empty line of a table without columns is a row without fields.
    if columns.isEmpty, fields.count == 1, line.isEmpty { return [] }
    guard fields.count <= columns.count else {
      throw lineError("extra data after last expected column", line)
    }
    guard fields.count == columns.count else {
      throw lineError("missing data for column \"\(columns[fields.count].name)\"", line)
    }
    var row: [StoredValue] = []
    row.reserveCapacity(columns.count)
    for (column, field) in zip(columns, fields) {
      if field.isNull {
        row.append(.null)
        continue
      }
      do {
        row.append(try WireValue.decode(splitter.bytes[field.range], as: column.type, format: .text, context))
      } catch {
        var error = error
        let shown = Self.excerpt(splitter.bytes[field.range])
        error.context = "COPY \(tableName), line \(lines.lineNumber), column \(column.name): \"\(shown)\""
        throw error
      }
    }
    return row
  }

  private mutating func split(_ line: Range<Int>) throws(SQLError) {
    do {
      try splitter.split(lines.buffer[line])
    } catch {
      throw lineError(error.message, line)
    }
  }

  private mutating func checkHeader(_ line: Range<Int>) throws(SQLError) {
    try split(line)
    let fields = splitter.fields
    guard fields.count == columns.count else {
      throw lineError(
        "wrong number of fields in header line: field count is \(fields.count), expected \(columns.count)", line)
    }
    for (index, field) in fields.enumerated() {
      let expected = columns[index].name
      let name = String(decoding: splitter.bytes[field.range], as: UTF8.self)
      if field.isNull {
        throw lineError(
          "column name mismatch in header line field \(index + 1): got null value (\"\(name)\"), "
            + "expected \"\(expected)\"", line)
      }
      guard name == expected else {
        throw lineError(
          "column name mismatch in header line field \(index + 1): got \"\(name)\", expected \"\(expected)\"",
          line)
      }
    }
  }

  private func lineError(_ message: String, _ line: Range<Int>) -> SQLError {
    SQLError(
      .badCopyFileFormat, message,
      context: "COPY \(tableName), line \(lines.lineNumber): \"\(Self.excerpt(lines.buffer[line]))\"")
  }

  /// A value for a message, cut at 100 bytes as in PostgreSQL, at the boundary of a character.
  private static func excerpt(_ bytes: ArraySlice<UInt8>) -> String {
    guard bytes.count > 100 else { return String(decoding: bytes, as: UTF8.self) }
    var end = bytes.startIndex + 100
    while end > bytes.startIndex, bytes[end] & 0xc0 == 0x80 { end -= 1 }
    return String(decoding: bytes[..<end], as: UTF8.self) + "..."
  }
}
