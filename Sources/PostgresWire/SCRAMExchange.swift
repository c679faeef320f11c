import SQLTypes

/// The server's side of one SCRAM-SHA-256 exchange (RFC 5802, 7677), without channel binding.
///
/// An unknown role goes through the same steps with a made-up verifier, and fails at the same one as a wrong password.
package struct SCRAMExchange: Sendable {
  /// Where the exchange stands.
  private enum State: Sendable {
    case awaitingFirst
    case awaitingFinal(bareFirst: String, serverFirst: String, gs2Header: String)
    case done
  }

  /// The only mechanism on offer.
  package static let mechanism = "SCRAM-SHA-256"

  private var state = State.awaitingFirst
  private let verifier: SCRAMVerifier
  private let isMock: Bool
  private let serverNonce: String
  private let cryptography: SCRAMCryptography

  /// An exchange.
  ///
  /// - Parameters:
  ///   - verifier: the role's; nil where it has none.
  ///   - user: whose made-up salt stays the same from one attempt to the next.
  ///   - serverNonce: 18 random bytes.
  ///   - mockSecret: random bytes that stay the same while the process lives.
  package init(
    verifier: SCRAMVerifier?, user: String, serverNonce: [UInt8], mockSecret: [UInt8],
    cryptography: SCRAMCryptography
  ) {
    self.cryptography = cryptography
    self.serverNonce = Base64.encode(serverNonce)
    isMock = verifier == nil
    let salt = cryptography.hmac(mockSecret, Array(user.utf8)).prefix(SCRAMVerifier.saltLengthBytes)
    self.verifier =
      verifier
      ?? SCRAMVerifier(
        iterations: SCRAMVerifier.defaultIterations, salt: Array(salt),
        storedKey: cryptography.hmac(mockSecret, [0]), serverKey: cryptography.hmac(mockSecret, [1]))
  }

  /// Takes client-first-message; the answer is server-first-message.
  ///
  /// - Throws: 08P01 for a malformed message, 0A000 for what is not supported.
  package mutating func receiveFirst(_ message: [UInt8]) throws(SQLError) -> [UInt8] {
    guard case .awaitingFirst = state else { preconditionFailure("client-first-message comes once") }
    guard let text = String(validating: message, as: UTF8.self), !text.utf8.contains(0) else {
      throw Self.malformed("The message is not valid text.")
    }
    // gs2-header: cbind flag, authorization identity, each ended by a comma.
    let fields = text.split(separator: ",", maxSplits: 2, omittingEmptySubsequences: false)
    guard fields.count == 3 else { throw Self.malformed("The message ends too early.") }
    switch fields[0] {
    case "n", "y": break
    case _ where fields[0].hasPrefix("p="):
      throw Self.malformed(
        "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data."
      )
    default: throw Self.malformed("Unexpected channel-binding flag \"\(fields[0].prefix(1))\".")
    }
    guard fields[1].isEmpty else {
      throw SQLError(.featureNotSupported, "client uses authorization identity, but it is not supported")
    }
    let attributes = fields[2].split(separator: ",", omittingEmptySubsequences: false)
    if attributes.first?.hasPrefix("m=") == true {
      throw SQLError(.featureNotSupported, "client requires an unsupported SCRAM extension")
    }
    // The name in n= is ignored, as in PostgreSQL: the startup packet's counts.
    guard attributes.count >= 2, attributes[0].hasPrefix("n="), attributes[1].hasPrefix("r=") else {
      throw Self.malformed("The user name or the nonce is missing.")
    }
    let clientNonce = attributes[1].dropFirst(2)
    guard !clientNonce.isEmpty, clientNonce.utf8.allSatisfy({ 0x21...0x7e ~= $0 }) else {
      throw SQLError(.protocolViolation, "non-printable characters in SCRAM nonce")
    }
    let serverFirst = "r=\(clientNonce)\(serverNonce),s=\(Base64.encode(verifier.salt)),i=\(verifier.iterations)"
    state = .awaitingFinal(
      bareFirst: String(fields[2]), serverFirst: serverFirst, gs2Header: "\(fields[0]),\(fields[1]),")
    return Array(serverFirst.utf8)
  }

  /// Takes client-final-message; the answer is server-final-message, nil where the password is wrong.
  ///
  /// - Throws: 08P01 for a malformed message.
  package mutating func receiveFinal(_ message: [UInt8]) throws(SQLError) -> [UInt8]? {
    guard case .awaitingFinal(let bareFirst, let serverFirst, let gs2Header) = state else {
      preconditionFailure("client-final-message follows client-first-message, once")
    }
    state = .done
    guard let text = String(validating: message, as: UTF8.self), !text.utf8.contains(0) else {
      throw Self.malformed("The message is not valid text.")
    }
    let attributes = text.split(separator: ",", omittingEmptySubsequences: false)
    guard attributes.count >= 3, attributes[0].hasPrefix("c="), attributes[1].hasPrefix("r="),
      let last = attributes.last, last.hasPrefix("p=")
    else { throw Self.malformed("An attribute is missing.") }
    guard attributes[0].dropFirst(2) == Base64.encode(Array(gs2Header.utf8)) else {
      throw SQLError(.protocolViolation, "unexpected SCRAM channel-binding attribute in client-final-message")
    }
    let nonce = serverFirst.dropFirst(2).prefix { $0 != "," }
    guard attributes[1].dropFirst(2) == nonce else {
      throw SQLError(.protocolViolation, "invalid SCRAM response", detail: "Nonce does not match.")
    }
    guard let proof = Base64.decode(last.dropFirst(2)), proof.count == 32 else {
      throw Self.malformed("Malformed proof in client-final-message.")
    }
    let withoutProof = text.dropLast(last.count + 1)
    let signed = Array("\(bareFirst),\(serverFirst),\(withoutProof)".utf8)
    let signature = cryptography.hmac(verifier.storedKey, signed)
    let clientKey = zip(proof, signature).map { $0 ^ $1 }
    let isRight = constantTimeEqual(cryptography.sha256(clientKey), verifier.storedKey)
    guard isRight, !isMock else { return nil }
    return Array("v=\(Base64.encode(cryptography.hmac(verifier.serverKey, signed)))".utf8)
  }

  private static func malformed(_ detail: String) -> SQLError {
    SQLError(.protocolViolation, "malformed SCRAM message", detail: detail)
  }
}
