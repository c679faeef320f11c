import SQLTypes

/// The start of a connection (PostgreSQL 15 manual, 55.2.1): encryption, the startup packet, authentication, the
/// opening of the session. What comes after is `SessionMachine`'s.
///
/// Pure: each input returns what to send and what to do next. Randomness and cryptography come in as values and functions.
package struct StartupMachine: Sendable {
  /// Where the start stands.
  package enum State: Sendable, Equatable {
    /// A packet without tag is awaited.
    case awaitingPacket
    /// TLS is being negotiated below.
    case startingTLS
    /// The role's verifier is being looked up.
    case findingVerifier
    /// The client chooses a mechanism and sends client-first-message.
    case awaitingSASLInitial
    /// The client has chosen a mechanism without more; client-first-message comes on its own.
    case awaitingSASLFirst
    /// The client sends client-final-message.
    case awaitingSASLFinal
    /// The client has proven itself, its session is being opened.
    case openingSession
    /// Over: the session runs, or the connection ends.
    case ended
  }

  /// What the start depends on.
  package struct Configuration: Sendable {
    /// Whether a certificate is there, so that TLS can be offered.
    package var offersTLS: Bool
    /// Whether clients without TLS are refused.
    package var requiresTLS: Bool
    /// The functions of SCRAM.
    package var cryptography: SCRAMCryptography
    /// Random bytes that stay the same while the process lives: the salts of roles that do not exist hang on them.
    package var mockSecret: [UInt8]

    /// A configuration.
    package init(offersTLS: Bool, requiresTLS: Bool, cryptography: SCRAMCryptography, mockSecret: [UInt8]) {
      self.offersTLS = offersTLS
      self.requiresTLS = requiresTLS
      self.cryptography = cryptography
      self.mockSecret = mockSecret
    }
  }

  /// Who the client says it is and what it wants.
  package struct Request: Sendable, Equatable {
    /// The role.
    package let user: String
    /// The database; the role's name where the client names none.
    package let database: String
    /// The settings, `options` taken apart, in the client's order.
    package let settings: [StartupParameter]

    /// A request.
    package init(user: String, database: String, settings: [StartupParameter]) {
      self.user = user
      self.database = database
      self.settings = settings
    }
  }

  /// What to do once the replies are written.
  package enum Effect: Sendable, Equatable {
    /// Read a packet without tag.
    case awaitPacket
    /// Read a tagged message.
    case awaitMessage
    /// Start TLS as the server, then call `tlsStarted`.
    case startTLS
    /// Look the role up, then call `verifierFound` or `failed`.
    case findVerifier(user: String)
    /// Open the session, then call `sessionOpened` or `failed`.
    case openSession(Request)
    /// Cancel what a session runs, then close; nothing is answered.
    case cancel(processID: Int32, secretKey: Int32)
    /// The session runs: hand over to `SessionMachine`.
    case begin
    /// Close once the replies are out.
    case close
  }

  /// What an input leads to.
  package struct Step: Sendable, Equatable {
    /// To be sent, in order.
    package let replies: [BackendMessage]
    /// To be done after them.
    package let effect: Effect

    /// A step.
    package init(replies: [BackendMessage] = [], effect: Effect) {
      self.replies = replies
      self.effect = effect
    }
  }

  /// Where the start stands.
  package private(set) var state = State.awaitingPacket
  private let configuration: Configuration
  private var isEncrypted = false
  private var hasAskedGSS = false
  private var hasAskedTLS = false
  private var request = Request(user: "", database: "", settings: [])
  private var exchange: SCRAMExchange?
  /// NegotiateProtocolVersion goes out with the first answer to the startup packet.
  private var pendingNegotiation: [BackendMessage] = []

  /// A machine for a new connection.
  package init(configuration: Configuration) { self.configuration = configuration }

  /// A packet without tag has come.
  ///
  /// - Parameter unreadBytes: bytes that the client sent after it; after a request for encryption there must be none,
  ///   else someone in the middle could slip commands in before the handshake.
  package mutating func receive(_ packet: StartupPacket, unreadBytes: Int) -> Step {
    assert(state == .awaitingPacket)
    switch packet {
    case .cancelRequest(let processID, let secretKey):
      state = .ended
      return Step(replies: [], effect: .cancel(processID: processID, secretKey: secretKey))
    case .tlsRequest:
      guard !hasAskedTLS, !isEncrypted else { return refuse(Self.repeatedRequest) }
      guard unreadBytes == 0 else { return refuse(Self.dataAfterRequest("SSL")) }
      hasAskedTLS = true
      guard configuration.offersTLS else {
        return Step(replies: [.encryptionAnswer(accepted: false)], effect: .awaitPacket)
      }
      state = .startingTLS
      return Step(replies: [.encryptionAnswer(accepted: true)], effect: .startTLS)
    case .gssEncryptionRequest:
      guard !hasAskedGSS, !isEncrypted else { return refuse(Self.repeatedRequest) }
      guard unreadBytes == 0 else { return refuse(Self.dataAfterRequest("GSSAPI encryption")) }
      hasAskedGSS = true
      return Step(replies: [.encryptionAnswer(accepted: false)], effect: .awaitPacket)
    case .startup(let version, let parameters): return start(version: version, parameters)
    }
  }

  /// TLS stands.
  package mutating func tlsStarted() -> Step {
    assert(state == .startingTLS)
    state = .awaitingPacket
    isEncrypted = true
    return Step(replies: [], effect: .awaitPacket)
  }

  /// The lookup of the role has ended; nil where it has no password or does not exist.
  ///
  /// - Parameter serverNonce: 18 fresh random bytes.
  package mutating func verifierFound(_ verifier: SCRAMVerifier?, serverNonce: [UInt8]) -> Step {
    assert(state == .findingVerifier)
    state = .awaitingSASLInitial
    exchange = SCRAMExchange(
      verifier: verifier, user: request.user, serverNonce: serverNonce, mockSecret: configuration.mockSecret,
      cryptography: configuration.cryptography)
    defer { pendingNegotiation = [] }
    return Step(
      replies: pendingNegotiation + [.authenticationSASL(mechanisms: [SCRAMExchange.mechanism])],
      effect: .awaitMessage)
  }

  /// A tagged message has come.
  package mutating func receive(_ message: FrontendMessage) -> Step {
    assert([.awaitingSASLInitial, .awaitingSASLFirst, .awaitingSASLFinal].contains(state))
    switch message {
    case .authenticationResponse(let body):
      do {
        return switch state {
        case .awaitingSASLInitial: try receiveSASLInitial(body)
        case .awaitingSASLFirst: try receiveSASLFirst(body)
        default: try receiveSASLFinal(body)
        }
      } catch {
        return refuse(error)
      }
    case .terminate:
      state = .ended
      return Step(replies: [], effect: .close)
    default:
      return refuse(
        SQLError(.protocolViolation, "expected SASL response, got another message type"))
    }
  }

  /// The session is open; its reported settings have been sent.
  package mutating func sessionOpened(processID: Int32, secretKey: Int32, status: TransactionStatus) -> Step {
    assert(state == .openingSession)
    state = .ended
    return Step(
      replies: [.backendKeyData(processID: processID, secretKey: secretKey), .readyForQuery(status)],
      effect: .begin)
  }

  /// The start cannot go on: the client is told and the connection ends.
  package mutating func failed(_ error: SQLError) -> Step { refuse(error) }

  private mutating func refuse(_ error: SQLError) -> Step {
    state = .ended
    return Step(replies: [.errorResponse(.fatal, error)], effect: .close)
  }

  private static let repeatedRequest = SQLError(.protocolViolation, "unsupported frontend protocol")

  private static func dataAfterRequest(_ kind: String) -> SQLError {
    SQLError(
      .protocolViolation, "received unencrypted data after \(kind) request",
      detail: "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.")
  }
}

