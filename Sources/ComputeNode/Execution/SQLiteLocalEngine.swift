import EventLoop
import SQLTypes
import SQLite

/// The local engine on threads of its own: a connection per statement under way, kept for the next one.
@LoopActor
package final class SQLiteLocalEngine: LocalEngine {
  /// Idle connections that are kept.
  private static let maximumIdle = 8

  private let workers: [WorkerThread]
  private var nextWorker = 0
  private var idle: [ThreadConfined<LocalConnection>] = []

  /// - Parameter threads: statements that run at the same time; more wait.
  package init(threads: Int = 2) {
    workers = (0..<max(1, threads)).map { WorkerThread(name: "sqlite-\($0)") }
  }

  package func shutdown() {
    idle = []
    for worker in workers { worker.shutdown() }
  }

  private func take() -> ThreadConfined<LocalConnection> {
    if let connection = idle.popLast() { return connection }
    nextWorker += 1
    return ThreadConfined(on: workers[nextWorker % workers.count]) { try LocalConnection() }
  }

  fileprivate func giveBack(_ connection: ThreadConfined<LocalConnection>) {
    if idle.count < Self.maximumIdle { idle.append(connection) }
  }

  package func evaluate(_ scalars: [LocalScalar], context: LocalContext) async throws(SQLError) -> [StoredValue] {
    let connection = take()
    defer { giveBack(connection) }
    return try await onConnection(connection) { connection in
      connection.enter(context)
      defer { connection.leave() }
      return try scalars.map { try connection.evaluate($0) }
    }
  }

  package func open(context: LocalContext, limitBytes: Int) -> any LocalRun {
    SQLiteLocalRun(engine: self, connection: take(), context: context, limitBytes: limitBytes)
  }
}

/// Work on a connection's thread, with errors as clients see them.
@LoopActor
private func onConnection<Result: Sendable>(
  _ connection: ThreadConfined<LocalConnection>, _ body: @escaping @Sendable (LocalConnection) throws -> Result
) async throws(SQLError) -> Result {
  do {
    return try await connection.run(body)
  } catch let error as SQLError {
    throw error
  } catch {
    throw SQLError(.adminShutdown, "the compute node is shutting down: \(error)")
  }
}

/// One statement in the local SQLite.
@LoopActor
private final class SQLiteLocalRun: LocalRun {
  private let engine: SQLiteLocalEngine
  private let connection: ThreadConfined<LocalConnection>
  private let context: LocalContext
  private let limitBytes: Int
  private var loadedBytes = 0
  private var hasEntered = false
  private var isClosed = false
  /// What stops the statement from this thread; known once the connection was used.
  private var interruption: SQLiteInterrupt?
  private var isInterrupted = false

  init(
    engine: SQLiteLocalEngine, connection: ThreadConfined<LocalConnection>, context: LocalContext, limitBytes: Int
  ) {
    self.engine = engine
    self.connection = connection
    self.context = context
    self.limitBytes = limitBytes
  }

  private func enter() async throws(SQLError) {
    if isInterrupted { throw SQLError(.queryCanceled, "canceling statement due to user request") }
    guard !hasEntered else { return }
    hasEntered = true
    let context = self.context
    interruption = try await onConnection(connection) { connection in
      connection.enter(context)
      return connection.interrupt
    }
  }

  func create(_ sql: String, table: String) async throws(SQLError) {
    try await enter()
    try await onConnection(connection) { try $0.create(sql, table: table) }
  }

  func load(_ table: String, columnCount: Int, rowCount: Int, values: [UInt8]) async throws(SQLError) {
    try await enter()
    loadedBytes += values.count
    guard loadedBytes <= limitBytes else {
      throw ComputeSession.outOfWorkMemory("\(limitBytes >> 20)MB")
    }
    try await onConnection(connection) {
      try $0.load(table, columnCount: columnCount, rowCount: rowCount, values: values)
    }
  }

  func query(_ sql: String, values: [StoredValue], columnCount: Int) async throws(SQLError) {
    try await enter()
    try await onConnection(connection) { try $0.query(sql, values, columnCount: columnCount) }
  }

  func next(maximumRows: Int) async throws(SQLError) -> (rowCount: Int, values: [StoredValue])? {
    try await enter()
    return try await onConnection(connection) { try $0.next(maximumRows: maximumRows) }
  }

  func interrupt() {
    isInterrupted = true
    interruption?.interrupt()
  }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    let (engine, connection) = (self.engine, self.connection)
    Task { @LoopActor in
      // What was interrupted has ended by then: work on a connection is done in order.
      _ = try? await connection.run { $0.leave() }
      engine.giveBack(connection)
    }
  }
}
