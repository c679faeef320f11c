import EventLoop
import SQLTypes
import SQLite

/// The local engine: a connection with a thread of its own per statement under way, so that one that takes long (or
/// sleeps) keeps no other waiting; some are kept for the next ones.
@LoopActor
package final class SQLiteLocalEngine: LocalEngine {
  /// Idle connections that are kept.
  private static let maximumIdle = 4

  private let maximumThreads: Int
  private var idle: [LocalSlot] = []
  private var slotCount = 0
  private var waiting: [UnsafeContinuation<LocalSlot?, Never>] = []
  private var isShutDown = false

  /// - Parameter threads: statements that run at the same time at most; more wait.
  package init(threads: Int = 64) { maximumThreads = max(1, threads) }

  package func shutdown() {
    isShutDown = true
    for slot in idle { slot.worker.shutdown() }
    idle = []
    for continuation in waiting { continuation.resume(returning: nil) }
    waiting = []
  }

  fileprivate func take() async throws(SQLError) -> LocalSlot {
    if let slot = idle.popLast() { return slot }
    guard !isShutDown else { throw Self.stopped }
    guard slotCount >= maximumThreads else {
      slotCount += 1
      return LocalSlot(number: slotCount)
    }
    guard let slot = await withUnsafeContinuation({ waiting.append($0) }) else { throw Self.stopped }
    return slot
  }

  fileprivate func giveBack(_ slot: LocalSlot) {
    if !waiting.isEmpty {
      waiting.removeFirst().resume(returning: slot)
    } else if idle.count < Self.maximumIdle, !isShutDown {
      idle.append(slot)
    } else {
      slotCount -= 1
      slot.worker.shutdown()
    }
  }

  fileprivate static let stopped = SQLError(.adminShutdown, "the compute node is shutting down")

  package func evaluate(
    _ scalars: [LocalScalar], context: LocalContext, interruption: LocalInterruption
  ) async throws(SQLError) -> [StoredValue] {
    let slot = try await take()
    defer {
      interruption.handler = nil
      giveBack(slot)
    }
    if interruption.isRaised { throw SQLError(.queryCanceled, "canceling statement due to user request") }
    interruption.handler = { slot.interrupt() }
    return try await slot.run { connection in
      connection.enter(context)
      defer { connection.leave() }
      return try scalars.map { try connection.evaluate($0) }
    }
  }

  package func attempt(_ statements: [String], context: LocalContext) async throws(SQLError) {
    let slot = try await take()
    defer { giveBack(slot) }
    try await slot.run { connection in
      connection.enter(context)
      defer { connection.leave() }
      try connection.attempt(statements)
    }
  }

  package func open(context: LocalContext, limitBytes: Int) -> any LocalRun {
    SQLiteLocalRun(engine: self, context: context, limitBytes: limitBytes)
  }
}

/// A connection, its thread and what stops it.
@LoopActor
private final class LocalSlot {
  let worker: WorkerThread
  private let connection: ThreadConfined<LocalConnection>
  private let flag = InterruptFlag()
  /// Known once the connection was used.
  private var interruption: SQLiteInterrupt?

  init(number: Int) {
    worker = WorkerThread(name: "sqlite-\(number)")
    let flag = self.flag
    connection = ThreadConfined(on: worker) { try LocalConnection(interruptFlag: flag) }
  }

  /// Work on the connection's thread, with errors as clients see them.
  func run<Result: Sendable>(
    _ body: @escaping @Sendable (LocalConnection) throws -> Result
  ) async throws(SQLError) -> Result {
    do {
      if interruption == nil { interruption = try await connection.run { $0.interrupt } }
      return try await connection.run(body)
    } catch let error as SQLError {
      throw error
    } catch {
      throw SQLiteLocalEngine.stopped
    }
  }

  /// What runs now ends soon; the flag is lowered when the next statement enters.
  func interrupt() {
    flag.raise()
    interruption?.interrupt()
  }
}

/// One statement in the local SQLite.
@LoopActor
private final class SQLiteLocalRun: LocalRun {
  private let engine: SQLiteLocalEngine
  private let context: LocalContext
  private let limitBytes: Int
  private var slot: LocalSlot?
  private var loadedBytes = 0
  private var isClosed = false
  private var isInterrupted = false

  init(engine: SQLiteLocalEngine, context: LocalContext, limitBytes: Int) {
    self.engine = engine
    self.context = context
    self.limitBytes = limitBytes
  }

  private func entered() async throws(SQLError) -> LocalSlot {
    if let slot, !isInterrupted, !isClosed { return slot }
    if !isInterrupted, !isClosed {
      let slot = try await engine.take()
      let context = self.context
      do {
        try await slot.run { $0.enter(context) }
      } catch {
        engine.giveBack(slot)
        throw error
      }
      if !isClosed {
        self.slot = slot
        if !isInterrupted { return slot }
      } else {
        engine.giveBack(slot)
      }
    }
    throw SQLError(.queryCanceled, "canceling statement due to user request")
  }

  func create(_ sql: String, table: String) async throws(SQLError) {
    try await entered().run { try $0.create(sql, table: table) }
  }

  func load(_ table: String, columnCount: Int, rowCount: Int, values: [UInt8]) async throws(SQLError) {
    loadedBytes += values.count
    guard loadedBytes <= limitBytes else {
      throw ComputeSession.outOfWorkMemory("\(limitBytes >> 20)MB")
    }
    try await entered().run {
      try $0.load(table, columnCount: columnCount, rowCount: rowCount, values: values)
    }
  }

  func compute<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async throws(SQLError) -> Result {
    try await entered().run { _ in body() }
  }

  func query(_ sql: String, values: [StoredValue], columnCount: Int) async throws(SQLError) {
    try await entered().run { try $0.query(sql, values, columnCount: columnCount) }
  }

  func next(maximumRows: Int) async throws(SQLError) -> (rowCount: Int, values: [StoredValue])? {
    try await entered().run { try $0.next(maximumRows: maximumRows) }
  }

  func interrupt() {
    isInterrupted = true
    slot?.interrupt()
  }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    guard let slot else { return }
    self.slot = nil
    let engine = self.engine
    Task { @LoopActor in
      // What was interrupted has ended by then: work on a connection is done in order.
      _ = try? await slot.run { $0.leave() }
      engine.giveBack(slot)
    }
  }
}
