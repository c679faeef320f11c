import EventLoop
import Metadata
import SQLTypes
import StorageEngine

/// The write locks of the tablets: a tablet is held by one owner alone, or by several beside each other, each of which then locks
/// the rows that it writes. Others wait in the order of their coming. A wait that would close a circle of waits fails at once, for
/// the transaction that would close it.
@LoopActor
final class TabletLocks {
  /// Who holds or wants a lock: a transaction, or a schema change.
  enum Owner: Hashable {
    case transaction(TransactionID)
    /// Goes before all who wait.
    case schemaChange
    /// Goes before all who wait, too, for one tablet.
    case fence(TabletID)

    var goesFirst: Bool { if case .transaction = self { false } else { true } }
  }

  /// How a tablet is held.
  enum Mode {
    /// Beside others: rows are locked one by one.
    case shared
    case exclusive
  }

  /// The key of a row: its values as RowCodec writes them.
  typealias RowKey = [UInt8]

  private final class Waiter {
    let owner: Owner
    let tablet: TabletID
    let mode: Mode
    /// nil: waits for the tablet.
    let key: RowKey?
    let since = Loop.now
    var timer: LoopTimer?
    private var continuation: UnsafeContinuation<SQLError?, Never>?
    init(
      owner: Owner, tablet: TabletID, mode: Mode, key: RowKey?, continuation: UnsafeContinuation<SQLError?, Never>
    ) {
      self.owner = owner
      self.tablet = tablet
      self.mode = mode
      self.key = key
      self.continuation = continuation
    }
    @LoopActor func resume(_ error: SQLError?) {
      timer?.cancel()
      continuation?.resume(returning: error)
      continuation = nil
    }
  }

  private struct RowLock {
    var holder: Owner
    var waiters: [Waiter] = []
  }

  private struct Lock {
    var exclusive: Owner?
    var shared: Set<Owner> = []
    var waiters: [Waiter] = []
    var rows: [RowKey: RowLock] = [:]

    var isFree: Bool { exclusive == nil && shared.isEmpty && waiters.isEmpty }

    /// In a fixed order.
    var holders: [Owner] { exclusive.map { [$0] } ?? shared.sorted { $0.order.lexicographicallyPrecedes($1.order) } }

    func admits(_ mode: Mode, _ owner: Owner) -> Bool {
      guard exclusive == nil else { return false }
      return mode == .shared || shared.isEmpty || shared.count == 1 && shared.contains(owner)
    }

    mutating func hold(_ mode: Mode, _ owner: Owner) {
      switch mode {
      case .shared: shared.insert(owner)
      case .exclusive:
        shared.remove(owner)
        exclusive = owner
      }
    }
  }

  private var locks: [TabletID: Lock] = [:]
  /// The rows that each owner has locked, in the order of their locking.
  private var heldRows: [Owner: [TabletID: [RowKey]]] = [:]
  /// What each waiting transaction waits for; one thing at a time.
  private var waitingFor: [Owner: Waiter] = [:]
  /// Tablets that transactions do not get; see `StorageEngine.fence`.
  private(set) var fenced: Set<TabletID> = []

  /// Who holds a tablet alone.
  func exclusiveHolder(of tablet: TabletID) -> Owner? { locks[tablet]?.exclusive }

  /// Whether somebody like this holds rows of the tablet.
  func isShared(_ tablet: TabletID, by isMeant: (Owner) -> Bool) -> Bool {
    locks[tablet].map { $0.shared.contains(where: isMeant) } ?? false
  }

  /// All who hold a tablet.
  func holders(of tablet: TabletID) -> [Owner] { locks[tablet]?.holders ?? [] }

  // MARK: Tablets

