import CNGHTTP2
import EventLoop
import Logging
import SwiftProtobuf

/// What a server does with a call: set by the method's handler when the call's headers have arrived.
struct ServerHandler {
  let statistics: MethodStatistics
  /// Prepares the call; nil where messages suffice.
  var open: (@LoopActor (ServerCall) -> Void)?
  var message: @LoopActor (ServerCall, UnsafeRawBufferPointer) throws(RPCError) -> Void
  /// The client has sent its last message.
  var ended: @LoopActor (ServerCall) -> Void
}

/// A call on the server's side: headers in, status out.
@LoopActor
final class ServerCall: RPCStream {
  private let server: RPCServer
  private var handler: ServerHandler?
  /// When the bytes came that brought the call.
  let startedAt: UInt64

  // The request's headers.
  private var path = ""
  private var isPost = false
  private var hasContentType = false
  private var timeoutNanoseconds: UInt64?
  private var unsupportedEncoding: String?
  private(set) var metadata: RPCMetadata = []
  private(set) var deadline: UInt64?
  let peerAddress: String
  let peerCommonName: String?
  private(set) var identity: (any RPCIdentity)?
  /// What the client sent to prove who it is; not among the metadata, which handlers may print.
  private var authorization: String?

  // The response.
  private var headersSent = false
  private(set) var isFinished = false
  private(set) var isCancelled = false
  private var status: RPCError?
  private var initialMetadata: RPCMetadata = []
  private var trailingMetadata: RPCMetadata = []
  private var deadlineTimer: LoopTimer?
  /// The task of an asynchronous handler, cancelled with the call.
  var task: Task<Void, Never>?
  /// What the handler keeps with the call: the reader of a streaming one.
  var state: AnyObject?
  /// Ends the reader of a streaming call.
  var readerFinish: (@LoopActor (RPCError?) -> Void)?
  private var cancelHandlers: [@LoopActor () -> Void] = []

  init(_ server: RPCServer, _ session: HTTP2Session) {
    self.server = server
    startedAt = session.lastReceived
    peerAddress = session.connection.peerAddress
    peerCommonName = session.connection.peerCertificateCommonName
    super.init(server.options)
  }

  // MARK: Headers

