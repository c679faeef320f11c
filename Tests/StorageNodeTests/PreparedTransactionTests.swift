import ComputeNode
import EventLoop
import Metadata
import SQLTypes
import StorageNode
import Testing

@LoopActor
@Suite("Transactions over several shards, at one of them", .serialized)
struct PreparedTransactionTests {
  private let both = [ShardID(rawValue: 1), ShardID(rawValue: 2)]

  private func id(_ sequence: UInt64) -> GlobalTransactionID {
    GlobalTransactionID(coordinator: NodeID(rawValue: 7), incarnation: 1, sequence: sequence)
  }

  /// A shard with a table, and a transaction that has put row 1 there.
  private func shardWithTransaction() async throws -> (shard: ShardFixture, transaction: [UInt8]) {
    let shard = ShardFixture()
    try await shard.start()
    shard.metadata.createTable(1)
    let transaction = shard.newID()
    _ = try await shard.answers(shard.request("INSERT INTO t1 (id, name) VALUES (1, 'one')", in: transaction))
    return (shard, transaction)
  }

  @discardableResult
  private func prepare(_ shard: ShardFixture, _ transaction: [UInt8], _ sequence: UInt64 = 1) async throws -> Bool {
    try await shard.client.prepare(transaction, as: id(sequence), participants: both, on: ShardFixture.shard)
  }

  /// Waits for what happens behind the client's back.
  private func settle(_ condition: () async throws -> Bool) async throws {
    for _ in 0..<1000 {
      if try await condition() { return }
      try await loopSleep(milliseconds: 10)
    }
    Issue.record("it did not come about")
  }

  @Test("What is prepared keeps its locks, ignores a rollback, and takes effect with the decision of the log")
  func commits() async throws {
    let (shard, transaction) = try await shardWithTransaction()
    #expect(try await prepare(shard, transaction))
    #expect(try await prepare(shard, transaction))
    shard.client.rollback(transaction, on: ShardFixture.shard)
    var second = shard.request("DELETE FROM t1", in: shard.newID(), commits: true)
    second.lockTimeoutMilliseconds = 20
    let refused = await #expect(throws: ShardFailure.self) { try await shard.answers(second) }
    #expect(refused == .statement(SQLError(.lockNotAvailable, "canceling statement due to lock timeout"), nil))
    shard.metadata.decide(id(1), .commit, both)
    #expect(try await shard.ids() == [1])
    #expect(try await shard.insert(2, "two").count == 2)
    // Nothing is left to do, and that is what a late message is told.
    try await shard.client.finish(transaction, as: id(1), .commit, decisionIndex: 9, on: ShardFixture.shard)
    let late = await #expect(throws: ShardFailure.self) { try await prepare(shard, transaction) }
    #expect(late == .transactionLost)
    await shard.finish()
  }

  @Test("A read waits for what is prepared, since its commit may have been told already")
  func readsWait() async throws {
    let (shard, transaction) = try await shardWithTransaction()
    try await prepare(shard, transaction)
    let reading = Task { try await shard.ids() }
    try await loopSleep(milliseconds: 30)
    try await shard.client.finish(transaction, as: id(1), .commit, decisionIndex: 9, on: ShardFixture.shard)
    #expect(try await reading.value == [1])
    await shard.finish()
  }

  @Test("A read that comes while the decision is carried out sees what it did, however close the two are")
  func readsAmidTheEnd() async throws {
    let (shard, first) = try await shardWithTransaction()
    var transaction = first
    var stale: [Int64] = []
    for number in 1...200 {
      try await prepare(shard, transaction, UInt64(number))
      // The client has been told: from here on everybody must see it.
      let finishing = Task { [transaction] in
        try await shard.client.finish(
          transaction, as: id(UInt64(number)), .commit, decisionIndex: UInt64(number), on: ShardFixture.shard)
      }
      for _ in 0..<3 where try await !shard.ids().contains(Int64(number)) { stale.append(Int64(number)) }
      try await finishing.value
      transaction = shard.newID()
      _ = try await shard.answers(
        shard.request("INSERT INTO t1 (id, name) VALUES (\(number + 1), 'name \(number + 1)')", in: transaction))
    }
    #expect(stale == [])
    await shard.finish()
  }

