import EventLoop
import SwiftProtobuf

/// A call that is under way, in callback form.
@LoopActor
package struct RPCCall: Sendable {
  let call: ClientCall

  /// Gives up; the completion gets CANCELLED, unless the call has ended.
  package func cancel() {
    call.stop(RPCError(.cancelled, "cancelled"))
  }
}

/// A client of one server. Connects at the first call and again after the connection has ended. Once connected it lives until
/// `close()` or the connection's end.
///
/// While a connection is being made, calls wait for it. When that fails they fail with UNAVAILABLE, and so do those that come
/// before the next attempt is due.
@LoopActor
package final class RPCChannel {
  private enum State {
    case idle
    case connecting
    case ready(HTTP2Session)
    /// The last attempt failed; the next one may start at the time given.
    case backingOff(until: UInt64, NetworkError)
    case closed
  }

  /// The server's host, as given.
  package let host: String
  /// The server's port.
  package let port: Int
  let options: RPCOptions
  private let tls: TLSConfiguration?
  private let requestHeaders: HeaderBlock
  private var headersByPath: [String: HeaderBlock] = [:]
  private var state = State.idle
  private var failedAttempts = 0
  private var pendingCalls = 0
  private var waiting: [ClientCall] = []

  /// A channel that has not connected yet.
  package init(host: String, port: Int, tls: TLSConfiguration? = nil, options: RPCOptions = RPCOptions()) {
    self.host = host
    self.port = port
    self.options = options
    self.tls = tls.map { tls in
      var tls = tls
      if tls.alpn.isEmpty { tls.alpn = ["h2"] }
      return tls
    }
    var headers = HeaderBlock()
    headers.add(":method", "POST")
    headers.add(":scheme", tls == nil ? "http" : "https")
    headers.add(":authority", "\(tls?.serverName ?? (host.contains(":") ? "[\(host)]" : host)):\(port)")
    headers.add("te", "trailers")
    headers.add("content-type", "application/grpc")
    headers.add("user-agent", "kunlog")
    // Not in HPACK's table, from which it could be guessed bit by bit.
    if let token = tls?.token { headers.add("authorization", "Bearer \(token)", isIndexed: false) }
    requestHeaders = headers
  }

  /// Whether a connection is established.
  package var isConnected: Bool {
    if case .ready = state { return true }
    return false
  }

  /// Ends the connection; calls that are open fail with UNAVAILABLE, and so do later ones.
  package func close() {
    let previous = state
    state = .closed
    if case .ready(let session) = previous { session.connection.abort(.closed) }
    failWaiting(RPCError(.unavailable, "the channel is closed"))
  }

  // MARK: Calls

  /// Starts a call whose callbacks are set. It completes later, even where it cannot be started.
  func start(_ call: ClientCall) {
    guard pendingCalls < options.maximumPendingCalls else {
      failLater(call, RPCError(.resourceExhausted, "\(pendingCalls) calls are open to \(host):\(port)"))
      return
    }
    pendingCalls += 1
    call.onRelease = { [self] in pendingCalls -= 1 }
    switch state {
    case .closed: failLater(call, RPCError(.unavailable, "the channel is closed"))
    case .ready(let session): open(call, session)
    case .connecting: waiting.append(call)
    case .idle:
      waiting.append(call)
      connect()
    case .backingOff(let until, let error):
      guard Loop.now >= until else {
        failLater(call, RPCError(.unavailable, "\(error)"))
        return
      }
      waiting.append(call)
      connect()
    }
  }

  private func failLater(_ call: ClientCall, _ error: RPCError) {
    LoopActor.post { call.complete(error) }
  }

  private func open(_ call: ClientCall, _ session: HTTP2Session) {
    guard !call.isComplete else { return }
    var headers = headers(call.path)
    call.addHeaders(to: &headers)
    if !session.open(call, headers) { failLater(call, RPCError(.unavailable, "\(host):\(port) takes no new calls")) }
  }

  private func headers(_ path: String) -> HeaderBlock {
    if let known = headersByPath[path] { return known }
    var headers = requestHeaders
    // Pseudo-headers come first.
    headers.insertPath(path)
    headersByPath[path] = headers
    return headers
  }

  // MARK: The connection

  private func connect() {
    state = .connecting
    Connection.connect(host: host, port: port, tls: tls, timeoutMilliseconds: options.connectTimeoutMilliseconds) {
      [self] result in
      switch result {
      case .success(let connection): connected(connection)
      case .failure(let error): connectFailed(error)
      }
    }
  }

  private func connected(_ connection: Connection) {
    guard case .connecting = state else {
      connection.abort()
      return
    }
    guard tls == nil || connection.negotiatedProtocol == "h2" else {
      connection.abort()
      connectFailed(.tls("\(host):\(port) does not speak HTTP/2"))
      return
    }
    let session = HTTP2Session(connection, .client, options)
    failedAttempts = 0
    state = .ready(session)
    session.onGoingAway = { [self, unowned session] in leave(session) }
    session.onClosed = { [self, unowned session] _ in leave(session) }
    let calls = waiting
    waiting = []
    for call in calls { open(call, session) }
  }

  /// The next call makes a new connection; calls on the old one may end there.
  private func leave(_ session: HTTP2Session) {
    guard case .ready(let current) = state, current === session else { return }
    state = .idle
  }

  private func connectFailed(_ error: NetworkError) {
    if case .closed = state { return }
    failedAttempts += 1
    let factor = 1 << min(failedAttempts - 1, 10)
    let delay = min(options.initialBackoffMilliseconds * factor, options.maximumBackoffMilliseconds)
    let jittered = Double(delay) * Double.random(in: 0.8...1.2)
    state = .backingOff(until: Loop.now &+ UInt64(jittered * 1_000_000), error)
    failWaiting(RPCError(.unavailable, "\(error)"))
  }

  private func failWaiting(_ error: RPCError) {
    let calls = waiting
    waiting = []
    for call in calls { call.complete(error) }
  }
}

