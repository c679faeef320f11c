import EventLoop
import SwiftProtobuf

/// The messages of this side of a call. The queue is bounded: `send` waits for room, `trySend` tells that there is none.
@LoopActor
package final class RPCWriter<Element: Message & Sendable> {
  private let stream: RPCStream
  private let beforeFirst: @LoopActor () -> Void
  private let failure: @LoopActor () -> RPCError?
  private var waiters: [UnsafeContinuation<Void, Never>] = []

  /// Told when there is room again after there was none, and when the call is over.
  package var onReady: (@LoopActor () -> Void)?

  /// - Parameters:
  ///   - beforeFirst: called before each message is queued; a server sends its headers there.
  ///   - failure: why nothing more can be sent; nil while it can.
  init(
    _ stream: RPCStream, beforeFirst: @escaping @LoopActor () -> Void = {},
    failure: @escaping @LoopActor () -> RPCError?
  ) {
    self.stream = stream
    self.beforeFirst = beforeFirst
    self.failure = failure
    stream.onWritable = { [self] in becameReady() }
  }

  /// Whether a message would be taken now without waiting.
  package var isReady: Bool { failure() == nil && stream.isWritable }

  /// Bytes that wait to be sent.
  package var queuedBytes: Int { stream.queuedBytes }

  /// Waits for room, then queues the message. Throws how the call failed; CANCELLED where the task is cancelled.
  package func send(_ element: Element) async throws(RPCError) {
    while failure() == nil, !stream.isWritable { try await awaitRoom() }
    if let error = failure() { throw error }
    try queue(element)
  }

  /// The same for a message that was serialized before, to go to many.
  package func send(_ message: RPCSerialized<Element>) async throws(RPCError) {
    while failure() == nil, !stream.isWritable { try await awaitRoom() }
    if let error = failure() { throw error }
    beforeFirst()
    stream.enqueue(message.frame)
  }

  /// Queues the message. False, and it is not queued, where there is no room or the call is over.
  package func trySend(_ element: Element) -> Bool {
    guard isReady else { return false }
    do throws(RPCError) {
      try queue(element)
      return true
    } catch {
      return false
    }
  }

  /// The same for a message, or several, that were serialized before.
  package func trySend(_ messages: RPCSerialized<Element>) -> Bool {
    guard isReady else { return false }
    beforeFirst()
    stream.enqueue(messages.frame)
    return true
  }

  /// Nothing more follows. (A server's stream ends when its handler returns.)
  package func finish() {
    stream.finishOutbound()
  }

  private func awaitRoom() async throws(RPCError) {
    guard !Task.isCancelled else { throw RPCError(.cancelled, "cancelled") }
    await withTaskCancellationHandler {
      await withUnsafeContinuation { waiters.append($0) }
    } onCancel: {
      LoopActor.post { self.resumeWaiters() }
    }
  }

  private func queue(_ element: Element) throws(RPCError) {
    let frame = try FramedBytes.encode(element, maximumBytes: stream.options.maximumMessageBytes)
    beforeFirst()
    stream.enqueue(frame)
  }

  private func becameReady() {
    resumeWaiters()
    onReady?()
    if stream.isOver { onReady = nil }
  }

  private func resumeWaiters() {
    let waiting = waiters
    waiters = []
    for waiter in waiting { waiter.resume() }
  }
}

/// A message as it is queued, or several: serialized once, they may be sent to many, who share the bytes.
package struct RPCSerialized<Element: Message & Sendable>: Sendable {
  private(set) var frame: [UInt8]

  package init(_ element: Element, options: RPCOptions = RPCOptions()) throws(RPCError) {
    frame = try FramedBytes.encode(element, maximumBytes: options.maximumMessageBytes)
  }

  /// Messages to be sent together, in order.
  package init(joining messages: some Sequence<Self>) {
    frame = []
    for message in messages { frame += message.frame }
  }

  /// Bytes that it takes.
  package var sizeBytes: Int { frame.count }
}
