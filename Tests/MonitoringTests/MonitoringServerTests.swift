import EventLoop
import Metrics
import Testing

@testable import Monitoring

/// A client of HTTP that sees what comes.
@LoopActor
private final class Client {
  let connection: Connection
  private(set) var received: [UInt8] = []
  private(set) var isClosed = false
  private var waiters: [UnsafeContinuation<Void, Never>] = []

  init(port: Int) async throws {
    connection = try await Connection.connect(host: "127.0.0.1", port: port)
    connection.onBytes = { [self] bytes in
      received += bytes
      wake()
    }
    connection.onClose = { [self] _ in
      isClosed = true
      wake()
    }
  }

  private func wake() {
    let waiting = waiters
    waiters = []
    for waiter in waiting { waiter.resume() }
  }

  var text: String { String(decoding: received, as: UTF8.self) }

  func send(_ text: String) { connection.write(Array(text.utf8)) }

  /// Until the text ends so, or the connection has ended.
  func text(endingWith end: String) async -> String {
    while !text.hasSuffix(end), !isClosed { await withUnsafeContinuation { waiters.append($0) } }
    return text
  }

  func untilClosed() async -> String {
    while !isClosed { await withUnsafeContinuation { waiters.append($0) } }
    return text
  }
}

@Suite("The server for those who watch")
struct MonitoringServerTests {
  @LoopActor
  private func server(
    _ limits: MonitoringServer.Limits = .init(), unreadiness: String? = nil
  ) throws -> MonitoringServer {
    try MonitoringServer(
      host: "127.0.0.1", port: 0, limits: limits,
      source: MonitoringSource(
        metrics: {
          var set = MetricSet()
          set.gauge("answer", "The answer.", 42)
          return set
        }, unreadiness: { unreadiness }))
  }

  @Test("Metrics, liveness and readiness are answered on one connection")
  @LoopActor
  func answers() async throws {
    let server = try server()
    defer { server.close() }
    let client = try await Client(port: server.port)
    client.send("GET /metrics HTTP/1.1\r\n\r\n")
    let metrics = await client.text(endingWith: "\nanswer 42\n")
    #expect(metrics.hasPrefix("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"))
    #expect(metrics.contains("\nprocess_open_fds "))
    #expect(metrics.contains("\nkunlog_loop_lag_seconds_count "))
    client.send("GET /healthz HTTP/1.1\r\n\r\nGET /readyz HTTP/1.1\r\nConnection: close\r\n\r\n")
    let rest = await client.untilClosed().dropFirst(metrics.count)
    #expect(rest.hasSuffix("Connection: close\r\n\r\nready\n"))
    #expect(rest.contains("\r\n\r\nalive\n"))
  }

  @Test("A node that does not serve says why")
  @LoopActor
  func unready() async throws {
    let server = try server(unreadiness: "no leader is known")
    defer { server.close() }
    let client = try await Client(port: server.port)
    client.send("GET /readyz HTTP/1.0\r\n\r\n")
    let text = await client.untilClosed()
    #expect(text.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
    #expect(text.hasSuffix("\r\n\r\nno leader is known\n"))
  }

  @Test(
    "What is not understood is answered and ends the connection",
    arguments: [
      ("GET /else HTTP/1.0\r\n\r\n", "404 Not Found"), ("DELETE /metrics HTTP/1.0\r\n\r\n", "405 Method Not Allowed"),
      ("POST /metrics HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", "413 Content Too Large"),
      ("nonsense\r\n\r\n", "400 Bad Request"), ("\u{0}\u{1}\u{2}\n\n", "400 Bad Request"),
      ("GET /" + String(repeating: "x", count: 5000) + " HTTP/1.1\r\n\r\n", "414 URI Too Long"),
      ("GET / HTTP/1.1\r\n" + String(repeating: "x: y\r\n", count: 4000), "431 Request Header Fields Too Large"),
    ])
  @LoopActor
  func refused(_ request: String, _ status: String) async throws {
    let server = try server()
    defer { server.close() }
    let client = try await Client(port: server.port)
    client.send(request)
    #expect(await client.untilClosed().hasPrefix("HTTP/1.1 \(status)\r\n"))
  }

  @Test("A head alone is answered without its body")
  @LoopActor
  func head() async throws {
    let server = try server()
    defer { server.close() }
    let client = try await Client(port: server.port)
    client.send("HEAD /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")
    let text = await client.untilClosed()
    #expect(text.contains("Content-Length: 6\r\n"))
    #expect(text.hasSuffix("\r\n\r\n"))
  }

  @Test("A client that does not finish its request is told so and cut off; one that says nothing is cut off")
  @LoopActor
  func slow() async throws {
    var limits = MonitoringServer.Limits()
    limits.headMilliseconds = 50
    let server = try server(limits)
    defer { server.close() }
    let slow = try await Client(port: server.port)
    slow.send("GET /met")
    #expect(await slow.untilClosed().hasPrefix("HTTP/1.1 408 Request Timeout\r\n"))
    limits.idleMilliseconds = 50
    let impatient = try self.server(limits)
    defer { impatient.close() }
    #expect(try await Client(port: impatient.port).untilClosed() == "")
  }

  @Test("Where all connections are taken, a newcomer ends the one that was silent for longest")
  @LoopActor
  func bounded() async throws {
    var limits = MonitoringServer.Limits()
    limits.connections = 3
    let server = try server(limits)
    defer { server.close() }
    var clients: [Client] = []
    for _ in 0..<3 {
      clients.append(try await Client(port: server.port))
      clients[clients.count - 1].send("GET /healthz HTTP/1.1\r\n\r\n")
      _ = await clients[clients.count - 1].text(endingWith: "alive\n")
    }
    #expect(server.connectionCount == 3)
    // The first is heard again: the second is the oldest now.
    clients[0].send("GET /healthz HTTP/1.1\r\n\r\n")
    while clients[0].text.split(separator: "HTTP/1.1 200 OK").count < 2 { try await loopSleep(milliseconds: 1) }
    let newcomer = try await Client(port: server.port)
    newcomer.send("GET /readyz HTTP/1.1\r\n\r\n")
    #expect(await newcomer.text(endingWith: "ready\n").hasPrefix("HTTP/1.1 200 OK"))
    _ = await clients[1].untilClosed()
    #expect(server.connectionCount == 3)
    #expect(!clients[0].isClosed && !clients[2].isClosed)
  }
}
