import EventLoop
import Metadata
import SQLTypes
import StorageEngine
import Testing

/// Transactions that lock rows instead of tablets.
@LoopActor
@Suite("Row locks")
struct RowLockTests {
  /// An engine with a tablet of three rows, each with amount 0, whose primary key is all that is unique.
  private func engineWithRows(uniqueName: Bool = false) async throws -> EngineFixture {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1, uniqueName: uniqueName)
    try await fixture.writeAlone(
      "INSERT INTO t1 (id, name, amount) VALUES (1, 'one', 0), (2, 'two', 0), (3, 'three', 0)", 1)
    return fixture
  }

  @discardableResult
  private func add(
    _ amount: Int, to row: Int, in id: TransactionID, _ fixture: EngineFixture
  ) async throws(EngineFailure) -> UInt64 {
    try await fixture.write("UPDATE t1 SET amount = amount + \(amount) WHERE id = \(row)", 1, in: id, locksRows: true)
  }

  /// Returns once the transactions wait for a lock.
  private func untilWaiting(_ fixture: EngineFixture, _ ids: TransactionID...) async throws {
    for _ in 0..<2000 {
      if ids.allSatisfy({ fixture.engine.locks[$0]?.wait != nil }) { return }
      try await loopSleep(milliseconds: 5)
    }
    Issue.record("nobody waits")
  }

  private func amounts(_ fixture: EngineFixture) async throws -> [Int64?] {
    try await fixture.readAlone("SELECT amount FROM t1 ORDER BY id", [1]).map { $0[0].integerValue }
  }

  @Test("Transactions that change different rows go on side by side, and followers get both")
  func sideBySide() async throws {
    let fixture = try await engineWithRows()
    let (first, second) = (try fixture.begin(), try fixture.begin())
    try await add(1, to: 1, in: first, fixture)
    try await add(2, to: 2, in: second, fixture)
    try await add(3, to: 3, in: first, fixture)
    #expect(try await amounts(fixture) == [0, 0, 0])
    #expect(
      try await fixture.read("SELECT amount FROM t1 ORDER BY id", [1], in: first) == [
        [.integer(1)], [.integer(0)], [.integer(3)],
      ])
    let changes = [try await fixture.commit(second), try await fixture.commit(first)]
    #expect(try await amounts(fixture) == [1, 2, 3])

    let follower = EngineFixture()
    try await follower.open()
    try await follower.createAccounts(1, uniqueName: false)
    try await follower.writeAlone(
      "INSERT INTO t1 (id, name, amount) VALUES (1, 'one', 0), (2, 'two', 0), (3, 'three', 0)", 1)
    try await follower.engine.apply([.changes(changes[0], index: 3), .changes(changes[1], index: 4)])
    #expect(try await amounts(follower) == [1, 2, 3])
    await follower.finish()
    await fixture.finish()
  }

  @Test("The second writer of a row waits, and changes what the first has left; after a rollback, what was there")
  func waits() async throws {
    let fixture = try await engineWithRows()
    let first = try fixture.begin()
    try await add(5, to: 1, in: first, fixture)
    let second = try fixture.begin()
    let waiting = Task { try await add(10, to: 1, in: second, fixture) }
    try await untilWaiting(fixture, second)
    #expect(fixture.engine.locks[second]?.wait?.blockers == [first])
    try await fixture.commit(first)
    #expect(try await waiting.value == 1)
    let third = try fixture.begin()
    let waitingToo = Task { try await add(100, to: 1, in: third, fixture) }
    try await untilWaiting(fixture, third)
    await fixture.engine.rollback(second)
    #expect(try await waitingToo.value == 1)
    try await fixture.commit(third)
    #expect(try await amounts(fixture) == [105, 0, 0])
    #expect(fixture.engine.locks == [:])
    await fixture.finish()
  }

  @Test("A row that no longer fits the condition when its turn has come is left alone")
  func conditionAgain() async throws {
    let fixture = try await engineWithRows()
    let first = try fixture.begin()
    try await add(5, to: 1, in: first, fixture)
    let second = try fixture.begin()
    let waiting = Task {
      try await fixture.write("UPDATE t1 SET amount = 9 WHERE amount = 0 AND id = 1", 1, in: second, locksRows: true)
    }
    try await untilWaiting(fixture, second)
    try await fixture.commit(first)
    #expect(try await waiting.value == 0)
    #expect(try await fixture.engine.changes(of: second) == [])
    await fixture.engine.rollback(second)
    #expect(try await amounts(fixture) == [5, 0, 0])
    await fixture.finish()
  }

  @Test("No change is lost among many transactions that add to few rows")
  func many() async throws {
    let fixture = try await engineWithRows()
    let tasks = (0..<12).map { number in
      Task {
        for step in 0..<20 {
          let id = try fixture.begin()
          // Always the lower row first.
          try await add(1, to: 1 + (number + step) % 2, in: id, fixture)
          try await add(1, to: 3, in: id, fixture)
          if step % 7 == 6 { await fixture.engine.rollback(id) } else { try await fixture.commit(id) }
        }
      }
    }
    for task in tasks { try await task.value }
    // Of each 20, two are rolled back.
    let found = try await amounts(fixture).compactMap { $0 }
    #expect(found[0] + found[1] == 12 * 18)
    #expect(found[2] == 12 * 18)
    await fixture.finish()
  }

  @Test("A key that another transaction has put or taken away is waited for")
  func keys() async throws {
    let fixture = try await engineWithRows()
    let first = try fixture.begin()
    try await fixture.write("INSERT INTO t1 (id, name) VALUES (4, 'four')", 1, in: first, locksRows: true)
    try await fixture.write("DELETE FROM t1 WHERE id = 1", 1, in: first, locksRows: true)
    let (second, third) = (try fixture.begin(), try fixture.begin())
    let putting = Task {
      try await fixture.write("INSERT INTO t1 (id, name) VALUES (4, 'IV')", 1, in: second, locksRows: true)
    }
    let replacing = Task {
      try await fixture.write("INSERT INTO t1 (id, name, amount) VALUES (1, 'I', 7)", 1, in: third, locksRows: true)
    }
    try await untilWaiting(fixture, second, third)
    try await fixture.commit(first)
    let failure = await #expect(throws: EngineFailure.self) { try await putting.value }
    #expect(failure?.constraint == .primaryKey(columns: ["id"]))
    #expect(failure?.failingRow == [.integer(4), .text("IV"), .null])
    #expect(try await replacing.value == 1)
    try await fixture.commit(third)
    await fixture.engine.rollback(second)
    #expect(try await amounts(fixture) == [7, 0, 0, nil])
    // Of keys that nobody holds the error comes at once.
    let fourth = try fixture.begin()
    await #expect(throws: EngineFailure.self) {
      try await fixture.write("INSERT INTO t1 (id, name) VALUES (2, 'II')", 1, in: fourth, locksRows: true)
    }
    await fixture.engine.rollback(fourth)
    await fixture.finish()
  }

  @Test("A change of the key locks the row under both")
  func keyChange() async throws {
    let fixture = try await engineWithRows()
    let first = try fixture.begin()
    try await fixture.write("UPDATE t1 SET id = 9 WHERE id = 1", 1, in: first, locksRows: true)
    for sql in ["UPDATE t1 SET amount = 1 WHERE id = 1", "INSERT INTO t1 (id, name) VALUES (9, 'nine')"] {
      let other = try fixture.begin(TransactionOptions(lockTimeoutMilliseconds: 20))
      let failure = await #expect(throws: EngineFailure.self) {
        try await fixture.write(sql, 1, in: other, locksRows: true)
      }
      #expect(failure?.error.sqlState == .lockNotAvailable)
      await fixture.engine.rollback(other)
    }
    try await fixture.commit(first)
    #expect(
      try await fixture.readAlone("SELECT id FROM t1 ORDER BY id", [1]) == [
        [.integer(2)], [.integer(3)], [.integer(9)],
      ])
    await fixture.finish()
  }

  @Test("Two that wait for each other's rows: one gets 40P01")
  func deadlock() async throws {
    let fixture = try await engineWithRows()
    let (first, second) = (try fixture.begin(), try fixture.begin())
    try await add(1, to: 1, in: first, fixture)
    try await add(1, to: 2, in: second, fixture)
    let waiting = Task { try await add(1, to: 2, in: first, fixture) }
    try await untilWaiting(fixture, first)
    let failure = await #expect(throws: EngineFailure.self) { try await add(1, to: 1, in: second, fixture) }
    #expect(failure?.error.sqlState == .deadlockDetected)
    await fixture.engine.rollback(second)
    #expect(try await waiting.value == 1)
    try await fixture.commit(first)
    #expect(try await amounts(fixture) == [1, 1, 0])
    await fixture.finish()
  }

  @Test("Savepoints undo what was changed after them")
  func savepoints() async throws {
    let fixture = try await engineWithRows()
    let id = try fixture.begin()
    try await add(1, to: 1, in: id, fixture)
    try fixture.engine.setSavepoints([1], in: id)
    try await add(1, to: 2, in: id, fixture)
    try fixture.engine.setSavepoints([1, 2], in: id)
    try await add(1, to: 1, in: id, fixture)
    try await fixture.engine.rollback(id, toSavepoint: 2)
    try await fixture.engine.rollback(id, toSavepoint: 1)
    try await add(1, to: 3, in: id, fixture)
    try await fixture.commit(id)
    #expect(try await amounts(fixture) == [1, 0, 1])
    await fixture.finish()
  }

  @Test("A tablet with another unique index is locked as a whole")
  func unique() async throws {
    let fixture = try await engineWithRows(uniqueName: true)
    let first = try fixture.begin()
    try await fixture.write("UPDATE t1 SET name = 'free' WHERE id = 1", 1, in: first, locksRows: true)
    let second = try fixture.begin()
    let waiting = Task {
      try await fixture.write("INSERT INTO t1 (id, name) VALUES (4, 'one')", 1, in: second, locksRows: true)
    }
    try await untilWaiting(fixture, second)
    try await fixture.commit(first)
    #expect(try await waiting.value == 1)
    try await fixture.commit(second)
    #expect(try await amounts(fixture).count == 4)
    await fixture.finish()
  }

  @Test("Who has locked rows and then needs the tablet waits for the others, and keeps its changes and savepoints")
  func fromRowsToTablet() async throws {
    let fixture = try await engineWithRows()
    let (first, other) = (try fixture.begin(), try fixture.begin())
    try await add(1, to: 1, in: first, fixture)
    try fixture.engine.setSavepoints([1], in: first)
    try await add(1, to: 2, in: first, fixture)
    try await add(7, to: 3, in: other, fixture)
    let waiting = Task { try await fixture.write("UPDATE t1 SET amount = amount * 10", 1, in: first) }
    try await untilWaiting(fixture, first)
    // A newcomer waits behind it, whatever row it wants.
    let newcomer = try fixture.begin(TransactionOptions(lockTimeoutMilliseconds: 20))
    await #expect(throws: EngineFailure.self) { try await add(1, to: 3, in: newcomer, fixture) }
    await fixture.engine.rollback(newcomer)
    try await fixture.commit(other)
    #expect(try await waiting.value == 3)
    #expect(
      try await fixture.read("SELECT amount FROM t1 ORDER BY id", [1], in: first) == [
        [.integer(10)], [.integer(10)], [.integer(70)],
      ])
    try await fixture.engine.rollback(first, toSavepoint: 1)
    try await add(2, to: 3, in: first, fixture)
    try await fixture.commit(first)
    #expect(try await amounts(fixture) == [1, 0, 9])
    await fixture.finish()
  }

  @Test("A statement that works for long takes the tablet for itself, so that others' commits need not wait for it")
  func longStatement() async throws {
    let fixture = try await engineWithRows()
    let id = try fixture.begin()
    let counting =
      "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 100000) SELECT count(*) FROM c"
    try await add(1, to: 2, in: id, fixture)
    #expect(
      try await fixture.write("UPDATE t1 SET amount = (\(counting)) WHERE id = 1", 1, in: id, locksRows: true) == 1)
    let other = try fixture.begin(TransactionOptions(lockTimeoutMilliseconds: 20))
    await #expect(throws: EngineFailure.self) { try await add(1, to: 3, in: other, fixture) }
    await fixture.engine.rollback(other)
    try await fixture.commit(id)
    #expect(try await amounts(fixture) == [100_000, 1, 0])
    await fixture.finish()
  }

  @Test("A transaction that has rows of one tablet and another tablet for itself commits both at once")
  func mixed() async throws {
    let fixture = try await engineWithRows()
    try await fixture.createAccounts(2)
    let id = try fixture.begin()
    try await add(1, to: 1, in: id, fixture)
    try await fixture.write("INSERT INTO t2 (id, name, amount) VALUES (1, 'one', 4)", 2, in: id)
    try await fixture.commit(id)
    #expect(
      try await fixture.readAlone("SELECT a.amount, b.amount FROM t1 a, a2.t2 b WHERE a.id = b.id", [1, 2], columns: 2)
        == [[.integer(1), .integer(4)]])
    #expect(fixture.engine.locks == [:])
    try await fixture.writeAlone("UPDATE t2 SET amount = 5", 2)
    await fixture.finish()
  }

  @Test("What was prepared under another leader keeps its rows, and only them")
  func adoption() async throws {
    let leader = try await engineWithRows()
    var prepared: [(id: TransactionID, changes: [TabletChangeset])] = []
    for row in 1...2 {
      let id = TransactionID(bytes: Array("prepared \(row)".utf8))
      try leader.engine.begin(id, options: TransactionOptions())
      try await add(row, to: row, in: id, leader)
      prepared.append((id, try await leader.engine.changes(of: id)))
    }
    let fixture = try await engineWithRows()
    for one in prepared { await fixture.engine.adopt(one.id, one.changes) }
    for row in 1...2 {
      let id = try fixture.begin(TransactionOptions(lockTimeoutMilliseconds: 20))
      let failure = await #expect(throws: EngineFailure.self) { try await add(1, to: row, in: id, fixture) }
      #expect(failure?.error.sqlState == .lockNotAvailable)
      await fixture.engine.rollback(id)
    }
    let free = try fixture.begin()
    try await add(3, to: 3, in: free, fixture)
    try await fixture.commit(free)
    try await fixture.engine.apply([.commit(prepared[1].id, prepared[1].changes, index: 4)])
    await fixture.engine.rollback(prepared[0].id)
    #expect(try await amounts(fixture) == [0, 2, 3])
    #expect(fixture.engine.locks == [:])
    await fixture.finish()
    await leader.finish()
  }

  @Test("A schema change ends the transactions that hold rows for too long")
  func schemaChange() async throws {
    let fixture = try await engineWithRows()
    let (first, second) = (try fixture.begin(), try fixture.begin())
    try await add(1, to: 1, in: first, fixture)
    try await add(1, to: 2, in: second, fixture)
    await fixture.engine.lockExclusive([TabletID(rawValue: 1)], graceMilliseconds: 20)
    fixture.engine.releaseExclusive([TabletID(rawValue: 1)])
    let failure = await #expect(throws: EngineFailure.self) { try await add(1, to: 3, in: first, fixture) }
    #expect(failure?.error.sqlState == .noActiveSQLTransaction || failure?.error.sqlState == .serializationFailure)
    #expect(try await amounts(fixture) == [0, 0, 0])
    await fixture.finish()
  }
}
