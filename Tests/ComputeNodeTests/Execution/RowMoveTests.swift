import ComputeNode
import EventLoop
import PostgresWire
import SQLTypes
import Testing

/// UPDATE of a partition key.
@Suite @LoopActor struct RowMoveTests {
  private func cluster() async throws -> SQLCluster {
    let cluster = try await SQLCluster()
    try await cluster.run(
      """
      create table t (k int, id int, note text, primary key (k, id)) partition by list (k);
      create table t1 partition of t for values in (1) with (shard = 1);
      create table t2 partition of t for values in (2) with (shard = 1);
      create table t3 partition of t for values in (3) with (shard = 2);
      create table names (id int, name text) with (shard = 1);
      """)
    try await cluster.run("insert into t values (1, 1, 'one'), (1, 2, 'two'), (2, 3, null)")
    try await cluster.run("insert into names values (1, 'Ann'), (3, 'Cid')")
    return cluster
  }

  @Test func `Rows go to the tablet of their new key, and count once`() async throws {
    let cluster = try await cluster()
    #expect(try await cluster.run("update t set k = 2, note = note || '!' where id = 1") == "UPDATE 1")
    #expect(
      try await cluster.query("select tableoid::regclass, k, id, note from t order by id")
        == [["t2", "2", "1", "one!"], ["t1", "1", "2", "two"], ["t2", "2", "3", nil]])
    // Some stay, some go, either way.
    #expect(try await cluster.run("update t set k = case id when 1 then 1 else 2 end") == "UPDATE 3")
    #expect(
      try await cluster.query("select tableoid::regclass, id from t order by id")
        == [["t1", "1"], ["t2", "2"], ["t2", "3"]])
    #expect(
      try await cluster.query("update t set k = 3 - k where id < 3 returning id, k, note") == [
        ["2", "1", "two"], ["1", "2", "one!"],
      ])
    #expect(
      try await cluster.query(
        "update t set k = 1 from names n where n.id = t.id and t.k = 2 returning t.id, n.name, t.k")
        == [["1", "Ann", "1"], ["3", "Cid", "1"]])
    #expect(try await cluster.query("select count(*) from t1") == [["3"]])
    #expect(try await cluster.run("update t set k = 1 where k = 1") == "UPDATE 3")
    #expect(try await cluster.run("update t set k = 2 where id = $1", [.integer(9)]) == "UPDATE 0")
  }

  @Test func `What no partition takes is refused and nothing has changed`() async throws {
    let cluster = try await cluster()
    #expect(
      await cluster.failure("update t set k = 9 where id = 1")
        == SQLError(
          .checkViolation, "no partition of relation \"t\" found for row",
          detail: "Partition key of the failing row contains (k) = (9).", table: "t"))
    #expect(
      await cluster.failure("update t1 set k = 2 where id = 1")
        == SQLError(
          .checkViolation, "new row for relation \"t1\" violates partition constraint", table: "t1"))
    #expect(
      await cluster.failure("update t set k = 2, id = 3 where id = 1")?.message
        == "duplicate key value violates unique constraint \"t2_pkey\"")
    #expect(
      try await cluster.query("select tableoid::regclass, k, id, note from t order by id")
        == [["t1", "1", "1", "one"], ["t1", "1", "2", "two"], ["t2", "2", "3", nil]])
  }
}
