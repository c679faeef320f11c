import EventLoop
import SwiftProtobuf

/// What a handler knows of the call that it serves.
package struct RPCContext: Sendable {
  let call: ServerCall
  /// Metadata that the client sent.
  package let metadata: RPCMetadata
  /// The client, as `address:port`.
  package let peerAddress: String
  /// Who calls, as the server's gate has found out; nil where there is no gate.
  package let identity: (any RPCIdentity)?
  /// The common name of the client's certificate; nil without mutual TLS.
  package let peerCommonName: String?
  /// When the client stops to wait, on `Loop.now`'s clock; nil where it waits forever.
  package let deadline: UInt64?

  @LoopActor
  init(_ call: ServerCall) {
    self.call = call
    metadata = call.metadata
    peerAddress = call.peerAddress
    identity = call.identity
    peerCommonName = call.peerCommonName
    deadline = call.deadline
  }

  /// When the call came, on `Loop.now`'s clock.
  package var startedAt: UInt64 { call.startedAt }

  /// Whether nobody waits for the answer any more: the client gave up, its deadline passed or its connection ended.
  @LoopActor package var isCancelled: Bool { call.isCancelled }

  /// Milliseconds until the deadline, at least 0; nil where there is none.
  package var remainingMilliseconds: Int? {
    guard let deadline else { return nil }
    let now = Loop.now
    return deadline > now ? Int((deadline - now) / 1_000_000) : 0
  }

  /// The connection: the same for all calls that share it, while one of them is open.
  @LoopActor package var connection: ObjectIdentifier { ObjectIdentifier(call.session as AnyObject? ?? call) }

  /// Tells, after the call too, whether its connection is open still.
  @LoopActor package var connectionProbe: @LoopActor () -> Bool {
    { [weak session = call.session] in session?.connection.isOpen ?? false }
  }

  /// Calls the body once where the call is cancelled before it is finished.
  @LoopActor
  package func onCancel(_ body: @escaping @LoopActor () -> Void) {
    call.onCancel(body)
  }

  /// Adds metadata to be sent before the first message.
  @LoopActor
  package func addInitialMetadata(_ metadata: RPCMetadata) {
    call.addInitialMetadata(metadata)
  }

  /// Adds metadata to be sent with the status.
  @LoopActor
  package func addTrailingMetadata(_ metadata: RPCMetadata) {
    call.addTrailingMetadata(metadata)
  }

  /// Sends the headers (and initial metadata) now, before there is a message.
  @LoopActor
  package func sendHeaders() {
    call.sendHeaders()
  }
}

/// Where a handler in callback form puts its answer. Only the first answer counts.
package struct RPCReply<Response: Message & Sendable>: Sendable {
  let call: ServerCall

  /// Answers with a message.
  @LoopActor
  package func send(_ response: Response) {
    call.reply(response)
  }

  /// Answers with an error; one that is not an `RPCError` becomes UNKNOWN with its description.
  @LoopActor
  package func fail(_ error: any Error) {
    call.finish(RPCError(thrown: error))
  }
}

/// How a handler in callback form ends its stream. Only the first end counts.
package struct RPCStreamEnd: Sendable {
  let call: ServerCall

  /// Ends the stream after the messages that are queued: in due form, or with an error. One that is not an `RPCError` becomes
  /// UNKNOWN with its description.
  @LoopActor
  package func callAsFunction(_ error: (any Error)? = nil) {
    call.finish(error.map { RPCError(thrown: $0) })
  }
}
