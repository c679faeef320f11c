import EventLoop

/// Wakes those who wait for something to change; what has changed they look up for themselves.
@LoopActor
final class ChangeSignal {
  private struct Waiter {
    let timer: LoopTimer
    let continuation: UnsafeContinuation<Bool, Never>
  }
  private var waiters: [UInt64: Waiter] = [:]
  private var lastNumber: UInt64 = 0

  nonisolated init() {}

  /// Returns true at the next change, false when the time is over.
  func wait(milliseconds: Int) async -> Bool {
    lastNumber += 1
    let number = lastNumber
    return await withUnsafeContinuation { continuation in
      let timer = LoopTimer(afterMilliseconds: milliseconds) { [weak self] in self?.finish(number, false) }
      waiters[number] = Waiter(timer: timer, continuation: continuation)
    }
  }

  func fire() {
    guard !waiters.isEmpty else { return }
    for number in waiters.keys.sorted() { finish(number, true) }
  }

  private func finish(_ number: UInt64, _ isChange: Bool) {
    guard let waiter = waiters.removeValue(forKey: number) else { return }
    waiter.timer.cancel()
    waiter.continuation.resume(returning: isChange)
  }
}
