import SQLParser
import SQLTree
import SQLTypes
import Testing

@Suite struct ExpressionTests {
  /// The only target of `select …`.
  private func expression(_ text: String) throws -> Expression {
    let statements = try SQLParser.parse("select " + text)
    guard case .select(let select) = statements[0].statement, case .select(let core) = select.body else {
      throw SQLError(.internalError, "not a select")
    }
    return core.targets[0].expression
  }

  @Test(
    arguments: [
      ("-1", -1), ("0", 0), ("- 17", -17), ("-(3)", -3), ("- /* -5 */ 4", -4), ("- - 2", 2),
      ("2147483647", 2_147_483_647),
      ("- -- 9\n 8", -8),
    ] as [(String, Int64)])
  func `Integer constants keep their sign`(text: String, value: Int64) throws {
    #expect(try expression(text) == .constant(.integer(value), location: 7))
  }

  @Test func `Constants of other kinds`() throws {
    #expect(try expression("'it''s \"é\"\n'") == .constant(.string("it's \"é\"\n"), location: 7))
    #expect(try expression("''") == .constant(.string(""), location: 7))
    #expect(try expression("'<\\>\u{1}'") == .constant(.string("<\\>\u{1}"), location: 7))
    #expect(try expression("-1.50") == .constant(.decimal("-1.50"), location: 7))
    #expect(try expression("9999999999") == .constant(.decimal("9999999999"), location: 7))
    #expect(try expression("false") == .constant(.boolean(false), location: 7))
    #expect(try expression("null") == .constant(.null, location: 7))
    #expect(try expression("x'1F'") == .constant(.bitString("x1F"), location: 7))
    #expect(try expression("$2") == .parameter(2, location: 7))
  }

  @Test func `Columns and stars`() throws {
    #expect(try expression("s.t.\"A b\"") == .column(["s", "t", "A b"], isStar: false, location: 7))
    #expect(try expression("*") == .column([], isStar: true, location: 7))
    #expect(try expression("t.*") == .column(["t"], isStar: true, location: 7))
  }

  @Test func `Operators with their places`() throws {
    let a = Expression.column(["a"], isStar: false, location: 7)
    #expect(
      try expression("a + 1")
        == .binary(["+"], left: a, right: .constant(.integer(1), location: 11), location: 9))
    #expect(
      try expression("a in (1)") == .inList(a, [.constant(.integer(1), location: 13)], isNegated: false, location: 9))
    #expect(
      try expression("a not like 'x'")
        == .like(.like, a, pattern: .constant(.string("x"), location: 18), isNegated: true, location: 9))
    #expect(
      try expression("a not between 1 and 2")
        == .between(
          a, low: .constant(.integer(1), location: 21), high: .constant(.integer(2), location: 27), isNegated: true,
          isSymmetric: false, location: 9))
    #expect(try expression("a is not null") == .isNull(a, isNegated: true, location: 9))
    #expect(try expression("a is not unknown") == .booleanTest(a, .isNotUnknown, location: 9))
    #expect(
      try expression("a is not distinct from 1")
        == .distinct(a, .constant(.integer(1), location: 30), isNegated: true, location: 9))
  }

  @Test func `Casts keep the type's name and modifiers`() throws {
    #expect(
      try expression("a::numeric(10,-2)")
        == .cast(
          .column(["a"], isStar: false, location: 7),
          TypeName(
            name: ["pg_catalog", "numeric"],
            modifiers: [.constant(.integer(10), location: 18), .constant(.integer(-2), location: 21)], location: 10),
          location: 8))
    #expect(
      try expression("'{}'::text[]")
        == .cast(
          .constant(.string("{}"), location: 7), TypeName(name: ["text"], arrayDimensions: 1, location: 13),
          location: 11))
  }

  @Test func `Window functions keep their frame`() throws {
    guard
      case .function(let call) = try expression(
        "sum(a) filter (where true) over (partition by b rows between 1 preceding and unbounded following exclude ties)"
      )
    else { throw SQLError(.internalError, "not a call") }
    #expect(call.name == ["sum"])
    #expect(call.filter == .constant(.boolean(true), location: 28))
    #expect(
      call.over?.frame
        == WindowFrame(
          unit: .rows, start: .preceding(.constant(.integer(1), location: 68)), end: .unboundedFollowing,
          exclusion: .ties))
    guard case .function(let named) = try expression("sum(a) over w") else { throw SQLError(.internalError, "no call") }
    #expect(named.over?.baseName == "w")
    #expect(named.over?.frame == nil)
  }

  @Test func `SQL values are named by their keyword`() throws {
    #expect(try expression("current_date") == .sqlValue("current_date", precision: nil, location: 7))
    #expect(try expression("localtimestamp(3)") == .sqlValue("localtimestamp", precision: 3, location: 7))
    #expect(try expression("user") == .sqlValue("user", precision: nil, location: 7))
  }

  @Test func `IN with a query is = ANY`() throws {
    guard case .subquery(let subquery) = try expression("a in (select 1)") else {
      throw SQLError(.internalError, "not a subquery")
    }
    #expect(subquery.kind == .any(test: .column(["a"], isStar: false, location: 7), operatorName: ["="]))
  }
}
