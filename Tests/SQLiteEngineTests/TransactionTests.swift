import EventLoop
import Metadata
import SQLTypes
import StorageEngine
import Testing

/// What every engine does with transactions.
@LoopActor
struct TransactionTests {
  @Test("What is written is seen by the transaction, and by others only once it is committed")
  func visibility() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    let writer = try fixture.begin()
    let count = try await fixture.write(
      "INSERT INTO t1 (id, name, amount) VALUES (?1, ?2, ?3)", 1, in: writer,
      rows: [[.integer(1), .text("one"), .integer(10)], [.integer(2), .text("two"), .null]])
    #expect(count == 2)
    #expect(try await fixture.read("SELECT id FROM t1 ORDER BY id", [1], in: writer) == [[.integer(1)], [.integer(2)]])
    #expect(try await fixture.readAlone("SELECT id FROM t1", [1]) == [])
    try await fixture.commit(writer)
    #expect(
      try await fixture.readAlone("SELECT id, name, amount FROM t1 ORDER BY id", [1], columns: 3)
        == [[.integer(1), .text("one"), .integer(10)], [.integer(2), .text("two"), .null]])
    await fixture.finish()
  }

  @Test("A rollback leaves nothing behind and gives the tablet to the next writer")
  func rollback() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    let writer = try fixture.begin()
    try await fixture.write("INSERT INTO t1 (id, name) VALUES (1, 'one')", 1, in: writer)
    await fixture.engine.rollback(writer)
    await fixture.engine.rollback(writer)
    try await fixture.writeAlone("INSERT INTO t1 (id, name) VALUES (1, 'uno')", 1)
    #expect(try await fixture.readAlone("SELECT name FROM t1", [1]) == [[.text("uno")]])
    await fixture.finish()
  }

  @Test("A statement that fails is undone alone, all its parameter rows with it")
  func statementUndone() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    let writer = try fixture.begin()
    try await fixture.write("INSERT INTO t1 (id, name) VALUES (1, 'one')", 1, in: writer)
    let failure = await #expect(throws: EngineFailure.self) {
      try await fixture.write(
        "INSERT INTO t1 (id, name, amount) VALUES (?1, ?2, ?3)", 1, in: writer,
        rows: [[.integer(2), .text("two"), .null], [.integer(1), .text("again"), .integer(5)]])
    }
    #expect(failure?.error.sqlState == .uniqueViolation)
    #expect(failure?.constraint == .primaryKey(columns: ["id"]))
    #expect(failure?.parameterRow == 1)
    #expect(failure?.failingRow == [.integer(1), .text("again"), .integer(5)])
    try await fixture.commit(writer)
    #expect(try await fixture.readAlone("SELECT id FROM t1", [1]) == [[.integer(1)]])
    await fixture.finish()
  }

  @Test("Each kind of constraint is told with its columns or name and the row that violates it")
  func constraints() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    try await fixture.writeAlone("INSERT INTO t1 (id, name, amount) VALUES (1, 'one', 1), (2, 'two', 2)", 1)
    let id = try fixture.begin()
    func failure(_ sql: String) async -> EngineFailure? {
      await #expect(throws: EngineFailure.self) { try await fixture.write(sql, 1, in: id) }
    }
    let unique = await failure("UPDATE t1 SET name = 'one' WHERE id = 2")
    #expect(unique?.constraint == .unique(columns: ["name"]))
    #expect(unique?.failingRow == [.integer(2), .text("one"), .integer(2)])
    let notNull = await failure("INSERT INTO t1 (id, amount) VALUES (3, 4)")
    #expect(notNull?.constraint == .notNull(column: "name"))
    #expect(notNull?.failingRow == [.integer(3), .null, .integer(4)])
    let nullKey = await failure("INSERT INTO t1 (id, name) VALUES (NULL, 'x')")
    #expect(nullKey?.constraint == .notNull(column: "id"))
    let check = await failure("UPDATE t1 SET amount = -1 WHERE id = 1")
    #expect(check?.constraint == .check(name: "amount_check"))
    #expect(check?.error.sqlState == .checkViolation)
    #expect(check?.tabletID == TabletID(rawValue: 1))
    #expect(try await fixture.engine.changes(of: id) == [])
    await fixture.finish()
  }

  @Test("A second writer of a tablet waits for the first; a reader does not")
  func writersExclude() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    let first = try fixture.begin()
    try await fixture.write("INSERT INTO t1 (id, name) VALUES (1, 'one')", 1, in: first)
    let second = try fixture.begin()
    let waiting = Task { try await fixture.write("INSERT INTO t1 (id, name) VALUES (2, 'two')", 1, in: second) }
    #expect(try await fixture.readAlone("SELECT id FROM t1", [1]) == [])
    try await fixture.commit(first)
    #expect(try await waiting.value == 1)
    try await fixture.commit(second)
    #expect(try await fixture.readAlone("SELECT count(*) FROM t1", [1]) == [[.integer(2)]])
    await fixture.finish()
  }

  @Test("A wait that closes a circle ends with 40P01 for the one that closes it")
  func deadlock() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    try await fixture.createAccounts(2)
    let (first, second) = (try fixture.begin(), try fixture.begin())
    try await fixture.write("INSERT INTO t1 (id, name) VALUES (1, 'a')", 1, in: first)
    try await fixture.write("INSERT INTO t2 (id, name) VALUES (1, 'b')", 2, in: second)
    let waiting = Task { try await fixture.write("INSERT INTO t2 (id, name) VALUES (2, 'a')", 2, in: first) }
    // The task above runs up to its wait before this one goes on.
    await Task.yield()
    let failure = await #expect(throws: EngineFailure.self) {
      try await fixture.write("INSERT INTO t1 (id, name) VALUES (2, 'b')", 1, in: second)
    }
    #expect(failure?.error.sqlState == .deadlockDetected)
    await fixture.engine.rollback(second)
    #expect(try await waiting.value == 1)
    try await fixture.commit(first)
    #expect(try await fixture.readAlone("SELECT name FROM t2", [2]) == [[.text("a")]])
    await fixture.finish()
  }

  @Test("A writer that waits longer than its lock timeout fails with 55P03")
  func lockTimeout() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    let first = try fixture.begin()
    try await fixture.write("INSERT INTO t1 (id, name) VALUES (1, 'one')", 1, in: first)
    let second = try fixture.begin(TransactionOptions(lockTimeoutMilliseconds: 5))
    let failure = await #expect(throws: EngineFailure.self) {
      try await fixture.write("DELETE FROM t1", 1, in: second)
    }
    #expect(failure?.error.sqlState == .lockNotAvailable)
    #expect(failure?.error.message == "canceling statement due to lock timeout")
    await fixture.finish()
  }

  @Test("Repeatable read keeps the snapshot of a tablet from its first read")
  func repeatableRead() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    let reader = try fixture.begin(TransactionOptions(isRepeatableRead: true))
    let plain = try fixture.begin()
    #expect(try await fixture.read("SELECT count(*) FROM t1", [1], in: reader) == [[.integer(0)]])
    try await fixture.writeAlone("INSERT INTO t1 (id, name) VALUES (1, 'one')", 1)
    #expect(try await fixture.read("SELECT count(*) FROM t1", [1], in: reader) == [[.integer(0)]])
    #expect(try await fixture.read("SELECT count(*) FROM t1", [1], in: plain) == [[.integer(1)]])
    let failure = await #expect(throws: EngineFailure.self) {
      try await fixture.write("DELETE FROM t1", 1, in: reader)
    }
    #expect(failure?.error.sqlState == .serializationFailure)
    await fixture.finish()
  }

  @Test("A statement reads several tablets, among them one that its transaction has written")
  func severalTablets() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    try await fixture.createAccounts(2)
    try await fixture.createAccounts(3)
    try await fixture.writeAlone("INSERT INTO t1 (id, name) VALUES (1, 'one')", 1)
    try await fixture.writeAlone("INSERT INTO t2 (id, name) VALUES (2, 'two')", 2)
    let union = "SELECT id FROM t1 UNION ALL SELECT id FROM t2 ORDER BY 1"
    #expect(try await fixture.readAlone(union, [1, 2]) == [[.integer(1)], [.integer(2)]])
    let id = try fixture.begin()
    try await fixture.write("INSERT INTO t1 (id, name) VALUES (3, 'three')", 1, in: id)
    #expect(try await fixture.read(union, [1, 2], in: id) == [[.integer(1)], [.integer(2)], [.integer(3)]])
    try await fixture.write("INSERT INTO t2 (id, name) VALUES (4, 'four')", 2, in: id)
    let failure = await #expect(throws: EngineFailure.self) {
      try await fixture.read(union, [1, 2], in: id)
    }
    #expect(failure?.error.sqlState == .featureNotSupported)
    try await fixture.commit(id)
    #expect(
      try await fixture.readAlone(union, [1, 2]) == [[.integer(1)], [.integer(2)], [.integer(3)], [.integer(4)]])
    await fixture.finish()
  }

  @Test("A write may read other tablets")
  func writeReadsOthers() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    try await fixture.createAccounts(2)
    try await fixture.writeAlone("INSERT INTO t1 (id, name) VALUES (1, 'one'), (2, 'two')", 1)
    let id = try fixture.begin()
    let count = try await fixture.engine.execute(
      EngineFragment(
        tablets: [TabletID(rawValue: 2), TabletID(rawValue: 1)],
        sql: "INSERT INTO t2 (id, name) SELECT id, name FROM t1",
        isWrite: true, resultColumns: 0), in: id, session: EngineFixture.session, rows: { _ in true })
    #expect(count == 2)
    let changes = try await fixture.commit(id)
    #expect(changes.map(\.tabletID) == [TabletID(rawValue: 2)])
    #expect(try await fixture.readAlone("SELECT name FROM t2 ORDER BY id", [2]) == [[.text("one")], [.text("two")]])
    await fixture.finish()
  }

  @Test("A read only transaction and a fragment announced as a read cannot write")
  func readOnly() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    let id = try fixture.begin(TransactionOptions(isReadOnly: true))
    let refused = await #expect(throws: EngineFailure.self) {
      try await fixture.write("DELETE FROM t1", 1, in: id)
    }
    #expect(refused?.error.sqlState == .readOnlySQLTransaction)
    let disguised = await #expect(throws: EngineFailure.self) {
      try await fixture.read("DELETE FROM t1 RETURNING id", [1], in: id)
    }
    #expect(disguised?.error.sqlState == .protocolViolation)
    let several = await #expect(throws: EngineFailure.self) {
      try await fixture.read("SELECT 1; DROP TABLE t1", [1], in: id)
    }
    #expect(several?.error.sqlState == .protocolViolation)
    let damaged = await #expect(throws: EngineFailure.self) {
      try await fixture.engine.execute(
        EngineFragment(
          tablets: [TabletID(rawValue: 1)], sql: "SELECT ?1", parameters: [3, 255, 255, 255, 255, 1],
          parameterColumns: 1, parameterRows: 1, isWrite: false, resultColumns: 1), in: id,
        session: EngineFixture.session, rows: { _ in true })
    }
    #expect(damaged?.error.sqlState == .protocolViolation)
    await fixture.finish()
  }

  @Test("Many rows arrive in batches, and a reader that wants no more ends the statement")
  func batches() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
    try await fixture.writeAlone("\(numbers) INSERT INTO t1 (id, name, amount) SELECT i, 'name ' || i, i FROM n", 1)
    let rows = try await fixture.readAlone("SELECT id FROM t1 ORDER BY id", [1])
    #expect(rows.count == 20000)
    #expect(rows.last == [.integer(20000)])
    let id = try fixture.begin()
    let failure = await #expect(throws: EngineFailure.self) {
      try await fixture.engine.execute(
        EngineFragment(tablets: [TabletID(rawValue: 1)], sql: "SELECT * FROM t1", isWrite: false, resultColumns: 3),
        in: id, session: EngineFixture.session, rows: { _ in false })
    }
    #expect(failure?.error.sqlState == .queryCanceled)
    #expect(try await fixture.read("SELECT count(*) FROM t1", [1], in: id) == [[.integer(20000)]])
    await fixture.finish()
  }

  @Test("Writes that run together succeed or fail each for itself, as one set of changes")
  func together() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    func statement(_ sql: String, resultColumns: Int = 0) -> EngineStatement {
      EngineStatement(
        fragment: EngineFragment(
          tablets: [TabletID(rawValue: 1)], sql: sql, isWrite: true, resultColumns: resultColumns),
        session: EngineFixture.session)
    }
    let id = fixture.newID()
    let results = try await fixture.engine.run(
      [
        statement("INSERT INTO t1 (id, name) VALUES (1, 'one')"),
        statement("INSERT INTO t1 (id, name) VALUES (1, 'again')"),
        statement("INSERT INTO t1 (id, name) VALUES (2, 'two') RETURNING id, name", resultColumns: 2),
      ], on: TabletID(rawValue: 1), in: id, lockTimeoutMilliseconds: 0)
    #expect(try results[0].get().affected == 1)
    #expect(throws: EngineFailure.self) { try results[1].get() }
    #expect(try results[2].get().rows.map(\.count) == [1])
    #expect(try RowCodec.decode(results[2].get().rows[0].bytes) == [.integer(2), .text("two")])
    try await fixture.commit(id)
    #expect(try await fixture.readAlone("SELECT name FROM t1 ORDER BY id", [1]) == [[.text("one")], [.text("two")]])
    await fixture.finish()
  }
}
