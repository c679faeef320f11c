import ComputeNode
import EventLoop
import Metadata
import PostgresWire
import SQLPlan
import SQLTypes
import Testing

/// Plans of INSERTs into the table `t (a int)`, whose partition by list has 1 on shard 1 and 2 on shard 2.
private enum Plans {
  static func insert(_ values: [Int64]) -> @Sendable (Image) -> AnalyzedStatement {
    { image in
      let table = image.tables.values.first { $0.name == "t" }!
      let tree = PartitionTree(table.id, image: image)
      let plan = InsertPlan(
        tableID: table.id, source: .values(values.map { [.constant(.integer($0))] }),
        router: PartitionRouter(tree: tree),
        template: SQLTemplate(
          parts: [.text("INSERT INTO "), .table(0), .text(" VALUES (?1)")], parameters: [], columnCount: 0),
        columnTypes: [.int4])
      var dependencies = PlanDependencies()
      for leaf in tree.leaves { dependencies.tablets[leaf.tabletID] = image.tablets[leaf.tabletID] }
      return AnalyzedStatement(
        command: .insert, parameterTypes: [], columns: [], plan: .write(.insert(plan)), plannedAtIndex: image.index,
        dependencies: dependencies)
    }
  }

  static let all: FakePlanning.Plans = [
    "insert into t values (1)": insert([1]), "insert into t values (2)": insert([2]),
    "insert into t values (1), (1)": insert([1, 1]), "insert into t values (1), (2)": insert([1, 2]),
  ]
}

@Suite @LoopActor struct WriteTests {
  private let one = ShardID(rawValue: 1)
  private let two = ShardID(rawValue: 2)

  private func cluster() async throws -> FakeCluster {
    let cluster = try await FakeCluster(plans: Plans.all)
    _ = try await cluster.metadata.append(
      AppendRequest(principal: "test", commands: [.createTable(draft("t", nil, 1))]))
    let parent = try #require(cluster.metadata.image.tables.values.first { $0.name == "t" })
    for value in [1, 2] as [Int64] {
      _ = try await cluster.metadata.append(
        AppendRequest(principal: "test", commands: [.createTable(draft("t\(value)", parent.id, value))]))
    }
    return cluster
  }

  private func draft(_ name: String, _ parent: ObjectID?, _ value: Int64) -> TableDraft {
    let image = Image()
    _ = image
    var draft = TableDraft(
      schemaID: WellKnown.publicSchema, name: name, ownerID: WellKnown.firstRole, columns: [])
    if let parent {
      draft.partition = PartitionMembership(parentID: parent, bound: .list([.integer(value)]))
      draft.shardID = ShardID(rawValue: UInt32(value))
    } else {
      draft.columns = [ColumnDraft(name: "a", type: .int4)]
      draft.partitioning = PartitioningDraft(strategy: .list, columns: ["a"])
    }
    return draft
  }

  @Test func `A write on its own is one request that commits`() async throws {
    let cluster = try await cluster()
    #expect(try await cluster.run("insert into t values (1), (1)") == "INSERT 0 2")
    #expect(cluster.shards.requests.count == 1)
    #expect(cluster.shards.requests[0].commits)
    #expect(cluster.shards.requests[0].shardID == one)
    #expect(cluster.shards.requests[0].fragments.map(\.parameterRows) == [2])
    #expect(cluster.shards.commits.isEmpty)
  }

  @Test func `Statements of one text are one transaction`() async throws {
    let cluster = try await cluster()
    try await cluster.run("insert into t values (1); insert into t values (1)")
    #expect(cluster.shards.requests.map(\.commits) == [false, false])
    #expect(cluster.shards.requests.map(\.isContinuation) == [false, true])
    #expect(cluster.shards.commits == [one])
  }

  @Test func `A text's last statement is committed before it is called done`() async throws {
    let cluster = try await cluster()
    cluster.shards.commitFailure = .transactionLost
    let error = await cluster.failure("insert into t values (1); insert into t values (1)")
    #expect(error?.sqlState == .serializationFailure)
    #expect(cluster.lastTag == "INSERT 0 1")
    #expect(cluster.tagCount == 1)
  }

  @Test func `A block commits on the shard that it wrote`() async throws {
    let cluster = try await cluster()
    try await cluster.run("begin")
    try await cluster.run("insert into t values (2)")
    #expect(cluster.shards.commits.isEmpty)
    #expect(try await cluster.run("commit") == "COMMIT")
    #expect(cluster.shards.commits == [two])
  }