  /// Takes the lock, at once or when its turn has come. Who holds it beside others may take it alone: that goes before those who
  /// have nothing. `timeoutMilliseconds` 0: waits for ever. Errors: 40P01, 55P03, and whatever `cancel` is given.
  func acquire(
    _ tablet: TabletID, _ mode: Mode = .exclusive, for owner: Owner, timeoutMilliseconds: Int
  ) async throws(SQLError) {
    let lock = locks[tablet] ?? Lock()
    let isShared = lock.shared.contains(owner)
    if lock.exclusive == owner || mode == .shared && isShared { return }
    if !owner.goesFirst, fenced.contains(tablet) { throw .fenced(tablet) }
    if lock.admits(mode, owner), lock.waiters.isEmpty || isShared {
      locks[tablet, default: Lock()].hold(mode, owner)
      return
    }
    let goesFirst = isShared || owner.goesFirst
    try refuseCircle(owner, tablet, lock.holders + (goesFirst ? [] : lock.waiters.map(\.owner)))
    try await wait(owner, tablet, mode, nil, timeoutMilliseconds) { waiter in
      // Nobody can have the tablet alone before those who hold it already and want more.
      let first = isShared ? 0 : lock.waiters.prefix { lock.shared.contains($0.owner) }.count
      self.locks[tablet]!.waiters.insert(waiter, at: goesFirst ? first : lock.waiters.count)
    }
  }

  /// Gives the tablet and its rows to those who wait. A lock that `owner` does not hold is left alone.
  func release(_ tablet: TabletID, by owner: Owner) {
    guard var lock = locks[tablet], lock.exclusive == owner || lock.shared.contains(owner) else { return }
    if lock.exclusive == owner { lock.exclusive = nil } else { lock.shared.remove(owner) }
    var next: [Waiter] = []
    for key in heldRows[owner]?.removeValue(forKey: tablet) ?? [] {
      guard var row = lock.rows[key], row.holder == owner else { continue }
      if row.waiters.isEmpty {
        lock.rows[key] = nil
      } else {
        let waiter = row.waiters.removeFirst()
        row.holder = waiter.owner
        lock.rows[key] = row
        heldRows[waiter.owner, default: [:]][tablet, default: []].append(key)
        next.append(waiter)
      }
    }
    if heldRows[owner]?.isEmpty == true { heldRows[owner] = nil }
    next += admit(&lock)
    locks[tablet] = lock.isFree ? nil : lock
    for waiter in next {
      waitingFor[waiter.owner] = nil
      waiter.resume(nil)
    }
  }

  /// Those of a tablet's waiters whose turn has come.
  private func admit(_ lock: inout Lock) -> [Waiter] {
    var admitted: [Waiter] = []
    while let first = lock.waiters.first, lock.admits(first.mode, first.owner) {
      lock.waiters.removeFirst()
      lock.hold(first.mode, first.owner)
      admitted.append(first)
    }
    return admitted
  }

  // MARK: Rows

  /// Locks rows of a tablet that the owner holds beside others: all of them, or none where another one holds one.
  ///
  /// - Returns: whether some of them had not been the owner's before; or a row that another one holds.
  func takeRows(_ tablet: TabletID, _ keys: [RowKey], for owner: Owner) -> Result<Bool, HeldRow> {
    guard let lock = locks[tablet] else { return .success(false) }
    var new: [RowKey] = []
    for key in keys {
      guard let row = lock.rows[key] else {
        new.append(key)
        continue
      }
      if row.holder != owner { return .failure(HeldRow(key: key)) }
    }
    for key in new { locks[tablet]!.rows[key] = RowLock(holder: owner) }
    if !new.isEmpty { heldRows[owner, default: [:]][tablet, default: []] += new }
    return .success(!new.isEmpty)
  }

  /// A row that another one holds.
  struct HeldRow: Error {
    var key: RowKey
  }

  /// Whether another one holds the row.
  func isHeld(_ tablet: TabletID, _ key: RowKey, byOtherThan owner: Owner) -> Bool {
    locks[tablet]?.rows[key].map { $0.holder != owner } ?? false
  }

  /// Whether others hold rows of the tablet.
  func hasOthers(_ tablet: TabletID, than owner: Owner) -> Bool {
    locks[tablet]?.shared.contains { $0 != owner } ?? false
  }

  /// Locks a row, at once or when its turn has come. Errors: as `acquire` of a tablet.
  func acquireRow(
    _ tablet: TabletID, _ key: RowKey, for owner: Owner, timeoutMilliseconds: Int
  ) async throws(SQLError) {
    guard let row = locks[tablet]?.rows[key], row.holder != owner else {
      _ = takeRows(tablet, [key], for: owner)
      return
    }
    try refuseCircle(owner, tablet, [row.holder] + row.waiters.map(\.owner))
    try await wait(owner, tablet, .shared, key, timeoutMilliseconds) { waiter in
      self.locks[tablet]!.rows[key]!.waiters.append(waiter)
    }
  }

