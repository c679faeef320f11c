import CLibUV

/// A timer on the loop. It lives until it has fired (for the last time) or is cancelled, whether or not it is referred to.
///
/// All timers share one handle of libuv: a timer costs one object and a place in a heap, so there may be one per request.
@LoopActor
package final class LoopTimer {
  /// When it fires next, on `Loop.now`'s clock.
  fileprivate(set) var deadline: UInt64
  /// Order of creation, so that equal deadlines fire in order.
  fileprivate let sequence: UInt64
  fileprivate let repeatNanoseconds: UInt64
  /// Place in the heap; -1 once it has fired or is cancelled.
  fileprivate var position = -1
  fileprivate var body: (@LoopActor () -> Void)?

  /// Starts a timer that calls the body after the delay and, where `repeatMilliseconds` is positive, then at that interval.
  @discardableResult
  package init(
    afterMilliseconds: Int, repeatMilliseconds: Int = 0, _ body: @escaping @LoopActor () -> Void
  ) {
    deadline = Loop.now &+ Self.nanoseconds(afterMilliseconds)
    repeatNanoseconds = Self.nanoseconds(repeatMilliseconds)
    self.body = body
    sequence = TimerHeap.shared.nextSequence()
    TimerHeap.shared.insert(self)
  }

  /// At least 0, at most 10 years.
  private static func nanoseconds(_ milliseconds: Int) -> UInt64 {
    UInt64(min(max(0, milliseconds), 315_360_000_000)) * 1_000_000
  }

  /// Whether it will still fire.
  package var isActive: Bool { position >= 0 }

  /// Stops it; the body is released and not called again.
  package func cancel() {
    body = nil
    TimerHeap.shared.remove(self)
  }
}

/// The timers by deadline: a binary heap in which every timer knows its place.
@LoopActor
private final class TimerHeap {
  static let shared = TimerHeap()

  private var timers: [LoopTimer] = []
  private var sequence: UInt64 = 0
  private let handle: UnsafeMutablePointer<uv_timer_t> = .allocate(capacity: 1)
  /// The deadline for which the handle is armed.
  private var armedFor: UInt64 = .max

  private init() {
    uv_timer_init(LoopExecutor.shared.loop, handle)
  }

  func nextSequence() -> UInt64 {
    sequence &+= 1
    return sequence
  }

  func insert(_ timer: LoopTimer) {
    timer.position = timers.count
    timers.append(timer)
    siftUp(timer.position)
    arm()
  }

  func remove(_ timer: LoopTimer) {
    let position = timer.position
    guard position >= 0 else { return }
    timer.position = -1
    let last = timers.removeLast()
    guard last !== timer else { return }
    timers[position] = last
    last.position = position
    siftUp(position)
    siftDown(last.position)
    // The handle may now be armed too early, which costs one empty wake-up, less than to arm it at each cancellation.
  }

  private func arm() {
    guard let first = timers.first, first.deadline < armedFor else { return }
    armedFor = first.deadline
    let now = Loop.now
    let nanoseconds = first.deadline > now ? first.deadline - now : 0
    // libuv counts from the time at which its turn began.
    uv_update_time(LoopExecutor.shared.loop)
    uv_timer_start(
      handle, { _ in LoopActor.assumeIsolated { TimerHeap.shared.fire() } }, (nanoseconds + 999_999) / 1_000_000, 0)
  }

  private func fire() {
    armedFor = .max
    let now = Loop.now
    while let first = timers.first, first.deadline <= now {
      let body = first.body
      if first.repeatNanoseconds > 0 {
        first.deadline = max(first.deadline &+ first.repeatNanoseconds, now)
        siftDown(first.position)
      } else {
        first.cancel()
      }
      body?()
    }
    arm()
  }

  private func isBefore(_ left: LoopTimer, _ right: LoopTimer) -> Bool {
    left.deadline != right.deadline ? left.deadline < right.deadline : left.sequence < right.sequence
  }

  private func siftUp(_ start: Int) {
    var position = start
    let timer = timers[position]
    while position > 0 {
      let parent = (position - 1) / 2
      guard isBefore(timer, timers[parent]) else { break }
      timers[position] = timers[parent]
      timers[position].position = position
      position = parent
    }
    timers[position] = timer
    timer.position = position
  }

  private func siftDown(_ start: Int) {
    var position = start
    let timer = timers[position]
    while true {
      var child = position * 2 + 1
      guard child < timers.count else { break }
      if child + 1 < timers.count, isBefore(timers[child + 1], timers[child]) { child += 1 }
      guard isBefore(timers[child], timer) else { break }
      timers[position] = timers[child]
      timers[position].position = position
      position = child
    }
    timers[position] = timer
    timer.position = position
  }
}

/// Suspends for the time given. Throws `CancellationError` as soon as the task is cancelled.
@LoopActor
package func loopSleep(milliseconds: Int) async throws {
  let sleep = Sleep()
  try await withTaskCancellationHandler {
    try await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<Void, any Error>) in
      sleep.start(milliseconds: milliseconds, continuation)
    }
  } onCancel: {
    LoopActor.post { sleep.cancel() }
  }
}

/// One sleeping task.
@LoopActor
private final class Sleep {
  private var timer: LoopTimer?
  private var continuation: UnsafeContinuation<Void, any Error>?

  nonisolated init() {}

  func start(milliseconds: Int, _ continuation: UnsafeContinuation<Void, any Error>) {
    guard !Task.isCancelled else {
      continuation.resume(throwing: CancellationError())
      return
    }
    self.continuation = continuation
    timer = LoopTimer(afterMilliseconds: milliseconds) { [self] in
      self.continuation?.resume()
      self.continuation = nil
    }
  }

  func cancel() {
    timer?.cancel()
    continuation?.resume(throwing: CancellationError())
    continuation = nil
  }
}
