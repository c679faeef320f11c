import ComputeNode
import EventLoop
import PostgresWire
import SQLTypes
import Testing

@Suite @LoopActor struct StatementExecutionTests {
  private func cluster() async throws -> SQLCluster {
    let cluster = try await SQLCluster()
    try await cluster.run(
      """
      create table t (id bigint primary key, name text not null, amount numeric(10,2) default 1.50) partition by hash (id);
      create table t0 partition of t for values with (modulus 2, remainder 0) with (shard = 1);
      create table t1 partition of t for values with (modulus 2, remainder 1) with (shard = 2);
      create table s (id serial primary key, word varchar(5) unique, n int check (n > 0)) with (shard = 1)
      """)
    for id in 1...10 { try await cluster.run("insert into t values (\(id), 'name \(id)')") }
    cluster.shards.forgetRequests()
    return cluster
  }

  @Test func `A row by its key comes from one tablet`() async throws {
    let cluster = try await cluster()
    #expect(try await cluster.query("select * from t where id = 3") == [["3", "name 3", "1.50"]])
    #expect(cluster.shards.requests.count == 1)
    #expect(try await cluster.query("select name from t where id = $1", [.integer(4)]) == [["name 4"]])
  }

  @Test func `Sorted rows of several shards are merged, and cut`() async throws {
    let cluster = try await cluster()
    #expect(
      try await cluster.query("select id from t order by id desc limit 3 offset 1") == [["9"], ["8"], ["7"]])
    #expect(try await cluster.query("select count(*), sum(amount), max(name) from t") == [["10", "15.00", "name 9"]])
  }

  @Test func `Joins, subqueries and windows run on the compute node`() async throws {
    let cluster = try await cluster()
    try await cluster.run("insert into s (word, n) values ('a', 1), ('b', 2)")
    #expect(
      try await cluster.query("select s.word, t.name from t join s on s.n = t.id order by 1")
        == [["a", "name 1"], ["b", "name 2"]])
    #expect(
      try await cluster.query(
        "select id, row_number() over (order by id desc) from t where id in (select n from s) order by id")
        == [["1", "2"], ["2", "1"]])
  }

  @Test func `Sequences count from one and are remembered by the session`() async throws {
    let cluster = try await cluster()
    #expect(
      try await cluster.query("insert into s (word, n) values ('x', 1), ('y', 1) returning id, word")
        == [["1", "x"], ["2", "y"]])
    #expect(try await cluster.query("select currval('s_id_seq'), lastval()") == [["2", "2"]])
    #expect(try await cluster.query("select setval('s_id_seq', 40)") == [["40"]])
    #expect(try await cluster.query("select nextval('s_id_seq')") == [["41"]])
    try await cluster.newSession()
    #expect(
      await cluster.failure("select currval('s_id_seq')")
        == SQLError(
          .objectNotInPrerequisiteState, "currval of sequence \"s_id_seq\" is not yet defined in this session"))
  }

  @Test func `Violations are worded as PostgreSQL words them`() async throws {
    let cluster = try await cluster()
    let duplicate = await cluster.failure("insert into t values (3, 'again')")
    #expect(duplicate?.sqlState == .uniqueViolation)
    #expect(
      duplicate?.message == "duplicate key value violates unique constraint \"t1_pkey\""
        || duplicate?.message == "duplicate key value violates unique constraint \"t0_pkey\"")
    #expect(duplicate?.detail == "Key (id)=(3) already exists.")
    let missing = await cluster.failure("insert into t values (30, null)")
    #expect(missing?.sqlState == .notNullViolation)
    #expect(missing?.detail == "Failing row contains (30, null, 1.50).")
    let long = await cluster.failure("insert into s (word, n) values ('too long', 1)")
    #expect(long == SQLError(.stringDataRightTruncation, "value too long for type character varying(5)"))
    #expect(await cluster.failure("insert into s (n) values (0)")?.constraint == "s_n_check")
  }

  @Test func `Changes with RETURNING, and a transaction that is rolled back`() async throws {
    let cluster = try await cluster()
    #expect(try await cluster.query("update t set amount = amount * 2 where id = 5 returning amount") == [["3.00"]])
    try await cluster.run("begin")
    #expect(try await cluster.run("delete from t where id = 5") == "DELETE 1")
    #expect(try await cluster.query("select count(*) from t where id = 5") == [["0"]])
    try await cluster.run("rollback")
    #expect(try await cluster.query("select count(*) from t where id = 5") == [["1"]])
  }

  @Test func `A statement writes rows of two shards, whole or not at all`() async throws {
    let cluster = try await cluster()
    #expect(try await cluster.run("insert into t select id + 100, name from t") == "INSERT 0 10")
    #expect(try await cluster.query("select count(*) from t") == [["20"]])
    #expect(
      await cluster.failure("insert into t select id + 200, name from t where id < 3 union all select 1, 'x'")?.sqlState
        == .uniqueViolation)
    #expect(try await cluster.query("select count(*) from t") == [["20"]])
    try await cluster.run("begin; delete from t where id > 100; commit")
    try await cluster.run("begin; delete from t; rollback")
    #expect(try await cluster.query("select count(*) from t") == [["10"]])
    #expect(try await cluster.run("delete from t") == "DELETE 10")
    #expect(try await cluster.query("select count(*) from t") == [["0"]])
  }

  @Test func `Rows found by a query are changed by key`() async throws {
    let cluster = try await cluster()
    try await cluster.run("insert into s (word, n) values ('a', 1)")
    #expect(try await cluster.run("update t set name = s.word from s where s.n = t.id") == "UPDATE 1")
    #expect(try await cluster.query("select name from t where id = 1") == [["a"]])
  }

  @Test func `COPY in and out`() async throws {
    let cluster = try await cluster()
    #expect(
      try await cluster.copyIn("copy s (word, n) from stdin", [[.text("p"), .integer(1)], [.text("q"), .integer(2)]])
        == "COPY 2")
    #expect(try await cluster.run("copy s (word) to stdout") == "COPY 2")
    #expect(cluster.rows == [["p"], ["q"]])
    let rows = (100..<140).map { [StoredValue.integer(Int64($0)), .text("x")] }
    #expect(try await cluster.copyIn("copy t (id, name) from stdin", rows) == "COPY 40")
    #expect(try await cluster.query("select count(*) from t") == [["50"]])
  }

  @Test func `Prepared statements, by SQL`() async throws {
    let cluster = try await cluster()
    try await cluster.run("prepare p (bigint) as select name from t where id = $1")
    #expect(try await cluster.query("execute p(2 + 1)") == [["name 3"]])
    #expect(await cluster.failure("execute p")?.message == "wrong number of parameters for prepared statement \"p\"")
    try await cluster.run("deallocate p")
    #expect(await cluster.failure("execute p(1)")?.sqlState == .invalidSQLStatementName)
  }

  @Test func `Plans follow the catalog`() async throws {
    let cluster = try await cluster()
    let parsed = try await cluster.session.parse("select * from s", parameterTypes: [])
    try await cluster.run("drop table s; create table s (other int)")
    do {
      _ = try await cluster.session.execute(parsed, parameters: [], endsTransaction: true)
      Issue.record("the plan of a dropped table ran")
    } catch {
      #expect(
        error
          == SQLError(
            .featureNotSupported, "cached plan must not change result type", routine: "RevalidateCachedQuery"))
    }
  }

  @Test func `The catalog, views and functions of the session`() async throws {
    let cluster = try await cluster()
    try await cluster.run("create view v (k, w) as select id, name from t where id < 3")
    #expect(try await cluster.query("select * from v order by k") == [["1", "name 1"], ["2", "name 2"]])
    #expect(
      try await cluster.query("select relname, relshardid from pg_class where relname in ('t0', 't1') order by 1")
        == [["t0", "1"], ["t1", "2"]])
    #expect(
      try await cluster.query("select current_user, current_database(), current_schema()") == [
        ["abc", "postgres", "public"]
      ])
    #expect(try await cluster.query("select set_config('application_name', 'x', false)") == [["x"]])
    #expect(try await cluster.query("show application_name") == [["x"]])
    #expect(
      try await cluster.query("select 't'::regclass, 't'::regclass::oid = oid from pg_class where relname = 't'") == [
        ["t", "t"]
      ])
    #expect(await cluster.failure("drop table t")?.sqlState == .dependentObjectsStillExist)
  }

  @Test func `EXPLAIN shows shards`() async throws {
    let cluster = try await cluster()
    let lines = try await cluster.query("explain select * from t where id = 3").compactMap { $0[0] }
    #expect(lines.contains { $0.contains("shard") })
    #expect(try await cluster.query("explain analyze select * from t").count >= 3)
  }

  @Test func `A role without rights sees nothing of others`() async throws {
    let cluster = try await cluster()
    try await cluster.run("create user bob password 'x'")
    try await cluster.newSession(user: "bob")
    #expect(await cluster.failure("select * from t")?.sqlState == .insufficientPrivilege)
    #expect(await cluster.failure("drop table t")?.message == "must be owner of table t")
    #expect(await cluster.failure("create user eve")?.sqlState == .insufficientPrivilege)
  }
}
