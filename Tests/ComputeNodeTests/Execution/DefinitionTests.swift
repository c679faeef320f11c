import ComputeNode
import EventLoop
import Metadata
import PostgresWire
import SQLTypes
import Testing

@Suite @LoopActor struct DefinitionTests {
  @Test func `Tables become commands of the log`() async throws {
    let cluster = try await FakeCluster()
    #expect(
      try await cluster.run(
        "create table t (id bigserial primary key, a int default 3 check (a > 0), b varchar not null unique)")
        == "CREATE TABLE")
    let table = try #require(cluster.metadata.image.tables.values.first)
    #expect(table.columns.map(\.name) == ["id", "a", "b"])
    #expect(table.columns[0].defaultExpression == "nextval('t_id_seq'::regclass)")
    #expect(table.columns.map(\.isNotNull) == [true, false, true])
    #expect(table.checks == [CheckDefinition(name: "t_a_check", expression: "(a > 0)", storageExpression: "\"a\" > 0")])
    #expect(cluster.metadata.image.indexes(of: table.id).map(\.name) == ["t_pkey", "t_b_key"])
  }

  @Test func `A table goes to the shard that it names`() async throws {
    let cluster = try await FakeCluster()
    try await cluster.run("create table t (a int) with (shard = 2)")
    let image = cluster.metadata.image
    let table = try #require(image.tables.values.first)
    #expect(image.tablet(of: table.id)?.shardID == ShardID(rawValue: 2))
    let error = await cluster.failure("create table u (a int) with (shard = 3)")
    #expect(
      error
        == SQLError(
          .undefinedObject, "shard 3 does not exist", hint: "The cluster has the shards 1, 2.", position: 30))
  }

  @Test func `Tables of a group stand together and the catalog says so`() async throws {
    let cluster = try await SQLCluster()
    try await cluster.run(
      """
      create table a (k int, v int) partition by hash (k) with (tablegroup = orders);
      create table b (k int) partition by hash (k) with (tablegroup = orders);
      create table a0 partition of a for values with (modulus 2, remainder 0) with (shard = 2);
      create table a1 partition of a for values with (modulus 2, remainder 1) with (shard = 1);
      create table b0 partition of b for values with (modulus 2, remainder 0);
      create table b1 partition of b for values with (modulus 2, remainder 1);
      """)
    #expect(
      try await cluster.query(
        "select table_group, partition_bound, table_name, shard from kunlog.table_groups order by 2, 3") == [
          ["orders", "FOR VALUES WITH (modulus 2, remainder 0)", "public.a0", "2"],
          ["orders", "FOR VALUES WITH (modulus 2, remainder 0)", "public.b0", "2"],
          ["orders", "FOR VALUES WITH (modulus 2, remainder 1)", "public.a1", "1"],
          ["orders", "FOR VALUES WITH (modulus 2, remainder 1)", "public.b1", "1"],
        ])
    #expect(
      try await cluster.query("select reloptions from pg_class where relname = 'a'") == [["{tablegroup=orders}"]])
    // What stands together is joined in one place.
    let plan = try await cluster.query("explain select * from a join b on a.k = b.k where a.k = 1 and b.k = 1")
    #expect(plan.first?.first??.contains("(tier 1: whole statement)") == true, "\(plan)")
  }

  @Test func `A partition names no group of its own`() async throws {
    let cluster = try await FakeCluster()
    try await cluster.run("create table t (a int) partition by hash (a)")
    let error = await cluster.failure(
      "create table t0 partition of t for values with (modulus 1, remainder 0) with (tablegroup = g)")
    #expect(error?.message == "cannot name a table group for a partition")
    #expect(error?.hint == "Name the group for the partitioned table.")
    #expect(error?.position == 79)
  }

  @Test func `Options of a table are set and reset, and what has to move is said`() async throws {
    let cluster = try await FakeCluster()
    try await cluster.run("create table t (at date, a int) partition by range (at) with (fillfactor = 70)")
    #expect(
      try await cluster.run("alter table t set (cold_after = '90 days', shard_class = archive), reset (fillfactor)")
        == "ALTER TABLE")
    let table = try #require(cluster.metadata.image.tables.values.first)
    #expect(table.options == ["cold_after": "90 days", "shard_class": "archive"])
    #expect(
      cluster.client.notices.last?.fields.message
        == "there is no shard of class cold yet: what belongs there stays where it is")
    #expect(cluster.client.notices.last?.fields.hint == "kunlog shard add --class cold")
    try await cluster.run("alter table t reset (cold_after, shard_class)")
    #expect(cluster.metadata.image.tables.values.first?.options == [:])
    #expect(
      cluster.client.notices.last?.fields.message
        == "what has to move is moved by kunlog rebalance --apply, as automatic rebalancing is off")
    try await cluster.run("alter table if exists nowhere set (fillfactor = 10)")
    #expect(
      cluster.client.notices.last?.fields.message == "relation \"nowhere\" does not exist, skipping")
  }

  @Test(
    arguments: [
      (
        "alter table t set (shard_class = cold, shard_class = hot)",
        "parameter \"shard_class\" specified more than once"
      ),
      ("alter table t set (tablegroup = g)", "\"tablegroup\" cannot be changed"),
      ("alter table t set (speed = 3)", "unrecognized parameter \"speed\""),
      ("alter table t set (cold_after)", "parameter \"cold_after\" needs a value"),
      (
        "alter table t set (cold_after = 'x')",
        "cannot set \"cold_after\" for table \"t\": its partitions are no ranges of time"
      ),
      ("alter table t set (shard_class = 'Two words')", "invalid shard class \"Two words\""),
      ("alter table t set (fillfactor = 70), add column b int", "ALTER TABLE is not supported"),
      (
        "create table u (a int) with (shard_class = archive)",
        "there is no shard of class archive to place table \"u\" on"
      ),
    ])
  func `Options that cannot be are refused`(sql: String, message: String) async throws {
    let cluster = try await FakeCluster()
    try await cluster.run("create table t (a int)")
    #expect(await cluster.failure(sql)?.message == message)
    #expect(cluster.metadata.image.tables.values.first?.options == [:])
  }

  @Test func `A group's class changes for all of its tables, by whoever owns them`() async throws {
    let cluster = try await FakeCluster()
    try await cluster.run(
      "create table a (i int) with (tablegroup = g); create table b (i int) with (tablegroup = g)")
    try await cluster.run("alter table a set (shard_class = cold)")
    #expect(
      cluster.metadata.image.tables.values.sorted { $0.id < $1.id }.map { $0.options["shard_class"] } == [
        "cold", "cold",
      ])
    #expect(
      cluster.client.notices.first?.fields.message == "changed for all 2 tables of table group \"g\"")
  }

  @Test func `IF NOT EXISTS and IF EXISTS give notices`() async throws {
    let cluster = try await FakeCluster()
    try await cluster.run("create table t (a int); create table if not exists t (a int); drop table if exists u, t")
    #expect(
      cluster.client.notices.map(\.fields.message) == [
        "relation \"t\" already exists, skipping", "table \"u\" does not exist, skipping",
      ])
    #expect(cluster.metadata.image.tables.isEmpty)
  }

  @Test(
    arguments: [
      ("create table t (a int references b)", "foreign keys are not supported", 23),
      ("create temp table t (a int)", "temporary tables are not supported", nil),
      ("create table t (a int generated always as (1) stored)", "generated columns are not supported", 23),
      ("alter table t add column b int", "ALTER TABLE is not supported", 1),
      (" create table t as select 1", "CREATE TABLE AS is not supported", 1),
      ("create table t (a text collate \"de_DE\")", "collation \"de_DE\" is not supported", 17),
    ] as [(String, String, Int?)])
  func `What is not supported is named`(sql: String, message: String, position: Int?) async throws {
    let cluster = try await FakeCluster()
    let error = await cluster.failure(sql)
    #expect(error?.sqlState == .featureNotSupported)
    #expect(error?.message == message)
    #expect(error?.position == position)
  }

  @Test func `Dropping the wrong kind tells the right one`() async throws {
    let cluster = try await FakeCluster()
    try await cluster.run("create sequence s")
    #expect(
      await cluster.failure("drop table s")
        == SQLError(.wrongObjectType, "\"s\" is not a table", hint: "Use DROP SEQUENCE to remove a sequence."))
    #expect(
      await cluster.failure("drop table nowhere") == SQLError(.undefinedTable, "table \"nowhere\" does not exist"))
  }

  @Test func `A role's password reaches the log as a verifier only`() async throws {
    let cluster = try await FakeCluster()
    try await cluster.run("create user bob with password 'secret' createdb")
    let role = try #require(cluster.metadata.image.role(named: "bob"))
    #expect(role.canLogin)
    #expect(role.canCreateDatabase)
    let verifier = try #require(role.verifier.flatMap { SCRAMVerifier($0) })
    #expect(verifier.matches("secret", cryptography: .openSSL))
    try await cluster.run("alter role bob password null nologin")
    #expect(cluster.metadata.image.role(named: "bob")?.verifier == nil)
    try await cluster.run("drop role bob")
    #expect(cluster.metadata.image.role(named: "bob") == nil)
  }

  @Test func `Definitions in a block take effect at once, and a rollback says so`() async throws {
    let cluster = try await FakeCluster()
    #expect(try await cluster.run("begin; create table t (a int)") == "CREATE TABLE")
    #expect(cluster.metadata.image.tables.count == 1)
    #expect(try await cluster.run("rollback") == "ROLLBACK")
    #expect(cluster.client.notices.map(\.fields.message) == ["definitions are not undone by ROLLBACK"])
  }

  @Test func `Sequence options, signs included`() async throws {
    let cluster = try await FakeCluster()
    try await cluster.run("create sequence s as int increment by -2 maxvalue 10 minvalue -10 start with 8 cache 4")
    let sequence = try #require(cluster.metadata.image.sequences.values.first)
    #expect(sequence.increment == -2)
    #expect(sequence.minimum == -10)
    #expect(sequence.start == 8)
    #expect(sequence.cache == 4)
  }
}
