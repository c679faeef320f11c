import EventLoop
import Metadata
import SQLTypes
import StorageEngine
import Testing

/// Savepoints, as every engine has them.
@LoopActor
struct SavepointTests {
  @Test func `What is undone to a savepoint is neither committed here nor logged for the followers`() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    let writer = try fixture.begin()
    try await fixture.write("INSERT INTO t1 (id, name) VALUES (1, 'one')", 1, in: writer)
    try fixture.engine.setSavepoints([1], in: writer)
    try await fixture.write("INSERT INTO t1 (id, name) VALUES (2, 'two')", 1, in: writer)
    try fixture.engine.setSavepoints([1, 2], in: writer)
    try await fixture.write("UPDATE t1 SET name = name || '!'", 1, in: writer)
    try await fixture.engine.rollback(writer, toSavepoint: 2)
    #expect(
      try await fixture.read("SELECT name FROM t1 ORDER BY id", [1], in: writer) == [[.text("one")], [.text("two")]])
    try await fixture.engine.rollback(writer, toSavepoint: 1)
    // The second was set after the first, and went with it: a third is set in its place.
    try fixture.engine.setSavepoints([1, 3], in: writer)
    try await fixture.write("INSERT INTO t1 (id, name) VALUES (3, 'three')", 1, in: writer)
    let changes = try await fixture.commit(writer)
    #expect(try await fixture.readAlone("SELECT id FROM t1 ORDER BY id", [1]) == [[.integer(1)], [.integer(3)]])

    let follower = EngineFixture()
    try await follower.open()
    try await follower.createAccounts(1)
    try await follower.engine.apply([.changes(changes, index: 2)])
    #expect(try await follower.readAlone("SELECT id FROM t1 ORDER BY id", [1]) == [[.integer(1)], [.integer(3)]])
    await follower.finish()
    await fixture.finish()
  }

  @Test func `A tablet that is first written after a savepoint is emptied by the way back to it`() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    try await fixture.createAccounts(2)
    let writer = try fixture.begin()
    try await fixture.write("INSERT INTO t1 (id, name) VALUES (1, 'one')", 1, in: writer)
    try fixture.engine.setSavepoints([1], in: writer)
    try await fixture.write("INSERT INTO t2 (id, name) VALUES (2, 'two')", 2, in: writer)
    try await fixture.engine.rollback(writer, toSavepoint: 1)
    let changes = try await fixture.commit(writer)
    #expect(changes.map(\.tabletID) == [TabletID(rawValue: 1)])
    #expect(try await fixture.readAlone("SELECT id FROM t1", [1]) == [[.integer(1)]])
    #expect(try await fixture.readAlone("SELECT id FROM t2", [2]) == [])
    await fixture.finish()
  }
}
