import EventLoop

/// Those who wait for the image to reach an index.
@LoopActor
final class IndexWaiters {
  private struct Waiter {
    let index: UInt64
    let timer: LoopTimer
    let continuation: UnsafeContinuation<MetadataError?, Never>
  }
  private var waiters: [UInt64: Waiter] = [:]
  private var lastNumber: UInt64 = 0

  nonisolated init() {}

  /// Returns once `reached` is called with the index or a later one.
  func wait(
    for index: UInt64, timeoutMilliseconds: Int, current: @escaping @LoopActor () -> UInt64
  ) async throws(MetadataError) {
    lastNumber += 1
    let number = lastNumber
    let error: MetadataError? = await withUnsafeContinuation { continuation in
      let timer = LoopTimer(afterMilliseconds: timeoutMilliseconds) { [weak self] in
        self?.finish(number, .timedOut(index: index, reached: current()))
      }
      waiters[number] = Waiter(index: index, timer: timer, continuation: continuation)
    }
    if let error { throw error }
  }

  func reached(_ index: UInt64) {
    guard !waiters.isEmpty else { return }
    for number in waiters.filter({ $0.value.index <= index }).keys.sorted() { finish(number, nil) }
  }

  func failAll(_ error: MetadataError) {
    for number in waiters.keys.sorted() { finish(number, error) }
  }

  private func finish(_ number: UInt64, _ error: MetadataError?) {
    guard let waiter = waiters.removeValue(forKey: number) else { return }
    waiter.timer.cancel()
    waiter.continuation.resume(returning: error)
  }
}
