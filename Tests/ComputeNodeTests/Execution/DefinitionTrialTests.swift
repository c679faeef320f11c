import ComputeNode
import EventLoop
import Metadata
import SQLTypes
import Testing

/// Definitions that a tablet's SQLite would refuse, with the real planner.
@Suite @LoopActor struct DefinitionTrialTests {
  /// More arguments than SQLite takes, which ends at 127.
  private let many = "coalesce(\(Array(repeating: "a", count: 200).joined(separator: ", ")))"
  private let manyTexts = "length(concat(\(Array(repeating: "current_user", count: 200).joined(separator: ", "))))"

  private func check(_ error: SQLError?, _ relation: String, function: String = "coalesce") {
    #expect(error?.sqlState == .featureNotSupported)
    #expect(error?.message == "the definition of relation \"\(relation)\" is not supported")
    #expect(error?.detail == "statement is too complex: too many arguments on function \(function)")
  }

  @Test func `A check too large for the tablets is refused, of a table and of a partition, and nothing is left behind`()
    async throws
  {
    let cluster = try await SQLCluster()
    let index = cluster.metadata.image.index
    check(await cluster.failure("create table t (id bigserial primary key, a int, check (\(many) > 0))"), "t")
    check(await cluster.failure("create table t (a int check (\(many) > 0)) partition by list (a)"), "t")
    #expect(cluster.metadata.image.index == index)
    #expect(cluster.metadata.image.sequences.isEmpty)
    try await cluster.run(
      "create table t (a int check (a > 0), b numeric, primary key (a, b)) partition by list (a)")
    let before = cluster.metadata.image.index
    check(await cluster.failure("create table t1 partition of t (check (\(many) > 0)) for values in (1)"), "t1")
    #expect(cluster.metadata.image.index == before)
    try await cluster.run("create table t1 partition of t (check (a < 10)) for values in (1)")
    try await cluster.run("create index on t (b desc, a)")
    try await cluster.run("insert into t values (1, 1.5)")
    #expect(await cluster.failure("insert into t values (0, 1.5)")?.sqlState == .checkViolation)
  }

  @Test func `A default that this node could not evaluate is refused; one that fails for its values is not`()
    async throws
  {
    let cluster = try await SQLCluster()
    check(await cluster.failure("create table t (a int, b int default \(manyTexts))"), "t", function: "pg_concat")
    #expect(cluster.metadata.image.tables.isEmpty)
    try await cluster.run("create table t (a int, b int default 1 / 0, c timestamptz default now())")
    #expect(await cluster.failure("insert into t (a) values (1)")?.sqlState == .divisionByZero)
  }

  @Test func `What the log refuses is refused in its words, not in the trial's`() async throws {
    let cluster = try await SQLCluster()
    #expect(
      await cluster.failure("create table t (a int, a int)")
        == SQLError(.duplicateColumn, "column \"a\" specified more than once"))
    try await cluster.run("create table t (a int)")
    try await cluster.run("create index i on t (a)")
    #expect(
      await cluster.failure("create index i on t (a)") == SQLError(.duplicateTable, "relation \"i\" already exists"))
  }
}
