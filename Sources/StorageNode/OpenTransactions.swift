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
    /// A request works on it.
    var isBusy = false
    /// Its changes are under way to the log: only the log ends it.
    var isCommitting = false
    fileprivate var waiters: [UnsafeContinuation<Void, Never>] = []
    init(id: TransactionID) { self.id = id }
  }

  /// After so long without a request or a sign of life a transaction is undone.
  static let silenceMilliseconds = 20_000
  /// The most at a time.
  static let maximum = 10_000

  private let engine: any StorageEngine
  private var entries: [TransactionID: Entry] = [:]
  private var timer: LoopTimer?

  init(engine: any StorageEngine) {
    self.engine = engine
    timer = LoopTimer(afterMilliseconds: 2000, repeatMilliseconds: 2000) { [weak self] in self?.reap() }
  }

  var count: Int { entries.count }

  subscript(id: TransactionID) -> Entry? { entries[id] }

  var all: [Entry] { Array(entries.values) }

  /// Begins a transaction, here and in the engine.
  func open(_ id: TransactionID, options: TransactionOptions) throws(SQLError) -> Entry {
    guard entries.count < Self.maximum else {
      throw SQLError(
        .tooManyConnections, "too many transactions are open on the shard", hint: "Retry after others have ended.")
    }
    try engine.begin(id, options: options)
    let entry = Entry(id: id)
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
    for entry in entries.values
    where !entry.isBusy && now - entry.lastHeard > UInt64(Self.silenceMilliseconds) * 1_000_000 {
      Task { await rollback(entry) }
    }
  }
}
