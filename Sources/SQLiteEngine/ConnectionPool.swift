import EventLoop
import Metadata
import SQLTypes
import StorageEngine

/// The connections to tablets that nobody uses at the moment.
@LoopActor
final class ConnectionPool {
  private struct Key: Hashable {
    var purpose: TabletConnection.Purpose
    /// The main tablet, then the attached ones.
    var tablets: [TabletID]
  }

  private let workers: WorkerPool
  private let path: @Sendable (TabletID) -> String
  private let maximumIdle: Int
  private let maximumChangeBytes: Int
  private var idle: [Key: [TabletConnection]] = [:]
  private var idleCount = 0
  /// Raised when a tablet is dropped or replaced.
  private var lives: [TabletID: UInt64] = [:]

  init(
    workers: WorkerPool, maximumIdle: Int, maximumChangeBytes: Int, path: @escaping @Sendable (TabletID) -> String
  ) {
    self.maximumChangeBytes = maximumChangeBytes
    self.workers = workers
    self.maximumIdle = maximumIdle
    self.path = path
  }

  /// A connection to the tablets, of which all but the first are attached: an idle one, or a new one.
  func take(
    _ purpose: TabletConnection.Purpose, _ tablets: [TabletID]
  ) async throws(EngineFailure) -> TabletConnection {
    let key = Key(purpose: purpose, tablets: tablets)
    if let connection = idle[key]?.popLast() {
      idleCount -= 1
      if idle[key]!.isEmpty { idle[key] = nil }
      return connection
    }
    let path = path
    let life = life(tablets)
    let maximumChangeBytes = maximumChangeBytes
    let result: Result<TabletConnection, EngineFailure> = await workers.run {
      do throws(EngineFailure) {
        let connection = try TabletConnection(
          path: path(tablets[0]), tablet: tablets[0], purpose: purpose, maximumChangeBytes: maximumChangeBytes)
        try connection.attach(Array(tablets.dropFirst()), path: path)
        return .success(connection)
      } catch {
        return .failure(error)
      }
    }
    let connection = try result.get()
    connection.life = life
    return connection
  }

  /// Takes a connection back; it must be outside a transaction, without a running statement.
  func give(_ connection: TabletConnection) {
    let tablets = [connection.tablet] + connection.attached
    guard connection.life == life(tablets) else {
      close([connection])
      return
    }
    connection.idleSince = Loop.now
    idle[Key(purpose: connection.purpose, tablets: tablets), default: []].append(connection)
    idleCount += 1
    if idleCount > maximumIdle { closeLongestIdle() }
  }

  /// Closes connections that nobody has used for so long.
  func closeIdle(forMilliseconds milliseconds: Int) {
    let now = Loop.now
    closeIdle { now - $0.idleSince >= UInt64(milliseconds) * 1_000_000 }
  }

  /// Never hands out again what is open on the tablet.
  func retire(_ tablet: TabletID) {
    lives[tablet, default: 0] += 1
    closeIdle { $0.tablet == tablet || $0.attached.contains(tablet) }
  }

  /// Closes all that are idle and answers when they are closed.
  func closeAll() async {
    let connections = idle.values.flatMap { $0 }
    idle = [:]
    idleCount = 0
    await workers.run { for connection in connections { connection.close() } }
  }

  /// Closes a connection that is of no more use.
  func close(_ connections: [TabletConnection]) {
    guard !connections.isEmpty else { return }
    Task { await workers.run { for connection in connections { connection.close() } } }
  }

  /// Lives only grow, so their sum changes when one of them does.
  private func life(_ tablets: [TabletID]) -> UInt64 { tablets.reduce(0) { $0 + (lives[$1] ?? 0) } }

  private func closeLongestIdle() {
    let oldest = idle.values.compactMap { $0.first?.idleSince }.min()
    guard let oldest else { return }
    closeIdle { $0.idleSince == oldest }
  }

  private func closeIdle(where isOver: (TabletConnection) -> Bool) {
    var closing: [TabletConnection] = []
    for (key, connections) in idle {
      let over = connections.filter(isOver)
      guard !over.isEmpty else { continue }
      closing += over
      let kept = connections.filter { !isOver($0) }
      idle[key] = kept.isEmpty ? nil : kept
    }
    idleCount -= closing.count
    close(closing)
  }
}
