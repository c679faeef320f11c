import SQLTypes
import Testing

@testable import PostgresWire

private let columns = [CopyColumn(name: "a", type: .text), CopyColumn(name: "b", type: .text)]

private func option(_ name: String, _ value: String) -> CopyOptions.Option {
  CopyOptions.Option(name: name, argument: .text(value))
}

/// Decodes all of a text, cut into pieces of a size.
private func decode(
  _ data: String, _ options: [CopyOptions.Option] = [], columns: [CopyColumn] = columns, pieceBytes: Int = 1 << 20
) throws(SQLError) -> [[StoredValue]] {
  var decoder = CopyDecoder(
    options: try CopyOptions(options, isFrom: true), columns: columns, tableName: "t", context: .standard)
  var batch = RowBatch(columnCount: columns.count)
  let bytes = Array(data.utf8)
  for start in stride(from: 0, to: bytes.count, by: pieceBytes) {
    decoder.append(bytes[start..<min(start + pieceBytes, bytes.count)])
    _ = try decoder.decode(into: &batch, maximumRows: 1000)
  }
  decoder.finish()
  _ = try decoder.decode(into: &batch, maximumRows: 1000)
  return (0..<batch.rowCount).map { Array(batch[$0]) }
}

@Suite("COPY data from a client")
struct CopyDecoderTests {
  @Test("Text with escapes, NULL and an end marker, cut anywhere", arguments: [1, 2, 3, 7, 1000])
  func decodesText(_ pieceBytes: Int) throws {
    let data = "1\tone\n2\t\\N\n\\N\t\n3\ttab\\tline\\nback\\\\oct\\101hex\\x42\\q\n\\.\nignored\n"
    #expect(
      try decode(data, pieceBytes: pieceBytes) == [
        [.text("1"), .text("one")], [.text("2"), .null], [.null, .text("")],
        [.text("3"), .text("tab\tline\nback\\octAhexBq")],
      ])
  }

  @Test("A backslash before a line end makes it data")
  func decodesEscapedNewline() throws {
    #expect(try decode("a\\\nb\tc\n") == [[.text("a\nb"), .text("c")]])
  }

  @Test("Lines may end with both characters, and the last may lack its end", arguments: [1, 1000])
  func decodesLineEnds(_ pieceBytes: Int) throws {
    #expect(
      try decode("1\ta\r\n2\tb\r\n3\tc", pieceBytes: pieceBytes) == [
        [.text("1"), .text("a")], [.text("2"), .text("b")], [.text("3"), .text("c")],
      ])
  }

  @Test("A line end of another kind than the first is refused")
  func refusesMixedLineEnds() {
    #expect(
      throws: SQLError(
        .badCopyFileFormat, "literal carriage return found in data",
        hint: "Use \"\\r\" to represent carriage return.", context: "COPY t, line 2")
    ) { try decode("1\ta\n2\tb\r\n") }
  }

  @Test("Too few and too many columns are told with the line")
  func refusesWrongCount() {
    #expect(
      throws: SQLError(
        .badCopyFileFormat, "missing data for column \"b\"", context: "COPY t, line 2: \"2\"")
    ) { try decode("1\ta\n2\n") }
    #expect(
      throws: SQLError(
        .badCopyFileFormat, "extra data after last expected column", context: "COPY t, line 1: \"1\t2\t3\"")
    ) { try decode("1\t2\t3\n") }
  }

  @Test("A value that its type refuses is told with line and column")
  func refusesValue() {
    #expect(
      throws: SQLError(
        .invalidTextRepresentation, "invalid input syntax for type integer: \"x\"",
        context: "COPY t, line 2, column a: \"x\"")
    ) { try decode("1\nx\n", columns: [CopyColumn(name: "a", type: .int4)]) }
  }

  @Test("Binary data, cut anywhere", arguments: [1, 3, 1000])
  func decodesBinary(_ pieceBytes: Int) throws {
    let columns = [CopyColumn(name: "a", type: .int4), CopyColumn(name: "b", type: .text)]
    let data: [UInt8] =
      CopyBinaryReader.signature + [0, 0, 0, 0, 0, 0, 0, 0] + [0, 2, 0, 0, 0, 4, 0, 0, 0, 7, 255, 255, 255, 255]
      + [0, 2, 255, 255, 255, 255, 0, 0, 0, 1, 0x78] + [255, 255]
    let options = try CopyOptions([option("format", "binary")], isFrom: true)
    var decoder = CopyDecoder(options: options, columns: columns, tableName: "t", context: .standard)
    var batch = RowBatch(columnCount: 2)
    for start in stride(from: 0, to: data.count, by: pieceBytes) {
      decoder.append(data[start..<min(start + pieceBytes, data.count)])
      _ = try decoder.decode(into: &batch, maximumRows: 10)
    }
    decoder.finish()
    #expect(try !decoder.decode(into: &batch, maximumRows: 10))
    #expect(batch == RowBatch(columnCount: 2, rows: [[.integer(7), .null], [.null, .text("x")]]))
  }

  @Test("CSV with quotes, line ends inside them, NULL and empty text, cut anywhere", arguments: [1, 2, 5, 1000])
  func decodesCSV(_ pieceBytes: Int) throws {
    let data = "a,b\n1,\"x, \"\"y\"\"\nz\"\n2,\n3,\"\"\n"
    #expect(
      try decode(data, [option("format", "csv"), option("header", "true")], pieceBytes: pieceBytes) == [
        [.text("1"), .text("x, \"y\"\nz")], [.text("2"), .null], [.text("3"), .text("")],
      ])
  }

  @Test("CSV takes another delimiter, quote, escape and null string")
  func decodesOtherCSV() throws {
    let options = [
      option("format", "csv"), option("delimiter", ";"), option("quote", "'"), option("escape", "\\"),
      option("null", "NIL"),
    ]
    #expect(
      try decode("1;'it\\'s; a\\\\b'\nNIL;'NIL'\n", options) == [
        [.text("1"), .text("it's; a\\b")], [.null, .text("NIL")],
      ])
  }

  @Test("A quoted field that never ends is refused")
  func refusesUnterminated() {
    #expect(throws: SQLError(.badCopyFileFormat, "unterminated CSV quoted field", context: "COPY t, line 1")) {
      try decode("1,\"abc\n", [option("format", "csv")])
    }
  }

  @Test("HEADER MATCH compares the names")
  func matchesHeader() throws {
    let options = [option("format", "csv"), option("header", "match")]
    #expect(try decode("a,b\n1,2\n", options) == [[.text("1"), .text("2")]])
    #expect(
      throws: SQLError(
        .badCopyFileFormat, "column name mismatch in header line field 2: got \"c\", expected \"b\"",
        context: "COPY t, line 1: \"a,c\"")
    ) { try decode("a,c\n1,2\n", options) }
  }

  @Test("FORCE_NULL and FORCE_NOT_NULL turn the null string's meaning round")
  func forcesNull() throws {
    let options = [
      option("format", "csv"), CopyOptions.Option(name: "force_null", argument: .list(["b"])),
      CopyOptions.Option(name: "force_not_null", argument: .list(["a"])),
    ]
    #expect(try decode(",\"\"\n", options) == [[.text(""), .null]])
  }
}

