import EventLoop
import Glibc
import Metadata
import SQLTypes
import StorageEngine
import Testing

/// What every engine does with the shard's log, with snapshots and at its start.
@LoopActor
struct ReplicationTests {
  private let dump = "SELECT id, name, amount FROM t1 ORDER BY id"

  @Test("Changes that one engine recorded make another's tablet the same")
  func changesets() async throws {
    let (leader, follower) = (EngineFixture(), EngineFixture())
    for fixture in [leader, follower] {
      try await fixture.open()
      try await fixture.createAccounts(1)
    }
    let statements = [
      "INSERT INTO t1 (id, name, amount) VALUES (1, 'one', 1), (2, 'two', NULL), (3, 'three', 3)",
      "UPDATE t1 SET amount = 7 WHERE id = 2",
      "UPDATE t1 SET id = id + 10",
      "DELETE FROM t1 WHERE id = 13",
      "INSERT INTO t1 (id, name) VALUES (11, 'new') ON CONFLICT (id) DO UPDATE SET name = 'replaced'",
      // A swap of unique values: applied in another order than the one in which it happened, it would fail.
      "UPDATE t1 SET name = 'x' WHERE id = 11", "UPDATE t1 SET name = 'replaced' WHERE id = 12",
      "UPDATE t1 SET name = 'two' WHERE id = 11",
    ]
    let id = try leader.begin()
    for statement in statements { try await leader.write(statement, 1, in: id) }
    let changes = try await leader.commit(id)
    try await follower.engine.apply([.changes(changes, index: 2)])
    let expected: [[StoredValue]] = [
      [.integer(11), .text("two"), .integer(1)], [.integer(12), .text("replaced"), .integer(7)],
    ]
    #expect(try await leader.readAlone(dump, [1], columns: 3) == expected)
    #expect(try await follower.readAlone(dump, [1], columns: 3) == expected)
    #expect(follower.engine.highestIndex == 2)
    for fixture in [leader, follower] { await fixture.finish() }
  }

  @Test("A table without primary key is replicated by its hidden one")
  func hiddenKey() async throws {
    let (leader, follower) = (EngineFixture(), EngineFixture())
    for fixture in [leader, follower] {
      try await fixture.open()
      try await fixture.createAccounts(1, keyed: false)
    }
    let id = try leader.begin()
    try await leader.write("INSERT INTO t1 (id, name) VALUES (5, 'same'), (5, 'same')", 1, in: id)
    try await leader.write("DELETE FROM t1 WHERE _kunlog_row_id = 1", 1, in: id)
    try await follower.engine.apply([.changes(try await leader.commit(id), index: 2)])
    #expect(try await follower.readAlone(dump, [1], columns: 3) == [[.integer(5), .text("same"), .null]])
    for fixture in [leader, follower] { await fixture.finish() }
  }

