import EventLoop
import PostgresWire
import SQLTypes
import Testing

@testable import ComputeNode

/// Statements whose text or rows are too many for one turn of the loop.
@Suite @LoopActor struct LargeStatementTests {
  @Test func `The statements of a text have their places in characters`() throws {
    let script = try Script("select 'äö' ; ;select 2;\n  select 'ü'; select 4")
    #expect(script.texts.map(\.text) == ["select 'äö' ", "select 2", "select 'ü'", "select 4"])
    #expect(script.texts.map(\.characterOffset) == [0, 15, 27, 39])
    #expect(script.single == nil)
    #expect(try Script("select 1").single != nil)
    #expect(try Script("").texts == [])
  }

  @Test func `A text of thousands of rows is read apart from the loop, and its errors point at their places`()
    async throws
  {
    let cluster = try await SQLCluster()
    try await cluster.run("create table t (a int primary key, b text not null) with (shard = 1)")
    let rows = (1...5000).map { "(\($0), 'ä\($0)')" }
    #expect(try await cluster.run("insert into t values " + rows.joined(separator: ", ")) == "INSERT 0 5000")
    #expect(try await cluster.query("select count(*), max(b) from t where a % 2 = 0") == [["2500", "ä998"]])
    let ids = (1...5000).map(String.init).joined(separator: ", ")
    #expect(try await cluster.query("select count(*) from t where a in (\(ids))") == [["5000"]])
    let blanks = String(repeating: "ä", count: 20_000)
    let wrong = await cluster.failure("select '\(blanks)', nothing from t")
    #expect(wrong == SQLError(.undefinedColumn, "column \"nothing\" does not exist", position: 20_012))
    let second = await cluster.failure("select 1; select '\(blanks)' fro t")
    #expect(second?.sqlState == .syntaxError)
    #expect(second?.position == 20_025)
    // One of the last rows fails: none stays.
    let conflicting = (5001...10_000).map { "(\($0), 'x')" } + ["(17, 'again')"]
    let duplicate = await cluster.failure("insert into t values " + conflicting.joined(separator: ", "))
    #expect(duplicate?.sqlState == .uniqueViolation)
    #expect(try await cluster.query("select count(*) from t") == [["5000"]])
  }

  @Test func `The rows of a query are inserted as they come, as a whole or not at all`() async throws {
    let cluster = try await SQLCluster()
    try await cluster.run(
      """
      create table t (a int primary key, b int) with (shard = 1);
      create table u (a int, b int, primary key (a, b)) partition by list (b);
      create table u1 partition of u for values in (1) with (shard = 1);
      create table u2 partition of u for values in (2) with (shard = 2);
      """)
    #expect(try await cluster.run("insert into t select g, 1 from generate_series(1, 7000) g") == "INSERT 0 7000")
    #expect(try await cluster.run("insert into t select a + 7000, b from t") == "INSERT 0 7000")
    #expect(try await cluster.query("select count(*), sum(a) from t") == [["14000", "98007000"]])
    // A row that another of the same statement would update, far behind it.
    let twice = await cluster.failure(
      "insert into t select g % 6000, 2 from generate_series(1, 6001) g on conflict (a) do update set b = excluded.b")
    #expect(twice?.sqlState == .cardinalityViolation)
    #expect(try await cluster.query("select count(*) from t where b = 2") == [["0"]])
    // One row goes to another shard than the others.
    #expect(
      try await cluster.run("insert into u select a, case a when 9999 then 2 else 1 end from t") == "INSERT 0 14000")
    #expect(try await cluster.query("select count(*) from u") == [["14000"]])
    #expect(
      try await cluster.query("with i as (select a from t where a > 13998) select count(*) from i") == [["2"]])
    try await cluster.run("insert into t select g, 3 from generate_series(20001, 20003) g returning a, b")
    #expect(cluster.rows == [["20001", "3"], ["20002", "3"], ["20003", "3"]])
  }

  @Test func `A definition of more than a megabyte is refused`() async throws {
    let cluster = try await SQLCluster()
    let text = String(repeating: "x", count: 1 << 20)
    #expect(
      await cluster.failure("create table t (a text default '\(text)')")
        == SQLError(.programLimitExceeded, "CREATE TABLE is longer than 1048576 bytes"))
  }
}
