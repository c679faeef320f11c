import EventLoop
import Testing

/// A connection with tasks: bytes in, bytes out.
@LoopActor
final class Stream {
  let connection: Connection
  private(set) var received: [UInt8] = []
  private(set) var closed: (isClosed: Bool, error: NetworkError?) = (false, nil)
  private var waiters: [UnsafeContinuation<Void, Never>] = []

  init(_ connection: Connection) {
    self.connection = connection
    connection.onBytes = { [self] bytes in
      received += bytes
      wake()
    }
    connection.onClose = { [self] error in
      closed = (true, error)
      wake()
    }
  }

  private func wake() {
    let waiting = waiters
    waiters = []
    for waiter in waiting { waiter.resume() }
  }

  private func change() async { await withUnsafeContinuation { waiters.append($0) } }

  func read(_ count: Int) async -> [UInt8] {
    while received.count < count, !closed.isClosed { await change() }
    return received
  }

  func end() async -> NetworkError? {
    while !closed.isClosed { await change() }
    return closed.error
  }
}

@Suite("TCP connections")
struct ConnectionTests {
  @LoopActor
  static func echoServer() throws -> TCPListener {
    try TCPListener(host: "127.0.0.1", port: 0) { connection in
      connection.onBytes = { [unowned connection] bytes in connection.write(bytes) }
    }
  }

  @Test("What is written comes back from an echo, also through a host's name")
  @LoopActor
  func echo() async throws {
    let server = try Self.echoServer()
    defer { server.close() }
    for host in ["127.0.0.1", "localhost"] {
      let client = Stream(try await Connection.connect(host: host, port: server.port))
      client.connection.write(Array("hello ".utf8))
      client.connection.write(Array("world".utf8))
      #expect(await client.read(11) == Array("hello world".utf8))
      client.connection.close()
      #expect(await client.end() == nil)
    }
  }

  @Test("Nobody listening is an error that names the address")
  @LoopActor
  func refused() async throws {
    let server = try Self.echoServer()
    let port = server.port
    server.close()
    try await loopSleep(milliseconds: 5)
    await #expect(throws: NetworkError.connect(address: "127.0.0.1:\(port)", reason: "connection refused")) {
      try await Connection.connect(host: "127.0.0.1", port: port)
    }
  }

  @Test("A name without an address is an error that names the host")
  func unresolved() async {
    let error = await #expect(throws: NetworkError.self) {
      try await Connection.connect(host: "does-not-exist.invalid", port: 1)
    }
    #expect(error?.description.hasPrefix("cannot resolve does-not-exist.invalid: ") == true)
  }

  @Test("A port in use cannot be listened at")
  @LoopActor
  func inUse() async throws {
    let server = try Self.echoServer()
    defer { server.close() }
    let port = server.port
    #expect(throws: NetworkError.listen(address: "127.0.0.1:\(port)", reason: "address already in use")) {
      try TCPListener(host: "127.0.0.1", port: port) { _ in }
    }
  }

  @Test("A reader that pauses stops the writer, whose queue drains after the reader goes on")
  @LoopActor
  func backPressure() async throws {
    let accepted = Log<Stream>()
    let server = try TCPListener(host: "127.0.0.1", port: 0) { connection in
      let stream = Stream(connection)
      connection.pauseReading()
      accepted.entries.append(stream)
    }
    defer { server.close() }
    let client = try await Connection.connect(host: "127.0.0.1", port: server.port)
    client.onBytes = { _ in }
    let block = [UInt8](repeating: 7, count: 1 << 20)
    for _ in 0..<16 { client.write(block) }
    try await loopSleep(milliseconds: 30)
    #expect(client.queuedBytes > Connection.highWaterMarkBytes)
    #expect(accepted.entries[0].received.isEmpty)
    await withUnsafeContinuation { continuation in
      client.onDrain = { continuation.resume() }
      accepted.entries[0].connection.resumeReading()
    }
    #expect(client.queuedBytes <= Connection.lowWaterMarkBytes)
    #expect(await accepted.entries[0].read(16 << 20).count == 16 << 20)
    client.close()
    #expect(await accepted.entries[0].end() == nil)
  }

  @Test("What was written before the close arrives, although the peer's bytes were not read")
  @LoopActor
  func closeDelivers() async throws {
    let server = try TCPListener(host: "127.0.0.1", port: 0) { connection in
      connection.write([UInt8](repeating: 1, count: 3 << 20))
      connection.close()
    }
    defer { server.close() }
    let client = Stream(try await Connection.connect(host: "127.0.0.1", port: server.port))
    client.connection.write([UInt8](repeating: 2, count: 1 << 16))
    #expect(await client.end() == nil)
    #expect(client.received.count == 3 << 20)
  }

  @Test("An aborted connection tells its reason, and writing to it does nothing")
  @LoopActor
  func abort() async throws {
    let server = try Self.echoServer()
    defer { server.close() }
    let client = Stream(try await Connection.connect(host: "127.0.0.1", port: server.port))
    client.connection.abort(.timedOut("the test"))
    client.connection.write([1])
    #expect(await client.end() == .timedOut("the test"))
  }
}
