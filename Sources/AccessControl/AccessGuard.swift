import EventLoop
import Glibc
import Logging
import Metadata
import RPC

/// A caller whose identity is certain, as RPC carries it.
package final class AccessCaller: RPCIdentity {
  package let identity: AccessIdentity
  /// What made it sure; nil: a certificate.
  let token: AccessToken?
  /// Whether it may end to be somebody while its connection goes on.
  package var isRevocable: Bool { token != nil }

  init(_ identity: AccessIdentity, token: AccessToken? = nil) {
    self.identity = identity
    self.token = token
  }

  package var callerNodeID: UInt64? { identity.nodeID?.rawValue }
}

extension TLSConfiguration {
  /// The same for a server at which tokens count too: a client need not show a certificate.
  package var acceptingTokens: TLSConfiguration {
    var result = self
    result.acceptsMissingPeerCertificate = true
    return result
  }
}

extension RPCContext {
  /// Who calls; nil where the server runs without TLS, and everybody may do everything.
  package var caller: AccessIdentity? { (identity as? AccessCaller)?.identity }
}

/// A node's gate: who a certificate makes its bearer, and who may call what. Refusals are counted, and logged at a bounded rate.
@LoopActor
package final class AccessGuard: RPCGate {
  /// What this node is.
  private let role: AccessRole
  /// Whose tokens count.
  private let image: @LoopActor () -> Image
  private let refusalLog = RefusalLog()
  /// By path, as RPC has it.
  private let rules: [String: AccessRoles]

  /// What was refused since the start.
  package var refusals: UInt64 { refusalLog.count }

  /// A gate of a node of the given role, which knows the log's image.
  package init(_ role: AccessRole, image: @escaping @LoopActor () -> Image) {
    self.role = role
    self.image = image
    rules = Dictionary(
      uniqueKeysWithValues: AccessMethod.allCases.map { ("/" + $0.rawValue, AccessPolicy.roles($0, at: role)) })
  }

  /// Sets a gate at the node's server, where it has TLS. Without TLS nobody can be told from anybody else.
  package static func install(
    at server: RPCServer, role: AccessRole, tls: TLSConfiguration?, image: @escaping @LoopActor () -> Image
  ) -> AccessGuard? {
    guard tls != nil else { return nil }
    let gate = AccessGuard(role, image: image)
    server.gate = gate
    return gate
  }

  // MARK: Who

  package func identity(certificate: PeerCertificate?, peerAddress: String) throws(RPCError) -> any RPCIdentity {
    guard let certificate else {
      throw refused(
        .unauthenticated,
        "the caller has shown neither certificate nor token. Call with --certificate and --key, or with --token-file",
        peerAddress)
    }
    do throws(CertificateRefusal) { return AccessCaller(try AccessIdentity(certificate)) } catch {
      throw refused(.unauthenticated, error.description, peerAddress)
    }
  }

  package func identity(authorization: String, peerAddress: String) throws(RPCError) -> any RPCIdentity {
    let words = authorization.split(separator: " ", omittingEmptySubsequences: true)
    guard words.count == 2, words[0].lowercased() == "bearer" else {
      throw refused(.unauthenticated, "what authorizes a call is 'Bearer' and a token", peerAddress)
    }
    let text = String(words[1])
    guard let dot = text.lastIndex(of: "."), let token = image().accessToken(named: String(text[..<dot])),
      token.matches(text), let identity = token.identity
    else {
      throw refused(
        .unauthenticated,
        "the token is not known here: it was revoked, or is another cluster's. An admin makes one: "
          + "kunlog access token create", peerAddress)
    }
    let caller = AccessCaller(identity, token: token)
    if token.isExpired(atSeconds: Self.now) { throw expired(caller, peerAddress) }
    return caller
  }

  /// Throws where the caller of a stream has lost what made it one: its token was revoked, or has ended.
  package func recheck(_ caller: AccessCaller, peerAddress: String) throws(RPCError) {
    guard let token = caller.token else { return }
    guard image().accessToken(named: token.name) == token else {
      throw refused(.unauthenticated, "the token of \(caller.identity.text) was revoked", peerAddress)
    }
    if token.isExpired(atSeconds: Self.now) { throw expired(caller, peerAddress) }
  }

  private func expired(_ caller: AccessCaller, _ peerAddress: String) -> RPCError {
    refused(
      .unauthenticated,
      "the token of \(caller.identity.text) has ended. An admin makes another one: kunlog access token create",
      peerAddress)
  }

  private static var now: Int64 { Int64(time(nil)) }

  // MARK: What

  package func admit(_ caller: any RPCIdentity, to path: String, peerAddress: String) throws(RPCError) {
    guard let identity = (caller as? AccessCaller)?.identity else {
      throw refused(.unauthenticated, "the caller is not known", peerAddress)
    }
    // A method that the table does not name is for nobody but those who may do all.
    let allowed = rules[path] ?? .admin
    guard allowed.isDisjoint(with: identity.roles) else { return }
    throw refused(
      .permissionDenied, AccessPolicy.refusal(method: String(path.dropFirst()), identity, allowed: allowed), peerAddress
    )
  }

  /// Throws where the caller may not append one of the commands.
  package func admit(_ commands: [Command], of caller: AccessCaller, peerAddress: String) throws(RPCError) {
    try recheck(caller, peerAddress: peerAddress)
    for command in commands where !AccessPolicy.allows(command, caller.identity) {
      throw refused(.permissionDenied, AccessPolicy.refusal(command, caller.identity), peerAddress)
    }
  }

  private func refused(_ code: RPCStatusCode, _ reason: String, _ peerAddress: String) -> RPCError {
    refusalLog.add("\(peerAddress): \(reason)")
    return RPCError(code, reason)
  }
}

/// What is refused, in the log: enough lines to see what goes on, never so many that they are an attack of their own.
@LoopActor
private final class RefusalLog {
  private(set) var count: UInt64 = 0
  private let logger = Logger(label: "access")
  private var windowStart: UInt64 = 0
  private var linesInWindow = 0
  private var unlogged = 0

  private static let windowNanoseconds: UInt64 = 10_000_000_000
  private static let linesPerWindow = 20

  nonisolated init() {}

  func add(_ text: String) {
    count += 1
    let now = Loop.now
    if now - windowStart >= Self.windowNanoseconds {
      if unlogged > 0 { logger.warning("\(unlogged) more refusals were not logged") }
      (windowStart, linesInWindow, unlogged) = (now, 0, 0)
    }
    guard linesInWindow < Self.linesPerWindow else {
      unlogged += 1
      return
    }
    linesInWindow += 1
    logger.warning("refused: \(text)")
  }
}
