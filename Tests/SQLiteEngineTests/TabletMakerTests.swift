import CSQLite
import EventLoop
import Metadata
import SQLTypes
import StorageEngine
import Testing

/// Tablets are made in memory and written as whole files.
@LoopActor
struct TabletMakerTests {
  private func file(_ fixture: EngineFixture, _ tablet: UInt64) -> String {
    "\(fixture.directory)/tablets/t\(tablet).sqlite"
  }

  @Test func `A tablet that was just made is one file, in WAL mode, and whole`() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    try await fixture.createAccounts(2, keyed: false)
    #expect(try FileSystem.list("\(fixture.directory)/tablets").sorted() == ["t1.sqlite", "t2.sqlite"])
    for tablet in UInt64(1)...2 {
      let content = try FileSystem.read(file(fixture, tablet))
      // The versions that writers and readers must know.
      #expect(Array(content[18...19]) == [2, 2])
      #expect(content.count.isMultiple(of: 4096))
      var database: OpaquePointer?
      #expect(sqlite3_open(file(fixture, tablet), &database) == SQLITE_OK)
      defer { sqlite3_close(database) }
      var statement: OpaquePointer?
      #expect(sqlite3_prepare_v2(database, "PRAGMA integrity_check", -1, &statement, nil) == SQLITE_OK)
      defer { sqlite3_finalize(statement) }
      #expect(sqlite3_step(statement) == SQLITE_ROW)
      #expect(sqlite3_column_text(statement, 0).map { String(cString: $0) } == "ok")
    }
    await fixture.finish()
  }

  @Test func `Nothing of a tablet is in the next one`() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    // The same number, another table.
    let other = TableDefinition(
      id: ObjectID(rawValue: 20010), schemaID: ObjectID(rawValue: 2200), name: "other", ownerID: ObjectID(rawValue: 10),
      columns: [ColumnDefinition(name: "a", type: .int8)])
    try await fixture.engine.apply([
      .schema([.drop(TabletID(rawValue: 1))], index: 2),
      .schema([.create(TabletID(rawValue: 1), other, indexes: [], generation: 1)], index: 3),
    ])
    #expect(
      fixture.engine.tablets == [TabletID(rawValue: 1): TabletSummary(indexes: [], generation: 1, appliedIndex: 3)])
    fixture.index = 3
    try await fixture.writeAlone("INSERT INTO t1 (a) VALUES (5)", 1)
    #expect(try await fixture.readAlone("SELECT a FROM t1", [1]) == [[.integer(5)]])
    _ = try await fixture.reopenUnclosed()
    #expect(fixture.engine.tablets[TabletID(rawValue: 1)]?.indexes == [])
    await fixture.finish()
  }

  @Test func `What a process that ended has left of a file that it made is no tablet, and in nobody's way`()
    async throws
  {
    let fixture = EngineFixture()
    try await fixture.open()
    try FileSystem.write("\(file(fixture, 1)).new", [1, 2, 3])
    let state = try await fixture.reopenUnclosed()
    #expect(state.index == 0)
    #expect(fixture.engine.tablets.isEmpty)
    try await fixture.createAccounts(1)
    try await fixture.writeAlone("INSERT INTO t1 (id, name) VALUES (1, 'one')", 1)
    #expect(try await fixture.readAlone("SELECT name FROM t1", [1]) == [[.text("one")]])
    await fixture.finish()
  }
}
