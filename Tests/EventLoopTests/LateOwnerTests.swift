import EventLoop
import Testing

/// Whoever gets a connection may come turns after whoever made it has finished: `await` is such a gap.
@Suite("Connections whose owner comes late", .timeLimit(.minutes(1)))
struct LateOwnerTests {
  /// What an owner is told, in order.
  @LoopActor
  final class Owner {
    private(set) var told: [String] = []

    func own(_ connection: Connection) {
      connection.onBytes = { [self] in told.append("bytes \(String(decoding: $0, as: UTF8.self))") }
      connection.onDrain = { [self] in told.append("drained") }
      connection.onClose = { [self] in told.append("end \($0.map { "\($0)" } ?? "in due form")") }
    }

    func untilEnd() async throws -> [String] {
      while told.last?.hasPrefix("end") != true { try await loopSleep(milliseconds: 1) }
      // Nothing may follow.
      try await loopSleep(milliseconds: 20)
      return told
    }
  }

  @Test("An owner that comes after the end is told of it, once, in a later turn phase, with the first reason")
  @LoopActor
  func afterTheEnd() async throws {
    let server = try ConnectionTests.echoServer()
    defer { server.close() }
    let connection = try await Connection.connect(host: "127.0.0.1", port: server.port)
    connection.abort(.timedOut("the first reason"))
    connection.abort(.closed)
    // Far beyond the turn in which libuv lets go of the handle.
    try await loopSleep(milliseconds: 20)
    connection.abort(.broken("the third reason"))
    let owner = Owner()
    owner.own(connection)
    #expect(owner.told.isEmpty)
    connection.write([1])
    #expect(try await owner.untilEnd() == ["end the first reason timed out"])

    // Another one is told as well; one that has been replaced before is not.
    let replaced = Owner()
    let next = Owner()
    replaced.own(connection)
    next.own(connection)
    #expect(try await next.untilEnd() == ["end the first reason timed out"])
    #expect(replaced.told.isEmpty)
  }

  @Test("An owner that takes over in the turn of the end is told once")
  @LoopActor
  func inTheTurnOfTheEnd() async throws {
    let server = try ConnectionTests.echoServer()
    defer { server.close() }
    let connection = try await Connection.connect(host: "127.0.0.1", port: server.port)
    connection.abort(.closed)
    let owner = Owner()
    owner.own(connection)
    #expect(try await owner.untilEnd() == ["end connection closed"])
  }

  @Test(
    "What a peer sends before it closes is told before the end, however late the owner comes", arguments: [false, true])
  @LoopActor
  func bytesThenEnd(encrypted: Bool) async throws {
    let files = try TLSTests.Files()
    let accepted = Log<NetworkError?>()
    let server = try TCPListener(
      host: "127.0.0.1", port: 0, tls: encrypted ? files.configuration("server") : nil
    ) { connection in
      connection.write(Array("greeting".utf8))
      connection.onClose = { accepted.entries.append($0) }
      connection.close()
    }
    defer { server.close() }
    let connection = try await Connection.connect(
      host: "127.0.0.1", port: server.port, tls: encrypted ? files.configuration("client") : nil)
    // The greeting and the end behind it have come.
    try await loopSleep(milliseconds: 50)
    #expect(connection.isOpen)
    let owner = Owner()
    owner.own(connection)
    #expect(try await owner.untilEnd() == ["bytes greeting", "end in due form"])
    while accepted.entries.isEmpty { try await loopSleep(milliseconds: 1) }
    #expect(accepted.entries == [nil])
  }

  @Test("A refusal after the client's side of the handshake is told with its reason, however late the owner comes")
  @LoopActor
  func refusal() async throws {
    let files = try TLSTests.Files()
    let names = Log<String?>()
    let server = try TLSTests.echoServer(files.configuration("server"), names)
    defer { server.close() }
    var anonymous = files.configuration("client")
    anonymous.certificateFile = nil
    anonymous.keyFile = nil
    let connection = try await Connection.connect(host: "127.0.0.1", port: server.port, tls: anonymous)
    // The alert and the end behind it have come.
    try await loopSleep(milliseconds: 50)
    #expect(connection.isOpen)
    let owner = Owner()
    owner.own(connection)
    #expect(try await owner.untilEnd() == ["end TLS: cannot read: tlsv13 alert certificate required"])
    #expect(names.entries.isEmpty)
  }
}