@Suite("COPY options")
struct CopyOptionsTests {
  @Test("Wrong combinations are refused in PostgreSQL's words")
  func refuses() {
    let cases: [([CopyOptions.Option], SQLError)] = [
      ([option("x", "1")], SQLError(.syntaxError, "option \"x\" not recognized")),
      ([option("format", "xml")], SQLError(.invalidParameterValue, "COPY format \"xml\" not recognized")),
      (
        [option("delimiter", "ab")],
        SQLError(.featureNotSupported, "COPY delimiter must be a single one-byte character")
      ),
      ([option("delimiter", "a")], SQLError(.invalidParameterValue, "COPY delimiter cannot be \"a\"")),
      (
        [option("delimiter", "\n")],
        SQLError(.invalidParameterValue, "COPY delimiter cannot be newline or carriage return")
      ),
      ([option("quote", "'")], SQLError(.featureNotSupported, "COPY quote available only in CSV mode")),
      (
        [option("format", "binary"), option("delimiter", ",")],
        SQLError(.syntaxError, "cannot specify DELIMITER in BINARY mode")
      ),
      (
        [option("format", "csv"), option("delimiter", "\"")],
        SQLError(.invalidParameterValue, "COPY delimiter and quote must be different")
      ),
      (
        [option("null", "a\tb")],
        SQLError(.featureNotSupported, "COPY delimiter must not appear in the NULL specification")
      ),
      (
        [option("null", "x"), option("null", "y")],
        SQLError(.syntaxError, "conflicting or redundant options")
      ),
    ]
    for (options, expected) in cases {
      #expect(throws: expected) { try CopyOptions(options, isFrom: true) }
    }
  }
}

