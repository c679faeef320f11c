import EventLoop

/// Reads that wait: to be asked for, to be confirmed by the leader, to be applied up to.
@LoopActor
struct ReadQueue {
  typealias Completion = @LoopActor (ReplicaError?) -> Void

  private struct Waiter {
    var deadlineMilliseconds: UInt64
    var then: Completion
  }
  private struct Batch {
    var startedMilliseconds: UInt64
    var waiters: [Waiter]
  }
  // Those that came since the last request, or wait for a leader.
  private var unstarted: [Waiter] = []
  // Requests without answer, by their number; few at a time.
  private var started: [(id: UInt64, batch: Batch)] = []
  // Confirmed, but not applied so far.
  private var confirmed: [(index: UInt64, waiters: [Waiter])] = []
  private var nextID: UInt64 = 1

  nonisolated init() {}

  var hasUnstarted: Bool { !unstarted.isEmpty }
  var isEmpty: Bool { unstarted.isEmpty && started.isEmpty && confirmed.isEmpty }

  mutating func append(deadlineMilliseconds: UInt64, _ then: @escaping Completion) {
    unstarted.append(Waiter(deadlineMilliseconds: deadlineMilliseconds, then: then))
  }

  /// Makes one request of all that are not started; its number.
  mutating func start(atMilliseconds now: UInt64) -> UInt64 {
    let id = nextID
    nextID += 1
    started.append((id, Batch(startedMilliseconds: now, waiters: unstarted)))
    unstarted = []
    return id
  }

  /// The request was declined: its reads wait for the next leader.
  mutating func retryLater(_ id: UInt64) {
    guard let position = started.firstIndex(where: { $0.id == id }) else { return }
    unstarted += started.remove(at: position).batch.waiters
  }

  /// The request was answered. Completions to call where the entry is applied already.
  mutating func confirm(_ id: UInt64, index: UInt64, appliedIndex: UInt64) -> [Completion] {
    guard let position = started.firstIndex(where: { $0.id == id }) else { return [] }
    let waiters = started.remove(at: position).batch.waiters
    if index <= appliedIndex { return waiters.map(\.then) }
    confirmed.append((index, waiters))
    return []
  }

  /// Completions to call now that the entry is applied.
  mutating func applied(_ index: UInt64) -> [Completion] {
    guard !confirmed.isEmpty else { return [] }
    var ready: [Completion] = []
    confirmed.removeAll { item in
      guard item.index <= index else { return false }
      ready += item.waiters.map(\.then)
      return true
    }
    return ready
  }

  /// Requests that got no answer within the time are to be made again; completions of those that waited too long.
  mutating func sweep(atMilliseconds now: UInt64, retryAfterMilliseconds: UInt64) -> [Completion] {
    for (id, batch) in started where batch.startedMilliseconds + retryAfterMilliseconds <= now { retryLater(id) }
    var expired: [Completion] = []
    func keep(_ waiter: Waiter) -> Bool {
      if waiter.deadlineMilliseconds > now { return true }
      expired.append(waiter.then)
      return false
    }
    unstarted = unstarted.filter(keep)
    confirmed = confirmed.map { ($0.index, $0.waiters.filter(keep)) }
    return expired
  }

  /// Gives up all; the caller calls the completions.
  mutating func removeAll() -> [Completion] {
    let all = unstarted + started.flatMap(\.batch.waiters) + confirmed.flatMap(\.waiters)
    unstarted = []
    started = []
    confirmed = []
    return all.map(\.then)
  }
}
