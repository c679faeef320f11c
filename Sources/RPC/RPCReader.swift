import EventLoop
import SwiftProtobuf

/// The messages that the other side of a call sends, in order. What is not taken is not granted: a reader that stalls stops
/// the sender.
///
/// Either `next()` is called by one task at a time, or `onMessage` and `onEnd` are set.
@LoopActor
package final class RPCReader<Element: Message & Sendable> {
  private enum End {
    case complete
    case failed(RPCError)
  }

  private var queue: [Element] = []
  private var first = 0
  private var end: End?
  private var isEndDelivered = false
  private var waiter: UnsafeContinuation<Result<Element?, RPCError>, Never>?
  private let stream: RPCStream
  private let onCancel: @LoopActor () -> Void

  /// Metadata that the server sent before its first message (client side; empty before they have arrived).
  package internal(set) var initialMetadata: RPCMetadata = []
  /// Metadata that came with the end (client side).
  package internal(set) var trailingMetadata: RPCMetadata = []

  /// Takes each message as it arrives, and those that arrived before.
  package var onMessage: (@LoopActor (Element) -> Void)? {
    didSet { deliver() }
  }
  /// Told once that no message follows: nil where the other side ended in due form.
  package var onEnd: (@LoopActor (RPCError?) -> Void)? {
    didSet { deliver() }
  }
  /// While set, `onMessage` is not called and the sender is stopped once its credit is used up.
  package var isPaused = false {
    didSet { if !isPaused { deliver() } }
  }

  /// When the connection last brought something, on `Loop.now`'s clock: within `onMessage`, when the message came.
  package var receivedAt: UInt64 { stream.session?.lastReceived ?? Loop.now }

  init(_ stream: RPCStream, onCancel: @escaping @LoopActor () -> Void) {
    self.stream = stream
    self.onCancel = onCancel
  }

  /// The next message; nil at the end. Throws how the call failed, after the messages that arrived before.
  package func next() async throws(RPCError) -> Element? {
    precondition(waiter == nil && onMessage == nil, "a reader has one consumer")
    if let element = takeFirst() { return element }
    if let end { return try Self.result(end).get() }
    let result = await withTaskCancellationHandler {
      await withUnsafeContinuation { (continuation: UnsafeContinuation<Result<Element?, RPCError>, Never>) in
        guard !Task.isCancelled else {
          continuation.resume(returning: .failure(RPCError(.cancelled, "cancelled")))
          return
        }
        waiter = continuation
      }
    } onCancel: {
      LoopActor.post { self.cancelWaiter() }
    }
    return try result.get()
  }

  /// Wants no more: the other side is told to stop, `next()` and `onEnd` get CANCELLED.
  package func cancel() {
    onCancel()
  }

  private func cancelWaiter() {
    waiter?.resume(returning: .failure(RPCError(.cancelled, "cancelled")))
    waiter = nil
  }

  private func takeFirst() -> Element? {
    guard first < queue.count else { return nil }
    let element = queue[first]
    first += 1
    if first == queue.count {
      queue.removeAll(keepingCapacity: true)
      first = 0
      stream.isBacklogged = false
    } else if first >= 256 {
      queue.removeSubrange(0..<first)
      first = 0
    }
    return element
  }

  private static func result(_ end: End) -> Result<Element?, RPCError> {
    switch end {
    case .complete: .success(nil)
    case .failed(let error): .failure(error)
    }
  }

  // MARK: From the call

  func receive(_ element: Element) {
    guard end == nil else { return }
    if let waiter {
      self.waiter = nil
      waiter.resume(returning: .success(element))
    } else if let onMessage, !isPaused, queue.isEmpty {
      onMessage(element)
    } else {
      queue.append(element)
      stream.isBacklogged = true
    }
  }

  func finish(_ error: RPCError?) {
    guard end == nil else { return }
    let end = error.map(End.failed) ?? .complete
    self.end = end
    waiter?.resume(returning: Self.result(end))
    waiter = nil
    deliver()
  }

  private func deliver() {
    while !isPaused, let onMessage, let element = takeFirst() { onMessage(element) }
    guard !isPaused, first == queue.count, let end, let onEnd, !isEndDelivered else { return }
    isEndDelivered = true
    self.onEnd = nil
    onMessage = nil
    switch end {
    case .complete: onEnd(nil)
    case .failed(let error): onEnd(error)
    }
  }
}
