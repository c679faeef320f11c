import EventLoop
import Glibc
import Metadata
import SQLTypes
import SQLiteEngine
import StorageEngine
import Testing

/// An engine in a directory of its own, and short forms for tests. Only `open` knows which engine it is: the suite holds for any.
@LoopActor
final class EngineFixture {
  let directory: String
  private(set) var engine: any StorageEngine
  var index: UInt64 = 0
  private var counter = 0

  init(_ name: String = #function) {
    directory = "/tmp/kunlog-engine-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    engine = Self.make(directory)
  }

  static func make(_ directory: String) -> any StorageEngine {
    SQLiteEngine(SQLiteEngineConfiguration(directory: directory, workers: 2))
  }

  @discardableResult
  func open() async throws -> EngineState { try await engine.open() }

  /// Opens the same directory anew, as after the end of a process that closed nothing.
  func reopenUnclosed() async throws -> EngineState {
    engine = Self.make(directory)
    return try await engine.open()
  }

  /// Ends the engine in order; the next one of the directory is not open yet.
  func closeAndRenew() async {
    await engine.close()
    engine = Self.make(directory)
  }

  func finish() async {
    await engine.close()
    try? FileSystem.remove(directory)
  }

  static let session = EngineSession(
    transactionTime: 0, statementTime: 0, timeZone: "UTC", user: "abc", database: "postgres")

  /// id int8 primary key, name text, amount int4 check (amount >= 0), unique (name).
  static let accounts = TableDefinition(
    id: ObjectID(rawValue: 20000), schemaID: ObjectID(rawValue: 2200), name: "accounts",
    ownerID: ObjectID(rawValue: 10),
    columns: [
      ColumnDefinition(name: "id", type: .int8, isNotNull: true),
      ColumnDefinition(name: "name", type: .text, isNotNull: true),
      ColumnDefinition(name: "amount", type: .int4),
    ],
    checks: [CheckDefinition(name: "amount_check", expression: "amount >= 0", storageExpression: "\"amount\" >= 0")])
  static let primaryKey = IndexDefinition(
    id: ObjectID(rawValue: 20001), schemaID: ObjectID(rawValue: 2200), name: "accounts_pkey",
    tableID: ObjectID(rawValue: 20000), parts: [IndexDefinition.Part(column: 1)], isUnique: true,
    constraint: .primaryKey)
  static let uniqueName = IndexDefinition(
    id: ObjectID(rawValue: 20002), schemaID: ObjectID(rawValue: 2200), name: "accounts_name_key",
    tableID: ObjectID(rawValue: 20000), parts: [IndexDefinition.Part(column: 2)], isUnique: true, constraint: .unique)

  func createAccounts(_ tablet: UInt64, keyed: Bool = true, uniqueName: Bool = true) async throws {
    index += 1
    try await engine.apply([
      .schema(
        [
          .create(
            TabletID(rawValue: tablet), Self.accounts,
            indexes: keyed ? [Self.primaryKey] + (uniqueName ? [Self.uniqueName] : []) : [], generation: 1)
        ], index: index)
    ])
  }

  func newID() -> TransactionID {
    counter += 1
    return TransactionID(bytes: Array("transaction \(counter)".utf8))
  }

  func begin(_ options: TransactionOptions = TransactionOptions()) throws -> TransactionID {
    let id = newID()
    try engine.begin(id, options: options)
    return id
  }

  @discardableResult
  func write(
    _ sql: String, _ tablet: UInt64, in id: TransactionID, rows: [[StoredValue]] = [], locksRows: Bool = false
  ) async throws(EngineFailure) -> UInt64 {
    try await engine.execute(
      EngineFragment(
        tablets: [TabletID(rawValue: tablet)], sql: sql, parameters: rows.flatMap { RowCodec.encode($0) },
        parameterColumns: rows.first?.count ?? 0, parameterRows: rows.count, isWrite: true,
        locksRows: locksRows, resultColumns: 0),
      in: id, session: Self.session, rows: { _ in true })
  }

  func read(
    _ sql: String, _ tablets: [UInt64], columns: Int = 1, in id: TransactionID
  ) async throws(EngineFailure) -> [[StoredValue]] {
    let gathered = Gathered()
    _ = try await engine.execute(
      EngineFragment(
        tablets: tablets.map { TabletID(rawValue: $0) }, sql: sql, isWrite: false, resultColumns: columns),
      in: id, session: Self.session,
      rows: {
        gathered.bytes += $0.bytes
        return true
      })
    return (try? RowCodec.decodeRows(gathered.bytes, columnCount: columns)) ?? []
  }

  func readAlone(_ sql: String, _ tablets: [UInt64], columns: Int = 1) async throws -> [[StoredValue]] {
    let id = try begin()
    let rows = try await read(sql, tablets, columns: columns, in: id)
    await engine.rollback(id)
    return rows
  }

  private let applying = SerialGate()

  /// Commits as the next entry; answers what was logged.
  @discardableResult
  func commit(_ id: TransactionID) async throws -> [TabletChangeset] {
    let changes = try await engine.changes(of: id)
    await applying.enter()
    defer { applying.leave() }
    index += 1
    try await engine.apply([.commit(id, changes, index: index)])
    return changes
  }

  @discardableResult
  func writeAlone(_ sql: String, _ tablet: UInt64, rows: [[StoredValue]] = []) async throws -> [TabletChangeset] {
    let id = try begin()
    try await write(sql, tablet, in: id, rows: rows)
    return try await commit(id)
  }
}

@LoopActor
final class Gathered {
  var bytes: [UInt8] = []
}