  @Test("An entry that a tablet contains already is left alone")
  func idempotence() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    let changes = try await fixture.writeAlone("INSERT INTO t1 (id, name) VALUES (1, 'one')", 1)
    try await fixture.engine.apply([.changes(changes, index: 2)])
    #expect(try await fixture.readAlone("SELECT count(*) FROM t1", [1]) == [[.integer(1)]])
    await fixture.finish()
  }

  @Test("Changes that contradict the tablet are refused, not guessed at")
  func divergence() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    let changes = try await fixture.writeAlone("INSERT INTO t1 (id, name) VALUES (1, 'one')", 1)
    let again = await #expect(throws: SQLError.self) {
      try await fixture.engine.apply([.changes(changes, index: 3)])
    }
    #expect(again?.sqlState == .dataCorrupted)
    let damaged = await #expect(throws: SQLError.self) {
      try await fixture.engine.apply([
        .changes([TabletChangeset(tabletID: TabletID(rawValue: 1), bytes: [1, 3, 0, 1, 9])], index: 4)
      ])
    }
    #expect(damaged?.sqlState == .dataCorrupted)
    #expect(try await fixture.readAlone("SELECT count(*) FROM t1", [1]) == [[.integer(1)]])
    await fixture.finish()
  }

  @Test("A transaction that lost its leader is undone, and its changes applied where they were logged nevertheless")
  func lostLeadership() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    let id = try fixture.begin()
    try await fixture.write("INSERT INTO t1 (id, name) VALUES (1, 'one')", 1, in: id)
    let changes = try await fixture.engine.changes(of: id)
    await fixture.engine.rollbackAll()
    #expect(try await fixture.readAlone("SELECT count(*) FROM t1", [1]) == [[.integer(0)]])
    try await fixture.engine.apply([.commit(id, changes, index: 2)])
    #expect(try await fixture.readAlone("SELECT count(*) FROM t1", [1]) == [[.integer(1)]])
    await fixture.finish()
  }

  @Test("Indexes come and go, TRUNCATE empties, DROP removes")
  func schema() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    let tablet = TabletID(rawValue: 1)
    try await fixture.writeAlone("INSERT INTO t1 (id, name, amount) VALUES (1, 'one', 5)", 1)
    let byAmount = IndexDefinition(
      id: ObjectID(rawValue: 20003), schemaID: ObjectID(rawValue: 2200), name: "by_amount",
      tableID: ObjectID(rawValue: 20000), parts: [IndexDefinition.Part(column: 3, isDescending: true)], isUnique: false)
    try await fixture.engine.apply([.schema([.createIndex(tablet, EngineFixture.accounts, byAmount)], index: 3)])
    #expect(
      fixture.engine.tablets[tablet]
        == TabletSummary(
          indexes: [ObjectID(rawValue: 20002), ObjectID(rawValue: 20003)], generation: 1, appliedIndex: 3))
    try await fixture.engine.apply([.schema([.dropIndex(tablet, ObjectID(rawValue: 20003))], index: 4)])
    try await fixture.engine.apply([.schema([.clear(tablet, generation: 2)], index: 5)])
    #expect(
      fixture.engine.tablets[tablet]
        == TabletSummary(indexes: [ObjectID(rawValue: 20002)], generation: 2, appliedIndex: 5))
    #expect(try await fixture.readAlone("SELECT count(*) FROM t1", [1]) == [[.integer(0)]])
    try await fixture.engine.apply([.schema([.drop(tablet)], index: 6)])
    #expect(fixture.engine.tablets == [:])
    let failure = await #expect(throws: EngineFailure.self) { try await fixture.readAlone("SELECT 1", [1]) }
    #expect(failure?.error.sqlState == .undefinedTable)
    await fixture.finish()
  }

  @Test("The space of a dropped tablet is freed once nobody reads it any more")
  func droppedSpace() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    let rows = (1...400).map {
      [StoredValue.integer(Int64($0)), .text("\($0)" + String(repeating: "x", count: 10_000))]
    }
    try await fixture.writeAlone("INSERT INTO t1 (id, name) VALUES (?1, ?2)", 1, rows: rows)
    let reader = try await fixture.engine.readRows(of: TabletID(rawValue: 1))
    fixture.index += 1
    try await fixture.engine.apply([.schema([.drop(TabletID(rawValue: 1))], index: fixture.index)])
    // It has no name any more, but still all of its rows.
    #expect(try FileSystem.list("\(fixture.directory)/tablets") == [])
    try await loopSleep(milliseconds: 150)
    while try await reader.next(limitBytes: 1 << 20) != nil {}
    #expect(reader.count == 400)
    reader.close()
    while try Self.openBytes(under: fixture.directory) > 0 { try await loopSleep(milliseconds: 10) }
    await fixture.finish()
  }

  /// The size of what this process has open under a directory, with or without a name.
  private static func openBytes(under directory: String) throws -> Int {
    var total = 0
    for name in try FileSystem.list("/proc/self/fd") {
      var target = [CChar](repeating: 0, count: 4096)
      let link = "/proc/self/fd/\(name)"
      guard readlink(link, &target, 4095) > 0,
        String(decoding: target.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self).hasPrefix(
          "\(directory)/tablets/")
      else { continue }
      var status = stat()
      if stat(link, &status) == 0 { total += Int(status.st_size) }
    }
    return total
  }

  @Test("A schema change ends transactions that hold its tablet for too long")
  func schemaChangeWins() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    let tablet = TabletID(rawValue: 1)
    let id = try fixture.begin()
    try await fixture.write("INSERT INTO t1 (id, name) VALUES (1, 'one')", 1, in: id)
    await fixture.engine.lockExclusive([tablet], graceMilliseconds: 5)
    try await fixture.engine.apply([.schema([.clear(tablet, generation: 2)], index: 2)])
    fixture.engine.releaseExclusive([tablet])
    let failure = await #expect(throws: EngineFailure.self) {
      try await fixture.write("INSERT INTO t1 (id, name) VALUES (2, 'two')", 1, in: id)
    }
    #expect(failure != nil)
    try await fixture.writeAlone("INSERT INTO t1 (id, name) VALUES (3, 'three')", 1)
    #expect(try await fixture.readAlone("SELECT id FROM t1", [1]) == [[.integer(3)]])
    await fixture.finish()
  }

  @Test("After the end of a process the tablets and the last checkpoint are there")
  func restart() async throws {
    let fixture = EngineFixture()
    #expect(try await fixture.open() == EngineState(index: 0, nodeState: []))
    try await fixture.createAccounts(1)
    try await fixture.writeAlone("INSERT INTO t1 (id, name) VALUES (1, 'one')", 1)
    try await fixture.engine.checkpoint(at: 2, nodeState: [7, 8])
    let changes = try await fixture.writeAlone("INSERT INTO t1 (id, name) VALUES (2, 'two')", 1)
    #expect(try await fixture.reopenUnclosed() == EngineState(index: 2, nodeState: [7, 8]))
    #expect(fixture.engine.highestIndex == 3)
    try await fixture.engine.apply([.changes(changes, index: 3)])
    #expect(try await fixture.readAlone("SELECT count(*) FROM t1", [1]) == [[.integer(2)]])
    await fixture.finish()
  }

  @Test("After a crash of the machine, files that were never synced are not trusted")
  func machineCrash() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    try await fixture.engine.checkpoint(at: 1, nodeState: [7])
    // The kernel's boot is another one now, and nothing was closed.
    try FileSystem.write("\(fixture.directory)/BOOT", Array("another boot\n".utf8))
    #expect(try await fixture.reopenUnclosed() == EngineState(index: 0, nodeState: []))
    #expect(fixture.engine.tablets == [:])
    try await fixture.createAccounts(1)
    try await fixture.engine.checkpoint(at: 2, nodeState: [9])
    await fixture.engine.close()
    try FileSystem.write("\(fixture.directory)/BOOT", Array("another boot\n".utf8))
    #expect(try await fixture.reopenUnclosed() == EngineState(index: 2, nodeState: [9]))
    #expect(fixture.engine.tablets.count == 1)
    await fixture.finish()
  }

  @Test("A directory that another version wrote is refused")
  func otherVersion() async throws {
    let fixture = EngineFixture()
    try FileSystem.createDirectory(fixture.directory)
    try FileSystem.write("\(fixture.directory)/FORMAT", Array("kunlog tablets 99\n".utf8))
    let error = await #expect(throws: SQLError.self) { try await fixture.open() }
    #expect(error?.message == "the directory \(fixture.directory) was written by another version (kunlog tablets 99)")
    try FileSystem.remove(fixture.directory)
  }

  @Test("A snapshot carries all tablets as of one index to another engine, while writes go on")
  func snapshot() async throws {
    let (source, target) = (EngineFixture(), EngineFixture())
    try await source.open()
    try await target.open()
    for tablet in 1...3 { try await source.createAccounts(UInt64(tablet)) }
    try await source.writeAlone("INSERT INTO t1 (id, name) VALUES (1, 'one')", 1)
    try await target.createAccounts(9)
    let path = "\(source.directory)/snapshot"
    let written = Task {
      try await source.engine.writeSnapshot(to: path, index: 4, nodeState: [1, 2, 3], onFixed: {})
    }
    try await written.value
    try await source.writeAlone("INSERT INTO t1 (id, name) VALUES (2, 'two')", 1)
    #expect(try await target.engine.restoreSnapshot(from: path) == EngineState(index: 4, nodeState: [1, 2, 3]))
    #expect(target.engine.tablets.keys.sorted() == [1, 2, 3].map { TabletID(rawValue: $0) })
    #expect(try await target.readAlone("SELECT id FROM t1", [1]) == [[.integer(1)]])
    #expect(target.engine.tablets[TabletID(rawValue: 1)]?.indexes == [ObjectID(rawValue: 20002)])
    #expect(try await target.reopenUnclosed() == EngineState(index: 4, nodeState: [1, 2, 3]))

    var bytes = try FileSystem.read(path)
    bytes[bytes.count / 2] ^= 0x10
    try FileSystem.write(path, bytes)
    let error = await #expect(throws: SQLError.self) { try await target.engine.restoreSnapshot(from: path) }
    #expect(error?.sqlState == .dataCorrupted)
    #expect(try await target.readAlone("SELECT id FROM t1", [1]) == [[.integer(1)]])
    for fixture in [source, target] { await fixture.finish() }
  }

  @Test("What changes, goes and comes while a snapshot is written is in it as it was before")
  func changesUnderSnapshot() async throws {
    let (source, target) = (EngineFixture(), EngineFixture())
    try await source.open()
    try await target.open()
    for tablet in 1...20 {
      try await source.createAccounts(UInt64(tablet))
      try await source.writeAlone("INSERT INTO t\(tablet) (id, name) VALUES (1, 'one')", UInt64(tablet))
    }
    let path = "\(source.directory)/snapshot"
    let index = source.index
    let fixed = Gathered()
    let written = Task { @LoopActor in
      try await source.engine.writeSnapshot(to: path, index: index, nodeState: []) { fixed.bytes = [1] }
    }
    while fixed.bytes.isEmpty { try await loopSleep(milliseconds: 1) }
    for tablet in (UInt64(1)...20).reversed() {
      try await source.writeAlone("UPDATE t\(tablet) SET name = 'two'", tablet)
      guard tablet % 5 == 0 else { continue }
      source.index += 1
      try await source.engine.apply([.schema([.drop(TabletID(rawValue: tablet))], index: source.index)])
    }
    try await source.createAccounts(30)
    try await written.value
    #expect(try await target.engine.restoreSnapshot(from: path) == EngineState(index: index, nodeState: []))
    #expect(target.engine.tablets.count == 20)
    for tablet in UInt64(1)...20 {
      #expect(try await target.readAlone("SELECT name FROM t\(tablet)", [tablet]) == [[.text("one")]], "\(tablet)")
    }
    #expect(source.engine.tablets.count == 17)
    #expect(try await source.readAlone("SELECT name FROM t1", [1]) == [[.text("two")]])
    for fixture in [source, target] { await fixture.finish() }
  }
}
