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

  @Test("Certificates and authorities change under a server that runs: new connections use them, open ones go on")
  @LoopActor
  func rotation() async throws {
    let files = try Files()
    let server = try Self.echoServer(files.configuration("server"), Log())
    defer { server.close() }
    func echoes(_ stream: Stream, _ byte: UInt8) async -> Bool {
      let count = stream.received.count
      stream.connection.write([byte])
      return await stream.read(count + 1).last == byte
    }
    let old = Stream(
      try await Connection.connect(host: "127.0.0.1", port: server.port, tls: files.configuration("client")))
    #expect(await echoes(old, 1))

    // A new authority beside the old one; the server's and a newcomer's certificates are its.
    try files.authority.replaceAuthority()
    for name in ["server", "newcomer"] {
      try files.authority.issue(
        commonName: "\(name)-2", certificateFile: files.directory("\(name).pem"),
        keyFile: files.directory("\(name).key"))
    }
    #expect(try CertificateDetails.read(files.directory("ca.pem")).count == 2)
    let newcomer = Stream(
      try await Connection.connect(host: "127.0.0.1", port: server.port, tls: files.configuration("newcomer")))
    #expect(newcomer.connection.peerCertificateCommonName == "server-2")
    #expect(await echoes(newcomer, 2))
    // The old certificate is good as long as its authority is trusted.
    let second = Stream(
      try await Connection.connect(host: "127.0.0.1", port: server.port, tls: files.configuration("client")))
    #expect(await echoes(second, 3))
    #expect(await echoes(old, 4))

    #expect(try files.authority.retireOthers() == 1)
    do {
      let refused = Stream(
        try await Connection.connect(host: "127.0.0.1", port: server.port, tls: files.configuration("client")))
      refused.connection.write([5])
      #expect(await refused.end() != nil)
    } catch {
      #expect(error.description.hasPrefix("TLS: "))
    }

    // What cannot be used changes nothing.
    try FileSystem.write(files.directory("server.pem"), Array("no certificate".utf8))
    let third = Stream(
      try await Connection.connect(host: "127.0.0.1", port: server.port, tls: files.configuration("newcomer")))
    #expect(third.connection.peerCertificateCommonName == "server-2")
    #expect(await echoes(third, 6))
    try files.authority.issue(
      commonName: "server-3", certificateFile: files.directory("server.pem"), keyFile: files.directory("server.key"))
    let fourth = Stream(
      try await Connection.connect(host: "127.0.0.1", port: server.port, tls: files.configuration("newcomer")))
    #expect(fourth.connection.peerCertificateCommonName == "server-3")
    #expect(await echoes(old, 7))
    for stream in [old, newcomer, second, third, fourth] { stream.connection.close() }
  }

  @Test("A certificate tells whose it is, for which hosts and how long; a key of another authority issues nothing")
  @LoopActor
  func details() throws {
    let files = try Files()
    let subject = PeerCertificate(
      commonName: "storage-1", organization: "kunlog", organizationalUnit: "storage", userID: "11")
    try files.authority.issue(
      subject, hosts: ["db.example", "10.0.0.4", "::1"], certificateFile: files.directory("s.pem"),
      keyFile: files.directory("s.key"), validDays: 30)
    let details = try #require(try CertificateDetails.read(files.directory("s.pem")).first)
    #expect(details.subject == subject)
    #expect(details.issuer == "test authority")
    #expect(details.hosts == ["db.example", "10.0.0.4", "0:0:0:0:0:0:0:1"])
    #expect(!details.isAuthority)
    #expect((29 * 86_400...30 * 86_400).contains(details.secondsLeft))
    #expect(details.fingerprint.count == 64)
    #expect(try CertificateDetails.read(files.directory("ca.pem")).map(\.isAuthority) == [true])
    #expect(throws: CertificateError.self) { try CertificateDetails.read(files.directory("s.key")) }

    let others = try Files()
    let mixed = CertificateAuthority(
      certificateFile: files.directory("ca.pem"), keyFile: others.directory("ca.key"))
    #expect(throws: CertificateError.self) {
      try mixed.issue(commonName: "x", certificateFile: files.directory("x.pem"), keyFile: files.directory("x.key"))
    }
    #expect(!FileSystem.exists(files.directory("x.pem")))
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
