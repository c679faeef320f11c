import ComputeNode
import EventLoop
import PostgresWire
import SQLTypes
import Testing

/// SELECT … FOR UPDATE, with the errors of PostgreSQL 15.
@Suite @LoopActor struct RowLockTests {
  private func cluster() async throws -> SQLCluster {
    let cluster = try await SQLCluster()
    try await cluster.run(
      """
      create table l (a int primary key, b int) with (shard = 1);
      create table m (a int primary key, b int) with (shard = 2);
      create view v as select a from l;
      insert into l values (1, 1), (2, 2)
      """)
    try await cluster.run("insert into m values (1, 1)")
    cluster.shards.forgetRequests()
    return cluster
  }

  @Test func `The tablet is locked before it is read, within the transaction, which then writes there`() async throws {
    let cluster = try await cluster()
    try await cluster.run("begin")
    #expect(try await cluster.query("select b from l where a = 2 for update") == [["2"]])
    #expect(
      cluster.shards.requests.map { $0.fragments.map(\.sql) } == [
        ["DELETE FROM \"t1\" WHERE 0"], ["SELECT r0.\"b\" AS c1 FROM \"t1\" AS r0 WHERE (r0.\"a\" = ?1)"],
      ])
    #expect(Set(cluster.shards.requests.map(\.transactionID)).count == 1)
    #expect(cluster.shards.requests.map(\.isContinuation) == [false, true])
    try await cluster.run("update l set b = 7 where a = 2")
    #expect(try await cluster.query("select * from m for share") == [["1", "1"]])
    try await cluster.run("rollback; begin; select * from v for no key update; update l set b = 8 where a = 2; commit")
    #expect(try await cluster.query("select b from l order by a for update") == [["1"], ["8"]])
    #expect(try await cluster.query("select a from l join m using (a) for update of m") == [["1"]])
  }

  @Test func `NOWAIT asks for the lock at once`() async throws {
    let cluster = try await cluster()
    try await cluster.run("set lock_timeout = '3s'; select * from l for update")
    try await cluster.run("select * from l for update nowait")
    #expect(
      cluster.shards.requests.filter { $0.fragments[0].isWrite }.map(\.lockTimeoutMilliseconds) == [3000, 1])
  }

  @Test(
    arguments: [
      ("select distinct a from l for update", "0A000", "FOR UPDATE is not allowed with DISTINCT clause"),
      ("select count(*) from l for update", "0A000", "FOR UPDATE is not allowed with aggregate functions"),
      ("select a from l group by a for share", "0A000", "FOR SHARE is not allowed with GROUP BY clause"),
      ("select 1 from l having true for update", "0A000", "FOR UPDATE is not allowed with HAVING clause"),
      ("select sum(a) over () from l for update", "0A000", "FOR UPDATE is not allowed with window functions"),
      ("select a from l union select 1 for update", "0A000", "FOR UPDATE is not allowed with UNION/INTERSECT/EXCEPT"),
      ("values (1) for update", "0A000", "FOR UPDATE cannot be applied to VALUES"),
      ("select a from l for update of x", "42P01", "relation \"x\" in FOR UPDATE clause not found in FROM clause"),
      ("select * from l x for update of l", "42P01", "relation \"l\" in FOR UPDATE clause not found in FROM clause"),
      (
        "with c as (select * from l) select * from c for update of c", "0A000",
        "FOR UPDATE cannot be applied to a WITH query"
      ),
      (
        "select * from l left join m on true for update", "0A000",
        "FOR UPDATE cannot be applied to the nullable side of an outer join"
      ),
      (
        "begin read only; select * from l for update", "25006",
        "cannot execute SELECT FOR UPDATE in a read-only transaction"
      ),
      ("select * from l for update skip locked", "0A000", "SKIP LOCKED is not supported"),
      ("select * from (select * from l for update) s", "0A000", "FOR UPDATE is not supported in a subquery"),
    ])
  func `What cannot be locked is refused`(sql: String, state: String, message: String) async throws {
    let cluster = try await cluster()
    let error = await cluster.failure(sql)
    #expect(error?.sqlState.rawValue == state)
    #expect(error?.message == message)
  }

  @Test func `What has no rows to lock is read as ever`() async throws {
    let cluster = try await cluster()
    #expect(try await cluster.query("select 1 for update") == [["1"]])
    #expect(
      try await cluster.query("with c as (select a from l) select * from c order by 1 for update") == [["1"], ["2"]])
    #expect(try await cluster.query("select * from generate_series(1, 2) for update") == [["1"], ["2"]])
    #expect(cluster.shards.requests.allSatisfy { $0.fragments.allSatisfy { !$0.isWrite } })
  }
}