/// The startup packet.
extension StartupMachine {
  private mutating func start(version: UInt32, _ parameters: [StartupParameter]) -> Step {
    let major = version >> 16
    let minor = version & 0xffff
    guard major == 3 else {
      return refuse(
        SQLError(
          .featureNotSupported,
          "unsupported frontend protocol \(major).\(minor): server supports 3.0 to 3.0"))
    }
    if configuration.requiresTLS, !isEncrypted {
      return refuse(
        SQLError(
          .invalidAuthorizationSpecification, "connections without SSL encryption are refused",
          hint: "Connect with sslmode=require."))
    }
    do {
      request = try Request(parameters)
    } catch {
      return refuse(error)
    }
    let unknownOptions = parameters.map(\.name).filter { $0.hasPrefix("_pq_.") }
    if minor > 0 || !unknownOptions.isEmpty {
      pendingNegotiation = [.negotiateProtocolVersion(newestMinor: 0, unknownOptions: unknownOptions)]
    }
    state = .findingVerifier
    return Step(replies: [], effect: .findVerifier(user: request.user))
  }

  private mutating func receiveSASLInitial(_ body: [UInt8]) throws(SQLError) -> Step {
    let (mechanism, data) = try MessageReader.read(body, Self.readSASLInitial)
    guard mechanism == SCRAMExchange.mechanism else {
      throw SQLError(.protocolViolation, "client selected an invalid SASL authentication mechanism")
    }
    guard let data else {
      // No initial response: the server asks for it with an empty challenge (RFC 4422, section 3).
      state = .awaitingSASLFirst
      return Step(replies: [.authenticationSASLContinue([])], effect: .awaitMessage)
    }
    return try receiveSASLFirst(data)
  }

