/// State that is not Sendable and belongs to one worker's thread: made there, used there, released there.
package final class ThreadConfined<Value>: Sendable {
  /// Where the value lives.
  package let worker: WorkerThread
  private let box = Box<Value>()

  /// Has the worker make the value; where that throws, every use throws the same error.
  package init(on worker: WorkerThread, make: @escaping @Sendable () throws -> Value) {
    self.worker = worker
    let box = self.box
    worker.post { box.content = Result { try make() } }
  }

  deinit {
    let box = self.box
    worker.post { box.content = nil }
  }

  /// Uses the value on its thread.
  package func run<T: Sendable>(_ body: @escaping @Sendable (Value) throws -> T) async throws -> T {
    try await worker.run { [self] in try body(value()) }
  }

  /// Uses the value on its thread, then calls `then` on the loop. False, and neither is called, where the worker is shut
  /// down.
  @discardableResult
  package func run<T: Sendable>(
    _ body: @escaping @Sendable (Value) throws -> T,
    then: @escaping @LoopActor @Sendable (Result<T, any Error>) -> Void
  ) -> Bool {
    worker.run({ [self] in Result { try body(value()) } }, then: then)
  }

  private func value() throws -> Value {
    guard let content = box.content else { throw WorkerStopped(name: worker.name) }
    return try content.get()
  }
}

/// Unchecked: the content is touched on the worker's thread only.
private final class Box<Value>: @unchecked Sendable {
  var content: Result<Value, any Error>?
}
