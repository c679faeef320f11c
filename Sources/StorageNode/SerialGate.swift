import EventLoop

/// Lets one flow of several steps through at a time, in the order of their coming.
@LoopActor
final class SerialGate {
  private var isTaken = false
  private var waiters: [UnsafeContinuation<Void, Never>] = []

  func enter() async {
    guard isTaken else {
      isTaken = true
      return
    }
    await withUnsafeContinuation { waiters.append($0) }
  }

  func leave() {
    guard !waiters.isEmpty else {
      isTaken = false
      return
    }
    waiters.removeFirst().resume()
  }
}
