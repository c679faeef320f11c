import ComputeNode
import EventLoop
import PostgresWire
import SQLTypes
import Testing

/// Small things that tools look at, as PostgreSQL 15 has them.
@Suite @LoopActor struct ConformityTests {
  @Test(
    arguments: [
      ("reset work_mem", "RESET"), ("set work_mem to default", "SET"), ("reset all", "RESET"),
      ("start transaction", "START TRANSACTION"), ("begin work", "BEGIN"),
      ("begin; start transaction", "START TRANSACTION"),
      ("start transaction read only; end", "COMMIT"),
    ])
  func `Command tags repeat what was said`(sql: String, tag: String) async throws {
    let cluster = try await SQLCluster()
    #expect(try await cluster.run(sql) == tag)
  }

  @Test func `EXPLAIN (FORMAT JSON) answers one document of type json`() async throws {
    let cluster = try await SQLCluster()
    try await cluster.run("create table t (a int primary key) with (shard = 2)")
    let rows = try await cluster.query("explain (format json) select a from t where a = 1 for update")
    #expect(
      rows == [
        [
          #"""
          [
            {
              "Plan": {
                "Node Type": "Remote Query",
                "Shard": 2,
                "Tier": 1,
                "Remote SQL": "SELECT r0.\"a\" AS c1 FROM \"t1\" AS r0 WHERE (r0.\"a\" = ?1)",
                "Row Locks": "FOR UPDATE on t"
              }
            }
          ]
          """#
        ]
      ])
    let parsed = try await cluster.session.parse("explain (format json) select 1", parameterTypes: [])
    #expect(parsed.columns?.map(\.type) == [.json])
    let unknown = await cluster.failure("explain (format nothing) select 1")
    #expect(unknown?.sqlState == .invalidParameterValue)
    #expect(unknown?.message == "unrecognized value for EXPLAIN option \"format\": \"nothing\"")
    #expect(unknown?.position == 10)
  }

  @Test func `A transaction has a number, which no other has`() async throws {
    let cluster = try await SQLCluster()
    let numbers = try await cluster.query("select txid_current(), txid_current()")[0]
    #expect(numbers[0] == numbers[1])
    let later = try await cluster.query("select txid_current()")[0][0]
    #expect(Int64(later ?? "") ?? 0 > Int64(numbers[0] ?? "") ?? .max)
    try await cluster.run("begin")
    let first = try await cluster.query("select txid_current()")
    #expect(try await cluster.query("select txid_current()") == first)
  }

  @Test func `A partition's bound is shown as the condition that it is`() async throws {
    let cluster = try await SQLCluster()
    for table in [
      "create table lp (a text) partition by list (a)", "create table lp1 partition of lp for values in ('x', 'y')",
      "create table lp2 partition of lp for values in ('z', null) partition by range (a)",
      "create table lp21 partition of lp2 for values from (minvalue) to ('zz')",
      "create table np (n bigint) partition by list (n)", "create table np1 partition of np for values in (-1, 2)",
      "create table tp (a text, b int) partition by range (a, b)",
      "create table tp1 partition of tp for values from ('a', 1) to ('c', maxvalue)",
      "create table tp2 partition of tp for values from ('d', minvalue) to ('e', 5)",
    ] { try await cluster.run(table) }
    #expect(
      try await cluster.query(
        "select relname, pg_get_partition_constraintdef(oid) from pg_class where relispartition order by 1")
        == [
          ["lp1", "((a IS NOT NULL) AND (a = ANY (ARRAY['x'::text, 'y'::text])))"],
          ["lp2", "((a IS NULL) OR (a = 'z'::text))"],
          ["lp21", "(((a IS NULL) OR (a = 'z'::text)) AND (a IS NOT NULL) AND (a < 'zz'::text))"],
          ["np1", "((n IS NOT NULL) AND (n = ANY (ARRAY['-1'::bigint, '2'::bigint])))"],
          [
            "tp1",
            "((a IS NOT NULL) AND (b IS NOT NULL) AND ((a > 'a'::text) OR ((a = 'a'::text) AND (b >= 1))) AND "
              + "(a <= 'c'::text))",
          ],
          [
            "tp2",
            "((a IS NOT NULL) AND (b IS NOT NULL) AND (a >= 'd'::text) AND ((a < 'e'::text) OR ((a = 'e'::text) AND "
              + "(b < 5))))",
          ],
        ])
  }
}