@Suite("COPY data to a client")
struct CopyEncoderTests {
  private let columns = [ResultColumn(name: "a", type: .text), ResultColumn(name: "b,c", type: .text)]

  private func encode(_ options: [CopyOptions.Option], _ rows: [[StoredValue]]) throws -> String {
    var encoder = CopyEncoder(options: try CopyOptions(options, isFrom: false), columns: columns, context: .standard)
    var writer = MessageWriter()
    encoder.appendStart(to: &writer)
    for row in rows { try encoder.append(row[...], to: &writer) }
    encoder.appendEnd(to: &writer)
    // Every message is one row: its tag and length go, its data stays.
    var data: [UInt8] = []
    var offset = 0
    while offset < writer.bytes.count {
      #expect(writer.bytes[offset] == 0x64)
      let length = writer.bytes[offset + 1..<offset + 5].reduce(0) { $0 << 8 | Int($1) }
      data += writer.bytes[offset + 5..<offset + 1 + length]
      offset += 1 + length
    }
    return String(decoding: data, as: UTF8.self)
  }

  @Test("Text escapes what would be misread")
  func encodesText() throws {
    #expect(
      try encode([], [[.text("a\tb\\c\nd"), .null], [.text(""), .text("x")]])
        == "a\\tb\\\\c\\nd\t\\N\n\tx\n")
  }

  @Test("CSV quotes what would be misread, and the header")
  func encodesCSV() throws {
    let options = [option("format", "csv"), CopyOptions.Option(name: "header", argument: .absent)]
    #expect(
      try encode(options, [[.text("a,\"b\""), .null], [.text(""), .text("x\ny")]])
        == "a,\"b,c\"\n\"a,\"\"b\"\"\",\n\"\",\"x\ny\"\n")
  }

  @Test func `Binary's header comes in one message with the first row, or with the trailer`() throws {
    var encoder = CopyEncoder(
      options: try CopyOptions([option("format", "binary")], isFrom: false),
      columns: [ResultColumn(name: "a", type: .text)], context: .standard)
    let header: [UInt8] = Array("PGCOPY\n".utf8) + [0xff, 13, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    var writer = MessageWriter()
    encoder.appendStart(to: &writer)
    try encoder.append([.text("x")], to: &writer)
    encoder.appendEnd(to: &writer)
    #expect(
      writer.bytes
        == [0x64, 0, 0, 0, 30] + header + [0, 1, 0, 0, 0, 1, 0x78] + [0x64, 0, 0, 0, 6, 0xff, 0xff])
    var empty = MessageWriter()
    encoder.appendStart(to: &empty)
    encoder.appendEnd(to: &empty)
    #expect(empty.bytes == [0x64, 0, 0, 0, 25] + header + [0xff, 0xff])
  }
}

@Suite("Base64")
struct Base64Tests {
  @Test(
    "The vectors of RFC 4648",
    arguments: [
      ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
      ("foobar", "Zm9vYmFy"),
    ])
  func vectors(_ plain: String, _ encoded: String) {
    #expect(Base64.encode(Array(plain.utf8)) == encoded)
    #expect(Base64.decode(encoded) == Array(plain.utf8))
  }

  @Test("What is not base64 is refused", arguments: ["Zg", "Zg=", "Z===", "Zg==Zg==", "Zm9-", "===="])
  func refuses(_ text: String) {
    #expect(Base64.decode(text) == nil)
  }
}
