import Testing

@testable import SQLTypes

/// Reads a text as a type and prints it again.
func echo(_ text: String, _ type: SQLType, _ context: ConversionContext = .standard) -> String {
  do {
    return TypeOutput.text(try TypeInput.parse(text, as: type, context: context), as: type, context: context) ?? "NULL"
  } catch {
    return "\(error.sqlState.rawValue) \(error.message)"
  }
}

@Suite("Text forms of types")
struct TypeConversionTests {
  @Test(
    "read back as PostgreSQL prints them",
    arguments: [
      (" 12 ", SQLType.int4, "12"), ("-2147483648", .int4, "-2147483648"),
      ("2147483648", .int4, "22003 value \"2147483648\" is out of range for type integer"),
      ("abc", .int4, "22P02 invalid input syntax for type integer: \"abc\""),
      ("", .int8, "22P02 invalid input syntax for type bigint: \"\""),
      ("32768", .int2, "22003 value \"32768\" is out of range for type smallint"),
      ("9223372036854775808", .int8, "22003 value \"9223372036854775808\" is out of range for type bigint"),
      ("yes", .bool, "t"), ("OFF", .bool, "f"), ("o", .bool, "22P02 invalid input syntax for type boolean: \"o\""),
      ("1.10", .numeric, "1.10"), ("1e3", .numeric, "1000"), ("1.5e-2", .numeric, "0.015"), (".5", .numeric, "0.5"),
      ("-0.0", .numeric, "0.0"), ("nan", .numeric, "NaN"), ("-inf", .numeric, "-Infinity"),
      ("1.2.3", .numeric, "22P02 invalid input syntax for type numeric: \"1.2.3\""),
      ("1.005", SQLType.numeric.with(modifier: SQLType.numericModifier(precision: 10, scale: 2)), "1.01"),
      (
        "1234", SQLType.numeric.with(modifier: SQLType.numericModifier(precision: 4, scale: 2)),
        "22003 numeric field overflow"
      ), ("0.1", .float8, "0.1"), ("1e20", .float8, "1e+20"), ("1e15", .float8, "1e+15"),
      ("123456789012345", .float8, "123456789012345"), ("0.0001", .float8, "0.0001"), ("0.00001", .float8, "1e-05"),
      ("1e400", .float8, "22003 \"1e400\" is out of range for type double precision"), ("-0", .float8, "-0"),
      ("Infinity", .float8, "Infinity"), ("NaN", .float8, "NaN"), ("0.1", .float4, "0.1"),
      ("1234567", .float4, "1.234567e+06"), ("16777216", .float4, "1.6777216e+07"),
      ("abcd", SQLType.varchar.with(modifier: 7), "22001 value too long for type character varying(3)"),
      ("abc  ", SQLType.varchar.with(modifier: 7), "abc"), ("ab", SQLType.bpchar.with(modifier: 8), "ab  "),
      ("\\x00ff", .bytea, "\\x00ff"), ("a\\000b", .bytea, "\\x610062"),
      ("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", .uuid, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
      ("xyz", .uuid, "22P02 invalid input syntax for type uuid: \"xyz\""),
      ("{1, 2,NULL}", .int4Array, "{1,2,NULL}"), ("{a,\"b c\",\"\"}", .textArray, "{a,\"b c\",\"\"}"),
      ("{{1,2},{3,4}}", .int4Array, "{{1,2},{3,4}}"), ("x", .int4Array, "22P02 malformed array literal: \"x\""),
    ])
  func echoes(text: String, type: SQLType, expected: String) {
    #expect(echo(text, type) == expected)
  }

  @Test(
    "dates and times are read in their many forms",
    arguments: [
      ("2024-02-29", SQLType.date, "2024-02-29"), ("Jan 5, 2024", .date, "2024-01-05"),
      ("5 January 2024", .date, "2024-01-05"), ("1/8/1999", .date, "1999-01-08"), ("20240105", .date, "2024-01-05"),
      ("J2451187", .date, "1999-01-08"), ("1999.008", .date, "1999-01-08"), ("08-Jan-99", .date, "1999-01-08"),
      ("0044-03-15 BC", .date, "0044-03-15 BC"), ("infinity", .date, "infinity"),
      ("2023-02-29", .date, "22008 date/time field value out of range: \"2023-02-29\""),
      ("2023-13-01", .date, "22008 date/time field value out of range: \"2023-13-01\""),
      ("hello", .date, "22007 invalid input syntax for type date: \"hello\""),
      ("2024-01-05 10:11:12.5", .timestamp, "2024-01-05 10:11:12.5"),
      ("2024-01-05T10:11", .timestamp, "2024-01-05 10:11:00"),
      ("20240105T101112", .timestamp, "2024-01-05 10:11:12"),
      ("2024-01-05 12:30 AM", .timestamp, "2024-01-05 00:30:00"),
      ("2024-01-05 24:00:00", .timestamp, "2024-01-06 00:00:00"), ("epoch", .timestamp, "1970-01-01 00:00:00"),
      ("2024-01-05 10:00:00+02", .timestamptz, "2024-01-05 08:00:00+00"),
      ("2024-01-05 10:00:00-05:30", .timestamptz, "2024-01-05 15:30:00+00"),
      ("2024-01-05 10:00 PST", .timestamptz, "2024-01-05 18:00:00+00"),
      ("2024-01-05T10:00:00Z", .timestamptz, "2024-01-05 10:00:00+00"),
      ("2024-01-05 25:00", .timestamp, "22008 date/time field value out of range: \"2024-01-05 25:00\""),
      ("2024-01-05 10:11:12.56", SQLType.timestamp.with(modifier: 0), "2024-01-05 10:11:13"),
      ("10:11:12.123456", .time, "10:11:12.123456"), ("10:11 PM", .time, "22:11:00"), ("24:00", .time, "24:00:00"),
    ])
  func dates(text: String, type: SQLType, expected: String) {
    #expect(echo(text, type) == expected)
  }

  @Test(
    "intervals are read in their many forms",
    arguments: [
      ("1 year 2 months 3 days 04:05:06.789", "1 year 2 mons 3 days 04:05:06.789"), ("1 day ago", "-1 days"),
      ("-1 day 02:00", "-1 days +02:00:00"), ("1.5 months", "1 mon 15 days"),
      ("P1Y2M3DT4H5M6S", "1 year 2 mons 3 days 04:05:06"),
      ("1-2", "1 year 2 mons"), ("3 4:05", "3 days 04:05:00"), ("5", "00:00:05"), ("2 weeks", "14 days"),
      ("1 day -1 second", "1 day -00:00:01"), ("0", "00:00:00"), ("1.5 days", "1 day 12:00:00"),
      ("@ 1 hour", "01:00:00"), ("fun", "22007 invalid input syntax for type interval: \"fun\""),
      ("100:00:00", "100:00:00"),
    ])
  func intervals(text: String, expected: String) {
    #expect(echo(text, .interval) == expected)
  }

  @Test(
    "jsonb is normalised",
    arguments: [
      ("{\"bb\":1,\"a\":[1, 2.50,\"x\\u0041\"], \"a\" : null}", "{\"a\": null, \"bb\": 1}"), ("[]", "[]"),
      (" 1e3 ", "1000"), ("\"a\\tb\"", "\"a\\tb\""), ("{\"aa\":1,\"b\":2}", "{\"b\": 2, \"aa\": 1}"),
      ("{", "22P02 invalid input syntax for type json"), ("nul", "22P02 invalid input syntax for type json"),
      ("\"\\u0000\"", "22P05 unsupported Unicode escape sequence"), ("\"\\ud83d\\ude00\"", "\"😀\""),
    ])
  func json(text: String, expected: String) {
    #expect(echo(text, .jsonb) == expected)
  }

  @Test("the binary format gives the value back")
  func binary() throws {
    let cases: [(String, SQLType, [UInt8])] = [
      ("t", .bool, [1]), ("-2", .int4, [255, 255, 255, 254]),
      ("12345.6789", .numeric, [0, 3, 0, 1, 0, 0, 0, 4, 0, 1, 0x09, 0x29, 0x1a, 0x85]),
      ("0.0001", .numeric, [0, 1, 255, 255, 0, 0, 0, 4, 0, 1]), ("-1.5", .float8, [0xbf, 0xf8, 0, 0, 0, 0, 0, 0]),
      ("2000-01-02", .date, [0, 0, 0, 1]), ("{\"a\": 1}", .jsonb, [1] + Array("{\"a\": 1}".utf8)),
      ("1 mon 2 days 00:00:01", .interval, [0, 0, 0, 0, 0, 0x0f, 0x42, 0x40, 0, 0, 0, 2, 0, 0, 0, 1]),
      (
        "{7,NULL}", .int4Array,
        [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 23, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 7, 255, 255, 255, 255]
      ),
    ]
    for (text, type, bytes) in cases {
      let value = try TypeInput.parse(text, as: type)
      #expect(try BinaryFormat.encode(value, as: type) == bytes)
      #expect(try BinaryFormat.decode(bytes, as: type) == value)
    }
    #expect(throws: SQLError.self) { try BinaryFormat.decode([1, 2, 3], as: .int4) }
  }

  @Test("rows survive their encoding, and damaged bytes are refused")
  func rows() throws {
    let row: [StoredValue] = [.null, .integer(-1), .real(1.5), .text("é"), .blob([1, 2])]
    let bytes = RowCodec.encode(row)
    #expect(bytes.count == 1 + 9 + 9 + 7 + 7)
    #expect(try RowCodec.decode(bytes) == row)
    #expect(try RowCodec.decodeRows(bytes + bytes, columnCount: 5) == [row, row])
    #expect(throws: RowCodecError.truncated) { try RowCodec.decode(Array(bytes.dropLast())) }
    #expect(throws: RowCodecError.unknownTag(9, offset: 0)) { try RowCodec.decode([9]) }
    #expect(throws: RowCodecError.invalidUTF8(offset: 5)) { try RowCodec.decode([3, 1, 0, 0, 0, 0xff]) }
  }

  @Test("type names print with their modifiers")
  func names() {
    #expect(SQLType.varchar.with(modifier: 14).displayName == "character varying(10)")
    #expect(
      SQLType.numeric.with(modifier: SQLType.numericModifier(precision: 10, scale: 2)).displayName == "numeric(10,2)")
    #expect(
      SQLType.numeric.with(modifier: SQLType.numericModifier(precision: 3, scale: -2)).displayName == "numeric(3,-2)")
    #expect(SQLType.timestamptz.with(modifier: 3).displayName == "timestamp(3) with time zone")
    #expect(SQLType.int4Array.displayName == "integer[]")
    #expect(SQLType.named("timestamp with time zone") == .timestamptz)
    #expect(SQLType.named("double precision") == .float8)
    #expect(SQLType.named("nothing") == nil)
  }
}
