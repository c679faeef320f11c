import ComputeNode
import EventLoop
import Metadata
import SQLTypes
import Testing

@testable import StorageNode

@LoopActor
@Suite("A shard of three replicas and its client", .serialized)
struct ShardTests {
  @Test("Tablets come into being because the metadata says so; rows are written, read and refused")
  func wholeLife() async throws {
    let shard = ShardFixture()
    try await shard.start()
    shard.metadata.createTable(1)
    #expect(try await shard.insert(1, "one") == [.done(fragment: 0, affected: 1), .committed])
    #expect(try await shard.insert(2, "two") == [.done(fragment: 0, affected: 1), .committed])
    #expect(try await shard.ids() == [1, 2])
    let violation = await #expect(throws: ShardFailure.self) { try await shard.insert(3, "two") }
    #expect(
      violation
        == .statement(
          SQLError(.uniqueViolation, "duplicate key value violates a unique constraint"),
          ConstraintViolation(
            kind: .unique, tabletID: TabletID(rawValue: 1), columns: ["name"],
            failingRow: [.integer(3), .text("two")])))
    let stale = await #expect(throws: ShardFailure.self) { try await shard.insert(1, "one", 99) }
    #expect(stale == .staleRoute(requiredIndex: shard.metadata.image.index))
    // A change of the metadata that comes while a request planned after it waits.
    shard.metadata.createTable(2)
    #expect(try await shard.insert(1, "one", 2) == [.done(fragment: 0, affected: 1), .committed])
    shard.metadata.change { $0.tablets[TabletID(rawValue: 2)]?.generation = 2 }
    #expect(try await shard.ids(2) == [])
    await shard.finish()
  }

  @Test("A transaction sees its writes, commits once however often it is asked, and is gone after a rollback")
  func transactions() async throws {
    let shard = ShardFixture()
    try await shard.start()
    shard.metadata.createTable(1)
    let id = shard.newID()
    _ = try await shard.answers(shard.request("INSERT INTO t1 (id, name) VALUES (1, 'one')", in: id))
    let seen = try await shard.answers(
      shard.request("SELECT count(*) FROM t1", in: id, continues: true, write: false, columns: 1))
    #expect(
      seen == [
        .rows(fragment: 0, rowCount: 1, values: RowCodec.encode([.integer(1)])), .done(fragment: 0, affected: 0),
      ])
    #expect(try await shard.ids() == [])
    try await shard.client.commit(id, on: ShardFixture.shard)
    try await shard.client.commit(id, on: ShardFixture.shard)
    #expect(try await shard.ids() == [1])

    let undone = shard.newID()
    _ = try await shard.answers(shard.request("DELETE FROM t1", in: undone))
    shard.client.rollback(undone, on: ShardFixture.shard)
    #expect(try await shard.insert(2, "two").count == 2)
    #expect(try await shard.ids() == [1, 2])
    let lost = await #expect(throws: ShardFailure.self) {
      try await shard.client.commit(undone, on: ShardFixture.shard)
    }
    #expect(lost == .transactionLost)
    let unknown = await #expect(throws: ShardFailure.self) {
      try await shard.answers(shard.request("DELETE FROM t1", in: shard.newID(), continues: true))
    }
    #expect(unknown == .transactionLost)
    await shard.finish()
  }

  @Test("A statement that commits at once is not run again when it is asked again")
  func repeatedWrite() async throws {
    let shard = ShardFixture()
    try await shard.start()
    shard.metadata.createTable(1)
    let request = shard.request("INSERT INTO t1 (id, name) VALUES (1, 'one')", in: shard.newID(), commits: true)
    let expected: [ShardAnswer] = [.done(fragment: 0, affected: 1), .committed]
    #expect(try await shard.answers(request) == expected)
    #expect(try await shard.answers(request) == expected)
    #expect(try await shard.ids() == [1])
    await shard.finish()
  }

  @Test("Many writers at once, each for itself")
  func manyWriters() async throws {
    let shard = ShardFixture()
    try await shard.start()
    shard.metadata.createTable(1)
    let writers = (0..<64).map { number in
      // Every fourth id is taken twice.
      Task { try await shard.insert(number % 4 == 3 ? number - 1 : number, "name \(number)") }
    }
    var outcomes = 0
    for writer in writers { if case .success = await writer.result { outcomes += 1 } }
    #expect(outcomes == 48)
    #expect(try await shard.ids().count == 48)
    await shard.finish()
  }

  @Test("What was acknowledged survives the end of the leader; an open transaction is lost and says so")
  func leaderEnds() async throws {
    let shard = ShardFixture()
    try await shard.start()
    shard.metadata.createTable(1)
    for number in 0..<20 { try await shard.insert(number, "name \(number)") }
    let open = shard.newID()
    _ = try await shard.answers(shard.request("INSERT INTO t1 (id, name) VALUES (100, 'open')", in: open))
    let first = try await shard.leader()
    await shard.stopNode(first)
    for number in 20..<30 { try await shard.insert(number, "name \(number)") }
    let lost = await #expect(throws: ShardFailure.self) {
      try await shard.answers(shard.request("DELETE FROM t1", in: open, continues: true))
    }
    #expect(lost == .transactionLost)
    #expect(try await shard.ids() == (0..<30).map { Int64($0) })
    try await shard.startNode(first)
    let second = try await shard.leader()
    await shard.stopNode(second)
    for number in 30..<40 { try await shard.insert(number, "name \(number)") }
    #expect(try await shard.ids() == (0..<40).map { Int64($0) })
    await shard.finish()
  }

  @Test("A first request that waits while the leader changes is begun anew at the next one", .timeLimit(.minutes(1)))
  func leaderChangesUnderRequests() async throws {
    let shard = ShardFixture()
    try await shard.start()
    shard.metadata.createTable(1)
    try await shard.insert(1, "one")
    for locking in [WriteLocking.tablet, .keyedRows] {
      let open = shard.newID()
      _ = try await shard.answers(
        shard.request("UPDATE t1 SET name = 'open' WHERE id = 1", in: open, locking: locking))
      let update = "UPDATE t1 SET name = name || '+' WHERE id = 1"
      let (alone, begun) = (shard.newID(), shard.newID())
      let requests = [
        shard.request(update, in: alone, commits: true, locking: locking),
        shard.request(update, in: begun, locking: locking),
      ]
      let waiting = requests.map { request in Task { try await shard.answers(request) } }
      try await loopSleep(milliseconds: 100)
      let leader = try await shard.leader()
      try await shard.nodes[leader]?.replica?.transferLeadership()
      // One of them goes first, whichever.
      let second = Task {
        _ = try await waiting[1].value
        try await shard.client.commit(begun, on: ShardFixture.shard)
      }
      #expect(try await waiting[0].value == [.done(fragment: 0, affected: 1), .committed])
      try await second.value
      #expect(try await shard.leader() != leader)
      let lost = await #expect(throws: ShardFailure.self) {
        try await shard.client.commit(open, on: ShardFixture.shard)
      }
      #expect(lost == .transactionLost)
    }
    let request = shard.request("SELECT name FROM t1", in: [], write: false, columns: 1)
    #expect(
      try await shard.answers(request) == [
        .rows(fragment: 0, rowCount: 1, values: RowCodec.encode([.text("one++++")])), .done(fragment: 0, affected: 0),
      ])
    await shard.finish()
  }

  @Test("A replica that was away for long is brought up by a snapshot; all at once start again with what they had")
  func snapshotAndRestart() async throws {
    let shard = ShardFixture()
    try await shard.start()
    shard.metadata.createTable(1)
    try await shard.insert(0, "first")
    let away = try await (shard.leader() + 1) % 3
    await shard.stopNode(away)
    let text = String(repeating: "x", count: 4000)
    for number in 1...60 { try await shard.insert(number, "\(number) \(text)") }
    try await shard.startNode(away)
    for _ in 0..<2000
    where shard.nodes[away]?.replicaStatus?.appliedIndex
      != shard.nodes.compactMap({ $0 }).map({
        $0.replicaStatus?.appliedIndex ?? 0
      }).max()
    {
      try await loopSleep(milliseconds: 5)
    }
    // With one of the others gone, the one that came back is needed for every answer.
    await shard.stopNode((away + 1) % 3)
    #expect(try await shard.ids() == (0...60).map { Int64($0) })
    await shard.stopNode(away)
    await shard.stopNode((away + 2) % 3)
    for place in 0..<3 { try await shard.startNode(place) }
    #expect(try await shard.ids() == (0...60).map { Int64($0) })
    try await shard.insert(61, "after")
    #expect(try await shard.ids().count == 62)
    await shard.finish()
  }

  @Test("A transaction of many entries is committed as a whole, on all replicas, while others go on")
  func largeTransaction() async throws {
    let shard = ShardFixture(snapshotLogBytes: 2 << 20)
    try await shard.start()
    shard.metadata.createTable(1)
    shard.metadata.createTable(2)
    let text = String(repeating: "x", count: 1000)
    let id = shard.newID()
    let rows = (0..<1200).map { [StoredValue.integer(Int64($0)), .text("\($0) \(text)")] }
    _ = try await shard.answers(shard.request("INSERT INTO t1 (id, name) VALUES (?1, ?2)", in: id, rows: rows))
    let others = Task {
      for number in 0..<10 { try await shard.insert(number, "other \(number)", 2) }
    }
    try await shard.client.commit(id, on: ShardFixture.shard)
    try await others.value
    // 1.2 MB in parts of a quarter.
    #expect(try await shard.nodes[shard.leader()]?.replicaStatus?.commitIndex ?? 0 > 5)
    #expect(try await shard.ids() == (0..<1200).map { Int64($0) })
    // Each of the others leads with the same rows.
    let first = try await shard.leader()
    await shard.stopNode(first)
    #expect(try await shard.ids().count == 1200)
    let update = shard.request("UPDATE t1 SET name = name || '!'", in: shard.newID(), commits: true)
    #expect(try await shard.answers(update) == [.done(fragment: 0, affected: 1200), .committed])
    #expect(try await shard.answers(update) == [.done(fragment: 0, affected: 1200), .committed])
    try await shard.startNode(first)
    let second = try await shard.leader()
    await shard.stopNode(second)
    let ends = try await shard.answers(
      shard.request("SELECT count(*) FROM t1 WHERE name LIKE '%x!'", in: [], write: false, columns: 1))
    #expect(ends.first == .rows(fragment: 0, rowCount: 1, values: RowCodec.encode([.integer(1200)])))
    #expect(try await shard.ids(2).count == 10)
    await shard.finish()
  }

  @Test("A transaction that writes more than a shard may keep is refused and undone; others go on")
  func tooLargeTransaction() async throws {
    let shard = ShardFixture(maximumTransactionBytes: 1 << 20)
    try await shard.start()
    shard.metadata.createTable(1)
    let text = String(repeating: "x", count: 1000)
    func rows(_ range: Range<Int>) -> [[StoredValue]] { range.map { [.integer(Int64($0)), .text("\($0) \(text)")] } }
    let expected = ShardFailure.statement(
      SQLError(
        .programLimitExceeded, "the transaction writes more than 1 MiB in one shard", hint: "Commit in smaller parts."),
      nil)
    let sql = "INSERT INTO t1 (id, name) VALUES (?1, ?2)"
    let atOnce = await #expect(throws: ShardFailure.self) {
      try await shard.answers(shard.request(sql, in: shard.newID(), rows: rows(0..<1200), commits: true))
    }
    #expect(atOnce == expected)
    let id = shard.newID()
    _ = try await shard.answers(shard.request(sql, in: id, rows: rows(0..<700)))
    let later = await #expect(throws: ShardFailure.self) {
      try await shard.answers(shard.request(sql, in: id, rows: rows(700..<1400), continues: true))
    }
    #expect(later == expected)
    shard.client.rollback(id, on: ShardFixture.shard)
    _ = try await shard.answers(shard.request(sql, in: shard.newID(), rows: rows(0..<700), commits: true))
    #expect(try await shard.ids().count == 700)
    await shard.finish()
  }

  @Test("A definition that the engine refuses stops its table alone, on every replica alike, until it is dropped")
  func refusedDefinition() async throws {
    let shard = ShardFixture()
    try await shard.start()
    shard.metadata.createTable(1)
    shard.metadata.createTable(2, check: "no_such(\"id\")")
    try await shard.insert(1, "one")
    let refused = await #expect(throws: ShardFailure.self) { try await shard.insert(1, "one", 2) }
    #expect(
      refused
        == .statement(
          SQLError(
            .systemError, "table \"accounts2\" cannot be used: the storage engine refused its definition",
            detail: "the tablet cannot run the statement: no such function: no_such", hint: "Drop the table."), nil))
    let first = try await shard.leader()
    await shard.stopNode(first)
    try await shard.insert(2, "two")
    let again = await #expect(throws: ShardFailure.self) { try await shard.insert(1, "one", 2) }
    #expect(again == refused)
    shard.metadata.change { $0.tablets[TabletID(rawValue: 2)] = nil }
    let gone = await #expect(throws: ShardFailure.self) { try await shard.insert(1, "one", 2) }
    #expect(gone == .staleRoute(requiredIndex: shard.metadata.image.index))
    try await shard.startNode(first)
    #expect(try await shard.ids() == [1, 2])
    await shard.finish()
  }

  @Test("A directory in use and one of another cluster are refused with what to do")
  func wrongDirectory() async throws {
    let shard = ShardFixture()
    try await shard.start()
    let error = await #expect(throws: StorageNodeError.self) { try await shard.startNode(0) }
    #expect(error?.description.contains("is in use by process") == true)
    await shard.finish()
  }

  @Test("A request is at work before its answer is asked for, and undone where it is given up then")
  func sentAtOnce() async throws {
    let shard = ShardFixture()
    try await shard.start()
    shard.metadata.createTable(1)
    try await shard.insert(1, "one")
    let call = shard.client.execute(
      shard.request("INSERT INTO t1 (id, name) VALUES (2, 'two')", in: shard.newID(), commits: true))
    for _ in 0..<1000 where try await shard.ids() == [1] { try await loopSleep(milliseconds: 5) }
    #expect(try await shard.ids() == [1, 2])
    #expect(try await call.next() == .done(fragment: 0, affected: 1))
    let abandoned = shard.client.execute(
      shard.request("INSERT INTO t1 (id, name) VALUES (3, 'three')", in: shard.newID()))
    abandoned.cancel()
    #expect(try await shard.insert(3, "III").count == 2)
    await shard.finish()
  }
}
