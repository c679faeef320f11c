import EventLoop
import Glibc
import Testing

@testable import RPC

@Suite("Connections of channels and servers", .timeLimit(.minutes(1)))
struct ConnectionLifeTests {
  @Test("Mutual TLS: the handler knows the client's common name; a client in clear is not served")
  @LoopActor
  func mutualTLS() async throws {
    let directory = "/tmp/kunlog-rpc-test-\(getpid())"
    try FileSystem.createDirectory(directory)
    defer { try? FileSystem.remove(directory) }
    let authority = try CertificateAuthority.create(
      commonName: "test", certificateFile: "\(directory)/ca.pem", keyFile: "\(directory)/ca.key")
    try authority.issue(
      commonName: "node-1", certificateFile: "\(directory)/node.pem", keyFile: "\(directory)/node.key")
    let tls = TLSConfiguration(
      certificateFile: "\(directory)/node.pem", keyFile: "\(directory)/node.key", authorityFile: "\(directory)/ca.pem",
      requirePeerCertificate: true)
    let fixture = try EchoFixture(serverTLS: tls, clientTLS: tls)
    let request = EchoRequest.with { $0.text = "secret" }
    #expect(try await fixture.channel.unary(Echo.unary, request, timeoutMilliseconds: 5000).text == "secret")
    #expect(fixture.service.peerNames == ["node-1"])

    let clear = RPCChannel(host: "127.0.0.1", port: fixture.server.port)
    let error = await #expect(throws: RPCError.self) {
      try await clear.unary(Echo.unary, request, timeoutMilliseconds: 5000)
    }
    #expect(error?.code == .unavailable)
    clear.close()
    await fixture.end()
  }

  @Test("A channel fails calls while nobody listens, and connects by itself when somebody does")
  @LoopActor
  func reconnects() async throws {
    let first = try EchoFixture()
    let port = first.server.port
    let request = EchoRequest.with { $0.text = "x" }
    _ = try await first.channel.unary(Echo.unary, request, timeoutMilliseconds: 5000)
    await first.server.shutdown()
    let error = await #expect(throws: RPCError.self) {
      try await first.channel.unary(Echo.unary, request, timeoutMilliseconds: 5000)
    }
    #expect(error?.code == .unavailable)
    #expect(error?.message == "cannot connect to 127.0.0.1:\(port): connection refused")

    let second = RPCServer(host: "127.0.0.1", port: port)
    EchoService().register(second)
    try second.start()
    try await loopSleep(milliseconds: 150)
    #expect(try await first.channel.unary(Echo.unary, request, timeoutMilliseconds: 5000).text == "x")
    first.channel.close()
    await second.shutdown()
  }

  @Test("A graceful shutdown lets the open call finish and takes no new one")
  @LoopActor
  func gracefulShutdown() async throws {
    let fixture = try EchoFixture()
    let slow = Task {
      try await fixture.channel.unary(
        Echo.unary,
        .with {
          $0.text = "late"
          $0.delayMilliseconds = 60
        }, timeoutMilliseconds: nil)
    }
    while fixture.service.peerNames.isEmpty { try await loopSleep(milliseconds: 1) }
    let shutdown = Task { await fixture.server.shutdown(graceMilliseconds: 10_000) }
    try await loopSleep(milliseconds: 20)
    let error = await #expect(throws: RPCError.self) {
      try await fixture.channel.unary(Echo.unary, EchoRequest(), timeoutMilliseconds: 5000)
    }
    #expect(error?.code == .unavailable)
    #expect(try await slow.value.text == "late")
    await shutdown.value
    fixture.channel.close()
  }

  @Test("A shutdown without grace cuts calls off")
  @LoopActor
  func hardShutdown() async throws {
    let fixture = try EchoFixture()
    let (writer, reader) = fixture.channel.bidirectional(Echo.chat)
    try await writer.send(.with { $0.text = "a" })
    _ = try await reader.next()
    await fixture.server.shutdown(graceMilliseconds: 0)
    let error = await #expect(throws: RPCError.self) { try await reader.next() }
    #expect(error?.code == .unavailable)
    #expect(!writer.trySend(EchoRequest()))
    #expect(fixture.service.cancelled == 1)
    fixture.channel.close()
  }

  @Test("A peer that falls silent is noticed by the keepalive")
  @LoopActor
  func keepalive() async throws {
    // Accepts and never answers.
    let silent = try TCPListener(host: "127.0.0.1", port: 0) { connection in connection.onBytes = { _ in } }
    defer { silent.close() }
    var options = RPCOptions()
    options.keepaliveMilliseconds = 30
    options.keepaliveTimeoutMilliseconds = 30
    let channel = RPCChannel(host: "127.0.0.1", port: silent.port, options: options)
    let error = await #expect(throws: RPCError.self) {
      try await channel.unary(Echo.unary, EchoRequest(), timeoutMilliseconds: nil)
    }
    #expect(error == RPCError(.unavailable, "keepalive of 127.0.0.1:\(silent.port) timed out"))
    channel.close()
  }

  @Test("A session over a connection that has ended before is told of it, with the reason")
  @LoopActor
  func endedBefore() async throws {
    let server = try TCPListener(host: "127.0.0.1", port: 0) { connection in connection.onBytes = { _ in } }
    defer { server.close() }
    let connection = try await Connection.connect(host: "127.0.0.1", port: server.port)
    connection.abort(.timedOut("the test"))
    try await loopSleep(milliseconds: 20)
    let session = HTTP2Session(connection, .client, RPCOptions())
    #expect(!session.acceptsRequests)
    let reason = await withUnsafeContinuation { continuation in
      session.onClosed = { continuation.resume(returning: $0) }
    }
    #expect(reason == .timedOut("the test"))
  }

  @Test(
    "Bytes that are not HTTP/2 end their connection, and the server goes on",
    arguments: [
      Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8), [UInt8](repeating: 0, count: 5000),
      Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [UInt8](repeating: 0xFF, count: 300),
      (0..<4000).map { UInt8(truncatingIfNeeded: $0 &* 131 &+ 7) },
    ])
  @LoopActor
  func randomBytes(_ bytes: [UInt8]) async throws {
    let fixture = try EchoFixture()
    let intruder = try await Connection.connect(host: "127.0.0.1", port: fixture.server.port)
    await withCheckedContinuation { continuation in
      intruder.onBytes = { _ in }
      intruder.onClose = { _ in continuation.resume() }
      intruder.write(bytes)
    }
    let answer = try await fixture.channel.unary(Echo.unary, .with { $0.text = "on" }, timeoutMilliseconds: 5000)
    #expect(answer.text == "on")
    await fixture.end()
  }
}
