import EventLoop
import SQLTypes
import Testing

@testable import ComputeNode

@Suite struct LiteralTextTests {
  private func literals(_ sql: String) -> [String]? { LiteralText(sql)?.literals.map(\.text) }

  @Test func `Values of an INSERT are taken out`() {
    let found = LiteralText("INSERT INTO t (id, c)\n  VALUES (1, 'it''s'), (-2.50, NULL) RETURNING id")
    #expect(found?.text == "INSERT INTO t (id, c) VALUES ($1, $2), ($3, NULL) RETURNING id")
    #expect(
      found?.literals == [
        LiteralText.Literal(text: "1", isNumber: true, isRowValue: true),
        LiteralText.Literal(text: "it's", isNumber: false, isRowValue: true),
        LiteralText.Literal(text: "-2.50", isNumber: true, isRowValue: true),
      ])
  }

  @Test func `Right sides of comparisons are taken out`() {
    let found = LiteralText("update t set a = 5, b = b + 1 where id >= 7 and c <> 'x' or d = 'y'::date;")
    #expect(found?.text == "update t set a = $1, b = b + 1 where id >= $2 and c <> $3 or d = 'y'::date")
    #expect(
      found?.literals == [
        LiteralText.Literal(text: "5", isNumber: true, isRowValue: false),
        LiteralText.Literal(text: "7", isNumber: true, isRowValue: false),
        LiteralText.Literal(text: "x", isNumber: false, isRowValue: false),
      ])
  }

  @Test(arguments: [
    "select 1", "select a from t order by 1 limit 5", "select * from t where a = 5 + b", "select * from t where a = -5",
    "select * from t where a = 'x' 'y'", "insert into t select 1, 'a'", "insert into t values (1 + 2)",
    "insert into t values (f(1), (2), '3'::int)", "create table t (a int default 5)", "explain select a = 5",
    "values (1, 2)",
  ])
  func `Literals with another meaning stay`(sql: String) {
    #expect(literals(sql) == nil)
  }

  @Test(arguments: [
    "select a = 5 -- note", "select a = 5 /* note */", "select a = $1 and b = 5", "select a = E'x' or b = 5",
    "select a = $$x$$ or b = 5", "select a = 'x\\n'", "select a = 1e5", "select a = 5; select a = 6", "select a = 'x",
    "select a = 5x", "select a = .5", "select (a = 5", "select a = 5)", "insert into t values (--1\n 2)",
    "insert into t values (- )", "select oid = 5 from pg_class", "", "   ", "'",
  ])
  func `What cannot be read for certain is left alone`(sql: String) {
    #expect(literals(sql) == nil)
  }
}

@Suite @LoopActor struct SharedPlanTests {
  @Test func `Statements that differ in literals give each its own rows`() async throws {
    let cluster = try await SQLCluster()
    try await cluster.run("create table t (id bigint primary key, n numeric(6,2), f float4, c varchar(3), d date)")
    try await cluster.run("insert into t values (1, 1.005, 0.1, 'abc', '2024-02-29')")
    try await cluster.run("insert into t values (-2, 7, 1, 'd', 'infinity')")
    #expect(
      try await cluster.query("select * from t order by id") == [
        ["-2", "7.00", "1", "d", "infinity"], ["1", "1.01", "0.1", "abc", "2024-02-29"],
      ])
    #expect(try await cluster.query("select id from t where c = 'abc'") == [["1"]])
    #expect(try await cluster.query("select id from t where c = 'd'") == [["-2"]])
    #expect(try await cluster.query("select id from t where n = 1.005") == [])
    #expect(try await cluster.query("select id from t where n = 1.01") == [["1"]])
    // As in PostgreSQL: 0.1 is compared as double precision.
    #expect(try await cluster.query("select id from t where f = 0.1") == [])
    #expect(try await cluster.query("select id from t where f = 1") == [["-2"]])
  }

  @Test func `Errors are those of the statement itself`() async throws {
    let cluster = try await SQLCluster()
    try await cluster.run("create table t (id int primary key, c varchar(3), b boolean)")
    try await cluster.run("insert into t values (1, 'a', 't')")
    #expect(await cluster.failure("insert into t values (2, 'abcd', 't')")?.sqlState.rawValue == "22001")
    #expect(await cluster.failure("insert into t values (3000000000, 'a', 't')")?.sqlState.rawValue == "22003")
    let text = await cluster.failure("insert into t values ('x', 'a', 't')")
    #expect(text?.sqlState.rawValue == "22P02")
    #expect(text?.position == 23)
    #expect(await cluster.failure("insert into t values (4, 'a', 1)")?.sqlState.rawValue == "42804")
    #expect(try await cluster.query("select id from t where c = 'a'") == [["1"]])
    #expect(await cluster.failure("select id from t where c = 1")?.sqlState.rawValue == "42883")
    #expect(try await cluster.query("select id from t where id = 1") == [["1"]])
  }

  @Test func `A shared plan ends with its table`() async throws {
    let cluster = try await SQLCluster()
    try await cluster.run("create table t (a int)")
    try await cluster.run("insert into t values (1)")
    try await cluster.run("drop table t; create table t (a text)")
    try await cluster.run("insert into t values (2)")
    #expect(try await cluster.query("select a from t") == [["2"]])
    #expect(try await cluster.query("select a from t where a = '2'") == [["2"]])
  }
}
