import EventLoop
import Metadata
import SQLTypes
import StorageEngine
import Synchronization

/// Settings of the engine.
package struct SQLiteEngineConfiguration: Sendable {
  /// Where it keeps everything; made where it is missing.
  package var directory: String
  /// Threads for SQLite's work.
  package var workers: Int
  /// The most connections that are kept open without use, over all tablets.
  package var maximumIdleConnections: Int
  /// The most bytes of changes that a transaction may make: they are kept in memory until they are logged.
  package var maximumTransactionBytes: Int
  /// Settings for a storage process of the usual size.
  package init(
    directory: String, workers: Int = 3, maximumIdleConnections: Int = 24, maximumTransactionBytes: Int = 256 << 20
  ) {
    self.directory = directory
    self.workers = workers
    self.maximumIdleConnections = maximumIdleConnections
    self.maximumTransactionBytes = maximumTransactionBytes
  }
}

/// The embedded engine: each tablet is one SQLite file in WAL mode (design.md §5).
///
/// Writers lock rows or whole tablets (`TabletLocks`). Who holds a tablet alone has its connection until its transaction ends; what
/// others change is kept beside the file until it is logged (`TabletOverlay`). Readers take a snapshot from a pool of connections. What writers change is recorded row by row (`ChangeRecorder`) and applied on the
/// other replicas (`ChangeApplier`).
@LoopActor
package final class SQLiteEngine: StorageEngine {
  let directory: EngineDirectory
  let workers: WorkerPool
  let pool: ConnectionPool
  let remover = FileRemover()
  let maker: TabletMaker
  let tabletLocks = TabletLocks()
  let maximumTransactionBytes: Int
  var transactions: [TransactionID: EngineTransaction] = [:]
  /// Why transactions were ended that somebody may still ask about; until they are rolled back.
  var endReasons: [TransactionID: SQLError] = [:]
  package internal(set) var tablets: [TabletID: TabletSummary] = [:]
  package internal(set) var highestIndex: UInt64 = 0
  /// Held while a transaction over several tablets becomes visible, and while a snapshot over several tablets is taken, so
  /// that the latter never sees half of the former.
  let visibility = VisibilityGate()
  /// Snapshots that are being written.
  var snapshots: [SnapshotInProgress] = []
  /// Whether a tablet's rows can be locked one by one, as far as it is known.
  var rowLocking: [TabletID: Bool] = [:]
  private var tabletGates: [TabletID: TabletGate] = [:]
  package var onFull: (@LoopActor (EngineSpace) -> Void)?
  /// Whether what is logged waits to be applied, for want of space.
  var isFull = false
  /// Transactions whose end `apply` has begun in a try that failed: their changes come by what is logged.
  var resumed: Set<TransactionID> = []
  /// It does not wait for space any more.
  private(set) var isEnding = false
  private var sweeper: LoopTimer?

  /// Unused connections are closed after so long.
  private static let idleMilliseconds = 30_000

  package init(_ configuration: SQLiteEngineConfiguration) {
    directory = EngineDirectory(path: configuration.directory)
    maximumTransactionBytes = configuration.maximumTransactionBytes
    workers = WorkerPool(count: configuration.workers)
    maker = TabletMaker(directory)
    let directory = directory
    pool = ConnectionPool(
      workers: workers, maximumIdle: configuration.maximumIdleConnections,
      maximumChangeBytes: configuration.maximumTransactionBytes, path: { directory.tabletPath($0) })
  }

  package func open() async throws(SQLError) -> EngineState {
    let directory = directory
    if directory.isFull { await useReserve() }
    let (state, found) = try await withSpace { await workers.run { directory.open() } }
    tablets = found
    highestIndex = found.values.map(\.appliedIndex).max() ?? 0
    sweeper = LoopTimer(afterMilliseconds: Self.idleMilliseconds, repeatMilliseconds: Self.idleMilliseconds / 3) {
      [weak self] in
      self?.pool.closeIdle(forMilliseconds: Self.idleMilliseconds)
      Task { await self?.renewReserve() }
    }
    await renewReserve()
    return state
  }

  /// Held while a tablet's file is changed by entries, or looked at under an overlay.
  func tabletGate(of tablet: TabletID) -> TabletGate {
    if let gate = tabletGates[tablet] { return gate }
    let gate = TabletGate()
    tabletGates[tablet] = gate
    return gate
  }

  package func checkpoint(at index: UInt64, nodeState: [UInt8]) async throws(SQLError) {
    let directory = directory
    let state = EngineState(index: index, nodeState: nodeState)
    try await onWorker { () throws(FileError) in try directory.writeCheckpoint(state) }
  }

  package func discard() async throws(SQLError) {
    await rollbackAll()
    for snapshot in snapshots { snapshot.isOvertaken = true }
    for id in tablets.keys { pool.retire(id) }
    await pool.closeAll()
    let directory = directory
    try await onWorker { () throws(FileError) in try directory.discard() }
    tablets = [:]
    rowLocking = [:]
    highestIndex = 0
  }

  package func statistics() async -> EngineStatistics {
    let paths = tablets.keys.map { ($0, directory.tabletPath($0)) }
    let (sizes, total) = await workers.run {
      var sizes: [TabletID: UInt64] = [:]
      var total: UInt64 = 0
      for (tablet, path) in paths {
        sizes[tablet] = UInt64((try? FileSystem.size(path)) ?? 0)
        total += (sizes[tablet] ?? 0) + UInt64((try? FileSystem.size(path + "-wal")) ?? 0)
      }
      return (sizes, total)
    }
    return EngineStatistics(
      tablets: tablets.count, sizeBytes: total, openTransactions: transactions.count, sizes: sizes)
  }

  package func stopWaiting() { isEnding = true }

  package func close() async {
    sweeper?.cancel()
    await rollbackAll()
    await pool.closeAll()
    let (directory, maker) = (directory, maker)
    // A failure leaves the mark out: the next start then asks the kernel whether the files can be trusted.
    _ = await workers.run {
      maker.close()
      try? directory.markClean()
    }
    remover.shutdown()
    workers.shutdown()
  }

  /// File work on a worker, its failures in the caller's terms.
  func onWorker<T: Sendable>(
    _ work: @escaping @Sendable () throws(FileError) -> T
  ) async throws(SQLError) -> T {
    let result: Result<T, SQLError> = await workers.run {
      do throws(FileError) {
        return .success(try work())
      } catch {
        return .failure(SQLError(error))
      }
    }
    return try result.get()
  }
}

/// Excludes commits over several tablets and snapshots over several tablets from each other. Both take microseconds.
final class VisibilityGate: Sendable {
  private let mutex = Mutex<Void>(())

  func pass<T>(_ body: () -> T) -> T {
    mutex.withLock { _ in body() }
  }
}
