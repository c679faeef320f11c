import EventLoop
import Logging
import SwiftProtobuf

/// A gRPC server. Methods may be registered before and after it starts. The standard health and reflection services are
/// there from the start.
@LoopActor
package final class RPCServer {
  package let host: String
  let options: RPCOptions
  private let requestedPort: Int
  private let tls: TLSConfiguration?
  private var listener: TCPListener?
  private var handlers: [String: ServerHandler] = [:]
  private var sessions: [ObjectIdentifier: HTTP2Session] = [:]
  private var shutdownWaiters: [UnsafeContinuation<Void, Never>] = []
  private var isShutDown = false
  /// Calls of methods that nobody serves.
  var unknownMethods: UInt64 = 0
  let logger = Logger(label: "rpc")

  /// Finds out who calls, and lets in who may; nil: everybody may call everything.
  package var gate: (any RPCGate)?

  /// What the health service answers.
  package let health = RPCHealth()
  let reflection = ReflectionRegistry()

  /// A server that does not listen yet. Port 0 lets the system choose.
  package init(host: String, port: Int, tls: TLSConfiguration? = nil, options: RPCOptions = RPCOptions()) {
    self.host = host
    requestedPort = port
    self.options = options
    self.tls = tls.map { tls in
      var tls = tls
      if tls.alpn.isEmpty { tls.alpn = ["h2"] }
      return tls
    }
    HealthService.register(health, self)
    ReflectionService.register(reflection, self)
    reflection.listServices = { [unowned self] in services }
  }

  /// The port listened at; 0 before the start.
  package var port: Int { listener?.port ?? 0 }

  /// Full names of the services that have methods, sorted.
  package var services: [String] {
    var names: Set<String> = []
    for path in handlers.keys {
      let parts = path.split(separator: "/")
      if let name = parts.first { names.insert(String(name)) }
    }
    return names.sorted()
  }

  /// The paths of all methods, sorted.
  package var methods: [String] { handlers.keys.sorted() }

  /// Listens. The server lives until `shutdown`, whether or not it is referred to.
  package func start() throws(NetworkError) {
    listener = try TCPListener(host: host, port: requestedPort, tls: tls) { [self] connection in
      accept(connection)
    }
  }

  /// Stops to listen, lets calls go on for the grace given, then ends the connections.
  package func shutdown(graceMilliseconds: Int = 0) async {
    listener?.close()
    isShutDown = true
    health.shutDown()
    for session in sessions.values { session.shutDown() }
    guard !sessions.isEmpty else { return }
    let timer = LoopTimer(afterMilliseconds: graceMilliseconds) { [self] in
      for session in sessions.values { session.connection.abort() }
    }
    await withUnsafeContinuation { shutdownWaiters.append($0) }
    timer.cancel()
  }

  /// Lets reflection describe the files of a descriptor set, as `tools/generate` makes it: serialized, in base64.
  package func addDescriptors(_ fileDescriptorSet: StaticString) {
    reflection.add(fileDescriptorSet)
  }

  /// Connections that are open.
  var connectionCount: Int { sessions.count }

  /// Of the methods, by path.
  var statistics: [MethodStatistics] {
    handlers.sorted { $0.key < $1.key }.map(\.value.statistics)
  }

  private func accept(_ connection: Connection) {
    guard !isShutDown else {
      connection.abort()
      return
    }
    let session = HTTP2Session(
      connection, .server(makeStream: { [unowned self] session in ServerCall(self, session) }), options)
    let key = ObjectIdentifier(session)
    sessions[key] = session
    session.onClosed = { [self] _ in
      sessions[key] = nil
      guard isShutDown, sessions.isEmpty else { return }
      let waiters = shutdownWaiters
      shutdownWaiters = []
      for waiter in waiters { waiter.resume() }
    }
  }

  func handler(_ path: String) -> ServerHandler? { handlers[path] }
}

// MARK: - Registration

extension RPCServer {
  /// Serves a unary method. Anything thrown that is not an `RPCError` becomes UNKNOWN with its description.
  package func handle<Request, Response>(
    _ method: RPCMethod<Request, Response>,
    _ body: @escaping @LoopActor (Request, RPCContext) async throws -> Response
  ) {
    handleUnary(method) { request, context, reply in
      context.call.task = LoopActor.start {
        do {
          reply.send(try await body(request, context))
        } catch {
          reply.fail(error)
        }
        context.call.task = nil
      }
    }
  }