  @Test("A shard that hears no decision asks the log to abort; a log that is silent is asked again")
  func asksForAbort() async throws {
    let (shard, transaction) = try await shardWithTransaction()
    shard.metadata.isSilent = true
    try await prepare(shard, transaction)
    try await loopSleep(milliseconds: 900)
    #expect(shard.metadata.decisions.isEmpty)
    shard.metadata.isSilent = false
    #expect(try await shard.ids() == [])
    #expect(shard.metadata.decisions[id(1)]?.outcome == .abort)
    #expect(try await shard.insert(1, "other").count == 2)
    await shard.finish()
  }

  @Test("A transaction that the log has forgotten, hence all had finished, aborts where it was prepared too late")
  func past() async throws {
    let (shard, transaction) = try await shardWithTransaction()
    try await prepare(shard, transaction)
    shard.metadata.change { image in
      var history = CoordinatorHistory()
      history = CoordinatorHistory(incarnation: 1, settledIncarnation: 1, settledSequence: 2, ranges: history.ranges)
      image.transactions.coordinators[NodeID(rawValue: 7)] = history
    }
    #expect(try await shard.ids() == [])
    await shard.finish()
  }

  @Test("An abort undoes what was not prepared; a shard where nothing was written takes no part")
  func aborts() async throws {
    let (shard, transaction) = try await shardWithTransaction()
    try await shard.client.finish(transaction, as: id(1), .abort, decisionIndex: 9, on: ShardFixture.shard)
    #expect(try await shard.insert(1, "other").count == 2)
    let idle = shard.newID()
    _ = try await shard.answers(shard.request("DELETE FROM t1 WHERE 0", in: idle))
    #expect(try await prepare(shard, idle, 2) == false)
    #expect(try await shard.insert(2, "two").count == 2)
    await shard.finish()
  }

  @Test("Two transactions cannot be prepared under one name")
  func oneName() async throws {
    let (shard, transaction) = try await shardWithTransaction()
    shard.metadata.createTable(2)
    try await prepare(shard, transaction)
    let other = shard.newID()
    _ = try await shard.answers(shard.request("INSERT INTO t2 (id, name) VALUES (1, 'one')", 2, in: other))
    let refused = await #expect(throws: ShardFailure.self) { try await prepare(shard, other) }
    guard case .statement(let error, nil) = refused else {
      Issue.record("\(String(describing: refused))")
      return
    }
    #expect(error.message == "the name 7-1-1 is that of another prepared transaction")
    await shard.finish()
  }

  @Test("A new leader holds the locks of what the old one had prepared, and carries the decision out")
  func newLeader() async throws {
    let (shard, transaction) = try await shardWithTransaction()
    shard.metadata.isSilent = true
    try await prepare(shard, transaction)
    await shard.stopNode(try await shard.leader())
    var second = shard.request("DELETE FROM t1", in: shard.newID(), commits: true)
    second.lockTimeoutMilliseconds = 20
    let refused = await #expect(throws: ShardFailure.self) { try await shard.answers(second) }
    #expect(refused == .statement(SQLError(.lockNotAvailable, "canceling statement due to lock timeout"), nil))
    #expect(try await prepare(shard, transaction))
    shard.metadata.decide(id(1), .commit, both)
    #expect(try await shard.ids() == [1])
    #expect(try await shard.insert(2, "two").count == 2)
    await shard.finish()
  }

  /// A transaction that locks the row which it puts.
  private func rowTransaction(_ shard: ShardFixture, _ row: Int) async throws -> [UInt8] {
    let transaction = shard.newID()
    _ = try await shard.answers(
      shard.request("INSERT INTO t1 (id, name) VALUES (\(row), 'x')", in: transaction, locking: .keyedRows))
    return transaction
  }