  // MARK: Waiting

  private func wait(
    _ owner: Owner, _ tablet: TabletID, _ mode: Mode, _ key: RowKey?, _ timeoutMilliseconds: Int,
    enqueue: @LoopActor (Waiter) -> Void
  ) async throws(SQLError) {
    let error = await withUnsafeContinuation { (continuation: UnsafeContinuation<SQLError?, Never>) in
      let waiter = Waiter(owner: owner, tablet: tablet, mode: mode, key: key, continuation: continuation)
      waitingFor[owner] = waiter
      enqueue(waiter)
      guard timeoutMilliseconds > 0 else { return }
      waiter.timer = LoopTimer(afterMilliseconds: timeoutMilliseconds) { [weak self] in
        self?.remove(waiter, error: SQLError(.lockNotAvailable, "canceling statement due to lock timeout"))
      }
    }
    if let error { throw error }
  }

  /// Ends a transaction's wait with an error, where it waits.
  func cancel(_ owner: Owner, error: SQLError) {
    guard let waiter = waitingFor[owner] else { return }
    remove(waiter, error: error)
  }

  private func remove(_ waiter: Waiter, error: SQLError) {
    guard waitingFor[waiter.owner] === waiter, var lock = locks[waiter.tablet] else { return }
    waitingFor[waiter.owner] = nil
    var next: [Waiter] = []
    if let key = waiter.key {
      lock.rows[key]?.waiters.removeAll { $0 === waiter }
    } else {
      lock.waiters.removeAll { $0 === waiter }
      // Those behind it may have waited for nobody else.
      next = admit(&lock)
    }
    locks[waiter.tablet] = lock.isFree ? nil : lock
    waiter.resume(error)
    for other in next {
      waitingFor[other.owner] = nil
      other.resume(nil)
    }
  }

  /// Refuses these tablets to transactions, among them those that wait.
  func setFences(_ tablets: Set<TabletID>) {
    fenced = tablets
    for tablet in tablets {
      for waiter in locks[tablet]?.waiters ?? [] where !waiter.owner.goesFirst {
        remove(waiter, error: .fenced(tablet))
      }
    }
  }

  /// All that transactions hold and wait for.
  var all: [TransactionID: TransactionLocks] {
    var all: [TransactionID: TransactionLocks] = [:]
    for tablet in locks.keys.sorted() {
      for case .transaction(let id) in locks[tablet]!.holders {
        all[id, default: TransactionLocks()].held.append(tablet)
      }
    }
    for (owner, waiter) in waitingFor {
      guard case .transaction(let id) = owner else { continue }
      let blockers = blockers(of: waiter).compactMap { if case .transaction(let other) = $0 { other } else { nil } }
      all[id, default: TransactionLocks()].wait = TransactionLocks.Wait(
        tablet: waiter.tablet, blockers: blockers, since: waiter.since)
    }
    return all
  }

  /// Who holds what it waits for, or waits before it.
  private func blockers(of waiter: Waiter) -> [Owner] {
    guard let lock = locks[waiter.tablet] else { return [] }
    if let key = waiter.key {
      guard let row = lock.rows[key] else { return [] }
      return [row.holder] + row.waiters.prefix { $0 !== waiter }.map(\.owner)
    }
    return (lock.holders + lock.waiters.prefix { $0 !== waiter }.map(\.owner)).filter { $0 != waiter.owner }
  }

  /// A wait that would come back to its owner fails.
  private func refuseCircle(_ owner: Owner, _ tablet: TabletID, _ blockers: [Owner]) throws(SQLError) {
    var seen: Set<Owner> = [owner]
    // One that holds a tablet and wants it alone is not in its own way.
    var pending = blockers.filter { $0 != owner }
    while let next = pending.popLast() {
      guard seen.insert(next).inserted, let wait = waitingFor[next] else { continue }
      let further = self.blockers(of: wait)
      guard !further.contains(owner) else {
        throw SQLError(
          .deadlockDetected, "deadlock detected",
          detail: "Another transaction holds tablet \(tablet) and waits for one that this transaction holds.",
          hint: "Retry the transaction.")
      }
      pending += further
    }
  }
}

extension TabletLocks.Owner {
  fileprivate var order: [UInt8] {
    if case .transaction(let id) = self { id.bytes } else { [] }
  }
}
