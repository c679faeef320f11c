/// Lets one flow of several steps through at a time, in the order of their coming.
@LoopActor
package final class SerialGate {
  private var isTaken = false
  private var waiters: [UnsafeContinuation<Void, Never>] = []

  package init() {}

  package func enter() async {
    guard isTaken else {
      isTaken = true
      return
    }
    await withUnsafeContinuation { waiters.append($0) }
  }

  package func leave() {
    guard !waiters.isEmpty else {
      isTaken = false
      return
    }
    waiters.removeFirst().resume()
  }
}
