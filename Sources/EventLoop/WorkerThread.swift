import CLibUV
import Glibc

/// The worker was shut down before the work was done.
package struct WorkerStopped: Error, CustomStringConvertible {
  /// The worker's name.
  package let name: String
  /// In words.
  package var description: String { "worker \(name) is shut down" }
}

/// A thread for work that blocks: files, SQLite, digests. Work is done in the order in which it was given.
package final class WorkerThread: Sendable {
  /// For errors and for the thread's name in a debugger.
  package let name: String
  private let queue: WorkQueue

  /// Starts the thread.
  /// - Parameter isBackground: the work may wait for the processor while others want it: a tenth is left for it.
  package init(name: String, isBackground: Bool = false) {
    self.name = name
    queue = WorkQueue(name: name, isBackground: isBackground)
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setstacksize(&attributes, 8 << 20)
    var thread = pthread_t()
    let reference = Unmanaged.passRetained(queue).toOpaque()
    let failure = pthread_create(
      &thread, &attributes,
      { reference in
        guard let reference else { return nil }
        Unmanaged<WorkQueue>.fromOpaque(reference).takeRetainedValue().drain()
        return nil
      }, reference)
    precondition(failure == 0, "cannot start the thread \(name): \(String(cString: strerror(failure)))")
    pthread_attr_destroy(&attributes)
    pthread_detach(thread)
  }

  deinit { queue.close() }

  /// Gives work without an answer. False, and nothing is done, after `shutdown()`.
  @discardableResult
  package func post(_ work: @escaping @Sendable () -> Void) -> Bool {
    queue.append(work)
  }

  /// Does the work on the thread and returns its result. Throws what the work throws, and `WorkerStopped`.
  package func run<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
    try await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<T, any Error>) in
      let isTaken = post { continuation.resume(with: Result { try work() }) }
      if !isTaken { continuation.resume(throwing: WorkerStopped(name: name)) }
    }
  }

  /// Does the work on the thread, then calls `then` on the loop. False, and neither is called, after `shutdown()`.
  @discardableResult
  package func run<T: Sendable>(
    _ work: @escaping @Sendable () -> T, then: @escaping @LoopActor @Sendable (T) -> Void
  ) -> Bool {
    post {
      let result = work()
      LoopActor.post { then(result) }
    }
  }

  /// Takes no more work; what was given is done, then the thread ends.
  package func shutdown() {
    queue.close()
  }
}

/// The work of one thread, under a lock.
///
/// Unchecked: `works` and `isClosed` are touched under `mutex` only.
private final class WorkQueue: @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t> = .allocate(capacity: 1)
  private let condition: UnsafeMutablePointer<pthread_cond_t> = .allocate(capacity: 1)
  private let name: String
  private let isBackground: Bool
  private var works: [@Sendable () -> Void] = []
  private var isClosed = false

  init(name: String, isBackground: Bool) {
    self.name = name
    self.isBackground = isBackground
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  func append(_ work: @escaping @Sendable () -> Void) -> Bool {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    guard !isClosed else { return false }
    works.append(work)
    pthread_cond_signal(condition)
    return true
  }

  func close() {
    pthread_mutex_lock(mutex)
    isClosed = true
    pthread_cond_signal(condition)
    pthread_mutex_unlock(mutex)
  }

  func drain() {
    kunlog_thread_set_name(name)
    if isBackground { kunlog_thread_lower_priority() }
    var taken: [@Sendable () -> Void] = []
    while true {
      pthread_mutex_lock(mutex)
      while works.isEmpty, !isClosed { pthread_cond_wait(condition, mutex) }
      swap(&works, &taken)
      pthread_mutex_unlock(mutex)
      if taken.isEmpty { return }
      for index in taken.indices {
        taken[index]()
        // Release what the work holds before the next one runs.
        taken[index] = {}
      }
      taken.removeAll(keepingCapacity: taken.capacity <= 1024)
    }
  }
}
