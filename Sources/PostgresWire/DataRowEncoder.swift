import SQLTypes

/// Writes rows as DataRow messages, straight into the output.
package struct DataRowEncoder: Sendable {
  private let columns: [ResultColumn]
  private let formats: [FormatCode]
  private let context: ConversionContext

  /// An encoder for a result; `formats` as in Bind (none: text, one: for all).
  package init(columns: [ResultColumn], formats: [FormatCode], context: ConversionContext) {
    self.context = context
    self.columns = columns
    self.formats = columns.indices.map { formats.code(at: $0) }
  }

  /// One row.
  ///
  /// - Throws: where a value has no such form; the output then holds no part of the row.
  package func append(_ row: ArraySlice<StoredValue>, to output: inout MessageWriter) throws(SQLError) {
    let start = output.count
    do {
      let place = output.beginMessage(UInt8(ascii: "D"))
      output.append(Int16(truncatingIfNeeded: columns.count))
      var index = 0
      for value in row {
        try WireValue.appendField(value, columns[index].type, formats[index], context, to: &output)
        index += 1
      }
      output.endMessage(place)
    } catch {
      output.truncate(to: start)
      throw error
    }
  }
}
