import SQLTypes
import Testing

@testable import PostgresWire

private func bytes(_ message: BackendMessage) -> [UInt8] {
  var writer = MessageWriter()
  writer.append(message)
  return writer.bytes
}

@Suite("Backend messages")
struct BackendMessageTests {
  @Test("An error carries all its fields in the protocol's order")
  func writesError() {
    var fields = SQLError(
      .uniqueViolation, "m", detail: "d", hint: "h", position: 7, schema: "s", table: "t", column: "c",
      constraint: "n", dataType: "y")
    fields.context = "w"
    let body = "SERROR\0VERROR\0C23505\0Mm\0Dd\0Hh\0P7\0Ww\0ss\0tt\0cc\0dy\0nn\0\0"
    #expect(bytes(.errorResponse(.error, fields)) == [0x45, 0, 0, 0, UInt8(body.utf8.count + 4)] + Array(body.utf8))
  }

  @Test("A notice without optional fields has none")
  func writesNotice() {
    let body = "SNOTICE\0VNOTICE\0C00000\0Mm\0\0"
    #expect(bytes(.noticeResponse(.notice("m"))) == [0x4e, 0, 0, 0, UInt8(body.utf8.count + 4)] + Array(body.utf8))
  }

  @Test("RowDescription carries table, type, length, modifier and format")
  func writesRowDescription() {
    let column = ResultColumn(name: "a", type: .int4, tableOID: 16384, columnNumber: 2)
    #expect(
      bytes(.rowDescription([column], formats: [.binary])) == [
        0x54, 0, 0, 0, 26, 0, 1, 0x61, 0, 0, 0, 64, 0, 0, 2, 0, 0, 0, 23, 0, 4, 255, 255, 255, 255, 0, 1,
      ])
  }

  @Test("ReadyForQuery carries the transaction status")
  func writesReady() {
    #expect(bytes(.readyForQuery(.idle)) == [0x5a, 0, 0, 0, 5, 0x49])
    #expect(bytes(.readyForQuery(.inTransaction)) == [0x5a, 0, 0, 0, 5, 0x54])
    #expect(bytes(.readyForQuery(.failed)) == [0x5a, 0, 0, 0, 5, 0x45])
  }

  @Test("Authentication messages carry their code")
  func writesAuthentication() {
    #expect(bytes(.authenticationOK) == [0x52, 0, 0, 0, 8, 0, 0, 0, 0])
    #expect(
      bytes(.authenticationSASL(mechanisms: ["SCRAM-SHA-256"]))
        == [0x52, 0, 0, 0, 23, 0, 0, 0, 10] + Array("SCRAM-SHA-256".utf8) + [0, 0])
    #expect(bytes(.authenticationSASLContinue([1])) == [0x52, 0, 0, 0, 9, 0, 0, 0, 11, 1])
    #expect(bytes(.authenticationSASLFinal([2])) == [0x52, 0, 0, 0, 9, 0, 0, 0, 12, 2])
  }

  @Test("The small messages are what the manual says")
  func writesSmallMessages() {
    #expect(bytes(.parseComplete) == [0x31, 0, 0, 0, 4])
    #expect(bytes(.bindComplete) == [0x32, 0, 0, 0, 4])
    #expect(bytes(.closeComplete) == [0x33, 0, 0, 0, 4])
    #expect(bytes(.noData) == [0x6e, 0, 0, 0, 4])
    #expect(bytes(.portalSuspended) == [0x73, 0, 0, 0, 4])
    #expect(bytes(.emptyQueryResponse) == [0x49, 0, 0, 0, 4])
    #expect(bytes(.copyDone) == [0x63, 0, 0, 0, 4])
    #expect(bytes(.commandComplete(tag: "BEGIN")) == [0x43, 0, 0, 0, 10] + Array("BEGIN".utf8) + [0])
    #expect(bytes(.parameterDescription([23])) == [0x74, 0, 0, 0, 10, 0, 1, 0, 0, 0, 23])
    #expect(bytes(.copyInResponse(format: .text, columnCount: 2)) == [0x47, 0, 0, 0, 11, 0, 0, 2, 0, 0, 0, 0])
    #expect(bytes(.backendKeyData(processID: 1, secretKey: -1)) == [0x4b, 0, 0, 0, 12, 0, 0, 0, 1, 255, 255, 255, 255])
    #expect(
      bytes(.negotiateProtocolVersion(newestMinor: 0, unknownOptions: ["_pq_.x"]))
        == [0x76, 0, 0, 0, 19, 0, 0, 0, 0, 0, 0, 0, 1] + Array("_pq_.x".utf8) + [0])
    #expect(bytes(.encryptionAnswer(accepted: true)) == [0x53])
    #expect(bytes(.encryptionAnswer(accepted: false)) == [0x4e])
  }

  @Test("A zero byte inside a message's text does not end it early")
  func dropsZeroBytes() {
    #expect(bytes(.commandComplete(tag: "A\0B")) == [0x43, 0, 0, 0, 7, 0x41, 0x42, 0])
  }

  @Test("A row carries counted values and -1 for NULL")
  func writesRow() throws {
    let columns = [ResultColumn(name: "a", type: .int4), ResultColumn(name: "b", type: .text)]
    var writer = MessageWriter()
    let encoder = DataRowEncoder(columns: columns, formats: [], context: .standard)
    try encoder.append([.integer(42), .null], to: &writer)
    try encoder.append([.null, .text("x")], to: &writer)
    #expect(
      writer.bytes == [
        0x44, 0, 0, 0, 16, 0, 2, 0, 0, 0, 2, 0x34, 0x32, 255, 255, 255, 255,
        0x44, 0, 0, 0, 15, 0, 2, 255, 255, 255, 255, 0, 0, 0, 1, 0x78,
      ])
  }

  @Test("Integers are written in decimal, the extreme ones too")
  func writesIntegers() throws {
    let cases: [(Int64, String)] = [
      (0, "0"), (-1, "-1"), (10, "10"), (Int64.max, "9223372036854775807"), (Int64.min, "-9223372036854775808"),
    ]
    for (number, text) in cases {
      var bytes: [UInt8] = []
      try WireValue.appendText(.integer(number), .int8, .standard, to: &bytes)
      #expect(String(decoding: bytes, as: UTF8.self) == text)
    }
  }

  @Test("Values take the form of their column's type")
  func writesTypedValues() throws {
    let cases: [(StoredValue, SQLType, String)] = [
      (.integer(1), .bool, "t"), (.text("ab"), SQLType.bpchar.with(modifier: 8), "ab  "),
      (.text("1.10"), .numeric, "1.10"),
      (.integer(0), .date, "2000-01-01"), (.blob([1, 255]), .bytea, "\\x01ff"), (.real(1.5), .float8, "1.5"),
    ]
    for (value, type, text) in cases {
      var bytes: [UInt8] = []
      try WireValue.appendText(value, type, .standard, to: &bytes)
      #expect(String(decoding: bytes, as: UTF8.self) == text)
    }
    var binary: [UInt8] = []
    try WireValue.appendBinary(.integer(-2), .int4, .standard, to: &binary)
    try WireValue.appendBinary(.integer(1), .int8, .standard, to: &binary)
    try WireValue.appendBinary(.integer(1), .bool, .standard, to: &binary)
    #expect(binary == [255, 255, 255, 254, 0, 0, 0, 0, 0, 0, 0, 1, 1])
  }
}