  /// Serves a unary method in callback form: no task per call. The body must answer `reply`, now or later.
  package func handleUnary<Request, Response>(
    _ method: RPCMethod<Request, Response>,
    _ body: @escaping @LoopActor (Request, RPCContext, RPCReply<Response>) -> Void
  ) {
    handlers[method.path] = ServerHandler(
      statistics: MethodStatistics(path: method.path, isUnary: true),
      open: nil,
      message: { call, bytes throws(RPCError) in
        guard call.messageCount == 1 else {
          throw RPCError(.unimplemented, "more than one request message for a unary method")
        }
        body(try decodeMessage(Request.self, bytes), RPCContext(call), RPCReply(call: call))
      },
      ended: { call in
        if call.messageCount == 0 { call.finish(RPCError(.unimplemented, "no request message")) }
      })
  }

  /// Serves a method that answers with a stream, in callback form: no task per call. The call goes on until `RPCStreamEnd` is
  /// told its end, or the client's side ends it (`RPCContext.onCancel`).
  package func handleStream<Request, Response>(
    _ method: RPCMethod<Request, Response>,
    _ body: @escaping @LoopActor (Request, RPCWriter<Response>, RPCContext, RPCStreamEnd) -> Void
  ) {
    handlers[method.path] = ServerHandler(
      statistics: MethodStatistics(path: method.path, isUnary: false),
      open: nil,
      message: { call, bytes throws(RPCError) in
        guard call.messageCount == 1 else {
          throw RPCError(.unimplemented, "more than one request message for this method")
        }
        let request = try decodeMessage(Request.self, bytes)
        body(request, RPCWriter<Response>(call), RPCContext(call), RPCStreamEnd(call: call))
      },
      ended: { call in
        if call.messageCount == 0 { call.finish(RPCError(.unimplemented, "no request message")) }
      })
  }

  /// Serves a method that answers with a stream, which ends when the body returns. `writer.send` waits for flow control.
  package func handleStream<Request, Response>(
    _ method: RPCMethod<Request, Response>,
    _ body: @escaping @LoopActor (Request, RPCWriter<Response>, RPCContext) async throws -> Void
  ) {
    handlers[method.path] = ServerHandler(
      statistics: MethodStatistics(path: method.path, isUnary: false),
      open: nil,
      message: { call, bytes throws(RPCError) in
        guard call.messageCount == 1 else {
          throw RPCError(.unimplemented, "more than one request message for this method")
        }
        let request = try decodeMessage(Request.self, bytes)
        let writer = RPCWriter<Response>(call)
        Self.run(call) { try await body(request, writer, RPCContext(call)) }
      },
      ended: { call in
        if call.messageCount == 0 { call.finish(RPCError(.unimplemented, "no request message")) }
      })
  }

  /// Serves a method with streams in both directions. The call ends when the body returns, whether or not the client has
  /// sent all. A method that takes a stream and gives one answer is this with one `send`.
  package func handleBidirectional<Request, Response>(
    _ method: RPCMethod<Request, Response>,
    _ body: @escaping @LoopActor (RPCReader<Request>, RPCWriter<Response>, RPCContext) async throws -> Void
  ) {
    handlers[method.path] = ServerHandler(
      statistics: MethodStatistics(path: method.path, isUnary: false),
      open: { call in
        let writer = RPCWriter<Response>(call)
        let reader = RPCReader<Request>(call) { [unowned call] in
          call.finish(RPCError(.cancelled, "the server wants no more"))
        }
        call.state = reader
        call.readerFinish = { reader.finish($0) }
        Self.run(call) { try await body(reader, writer, RPCContext(call)) }
      },
      message: { call, bytes throws(RPCError) in
        let request = try decodeMessage(Request.self, bytes)
        (call.state as? RPCReader<Request>)?.receive(request)
      },
      ended: { call in (call.state as? RPCReader<Request>)?.finish(nil) })
  }

  private static func run(_ call: ServerCall, _ body: @escaping @LoopActor () async throws -> Void) {
    call.task = LoopActor.start {
      do {
        try await body()
        call.finish(nil)
      } catch {
        call.finish(RPCError(thrown: error))
      }
      call.task = nil
    }
  }
}

extension RPCWriter {
  /// The writer of a server's call.
  fileprivate convenience init(_ call: ServerCall) {
    self.init(call, beforeFirst: { [unowned call] in call.sendHeaders() }) { [unowned call] in
      if call.isCancelled { return RPCError(.cancelled, "the call is cancelled") }
      return call.isFinished ? RPCError(.cancelled, "the call is over") : nil
    }
  }
}
