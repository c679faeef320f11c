import EventLoop
import Metrics

/// What a process tells of itself when it is asked.
@LoopActor
package struct MonitoringSource {
  /// What it measures, but for what all processes do.
  package var metrics: @LoopActor () async -> MetricSet
  /// Why it does not serve yet, or not any more; nil: it serves.
  package var unreadiness: @LoopActor () -> String?

  package init(
    metrics: @escaping @LoopActor () async -> MetricSet, unreadiness: @escaping @LoopActor () -> String?
  ) {
    self.metrics = metrics
    self.unreadiness = unreadiness
  }
}

/// A small HTTP/1.1 server for those who watch a process: `/metrics`, `/healthz` (it lives), `/readyz` (it serves).
///
/// Bounds: 32 connections, of which a newcomer ends the one that has been silent for longest; a request's head of 16 KiB, which
/// is to be there within 5 s; answers that are not taken within 10 s end the connection. There is no TLS and no login: it is to
/// listen on the loopback, or in a network of its own.
@LoopActor
package final class MonitoringServer {
  /// Bounds of time, which tests shorten.
  package struct Limits: Sendable {
    package var connections = 32
    /// From a request's first byte to the end of its head.
    package var headMilliseconds = 5_000
    /// From a connection's begin, or an answer, to the next request.
    package var idleMilliseconds = 120_000
    /// For an answer to be taken.
    package var answerMilliseconds = 10_000
    package init() {}
  }

  let limits: Limits
  private let source: MonitoringSource
  private var listener: TCPListener?
  private var connections: [ObjectIdentifier: MonitoringConnection] = [:]
  private var timer: LoopTimer?
  private let process = ProcessMetrics()

  /// Listens at once, on plain TCP.
  package init(
    host: String, port: Int, limits: Limits = Limits(), source: MonitoringSource
  ) throws(NetworkError) {
    self.limits = limits
    self.source = source
    listener = try TCPListener(host: host, port: port, backlog: 64) { [weak self] connection in
      if let self { accept(connection) } else { connection.abort() }
    }
    let interval = max(10, min(1_000, limits.headMilliseconds / 4))
    timer = LoopTimer(afterMilliseconds: interval, repeatMilliseconds: interval) { [weak self] in self?.sweep() }
    process.start()
  }

  /// The port listened at.
  package var port: Int { listener?.port ?? 0 }

  /// Open connections.
  package var connectionCount: Int { connections.count }

  /// Ends all connections and stops to listen.
  package func close() {
    listener?.close()
    listener = nil
    timer?.cancel()
    process.stop()
    for connection in connections.values { connection.end() }
  }

  private func accept(_ connection: Connection) {
    guard listener != nil else { return connection.abort() }
    if connections.count >= limits.connections {
      connections.values.min { $0.lastHeard < $1.lastHeard }?.end()
    }
    let accepted = MonitoringConnection(connection, self)
    connections[ObjectIdentifier(accepted)] = accepted
    accepted.start()
  }

  func remove(_ connection: MonitoringConnection) { connections[ObjectIdentifier(connection)] = nil }

  private func sweep() {
    let now = Loop.now
    for connection in connections.values { connection.check(now) }
  }

  /// The answer to a request.
  func answer(_ head: HTTPRequestHead) async -> HTTPResponse {
    guard ["/", "/metrics", "/healthz", "/readyz"].contains(head.path) else {
      return HTTPResponse(404, "There is /metrics, /healthz and /readyz.")
    }
    guard head.method == "GET" || head.method == "HEAD" else {
      var response = HTTPResponse(405, "GET and HEAD only.")
      response.allow = "GET, HEAD"
      return response
    }
    switch head.path {
    case "/metrics":
      var set = process.collect()
      set.add(await source.metrics())
      return HTTPResponse(PrometheusText.contentType, PrometheusText.render(set))
    case "/healthz": return HTTPResponse(200, "alive")
    case "/readyz":
      let reason = source.unreadiness()
      return HTTPResponse(reason == nil ? 200 : 503, reason ?? "ready")
    default: return HTTPResponse(200, "/metrics\n/healthz\n/readyz")
    }
  }
}

/// One client of a `MonitoringServer`.
@LoopActor
final class MonitoringConnection {
  private let connection: Connection
  /// nil once it has been closed and let go of.
  private weak var server: MonitoringServer?
  private let limits: MonitoringServer.Limits
  private var parser = HTTPRequestParser()
  private var isAnswering = false
  private var isEnding = false
  private(set) var lastHeard = Loop.now
  /// When the request began whose head is not complete.
  private var headSince: UInt64?
  /// When an answer was written that is not taken whole yet.
  private var answerSince: UInt64?

  init(_ connection: Connection, _ server: MonitoringServer) {
    self.connection = connection
    self.server = server
    limits = server.limits
  }

  func start() {
    // Strong: until the connection has closed.
    connection.onClose = { [self] _ in
      isEnding = true
      server?.remove(self)
    }
    connection.onDrain = { [self] in work() }
    connection.onBytes = { [self] bytes in
      guard !isEnding else { return }
      lastHeard = Loop.now
      parser.append(bytes)
      work()
      // While an answer is made or not taken, the client is not heard.
      if isAnswering || isFull { connection.pauseReading() }
    }
  }

  private var isFull: Bool { connection.queuedBytes > Connection.highWaterMarkBytes }

  /// Cuts the client off.
  func end() {
    isEnding = true
    connection.abort()
    server?.remove(self)
  }

  /// Answers the requests that are there, one after the other.
  private func work() {
    guard !isAnswering, !isEnding, !isFull else { return }
    do throws(HTTPRequestError) {
      guard let head = try parser.next() else {
        headSince = parser.isInRequest ? headSince ?? Loop.now : nil
        connection.resumeReading()
        return
      }
      headSince = nil
      guard !head.hasBody else { return finish(HTTPResponse(413, "A request here has no body.")) }
      isAnswering = true
      LoopActor.start {
        let response = await self.server?.answer(head)
        self.isAnswering = false
        if let response { self.send(response, head) } else { self.end() }
      }
    } catch {
      finish(HTTPResponse(error.status, "Not a request that is understood here: \(error.reason)."))
    }
  }

  private func send(_ response: HTTPResponse, _ head: HTTPRequestHead) {
    guard !isEnding else { return }
    answerSince = Loop.now
    connection.write(response.bytes(keepsAlive: head.keepsAlive, omitsBody: head.method == "HEAD"))
    guard head.keepsAlive else {
      isEnding = true
      return connection.close()
    }
    work()
  }

  /// A last answer: what the client sends is not understood.
  private func finish(_ response: HTTPResponse) {
    isEnding = true
    connection.write(response.bytes(keepsAlive: false, omitsBody: false))
    connection.close()
  }

  func check(_ now: UInt64) {
    if connection.queuedBytes == 0 { answerSince = nil }
    guard !isEnding, !isAnswering else { return }
    func isOver(_ since: UInt64?, _ milliseconds: Int) -> Bool {
      since.map { now > $0 &+ UInt64(milliseconds) * 1_000_000 } ?? false
    }
    if isOver(answerSince, limits.answerMilliseconds) {
      end()
    } else if isOver(headSince, limits.headMilliseconds) {
      finish(HTTPResponse(408, "The request did not come in time."))
    } else if isOver(lastHeard, limits.idleMilliseconds) {
      end()
    }
  }
}
