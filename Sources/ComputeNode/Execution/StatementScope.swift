import EventLoop
import SQLTypes

/// One statement under way: where a cancel request, a timeout or the client's end reaches what it waits for.
@LoopActor
final class StatementScope {
  /// Why the statement is to end, once it is.
  private(set) var failure: SQLError?
  private var handlers: [Int: @LoopActor () -> Void] = [:]
  private var nextHandler = 0
  private var timer: LoopTimer?

  /// - Parameter timeoutMilliseconds: 0: no limit.
  init(timeoutMilliseconds: Int) {
    guard timeoutMilliseconds > 0 else { return }
    timer = LoopTimer(afterMilliseconds: timeoutMilliseconds) { [weak self] in
      self?.stop(SQLError(.queryCanceled, "canceling statement due to statement timeout"))
    }
  }

  /// Throws where the statement is to end.
  func check() throws(SQLError) {
    if let failure { throw failure }
  }

  /// Ends the statement with an error: what it waits for is interrupted. The first reason stands.
  func stop(_ reason: SQLError) {
    guard failure == nil else { return }
    failure = reason
    let stopped = handlers.sorted { $0.key < $1.key }.map(\.value)
    handlers = [:]
    for handler in stopped { handler() }
  }

  /// A cancel request.
  func cancel() { stop(SQLError(.queryCanceled, "canceling statement due to user request")) }

  /// Calls the handler when the statement is stopped, at once where it is already; answers a number for `forget`.
  func onStop(_ handler: @escaping @LoopActor () -> Void) -> Int {
    nextHandler += 1
    if failure != nil { handler() } else { handlers[nextHandler] = handler }
    return nextHandler
  }

  func forget(_ handler: Int) { handlers[handler] = nil }

  /// The statement is over: no timeout any more.
  func finish() {
    timer?.cancel()
    timer = nil
    handlers = [:]
  }
}