  override func receivedHeader(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) -> Bool {
    guard handler == nil, !headersSent, name.count > 1 else { return true }
    if name[0] == UInt8(ascii: ":") {
      if name.isEqual(to: ":path") {
        path = String(decoding: value, as: UTF8.self)
      } else if name.isEqual(to: ":method") {
        isPost = value.isEqual(to: "POST")
      }
    } else if name.isEqual(to: "content-type") {
      hasContentType = value.starts(with: "application/grpc")
    } else if name.isEqual(to: "grpc-timeout") {
      // A malformed one counts as expired, so that it is noticed.
      timeoutNanoseconds = StatusText.timeoutNanoseconds(value) ?? 0
    } else if name.isEqual(to: "grpc-encoding") {
      if !value.isEqual(to: "identity") { unsupportedEncoding = String(decoding: value, as: UTF8.self) }
    } else if name.isEqual(to: "authorization") {
      authorization = String(decoding: value, as: UTF8.self)
    } else if !name.isEqual(to: "te"), !name.isEqual(to: "user-agent"), !name.starts(with: "grpc-") {
      metadata.addReceived(String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self))
    }
    return true
  }

  override func receivedHeaders() {
    guard handler == nil, !isFinished else { return }
    guard isPost, hasContentType else {
      refuseHTTP(isPost ? "415" : "405")
      return
    }
    if let unsupportedEncoding {
      trailingMetadata.addReceived("grpc-accept-encoding", "identity")
      finish(RPCError(.unimplemented, "messages compressed with \(unsupportedEncoding) are not supported"))
      return
    }
    guard let handler = server.handler(path) else {
      server.unknownMethods &+= 1
      finish(RPCError(.unimplemented, "unknown method \(path)"))
      return
    }
    do throws(RPCError) { try identify() } catch {
      finish(error)
      return
    }
    self.handler = handler
    if let timeoutNanoseconds {
      deadline = Loop.now &+ timeoutNanoseconds
      deadlineTimer = LoopTimer(afterMilliseconds: Int((timeoutNanoseconds + 999_999) / 1_000_000)) { [self] in
        deadlineExpired()
      }
    }
    handler.open?(self)
  }

  /// Finds out who calls, and whether that may be.
  private func identify() throws(RPCError) {
    guard let gate = server.gate, let session else { return }
    let authorization = authorization
    self.authorization = nil
    let caller =
      if let authorization {
        try gate.identity(authorization: authorization, peerAddress: peerAddress)
      } else {
        try session.certificateIdentity(gate)
      }
    try gate.admit(caller, to: path, peerAddress: peerAddress)
    identity = caller
  }

  /// What is not gRPC gets an answer of HTTP.
  private func refuseHTTP(_ status: String) {
    isFinished = true
    headersSent = true
    var headers = HeaderBlock()
    headers.add(":status", status)
    session?.respond(id, headers, hasBody: false)
  }

  // MARK: Messages in

  override func receivedMessage(_ bytes: UnsafeRawBufferPointer) throws(RPCError) {
    guard !isFinished, let handler else { return }
    try handler.message(self, bytes)
  }

  override func endedInbound() {
    guard !isFinished, let handler else { return }
    handler.ended(self)
  }

  override func failedInbound(_ error: RPCError) {
    readerFinish?(error)
    finish(error)
  }

  // MARK: The answer

  /// Adds to the headers that precede the first message; without effect after it.
  func addInitialMetadata(_ metadata: RPCMetadata) {
    for (name, value) in metadata { initialMetadata.addReceived(name, value) }
  }

  /// Adds to the metadata that come with the status.
  func addTrailingMetadata(_ metadata: RPCMetadata) {
    for (name, value) in metadata { trailingMetadata.addReceived(name, value) }
  }

  func sendHeaders() {
    guard !headersSent, !isFinished, let session else { return }
    headersSent = true
    var headers = Self.responseHeaders
    headers.add(initialMetadata)
    session.respond(id, headers, hasBody: true)
  }

  /// Sends the only message of a unary call and ends it.
  func reply(_ message: some Message) {
    guard !isFinished else { return }
    do throws(RPCError) {
      let frame = try FramedBytes.encode(message, maximumBytes: options.maximumMessageBytes)
      sendHeaders()
      enqueue(frame)
      finish(nil)
    } catch {
      finish(error)
    }
  }

  /// Ends the call: with OK, or the error. Only the first end counts.
  func finish(_ error: RPCError?) {
    guard !isFinished else { return }
    let wasStarted = headersSent
    if error == nil { sendHeaders() }
    isFinished = true
    status = error
    ended(error)
    deadlineTimer?.cancel()
    deadlineTimer = nil
    handlerEnds(error)
    if wasStarted || headersSent {
      finishOutbound()
      return
    }
    headersSent = true
    var headers = Self.responseHeaders
    headers.add(initialMetadata)
    addStatus(&headers)
    session?.respond(id, headers, hasBody: false)
  }

  /// Counts the call; what failed for a reason of this side's is an error in the log too.
  private func ended(_ error: RPCError?) {
    handler?.statistics.ended(error?.code ?? .ok, startedAt: startedAt)
    guard let error else { return }
    let level: Logger.Level =
      switch error.code {
      case .unknown, .internalError, .dataLoss: .error
      case .permissionDenied, .unauthenticated: .warning
      default: .debug
      }
    guard level >= server.logger.logLevel else { return }
    server.logger.log(
      level: level, "a call failed: \(error.message)",
      metadata: [
        "method": "\(path)", "code": "\(error.code)", "peer": "\(peerAddress)",
        "identity": "\(peerCommonName ?? "")", "milliseconds": "\((Loop.now - startedAt) / 1_000_000)",
      ])
  }

  private func handlerEnds(_ error: RPCError?) {
    readerFinish?(error ?? RPCError(.cancelled, "the call is over"))
    readerFinish = nil
    cancelHandlers = []
  }

  override func trailers() -> HeaderBlock? {
    if status == nil, trailingMetadata.isEmpty { return Self.okTrailers }
    var headers = HeaderBlock()
    addStatus(&headers)
    return headers
  }

  private func addStatus(_ headers: inout HeaderBlock) {
    headers.add("grpc-status", "\((status?.code ?? .ok).rawValue)")
    if let status, !status.message.isEmpty {
      headers.add("grpc-message", StatusText.percentEncode(status.message), isIndexed: false)
    }
    headers.add(trailingMetadata)
    if let status { headers.add(status.metadata) }
  }

  private static let responseHeaders: HeaderBlock = {
    var headers = HeaderBlock()
    headers.add(":status", "200")
    headers.add("content-type", "application/grpc")
    return headers
  }()

  private static let okTrailers: HeaderBlock = {
    var headers = HeaderBlock()
    headers.add("grpc-status", "0")
    return headers
  }()

  // MARK: End

  /// Calls the body when the client gives up, the deadline passes or the connection ends before the call is finished.
  func onCancel(_ body: @escaping @LoopActor () -> Void) {
    guard !isCancelled else {
      body()
      return
    }
    guard !isFinished else { return }
    cancelHandlers.append(body)
  }

  private func deadlineExpired() {
    cancel()
    finish(RPCError(.deadlineExceeded, "the deadline has passed"))
  }

  private func cancel() {
    guard !isFinished, !isCancelled else { return }
    isCancelled = true
    let handlers = cancelHandlers
    cancelHandlers = []
    task?.cancel()
    for handler in handlers { handler() }
  }

  override func sentEnd() {
    // The client may still be sending: it need not.
    if !isInboundEnded { reset(NGHTTP2_NO_ERROR) }
  }

  override func streamClosed(_ code: UInt32) {
    gone("the client has cancelled the call")
  }

  override func streamLost(_ reason: NetworkError?) {
    gone("the client's connection has ended")
  }

  private func gone(_ message: String) {
    if !isFinished {
      cancel()
      isFinished = true
      handler?.statistics.ended(.cancelled, startedAt: startedAt)
      deadlineTimer?.cancel()
      deadlineTimer = nil
      handlerEnds(RPCError(.cancelled, message))
    }
    end()
    task = nil
    state = nil
    handler = nil
  }
}
