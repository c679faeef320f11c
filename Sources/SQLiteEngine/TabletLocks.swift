import EventLoop
import Metadata
import SQLTypes
import StorageEngine

/// The write locks of the tablets: one holder each, others wait in the order of their coming. A wait that would close a circle
/// of waits fails at once, for the transaction that would close it.
@LoopActor
final class TabletLocks {
  /// Who holds or wants a lock: a transaction, or a schema change.
  enum Owner: Hashable {
    case transaction(TransactionID)
    /// Goes before all who wait.
    case schemaChange
  }

  private final class Waiter {
    let owner: Owner
    let since = Loop.now
    var timer: LoopTimer?
    private var continuation: UnsafeContinuation<SQLError?, Never>?
    init(owner: Owner, continuation: UnsafeContinuation<SQLError?, Never>) {
      self.owner = owner
      self.continuation = continuation
    }
    @LoopActor func resume(_ error: SQLError?) {
      timer?.cancel()
      continuation?.resume(returning: error)
      continuation = nil
    }
  }

  private struct Lock {
    var holder: Owner
    var waiters: [Waiter] = []
  }

  private var locks: [TabletID: Lock] = [:]
  /// What each waiting transaction waits for; one thing at a time.
  private var waitingFor: [Owner: TabletID] = [:]

  /// The holder of a tablet's lock.
  func holder(of tablet: TabletID) -> Owner? { locks[tablet]?.holder }

  /// Takes the lock, at once or when its turn has come. `timeoutMilliseconds` 0: waits for ever.
  /// Errors: 40P01, 55P03, and whatever `cancel` is given.
  func acquire(_ tablet: TabletID, for owner: Owner, timeoutMilliseconds: Int) async throws(SQLError) {
    guard let lock = locks[tablet] else {
      locks[tablet] = Lock(holder: owner)
      return
    }
    if lock.holder == owner { return }
    if closesCircle(owner, waitingFor: tablet) {
      throw SQLError(
        .deadlockDetected, "deadlock detected",
        detail: "Another transaction holds tablet \(tablet) and waits for one that this transaction holds.",
        hint: "Retry the transaction.")
    }
    let error = await withUnsafeContinuation { (continuation: UnsafeContinuation<SQLError?, Never>) in
      let waiter = Waiter(owner: owner, continuation: continuation)
      waitingFor[owner] = tablet
      if owner == .schemaChange {
        locks[tablet]!.waiters.insert(waiter, at: 0)
      } else {
        locks[tablet]!.waiters.append(waiter)
      }
      guard timeoutMilliseconds > 0 else { return }
      waiter.timer = LoopTimer(afterMilliseconds: timeoutMilliseconds) { [weak self] in
        self?.remove(
          waiter, from: tablet, error: SQLError(.lockNotAvailable, "canceling statement due to lock timeout"))
      }
    }
    if let error { throw error }
  }

  /// Gives the lock to the next who waits. A lock that `owner` does not hold is left alone.
  func release(_ tablet: TabletID, by owner: Owner) {
    guard var lock = locks[tablet], lock.holder == owner else { return }
    guard !lock.waiters.isEmpty else {
      locks[tablet] = nil
      return
    }
    let next = lock.waiters.removeFirst()
    lock.holder = next.owner
    locks[tablet] = lock
    waitingFor[next.owner] = nil
    next.resume(nil)
  }

  /// All that transactions hold and wait for.
  var all: [TransactionID: TransactionLocks] {
    var all: [TransactionID: TransactionLocks] = [:]
    for (tablet, lock) in locks {
      var before: [TransactionID] = []
      if case .transaction(let id) = lock.holder {
        all[id, default: TransactionLocks()].held.append(tablet)
        before.append(id)
      }
      for waiter in lock.waiters {
        guard case .transaction(let id) = waiter.owner else { continue }
        all[id, default: TransactionLocks()].wait = TransactionLocks.Wait(
          tablet: tablet, blockers: before, since: waiter.since)
        before.append(id)
      }
    }
    return all
  }

  /// Ends a transaction's wait with an error, where it waits.
  func cancel(_ owner: Owner, error: SQLError) {
    guard let tablet = waitingFor[owner], let waiter = locks[tablet]?.waiters.first(where: { $0.owner == owner })
    else { return }
    remove(waiter, from: tablet, error: error)
  }

  private func remove(_ waiter: Waiter, from tablet: TabletID, error: SQLError) {
    guard let place = locks[tablet]?.waiters.firstIndex(where: { $0 === waiter }) else { return }
    locks[tablet]!.waiters.remove(at: place)
    waitingFor[waiter.owner] = nil
    waiter.resume(error)
  }

  /// Whether a wait of `owner` for the tablet would come back to `owner`: along holders and those who wait before others.
  private func closesCircle(_ owner: Owner, waitingFor tablet: TabletID) -> Bool {
    var seen: Set<TabletID> = []
    var pending = [tablet]
    while let next = pending.popLast() {
      guard seen.insert(next).inserted, let lock = locks[next] else { continue }
      for blocker in [lock.holder] + lock.waiters.map(\.owner) {
        if blocker == owner { return true }
        if let further = waitingFor[blocker] { pending.append(further) }
      }
    }
    return false
  }
}