// MARK: - Forms of calls

extension RPCChannel {
  /// Calls a unary method. Cancelled with the task.
  package func unary<Request, Response>(
    _ method: RPCMethod<Request, Response>, _ request: Request, timeoutMilliseconds: Int?, metadata: RPCMetadata = []
  ) async throws(RPCError) -> Response {
    let handle = CallHandle()
    let result = await withTaskCancellationHandler {
      await withUnsafeContinuation { (continuation: UnsafeContinuation<Result<Response, RPCError>, Never>) in
        guard !Task.isCancelled else {
          continuation.resume(returning: .failure(RPCError(.cancelled, "cancelled")))
          return
        }
        handle.call = unary(method, request, timeoutMilliseconds: timeoutMilliseconds, metadata: metadata) {
          continuation.resume(returning: $0)
        }
      }
    } onCancel: {
      LoopActor.post { handle.call?.cancel() }
    }
    return try result.get()
  }

  /// Calls a unary method, callback form: no task. `then` is called once, later.
  @discardableResult
  package func unary<Request, Response>(
    _ method: RPCMethod<Request, Response>, _ request: Request, timeoutMilliseconds: Int?, metadata: RPCMetadata = [],
    then: @escaping @LoopActor (Result<Response, RPCError>) -> Void
  ) -> RPCCall {
    let call = ClientCall(
      path: method.path, metadata: metadata, timeoutMilliseconds: timeoutMilliseconds, options: options)
    let answer = UnaryAnswer<Response>()
    call.onMessage = { bytes throws(RPCError) in
      guard answer.message == nil else {
        throw RPCError(.unimplemented, "more than one response message of a unary method")
      }
      answer.message = try decodeMessage(Response.self, bytes)
    }
    call.onComplete = { error in
      if let error {
        then(.failure(error))
      } else if let message = answer.message {
        then(.success(message))
      } else {
        then(.failure(RPCError(.unimplemented, "no response message of a unary method")))
      }
    }
    send(request, call)
    return RPCCall(call: call)
  }

  /// Calls a method that answers with a stream.
  package func serverStream<Request, Response>(
    _ method: RPCMethod<Request, Response>, _ request: Request, timeoutMilliseconds: Int? = nil,
    metadata: RPCMetadata = []
  ) -> RPCReader<Response> {
    let call = ClientCall(
      path: method.path, metadata: metadata, timeoutMilliseconds: timeoutMilliseconds, options: options)
    let reader = makeReader(Response.self, call)
    send(request, call)
    return reader
  }

  /// Calls a method with streams in both directions. Ends with the reader's end, and with `cancel()` of the reader.
  package func bidirectional<Request, Response>(
    _ method: RPCMethod<Request, Response>, timeoutMilliseconds: Int? = nil, metadata: RPCMetadata = []
  ) -> (RPCWriter<Request>, RPCReader<Response>) {
    let call = ClientCall(
      path: method.path, metadata: metadata, timeoutMilliseconds: timeoutMilliseconds, options: options)
    let reader = makeReader(Response.self, call)
    let writer = RPCWriter<Request>(call) { [unowned call] in
      if let failure = call.failure { return failure }
      return call.isComplete || call.isOutboundFinished ? RPCError(.cancelled, "the call is over") : nil
    }
    start(call)
    return (writer, reader)
  }

  /// Opens a stream whose messages are handed over as bytes: for those who read a few fields of very many. The bytes are valid
  /// during the call only; what is handed over counts as taken.
  /// - Parameter keepsOpen: this side does not end the stream after the request, as methods with streams in both directions need.
  package func byteStream<Request, Response>(
    _ method: RPCMethod<Request, Response>, _ request: Request, keepsOpen: Bool = false,
    onMessage: @escaping @LoopActor (UnsafeRawBufferPointer) -> Void, onEnd: @escaping @LoopActor (RPCError?) -> Void
  ) -> RPCCall {
    let call = ClientCall(path: method.path, metadata: [], timeoutMilliseconds: nil, options: options)
    call.onMessage = { bytes throws(RPCError) in onMessage(bytes) }
    call.onComplete = onEnd
    do throws(RPCError) {
      call.enqueue(try FramedBytes.encode(request, maximumBytes: options.maximumMessageBytes))
      if !keepsOpen { call.finishOutbound() }
      start(call)
    } catch {
      failLater(call, error)
    }
    return RPCCall(call: call)
  }

  private func send(_ request: some Message, _ call: ClientCall) {
    do throws(RPCError) {
      call.enqueue(try FramedBytes.encode(request, maximumBytes: options.maximumMessageBytes))
      call.finishOutbound()
      start(call)
    } catch {
      failLater(call, error)
    }
  }

  private func makeReader<Response>(_ type: Response.Type, _ call: ClientCall) -> RPCReader<Response> {
    let reader = RPCReader<Response>(call) { [unowned call] in call.stop(RPCError(.cancelled, "cancelled")) }
    call.onInitialMetadata = { reader.initialMetadata = $0 }
    call.onMessage = { bytes throws(RPCError) in reader.receive(try decodeMessage(Response.self, bytes)) }
    call.onComplete = { [unowned call] error in
      reader.trailingMetadata = call.trailingMetadata
      reader.finish(error)
    }
    return reader
  }
}

/// The message of a unary call between its arrival and the status.
private final class UnaryAnswer<Response> {
  var message: Response?
}

/// Lets a task's cancellation reach its call.
@LoopActor
private final class CallHandle {
  var call: RPCCall?

  nonisolated init() {}
}
