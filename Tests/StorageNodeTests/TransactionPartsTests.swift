import EventLoop
import Glibc
import Logging
import Metadata
import Replica
import SQLTypes
import SQLiteEngine
import StorageEngine
import Testing

@testable import StorageNode

/// Transactions whose changes come in several entries: they stand or fall as a whole.
@LoopActor
struct TransactionPartsTests {
  private static let tablet = TabletID(rawValue: 1)
  private static let table = TableDefinition(
    id: ObjectID(rawValue: 20000), schemaID: ObjectID(rawValue: 0), name: "t", ownerID: ObjectID(rawValue: 0),
    columns: [ColumnDefinition(name: "a", type: .int8, isNotNull: true)])
  private static let key = IndexDefinition(
    id: ObjectID(rawValue: 20001), schemaID: ObjectID(rawValue: 0), name: "k", tableID: table.id,
    parts: [IndexDefinition.Part(column: 1)], isUnique: true, constraint: .primaryKey)
  /// Inserts of 1, 2 and 3 into the table, as the engine records them.
  private static let changes: [UInt8] =
    [1, 1, 0] + (1...3).flatMap { [1, 1, UInt8($0), 0, 0, 0, 0, 0, 0, 0] }

  /// A replica's state machine, whose log the test plays.
  @LoopActor
  private final class Member {
    let directory = "/tmp/kunlog-parts-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    private(set) var machine: ShardStateMachine!
    private var engine: SQLiteEngine!
    private var index: UInt64 = 0

    func start() async throws {
      engine = SQLiteEngine(SQLiteEngineConfiguration(directory: directory, workers: 1))
      machine = try ShardStateMachine(
        engine: engine, opened: try await engine.open(), nodeID: 2, logger: Logger(label: "test"))
    }

    func stop() async {
      await machine.close()
      await engine.close()
    }

    /// Applies an entry of node 1's life 1; answers its output.
    @discardableResult
    func apply(_ kind: ShardEntry.Kind, term: UInt64 = 1, index: UInt64? = nil) async throws -> UInt64? {
      self.index = index ?? self.index + 1
      let origin = ShardEntry.Origin(nodeID: 1, life: 1, sequence: self.index)
      let payload = try ShardEntry(origin: origin, kind: kind).encoded()
      return try await machine.apply([CommittedEntry(index: self.index, term: term, payload: payload)]).first
    }

    func rows() async throws -> [Int64] {
      let id = TransactionID(bytes: [9])
      try engine.begin(id, options: TransactionOptions(isReadOnly: true))
      let gathered = Rows()
      _ = try await engine.execute(
        EngineFragment(tablets: [tablet], sql: "SELECT a FROM t1 ORDER BY a", isWrite: false, resultColumns: 1), in: id,
        session: EngineSession(transactionTime: 0, statementTime: 0, timeZone: "UTC", user: "a", database: "d"),
        rows: {
          gathered.bytes += $0.bytes
          return true
        })
      await engine.rollback(id)
      return try RowCodec.decode(gathered.bytes).compactMap(\.integerValue)
    }

    func createTable() async throws {
      try await apply(.schema(metadataIndex: 5, [.create(tablet, table, indexes: [key], generation: 1)]))
    }
  }

  @LoopActor
  private final class Rows {
    var bytes: [UInt8] = []
  }

  private static func pieces() throws -> [[UInt8]] {
    let body = try ShardEntry.encoded(
      ShardEntry.Body(
        members: [ShardEntry.Member(id: TransactionID(bytes: [7]), affected: [3])],
        changesets: [TabletChangeset(tabletID: tablet, bytes: changes)]))
    return [Array(body[..<10]), Array(body[10..<20]), Array(body[20...])]
  }

  private static func part(_ number: Int, isLast: Bool = false) throws -> ShardEntry.Kind {
    .part(transaction: 4, number: UInt32(number), piece: try pieces()[number], isLast: isLast)
  }

  @Test func `The last part commits the whole, across a restart in between, and is remembered`() async throws {
    let member = Member()
    try await member.start()
    try await member.createTable()
    try await member.apply(try Self.part(0))
    try await member.apply(try Self.part(1))
    #expect(try await member.rows() == [])
    await member.stop()
    try await member.start()
    // Without a checkpoint that would hide them, the parts are replayed.
    #expect(member.machine.appliedIndex == 0)
    try await member.apply(
      .schema(metadataIndex: 5, [.create(Self.tablet, Self.table, indexes: [Self.key], generation: 1)]), index: 1)
    try await member.apply(try Self.part(0), index: 2)
    try await member.apply(try Self.part(1), index: 3)
    #expect(try await member.apply(try Self.part(2, isLast: true)) == 4)
    #expect(try await member.rows() == [1, 2, 3])
    #expect(member.machine.state.parts.isEmpty)
    #expect(member.machine.state.recent[TransactionID(bytes: [7])]?.affected == [3])
    await member.stop()
    try await member.start()
    #expect(member.machine.appliedIndex == 4)
    await member.stop()
    try FileSystem.remove(member.directory)
  }

  @Test func `A snapshot amid the parts carries them`() async throws {
    let (source, target) = (Member(), Member())
    try await source.start()
    try await target.start()
    try await source.createTable()
    try await source.apply(try Self.part(0))
    try await source.apply(try Self.part(1))
    let path = "\(source.directory)/snapshot"
    #expect(try await source.machine.writeSnapshot(to: path) == 3)
    try await target.machine.restoreSnapshot(from: path, index: 3)
    #expect(target.machine.state == source.machine.state)
    #expect(try await target.apply(try Self.part(2, isLast: true), index: 4) == 4)
    #expect(try await target.rows() == [1, 2, 3])
    for member in [source, target] {
      await member.stop()
      try FileSystem.remove(member.directory)
    }
  }

  @Test func `Parts of a leader that was deposed have no effect, nor have gaps, nor what was abandoned`() async throws {
    let member = Member()
    try await member.start()
    try await member.createTable()
    try await member.apply(try Self.part(0))
    try await member.apply(try Self.part(1))
    // The first entry of the next leader's term.
    try await member.apply(.schema(metadataIndex: 5, []), term: 2)
    #expect(member.machine.state.parts.isEmpty)
    #expect(try await member.apply(try Self.part(2, isLast: true), term: 3) == 0)

    try await member.apply(try Self.part(0), term: 3)
    #expect(try await member.apply(try Self.part(2, isLast: true), term: 3) == 0)

    try await member.apply(try Self.part(0), term: 3)
    try await member.apply(try Self.part(1), term: 3)
    try await member.apply(.abandoned(transaction: 4), term: 3)
    #expect(member.machine.state.parts.isEmpty)
    #expect(try await member.apply(try Self.part(2, isLast: true), term: 3) == 0)
    #expect(try await member.rows() == [])

    for number in 0...1 { try await member.apply(try Self.part(number), term: 3) }
    #expect(try await member.apply(try Self.part(2, isLast: true), term: 3) == 14)
    #expect(try await member.rows() == [1, 2, 3])
    await member.stop()
    try FileSystem.remove(member.directory)
  }
}
