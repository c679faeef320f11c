import EventLoop
import Testing

@Suite("TLS connections")
struct TLSTests {
  /// A development authority and the configurations of two nodes.
  struct Files {
    let directory: TemporaryDirectory
    let authority: CertificateAuthority

    init() throws {
      directory = try TemporaryDirectory()
      authority = try CertificateAuthority.create(
        commonName: "test authority", certificateFile: directory("ca.pem"), keyFile: directory("ca.key"))
      for name in ["server", "client"] {
        try authority.issue(
          commonName: name, certificateFile: directory("\(name).pem"), keyFile: directory("\(name).key"))
      }
    }

    func configuration(_ name: String) -> TLSConfiguration {
      TLSConfiguration(
        certificateFile: directory("\(name).pem"), keyFile: directory("\(name).key"),
        authorityFile: directory("ca.pem"),
        requirePeerCertificate: true, alpn: ["h2"])
    }
  }

  @LoopActor
  static func echoServer(_ tls: TLSConfiguration, _ names: Log<String?>) throws -> TCPListener {
    try TCPListener(host: "127.0.0.1", port: 0, tls: tls) { connection in
      names.entries.append(connection.peerCertificateCommonName)
      connection.onBytes = { [unowned connection] bytes in connection.write(bytes) }
    }
  }

  @Test("With mutual TLS each side knows the other's common name, and a megabyte survives the echo")
  @LoopActor
  func mutual() async throws {
    let files = try Files()
    let names = Log<String?>()
    let server = try Self.echoServer(files.configuration("server"), names)
    defer { server.close() }
    for host in ["127.0.0.1", "localhost"] {
      let client = Stream(
        try await Connection.connect(host: host, port: server.port, tls: files.configuration("client")))
      #expect(client.connection.peerCertificateCommonName == "server")
      #expect(client.connection.negotiatedProtocol == "h2")
      let message = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      client.connection.write(message)
      #expect(await client.read(message.count) == message)
      client.connection.close()
      #expect(await client.end() == nil)
    }
    #expect(names.entries == ["client", "client"])
  }

  @Test("A certificate that is not for the host, or of another authority, is refused by the client")
  @LoopActor
  func wrongServer() async throws {
    let files = try Files()
    let server = try Self.echoServer(files.configuration("server"), Log())
    defer { server.close() }
    var otherName = files.configuration("client")
    otherName.serverName = "elsewhere.example"
    await #expect(
      throws: NetworkError.tls("the peer's certificate is not accepted: hostname mismatch")
    ) { try await Connection.connect(host: "127.0.0.1", port: server.port, tls: otherName) }

    let strangers = try Files()
    var otherAuthority = files.configuration("client")
    otherAuthority.authorityFile = strangers.directory("ca.pem")
    let error = await #expect(throws: NetworkError.self) {
      try await Connection.connect(host: "127.0.0.1", port: server.port, tls: otherAuthority)
    }
    #expect(error?.description.hasPrefix("TLS: the peer's certificate is not accepted: ") == true)
  }

  @Test("A client without a certificate never reaches a server that demands one")
  @LoopActor
  func noClientCertificate() async throws {
    let files = try Files()
    let names = Log<String?>()
    let server = try Self.echoServer(files.configuration("server"), names)
    defer { server.close() }
    var anonymous = files.configuration("client")
    anonymous.certificateFile = nil
    anonymous.keyFile = nil
    do {
      // With TLS 1.3 the client learns of the refusal after its side of the handshake.
      let client = Stream(try await Connection.connect(host: "127.0.0.1", port: server.port, tls: anonymous))
      client.connection.write([1])
      #expect(await client.end() != nil)
      #expect(client.received.isEmpty)
    } catch {
      #expect(error.description.hasPrefix("TLS: "))
    }
    #expect(names.entries.isEmpty)
  }

  @Test("A connection in clear turns to TLS where it stands, as PostgreSQL's clients ask for")
  @LoopActor
  func upgrade() async throws {
    let files = try Files()
    var tls = files.configuration("server")
    tls.requirePeerCertificate = false
    let server = try TCPListener(host: "127.0.0.1", port: 0) { [tls] connection in
      var isUpgraded = false
      connection.onBytes = { [unowned connection] bytes in
        guard !isUpgraded else {
          connection.write(bytes)
          return
        }
        isUpgraded = true
        connection.write(Array("S".utf8))
        connection.startTLSServer(tls)
      }
    }
    defer { server.close() }
    // OpenSSL's own client speaks PostgreSQL's upgrade.
    let output = Log<UInt8>()
    let exit = await withCheckedContinuation { (continuation: CheckedContinuation<ChildExit?, Never>) in
      let child = try? ChildProcess.spawn(
        executable: "openssl",
        arguments: [
          "s_client", "-starttls", "postgres", "-connect", "127.0.0.1:\(server.port)", "-CAfile",
          files.directory("ca.pem"), "-verify_return_error", "-brief",
        ], output: .discard, errors: .pipe { output.entries += $0 }
      ) { continuation.resume(returning: $0) }
      if child == nil { continuation.resume(returning: nil) }
    }
    #expect(exit == .code(0))
    #expect(String(decoding: output.entries, as: UTF8.self).contains("Verification: OK"))
  }

  @Test("Random bytes end that connection only")
  @LoopActor
  func randomBytes() async throws {
    let files = try Files()
    let server = try Self.echoServer(files.configuration("server"), Log())
    defer { server.close() }
    let intruder = Stream(try await Connection.connect(host: "127.0.0.1", port: server.port))
    intruder.connection.write((0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 97 &+ 13) })
    _ = await intruder.end()
    let client = Stream(
      try await Connection.connect(host: "127.0.0.1", port: server.port, tls: files.configuration("client")))
    client.connection.write([1, 2, 3])
    #expect(await client.read(3) == [1, 2, 3])
    client.connection.close()
  }

  @Test("A missing certificate file is an error that names it")
  @LoopActor
  func missingFile() throws {
    let tls = TLSConfiguration(certificateFile: "/nowhere/node.pem", keyFile: "/nowhere/node.key")
    #expect(throws: NetworkError.tls("cannot read the certificate /nowhere/node.pem: No such file or directory")) {
      try TCPListener(host: "127.0.0.1", port: 0, tls: tls) { _ in }
    }
  }
}
