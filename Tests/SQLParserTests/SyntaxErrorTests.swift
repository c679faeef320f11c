import SQLParser
import SQLTypes
import Testing

@Suite struct SyntaxErrorTests {
  private func failure(of text: String) -> SQLError? {
    do {
      _ = try SQLParser.parse(text)
      return nil
    } catch {
      return error
    }
  }

  @Test func `A syntax error has PostgreSQL's message, code and position`() {
    #expect(failure(of: "selec 1") == SQLError(.syntaxError, "syntax error at or near \"selec\"", position: 1))
    #expect(failure(of: "select 1 +") == SQLError(.syntaxError, "syntax error at end of input", position: 11))
    #expect(
      failure(of: "select 'abc")
        == SQLError(.syntaxError, "unterminated quoted string at or near \"'abc\"", position: 8))
  }

  @Test func `Positions count characters and not bytes`() {
    #expect(failure(of: "select 'éé', 1 frm t x")?.position == 20)
    #expect(SQLParser.characterPosition(ofByte: 5, in: "ééa") == 4)
    #expect(SQLParser.characterPosition(ofByte: -1, in: "a") == nil)
  }

  @Test func `An unsupported expression names itself and its place in characters`() {
    #expect(
      failure(of: "select 'é', xmlparse(document 'a')")
        == SQLError(.featureNotSupported, "XML is not supported", position: 13))
  }

  @Test func `A NUL is refused`() {
    #expect(
      failure(of: "select 1\0")
        == SQLError(.characterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\": 0x00"))
  }

  /// Apart from the test's arguments, so that a failure does not print a megabyte.
  private static let deepTexts: [String] = [
    "select " + String(repeating: "(", count: 200_000),
    "select " + String(repeating: "- ", count: 200_000) + "1",
    "select " + String(repeating: "1+", count: 300_000) + "1",
    "select " + String(repeating: "not ", count: 50_000) + "true",
    "select 1" + String(repeating: "::int", count: 100_000),
    "select 1" + String(repeating: " union select 1", count: 50_000),
    "select * from a" + String(repeating: " cross join a", count: 50_000),
    "select " + String(repeating: "(select ", count: 30_000) + "1" + String(repeating: ")", count: 30_000),
    "select " + String(repeating: "1+", count: 15_000) + "1",
    "select " + String(repeating: "f(", count: 2_000) + "1" + String(repeating: ")", count: 2_000),
    String(repeating: "explain ", count: 2) + "select a" + String(repeating: "[1]", count: 100_000),
  ]

  @Test(arguments: 0..<11)
  func `Text that nests too deeply is refused and nothing overflows`(index: Int) {
    let state = failure(of: Self.deepTexts[index])?.sqlState
    #expect(state == .statementTooComplex || state == .syntaxError)
  }

  @Test func `Long lists are not deep`() throws {
    let values = (0..<50_000).map { "(\($0), 'x')" }.joined(separator: ",")
    #expect(try SQLParser.parse("insert into t values \(values)").count == 1)
    let conditions = (0..<2_000).map { "a = \($0)" }.joined(separator: " or ")
    #expect(try SQLParser.parse("select 1 from t where \(conditions)").count == 1)
  }

  @Test func `Normalized text and fingerprint are equal for statements that differ in literals`() throws {
    #expect(try SQLParser.normalize("select * from t where a = 5") == "select * from t where a = $1")
    #expect(
      try SQLParser.fingerprint("select * from t where a = 5") == SQLParser.fingerprint("SELECT *  from t where a=6"))
    #expect(try SQLParser.fingerprint("select 1 from t") != SQLParser.fingerprint("select 1 from u"))
  }
}
