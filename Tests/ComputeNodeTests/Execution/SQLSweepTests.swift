import ComputeNode
import EventLoop
import PostgresWire
import SQLTypes
import Testing

/// Statements whose results were compared with PostgreSQL 15.
@Suite @LoopActor struct SQLSweepTests {
  @Test func `Numerics of different scale join, and compare, by value`() async throws {
    let cluster = try await SQLCluster()
    try await cluster.run(
      """
      create table a (id int, n numeric) with (shard = 1);
      create table b (id int, n numeric(10,2)) with (shard = 1);
      insert into a values (1, 10), (2, 1.5), (3, null), (4, -0.50);
      insert into b values (1, 10), (2, 1.5), (3, null), (4, -0.5)
      """)
    #expect(
      try await cluster.query("select a.id, b.n from a join b on a.n = b.n order by 1")
        == [["1", "10.00"], ["2", "1.50"], ["4", "-0.50"]])
    #expect(
      try await cluster.query("select a.id from a join b on a.n = b.n + 0.5 - 0.50 order by 1") == [
        ["1"], ["2"], ["4"],
      ]
    )
    #expect(
      try await cluster.query("select id from a where n in (select n from b) order by 1") == [["1"], ["2"], ["4"]])
    #expect(
      try await cluster.query("select count(distinct n) from (select n from a union all select n from b) x") == [["3"]])
  }

  @Test(
    arguments: [
      ("select -1.5", "-1.5"), ("select -0.0", "0.0"), ("select 1.1 - -1.1", "2.2"), ("select abs(-5.50)", "5.50"),
      ("select -1e3", "-1000"), ("select 3 in (-1.5, 3.0)", "t"),
    ])
  func `Negative numerics are literals`(sql: String, value: String) async throws {
    let cluster = try await SQLCluster()
    #expect(try await cluster.query(sql) == [[value]])
  }

  @Test(
    arguments: [
      ("select 1 = 'a'", 12), ("select 'a' < 1", 8), ("select 2 between 1 and 'x'", 24), ("select abs('x'::int)", 12),
    ])
  func `An error of a literal points at the literal`(sql: String, position: Int) async throws {
    let cluster = try await SQLCluster()
    let error = await cluster.failure(sql)
    #expect(error?.sqlState == .invalidTextRepresentation)
    #expect(error?.position == position)
  }

  @Test func `A unique index is refused where rows contradict it`() async throws {
    let cluster = try await SQLCluster()
    try await cluster.run(
      """
      create table t (a int, b text);
      insert into t values (1, 'x'), (1, 'y'), (null, 'z'), (null, 'z')
      """)
    #expect(
      await cluster.failure("create unique index t_a on t (a)")
        == SQLError(
          .uniqueViolation, "could not create unique index \"t_a\"", detail: "Key (a)=(1) is duplicated.",
          schema: "public", table: "t", constraint: "t_a"))
    #expect(try await cluster.run("create unique index t_ab on t (a, b)") == "CREATE INDEX")
  }

  @Test func `Columns whose names differ in case only are refused`() async throws {
    let cluster = try await SQLCluster()
    let error = await cluster.failure("create table t (a int, \"A\" int)")
    #expect(error?.sqlState == .featureNotSupported)
    #expect(
      error?.message == "columns \"a\" and \"A\", whose names differ in case only, are not supported")
    #expect(try await cluster.query("select \"A\" from (select 1 as a, 2 as \"A\") x") == [["2"]])
  }

  @Test func `A statement may read the table that it changes`() async throws {
    let cluster = try await SQLCluster()
    try await cluster.run(
      "create table t (id int primary key, v int); insert into t values (1, 5), (2, 6), (3, 7)")
    try await cluster.run("update t set v = (select max(v) from t) where id = 1")
    try await cluster.run("delete from t where id in (select id from t where v = 6)")
    #expect(try await cluster.query("select id, v from t order by id") == [["1", "7"], ["3", "7"]])
  }

  @Test func `lag and lead meet their default in a common type`() async throws {
    let cluster = try await SQLCluster()
    #expect(
      try await cluster.query(
        "select lag(n, 1, 0) over (order by n), lead(i, 1, 0.5) over (order by n) from (values (1.5, 1), (2, 2)) t (n, i)"
      )
        == [["0", "2"], ["1.5", "0.5"]])
  }

  @Test func `Literals may name a time zone`() async throws {
    let cluster = try await SQLCluster()
    #expect(
      try await cluster.query("select timestamptz '2020-06-01 10:00 Europe/Berlin'") == [["2020-06-01 08:00:00+00"]])
    #expect(
      await cluster.failure("select timestamptz '2020-06-01 10:00 Mars/Base'")?.sqlState == .invalidParameterValue)
  }

  @Test func `An interval is no primary key`() async throws {
    let cluster = try await SQLCluster()
    #expect(await cluster.failure("create table t (i interval primary key)")?.sqlState == .featureNotSupported)
  }
}