  @Test(
    "Transactions over different rows of a tablet are prepared side by side, and a new leader keeps each one's rows")
  func rowsSideBySide() async throws {
    let shard = ShardFixture()
    try await shard.start()
    shard.metadata.createTable(1, uniqueName: false)
    shard.metadata.isSilent = true
    for row in 1...3 { #expect(try await prepare(shard, try await rowTransaction(shard, row), UInt64(row))) }
    await shard.stopNode(try await shard.leader())
    for row in 1...3 {
      var second = shard.request(
        "INSERT INTO t1 (id, name) VALUES (\(row), 'other')", in: shard.newID(), locking: .keyedRows)
      second.lockTimeoutMilliseconds = 20
      let refused = await #expect(throws: ShardFailure.self) { try await shard.answers(second) }
      #expect(refused == .statement(SQLError(.lockNotAvailable, "canceling statement due to lock timeout"), nil))
    }
    let free = try await rowTransaction(shard, 4)
    try await shard.client.commit(free, on: ShardFixture.shard)
    for (row, outcome) in [(3, TransactionOutcome.commit), (1, .abort), (2, .commit)] {
      shard.metadata.decide(id(UInt64(row)), outcome, both)
    }
    #expect(try await shard.ids() == [2, 3, 4])
    await shard.finish()
  }

  @Test("A statement on its own waits for the row that it changes, not for others of the tablet")
  func statementBesideRows() async throws {
    let shard = ShardFixture()
    try await shard.start()
    shard.metadata.createTable(1, uniqueName: false)
    try await shard.insert(1, "one")
    let transaction = try await rowTransaction(shard, 2)
    func update(_ row: Int) async throws(ShardFailure) -> [ShardAnswer] {
      var request = shard.request(
        "UPDATE t1 SET name = 'new' WHERE id = \(row)", in: shard.newID(), commits: true, locking: .keyedRows)
      request.lockTimeoutMilliseconds = 1000
      return try await shard.answers(request)
    }
    #expect(try await update(1) == [.done(fragment: 0, affected: 1), .committed])
    let refused = await #expect(throws: ShardFailure.self) {
      var request = shard.request(
        "INSERT INTO t1 (id, name) VALUES (2, 'two')", in: shard.newID(), commits: true, locking: .keyedRows)
      request.lockTimeoutMilliseconds = 20
      _ = try await shard.answers(request)
    }
    #expect(refused == .statement(SQLError(.lockNotAvailable, "canceling statement due to lock timeout"), nil))
    try await shard.client.commit(transaction, on: ShardFixture.shard)
    #expect(try await update(2) == [.done(fragment: 0, affected: 1), .committed])
    await shard.finish()
  }

  @Test("A write by key that finds no row waits for what is prepared, since the row may have been told to be there")
  func keyedWriteWaits() async throws {
    let shard = ShardFixture()
    try await shard.start()
    shard.metadata.createTable(1, uniqueName: false)
    for (number, locking) in [(1, WriteLocking.keyedRows), (2, .rows)] {
      let transaction = try await rowTransaction(shard, number)
      try await prepare(shard, transaction, UInt64(number))
      let (other, condition) = (shard.newID(), locking == .rows ? "name = 'x'" : "id = 1")
      let writing = Task {
        try await shard.answers(
          shard.request("UPDATE t1 SET name = 'y' WHERE \(condition)", in: other, locking: locking))
      }
      try await loopSleep(milliseconds: 50)
      try await shard.client.finish(
        transaction, as: id(UInt64(number)), .commit, decisionIndex: UInt64(number), on: ShardFixture.shard)
      #expect(try await writing.value == [.done(fragment: 0, affected: 1)])
      try await shard.client.commit(other, on: ShardFixture.shard)
    }
    await shard.finish()
  }

  @Test("All replicas restart, from snapshots and from their logs, and what was prepared is there")
  func restart() async throws {
    let (shard, transaction) = try await shardWithTransaction()
    shard.metadata.isSilent = true
    shard.metadata.createTable(2)
    try await prepare(shard, transaction)
    for number in 1...300 { try await shard.insert(number, "name \(number) \(String(repeating: "x", count: 300))", 2) }
    for place in 0..<3 { await shard.stopNode(place) }
    for place in 0..<3 { try await shard.startNode(place) }
    #expect(try await shard.ids(2).count == 300)
    shard.metadata.decide(id(1), .commit, both)
    #expect(try await shard.ids() == [1])
    await shard.finish()
  }

  @Test("A large transaction is prepared in parts")
  func large() async throws {
    let (shard, transaction) = try await shardWithTransaction()
    _ = try await shard.answers(
      shard.request(
        "INSERT INTO t1 (id, name) VALUES (?1, ?2)", in: transaction,
        rows: (2...400).map { [.integer(Int64($0)), .text("\($0)" + String(repeating: "y", count: 2000))] },
        continues: true))
    #expect(try await prepare(shard, transaction))
    try await shard.client.finish(transaction, as: id(1), .commit, decisionIndex: 9, on: ShardFixture.shard)
    #expect(try await shard.ids().count == 400)
    let leader = try await shard.leader()
    await shard.stopNode(leader)
    #expect(try await shard.ids().count == 400)
    await shard.finish()
  }
}