  /// Mechanism and initial response, nil where there is none.
  private static func readSASLInitial(
    _ reader: inout MessageReader
  ) throws(SQLError) -> (mechanism: String, data: [UInt8]?) {
    let mechanism = try reader.readString()
    let length = try reader.readInt32()
    guard length >= 0 else {
      try reader.expectEnd()
      return (mechanism, nil)
    }
    guard Int(length) == reader.remainingCount else {
      throw SQLError(.protocolViolation, "invalid SASLInitialResponse")
    }
    return (mechanism, reader.readRest())
  }

  private mutating func receiveSASLFirst(_ data: [UInt8]) throws(SQLError) -> Step {
    guard let answer = try exchange?.receiveFirst(data) else { preconditionFailure("an exchange was begun") }
    state = .awaitingSASLFinal
    return Step(replies: [.authenticationSASLContinue(answer)], effect: .awaitMessage)
  }

  private mutating func receiveSASLFinal(_ body: [UInt8]) throws(SQLError) -> Step {
    guard let answer = try exchange?.receiveFinal(body) else {
      return refuse(
        SQLError(.invalidPassword, "password authentication failed for user \"\(request.user)\""))
    }
    exchange = nil
    state = .openingSession
    return Step(
      replies: [.authenticationSASLFinal(answer), .authenticationOK], effect: .openSession(request))
  }
}

extension StartupMachine.Request {
  /// Takes a startup packet's settings apart.
  init(_ parameters: [StartupParameter]) throws(SQLError) {
    var user = ""
    var database = ""
    var settings: [StartupParameter] = []
    for parameter in parameters where !parameter.name.hasPrefix("_pq_.") {
      switch parameter.name {
      case "user": user = parameter.value
      case "database": database = parameter.value
      case "options": settings += try StartupOptions.settings(parameter.value)
      case "replication":
        if !["false", "off", "no", "0", ""].contains(parameter.value.lowercased()) {
          throw SQLError(.featureNotSupported, "replication connections are not supported")
        }
      default: settings.append(parameter)
      }
    }
    guard !user.isEmpty else {
      throw SQLError(.invalidAuthorizationSpecification, "no PostgreSQL user name specified in startup packet")
    }
    self.init(user: user, database: database.isEmpty ? user : database, settings: settings)
  }
}

/// The startup packet's `options`: command-line arguments of a server process, of which only settings make sense.
package enum StartupOptions {
  /// `-c name=value`, `-cname=value` and `--name=value`, separated by blanks; a backslash quotes the next character.
  package static func settings(_ options: String) throws(SQLError) -> [StartupParameter] {
    var settings: [StartupParameter] = []
    var words = split(options)[...]
    while let word = words.popFirst() {
      var assignment: Substring
      if word == "-c" {
        guard let next = words.popFirst() else { throw invalid(word) }
        assignment = next[...]
      } else if word.hasPrefix("-c") || word.hasPrefix("--") {
        assignment = word.dropFirst(2)
      } else {
        throw invalid(word)
      }
      guard let equals = assignment.firstIndex(of: "="), equals > assignment.startIndex else { throw invalid(word) }
      // As on PostgreSQL's command line, a dash stands for an underscore.
      let name = String(assignment[..<equals].map { $0 == "-" ? "_" : $0 })
      settings.append(
        StartupParameter(name: name, value: String(assignment[assignment.index(after: equals)...])))
    }
    return settings
  }

  private static func invalid(_ word: String) -> SQLError {
    SQLError(.syntaxError, "invalid command-line argument for server process: \(word)")
  }

  private static func split(_ options: String) -> [String] {
    var words: [String] = []
    var word: String?
    var isQuoted = false
    for character in options {
      if isQuoted {
        word = (word ?? "") + String(character)
        isQuoted = false
      } else if character == "\\" {
        isQuoted = true
      } else if character.isWhitespace {
        if let finished = word { words.append(finished) }
        word = nil
      } else {
        word = (word ?? "") + String(character)
      }
    }
    if let finished = word { words.append(finished) }
    return words
  }
}

/// The client encodings that are understood.
package enum ClientEncoding {
  /// PostgreSQL's name of an encoding that needs no conversion, nil for any other.
  ///
  /// Names are compared as PostgreSQL does: letters and digits only, without case.
  package static func canonicalName(_ name: String) -> String? {
    let letters = name.utf8.filter { byte in
      (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte & 0xdf)
    }
    return switch String(decoding: letters, as: UTF8.self).lowercased() {
    case "utf8", "unicode": "UTF8"
    case "sqlascii": "SQL_ASCII"
    default: nil
    }
  }
}
