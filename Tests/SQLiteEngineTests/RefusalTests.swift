import EventLoop
import Metadata
import SQLTypes
import StorageEngine
import Testing

/// Definitions that the engine cannot carry out: they stop the tablet, never the replica.
@LoopActor
struct RefusalTests {
  private let tablet = TabletID(rawValue: 1)

  private func poisoned() -> TableDefinition {
    var table = EngineFixture.accounts
    table.checks = [
      CheckDefinition(name: "poison", expression: "no_such(amount)", storageExpression: "no_such(\"amount\")")
    ]
    return table
  }

  private func index(on column: Int, isUnique: Bool = false) -> IndexDefinition {
    IndexDefinition(
      id: ObjectID(rawValue: 20009), schemaID: ObjectID(rawValue: 2200), name: "by_column",
      tableID: ObjectID(rawValue: 20000), parts: [IndexDefinition.Part(column: column)], isUnique: isUnique)
  }

  @Test func `A table that SQLite refuses is noted; statements on it say so, others go on, and it can be dropped`()
    async throws
  {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.engine.apply([
      .schema([.create(tablet, poisoned(), indexes: [EngineFixture.primaryKey], generation: 1)], index: 1)
    ])
    let expected = TabletSummary(
      indexes: [], generation: 1, appliedIndex: 1,
      refusals: [.table: "the tablet cannot run the statement: no such function: no_such"])
    #expect(fixture.engine.tablets[tablet] == expected)
    let failure = await #expect(throws: EngineFailure.self) { try await fixture.readAlone("SELECT id FROM t1", [1]) }
    #expect(failure?.error.sqlState == .systemError)
    #expect(failure?.error.hint == "Drop the table.")
    fixture.index = 1
    try await fixture.createAccounts(2)
    try await fixture.writeAlone("INSERT INTO t2 (id, name) VALUES (1, 'one')", 2)
    #expect(try await fixture.readAlone("SELECT id FROM t2", [2]) == [[.integer(1)]])
    // What concerns the broken tablet later changes nothing, and stops nothing.
    let (byAmount, byID) = (index(on: 3), ObjectID(rawValue: 20009))
    try await fixture.engine.apply([
      .schema([.createIndex(tablet, poisoned(), byAmount)], index: 4), .schema([.dropIndex(tablet, byID)], index: 5),
      .schema([.clear(tablet, generation: 2)], index: 6),
    ])
    #expect(fixture.engine.tablets[tablet]?.refusals.keys.map { $0 } == [.table])
    _ = try await fixture.reopenUnclosed()
    #expect(fixture.engine.tablets[tablet]?.refusals == expected.refusals)
    #expect(fixture.engine.tablets[tablet]?.generation == 2)
    try await fixture.engine.apply([.schema([.drop(tablet)], index: 7)])
    #expect(fixture.engine.tablets.keys.map { $0 } == [TabletID(rawValue: 2)])
    await fixture.finish()
  }

  @Test func `An index that SQLite refuses makes its table unusable until it is dropped, rows and all`() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    try await fixture.writeAlone("INSERT INTO t1 (id, name) VALUES (1, 'one')", 1)
    // The metadata believes in a column that the tablet does not have.
    var table = EngineFixture.accounts
    table.columns.append(ColumnDefinition(name: "imagined", type: .text))
    try await fixture.engine.apply([.schema([.createIndex(tablet, table, index(on: 4))], index: 3)])
    let id = ObjectID(rawValue: 20009)
    #expect(fixture.engine.tablets[tablet]?.indexes == [ObjectID(rawValue: 20002), id])
    #expect(fixture.engine.tablets[tablet]?.refusals.keys.map { $0 } == [.index(id)])
    let failure = await #expect(throws: EngineFailure.self) {
      try await fixture.writeAlone("INSERT INTO t1 (id, name) VALUES (2, 'two')", 1)
    }
    #expect(failure?.error.hint == "Drop the index.")
    let path = "\(fixture.directory)/snapshot"
    try await fixture.engine.writeSnapshot(to: path, index: 3, nodeState: [], onFixed: {})
    let other = EngineFixture()
    try await other.open()
    _ = try await other.engine.restoreSnapshot(from: path)
    for engine in [fixture.engine, other.engine] {
      #expect(engine.tablets[tablet]?.refusals.keys.map { $0 } == [.index(id)])
      try await engine.apply([.schema([.dropIndex(tablet, id)], index: 4)])
      #expect(engine.tablets[tablet]?.refusals == [:])
    }
    #expect(try await other.readAlone("SELECT name FROM t1", [1]) == [[.text("one")]])
    await other.finish()
    await fixture.finish()
  }

  @Test func `A unique index over rows that contradict it is made without its uniqueness`() async throws {
    let fixture = EngineFixture()
    try await fixture.open()
    try await fixture.createAccounts(1)
    try await fixture.writeAlone("INSERT INTO t1 (id, name, amount) VALUES (1, 'one', 5), (2, 'two', 5)", 1)
    try await fixture.engine.apply([
      .schema([.createIndex(tablet, EngineFixture.accounts, index(on: 3, isUnique: true))], index: 3)
    ])
    #expect(fixture.engine.tablets[tablet]?.refusals == [:])
    try await fixture.writeAlone("INSERT INTO t1 (id, name, amount) VALUES (3, 'three', 5)", 1)
    #expect(try await fixture.readAlone("SELECT count(*) FROM t1", [1]) == [[.integer(3)]])
    await fixture.finish()
  }
}
