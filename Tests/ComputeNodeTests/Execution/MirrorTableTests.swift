import ComputeNode
import EventLoop
import Metadata
import PostgresWire
import SQLTypes
import Testing

/// Tables with a copy on every shard.
@Suite @LoopActor struct MirrorTableTests {
  private func cluster() async throws -> SQLCluster {
    let cluster = try await SQLCluster()
    try await cluster.run(
      """
      create table m (id int primary key, v text, r float8 default random(), s serial) with (shard = all);
      create table one (x int primary key) with (shard = 1);
      create table two (x int primary key) with (shard = 2);
      insert into one values (1); insert into two values (1);
      """)
    return cluster
  }

  /// The rows of both copies, which must be alike.
  private func copies(_ cluster: SQLCluster) async throws -> [[String?]] {
    let rows = try await cluster.query("select m.* from m, one order by id")
    let others = try await cluster.query("select m.* from m, two order by id")
    #expect(rows == others)
    return rows
  }

  @Test func `A query reads the copy on the shard of its other tables`() async throws {
    let cluster = try await cluster()
    for (table, shard) in [("one", 1), ("two", 2)] {
      let plan = try await cluster.query("explain select * from m join \(table) on x = id")
      #expect(plan.first == ["Remote Query on shard \(shard)  (tier 1: whole statement)"])
    }
    #expect(
      try await cluster.query("select relshardid, reloptions from pg_class where relname = 'm'")
        == [["-1", "{shard=all}"]])
    try await cluster.run("insert into m (id, v) values (1, 'a')")
    #expect(try await cluster.query("select v from m, one, two where id = one.x and id = two.x") == [["a"]])
    #expect(try await cluster.query("select count(*) from m a join m b using (id)") == [["1"]])
  }

  @Test func `What is written is alike in all copies, also what is random`() async throws {
    let cluster = try await cluster()
    #expect(try await cluster.run("insert into m (id, v) values (1, 'a'), (2, 'b'), (3, 'c')") == "INSERT 0 3")
    var rows = try await copies(cluster)
    #expect(rows.map { $0[0] } == ["1", "2", "3"])
    #expect(rows.map { $0[3] } == ["1", "2", "3"])
    #expect(Set(rows.map { $0[2] }).count == 3)
    #expect(try await cluster.query("update m set r = random(), v = v || '!' where id > 1 returning id, v").count == 2)
    rows = try await copies(cluster)
    #expect(rows.map { $0[1] } == ["a", "b!", "c!"])
    #expect(try await cluster.run("update m set v = 'joined' from one where id = x") == "UPDATE 1")
    #expect(try await cluster.run("delete from m where random() < 2 and id = 3") == "DELETE 1")
    #expect(try await cluster.run("insert into m (id, v) select x + 9, 'new' from two") == "INSERT 0 1")
    #expect(
      try await cluster.query(
        "insert into m (id, v) values (1, 'x'), (4, 'y') on conflict (id) do update set v = m.v || excluded.v "
          + "returning id, v") == [["1", "joinedx"], ["4", "y"]])
    #expect(try await cluster.run("insert into m (id) values (1), (5) on conflict do nothing") == "INSERT 0 1")
    #expect(try await cluster.copyIn("copy m (id, v) from stdin", [[.integer(6), .text("copied")]]) == "COPY 1")
    rows = try await copies(cluster)
    #expect(rows.map { $0[0] } == ["1", "2", "4", "5", "6", "10"])
    #expect(rows.map { $0[1] } == ["joinedx", "b!", "y", nil, "copied", "new"])
  }

  @Test func `All copies change in one transaction or none`() async throws {
    let cluster = try await cluster()
    try await cluster.run("insert into m (id, v) values (1, 'a'), (2, 'b')")
    #expect(await cluster.failure("insert into m (id, v) values (3, 'c'), (1, 'd')")?.sqlState == .uniqueViolation)
    try await cluster.run("begin")
    try await cluster.run("update m set v = 'changed'")
    #expect(try await cluster.query("select distinct v from m, two") == [["changed"]])
    try await cluster.run("rollback")
    #expect(try await copies(cluster).map { $0[1] } == ["a", "b"])
    try await cluster.run("begin")
    try await cluster.run("delete from m where id = 1")
    try await cluster.run("insert into two values (2)")
    try await cluster.run("commit")
    #expect(try await cluster.query("select id from m, one") == [["2"]])
    #expect(try await cluster.query("select id from m, two") == [["2"], ["2"]])
  }

  @Test(
    arguments: [
      ("create table t (a int) with (shard = all)", "mirror tables without a primary key are not supported", nil),
      ("create table t (a int primary key) with (shard = some)", "invalid value for integer option \"shard\"", 42),
      (
        "create table p0 partition of p for values with (modulus 1, remainder 0) with (shard = all)",
        "a partition cannot be a mirror table", 79
      ),
      (
        "create table t (a int primary key) partition by hash (a) with (shard = all)",
        "partitioned tables and partitions cannot be mirror tables", nil
      ),
      (
        "insert into m (id) values (1) on conflict (id) do update set r = random()",
        "a volatile function in ON CONFLICT DO UPDATE of a mirror table is not supported", 31
      ),
    ] as [(String, String, Int?)])
  func `What mirror tables cannot do is named`(sql: String, message: String, position: Int?) async throws {
    let cluster = try await cluster()
    try await cluster.run("create table p (a int primary key) partition by hash (a)")
    let error = await cluster.failure(sql)
    #expect(error?.message == message)
    #expect(error?.position == position)
  }
}
