import EventLoop
import SQLTypes
import StorageEngine

/// The transactions that compute nodes have open at this leader. One whose node has fallen silent is undone.
@LoopActor
final class OpenTransactions {
  /// One of them, as the service sees it.
  final class Entry {
    let id: TransactionID
    let openedAt = Loop.now
    var lastHeard = Loop.now
    /// Whether the connection is open that the compute node was last heard on.
    var isConnected: @LoopActor () -> Bool
    /// Since when it is not.
    fileprivate var lostAt: UInt64?
    /// A request works on it.
    var isBusy = false
    /// Its changes are under way to the log: only the log ends it.
    var isCommitting = false
    fileprivate var waiters: [UnsafeContinuation<Void, Never>] = []
    init(id: TransactionID, isConnected: @escaping @LoopActor () -> Bool) {
      self.id = id
      self.isConnected = isConnected
    }

    /// The compute node has been heard, on a connection.
    func heard(on isConnected: @escaping @LoopActor () -> Bool) {
      lastHeard = Loop.now
      lostAt = nil
      self.isConnected = isConnected
    }
  }

  /// After so long without a request or a sign of life a transaction is undone.
  static let silenceMilliseconds = 20_000
  /// After so long without a connection to its compute node it is undone too: the node has died, or will not be long in coming
  /// back on another one.
  private static let disconnectedMilliseconds = 1500
  private static let reapMilliseconds = 250
  /// The most at a time.
  static let maximum = 10_000

  private let engine: any StorageEngine
  private var entries: [TransactionID: Entry] = [:]
  private var timer: LoopTimer?

  init(engine: any StorageEngine) {
    self.engine = engine
    timer = LoopTimer(afterMilliseconds: Self.reapMilliseconds, repeatMilliseconds: Self.reapMilliseconds) {
      [weak self] in self?.reap()
    }
  }

  var count: Int { entries.count }

  subscript(id: TransactionID) -> Entry? { entries[id] }

  var all: [Entry] { Array(entries.values) }

  /// Begins a transaction, here and in the engine.
  func open(
    _ id: TransactionID, options: TransactionOptions, isConnected: @escaping @LoopActor () -> Bool
  ) throws(SQLError) -> Entry {
    guard entries.count < Self.maximum else {
      throw SQLError(
        .tooManyConnections, "too many transactions are open on the shard", hint: "Retry after others have ended.")
    }
    try engine.begin(id, options: options)
    let entry = Entry(id: id, isConnected: isConnected)
    entries[id] = entry
    return entry
  }

  /// The request that worked on it has ended; it goes on.
  func rest(_ entry: Entry) {
    entry.isBusy = false
    entry.lastHeard = Loop.now
    wake(entry)
  }

  /// It is over: committed or undone in the engine.
  func close(_ entry: Entry) {
    if entries[entry.id] === entry { entries[entry.id] = nil }
    entry.isBusy = false
    wake(entry)
  }

  /// Undoes it, where it is not on its way to the log.
  func rollback(_ entry: Entry) async {
    guard !entry.isCommitting else { return }
    await engine.rollback(entry.id)
    close(entry)
  }

  /// Waits until no request works on it.
  func rested(_ entry: Entry) async {
    while entry.isBusy { await withUnsafeContinuation { entry.waiters.append($0) } }
  }

  /// The leadership is lost; the engine undoes them all.
  func forgetAll() {
    let all = Array(entries.values)
    entries = [:]
    for entry in all where !entry.isBusy { wake(entry) }
  }

  func stop() { timer?.cancel() }

  private func wake(_ entry: Entry) {
    let waiting = entry.waiters
    entry.waiters = []
    for waiter in waiting { waiter.resume() }
  }

  private func reap() {
    let now = Loop.now
    for entry in entries.values where !entry.isBusy {
      if entry.isConnected() { entry.lostAt = nil } else { entry.lostAt = entry.lostAt ?? now }
      let isLost = entry.lostAt.map { now - $0 > UInt64(Self.disconnectedMilliseconds) * 1_000_000 } ?? false
      guard isLost || now - entry.lastHeard > UInt64(Self.silenceMilliseconds) * 1_000_000 else { continue }
      Task { await rollback(entry) }
    }
  }
}
