import EventLoop

/// Wakes those who wait for something to change; what has changed they look up for themselves. One timer serves all who wait:
/// a wait may last a quarter of a second longer than it was to.
@LoopActor
final class ChangeSignal {
  private struct Waiter {
    let deadline: UInt64
    let continuation: UnsafeContinuation<Bool, Never>
  }
  private static let sweepMilliseconds = 250
  private var waiters: [Waiter] = []
  private var timer: LoopTimer?

  nonisolated init() {}

  /// Returns true at the next change, false when the time is over.
  func wait(milliseconds: Int) async -> Bool {
    await withUnsafeContinuation { continuation in
      waiters.append(
        Waiter(deadline: Loop.now + UInt64(max(0, milliseconds)) * 1_000_000, continuation: continuation))
      watch()
    }
  }

  func fire() {
    guard !waiters.isEmpty else { return }
    let woken = waiters
    waiters = []
    for waiter in woken { waiter.continuation.resume(returning: true) }
  }

  private func watch() {
    guard timer == nil else { return }
    timer = LoopTimer(afterMilliseconds: Self.sweepMilliseconds) { [weak self] in self?.sweep() }
  }

  private func sweep() {
    timer = nil
    let now = Loop.now
    let late = waiters.filter { $0.deadline <= now }
    waiters.removeAll { $0.deadline <= now }
    for waiter in late { waiter.continuation.resume(returning: false) }
    if !waiters.isEmpty { watch() }
  }
}
