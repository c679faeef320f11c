/// Reads that wait: to be asked for, to be confirmed by the leader, to be applied up to.
///
/// All reads of a turn share one request to the leader. A request without answer is made again after a while.
struct WaitingReads: Sendable {
  private struct Waiter: Sendable {
    var token: UInt64
    var deadlineMilliseconds: UInt64
  }
  private struct Request: Sendable {
    var id: UInt64
    var startedMilliseconds: UInt64
    var waiters: [Waiter]
  }
  // Those that came since the last request, or wait for a leader.
  private var unstarted: [Waiter] = []
  // Requests without answer; few at a time.
  private var started: [Request] = []
  // Confirmed, but not applied so far.
  private var confirmed: [(index: UInt64, waiters: [Waiter])] = []
  private var nextID: UInt64 = 1
  /// How many wait.
  private(set) var count = 0

  var hasUnstarted: Bool { !unstarted.isEmpty }
  var isEmpty: Bool { count == 0 }

  mutating func append(_ token: UInt64, deadlineMilliseconds: UInt64) {
    unstarted.append(Waiter(token: token, deadlineMilliseconds: deadlineMilliseconds))
    count += 1
  }

  /// Makes one request of all that are not started; its number.
  mutating func start(atMilliseconds now: UInt64) -> UInt64 {
    let id = nextID
    nextID += 1
    started.append(Request(id: id, startedMilliseconds: now, waiters: unstarted))
    unstarted = []
    return id
  }

  /// The request was declined: its reads wait for the next leader.
  mutating func retryLater(_ id: UInt64) {
    guard let position = started.firstIndex(where: { $0.id == id }) else { return }
    unstarted += started.remove(at: position).waiters
  }

  /// The request was answered: its reads are ready once the entry is applied.
  mutating func confirm(_ id: UInt64, index: UInt64, appliedIndex: UInt64, _ actions: inout [ReplicaCore.Action]) {
    guard let position = started.firstIndex(where: { $0.id == id }) else { return }
    let waiters = started.remove(at: position).waiters
    if index <= appliedIndex { finish(waiters, &actions) } else { confirmed.append((index, waiters)) }
  }

  /// The entry is applied.
  mutating func applied(_ index: UInt64, _ actions: inout [ReplicaCore.Action]) {
    guard !confirmed.isEmpty else { return }
    for item in confirmed where item.index <= index { finish(item.waiters, &actions) }
    confirmed.removeAll { $0.index <= index }
  }

  private mutating func finish(_ waiters: [Waiter], _ actions: inout [ReplicaCore.Action]) {
    count -= waiters.count
    for waiter in waiters { actions.append(.readReady(waiter.token)) }
  }

  /// Requests that got no answer within the time are to be made again; those that waited too long are given up.
  mutating func sweep(
    atMilliseconds now: UInt64, retryAfterMilliseconds: UInt64, _ actions: inout [ReplicaCore.Action]
  ) {
    for request in started where request.startedMilliseconds + retryAfterMilliseconds <= now { retryLater(request.id) }
    unstarted = keepTimely(unstarted, now, &actions)
    for position in confirmed.indices {
      confirmed[position].waiters = keepTimely(confirmed[position].waiters, now, &actions)
    }
  }

  private mutating func keepTimely(
    _ waiters: [Waiter], _ now: UInt64, _ actions: inout [ReplicaCore.Action]
  ) -> [Waiter] {
    for waiter in waiters where waiter.deadlineMilliseconds <= now {
      actions.append(.readFailed(waiter.token, .timedOut))
      count -= 1
    }
    return waiters.filter { $0.deadlineMilliseconds > now }
  }

  /// Gives up all.
  mutating func failAll(_ failure: ReplicaCore.Failure, _ actions: inout [ReplicaCore.Action]) {
    for waiter in unstarted { actions.append(.readFailed(waiter.token, failure)) }
    for request in started { for waiter in request.waiters { actions.append(.readFailed(waiter.token, failure)) } }
    for item in confirmed { for waiter in item.waiters { actions.append(.readFailed(waiter.token, failure)) } }
    self = WaitingReads()
  }
}
