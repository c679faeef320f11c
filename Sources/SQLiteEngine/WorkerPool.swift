import EventLoop

/// A few threads for SQLite's blocking calls. Each piece of work goes to the thread with the least in its queue.
@LoopActor
final class WorkerPool {
  private let workers: [WorkerThread]
  private var queued: [Int]

  init(count: Int) {
    workers = (0..<max(1, count)).map { WorkerThread(name: "tablet-\($0)") }
    queued = Array(repeating: 0, count: workers.count)
  }

  /// Runs the work on one of the threads and answers on the loop.
  func run<T: Sendable>(_ work: @escaping @Sendable () -> T) async -> T {
    let chosen = queued.indices.min { queued[$0] < queued[$1] }!
    queued[chosen] += 1
    return await withUnsafeContinuation { (continuation: UnsafeContinuation<T, Never>) in
      workers[chosen].run(work) { result in
        self.queued[chosen] -= 1
        continuation.resume(returning: result)
      }
    }
  }

  /// Ends the threads; nothing may run any more.
  func shutdown() {
    for worker in workers { worker.shutdown() }
  }
}