  @Test func `A block that wrote two shards prepares both, asks the log, and tells them what it decided`() async throws
  {
    let cluster = try await cluster()
    try await cluster.run("begin")
    try await cluster.run("insert into t values (1)")
    try await cluster.run("insert into t values (2)")
    #expect(cluster.shards.requests.map(\.shardID) == [one, two])
    #expect(cluster.shards.prepares.isEmpty)
    #expect(try await cluster.run("commit") == "COMMIT")
    #expect(cluster.shards.commits.isEmpty)
    #expect(cluster.shards.prepares.sorted() == [one, two])
    try await settle { cluster.shards.finishes == [one: .commit, two: .commit] }
    try await settle { cluster.metadata.image.transactions.open.isEmpty }
    #expect(
      cluster.metadata.appended.suffix(2).map { $0.first?.kind.rawValue } == [
        "DecideTransaction", "ResolveTransaction",
      ])
  }

  @Test func `One statement for two shards is a transaction of its own`() async throws {
    let cluster = try await cluster()
    #expect(try await cluster.run("insert into t values (1), (2)") == "INSERT 0 2")
    #expect(cluster.shards.requests.map(\.commits) == [false, false])
    #expect(cluster.shards.prepares.sorted() == [one, two])
  }

  @Test func `A shard that cannot prepare has the transaction aborted everywhere`() async throws {
    let cluster = try await cluster()
    cluster.shards.prepareFailures[two] = .transactionLost
    let error = await cluster.failure("insert into t values (1), (2)")
    #expect(error?.sqlState == .serializationFailure)
    try await settle { cluster.shards.finishes[one] == .abort }
    #expect(cluster.shards.finishes[two] == nil)
  }

  @Test func `What the log has decided before stands`() async throws {
    let cluster = try await cluster()
    cluster.metadata.standingDecision = .abort
    let error = await cluster.failure("insert into t values (1), (2)")
    #expect(error?.sqlState == .serializationFailure)
    #expect(error?.message == "the transaction was rolled back because its commit took too long")
    try await settle { cluster.shards.finishes == [one: .abort, two: .abort] }
  }

  @Test func `A log that rejects the decision leaves the outcome to the shards, and says so`() async throws {
    let cluster = try await cluster()
    cluster.metadata.decisionFailure = .refused("another cluster")
    let error = await cluster.failure("insert into t values (1), (2)")
    #expect(error?.sqlState.rawValue == "08007")
    #expect(cluster.shards.finishes.isEmpty)
  }

  /// Waits for what happens behind the client's back.
  private func settle(_ condition: () -> Bool) async throws {
    for _ in 0..<400 where !condition() { try await loopSleep(milliseconds: 5) }
    #expect(condition())
  }

  @Test func `A stale route is planned anew once the image has caught up`() async throws {
    let cluster = try await cluster()
    cluster.shards.scripts = [FakeShards.Script(failure: .staleRoute(requiredIndex: 1000))]
    var waited: [UInt64] = []
    cluster.metadata.whenWaiting = { waited.append($0) }
    #expect(try await cluster.run("insert into t values (1)") == "INSERT 0 1")
    #expect(waited == [1000])
    #expect(cluster.shards.requests.count == 2)
  }

  @Test func `A commit whose answer is lost is asked for again`() async throws {
    let cluster = try await cluster()
    cluster.shards.scripts = [
      FakeShards.Script(answers: [.done(fragment: 0, affected: 1)], failure: .interrupted("broken pipe"))
    ]
    #expect(try await cluster.run("insert into t values (1)") == "INSERT 0 1")
    #expect(cluster.shards.commits == [one])
  }

  @Test func `A commit whose outcome stays unknown says so`() async throws {
    let cluster = try await cluster()
    cluster.shards.scripts = [FakeShards.Script(failure: .interrupted("broken pipe"))]
    cluster.shards.commitFailure = .interrupted("no leader")
    let error = await cluster.failure("insert into t values (1)")
    #expect(error?.sqlState == SQLState(rawValue: "08007"))
    #expect(error?.message == "it is unknown whether the transaction was committed")
  }

  @Test func `A shard without a leader fails the statement and says that nothing was done`() async throws {
    let cluster = try await cluster()
    cluster.shards.scripts = [FakeShards.Script(failure: .unavailable("no replica has answered"))]
    let error = await cluster.failure("insert into t values (1)")
    #expect(error?.sqlState == .connectionFailure)
    #expect(error?.message == "shard 1 cannot be reached")
    #expect(try await cluster.run("insert into t values (1)") == "INSERT 0 1")
  }

  @Test func `A violated constraint is worded with the catalog's names and the row's values`() async throws {
    let cluster = try await cluster()
    let image = cluster.metadata.image
    let partition = try #require(image.tables.values.first { $0.name == "t1" })
    let tablet = try #require(image.tablet(of: partition.id))
    cluster.shards.scripts = [
      FakeShards.Script(
        failure: .statement(
          SQLError(.notNullViolation, "NOT NULL constraint failed: t1.a"),
          ConstraintViolation(kind: .notNull, tabletID: tablet.id, columns: ["a"])))
    ]
    let error = await cluster.failure("insert into t values (1)")
    #expect(error?.message == "null value in column \"a\" of relation \"t1\" violates not-null constraint")
    #expect(error?.detail == "Failing row contains (1).")
  }
}
