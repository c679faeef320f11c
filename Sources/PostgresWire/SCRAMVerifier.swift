/// The cryptographic functions of SCRAM-SHA-256, injected because this target is pure.
package struct SCRAMCryptography: Sendable {
  /// SHA-256 of a message: 32 bytes.
  package let sha256: @Sendable (_ message: [UInt8]) -> [UInt8]
  /// HMAC-SHA-256 of a message under a key: 32 bytes.
  package let hmac: @Sendable (_ key: [UInt8], _ message: [UInt8]) -> [UInt8]
  /// PBKDF2 with HMAC-SHA-256, 32 bytes long: `Hi` of RFC 5802.
  package let pbkdf2: @Sendable (_ password: [UInt8], _ salt: [UInt8], _ iterations: Int) -> [UInt8]

  /// The three functions.
  package init(
    sha256: @escaping @Sendable ([UInt8]) -> [UInt8],
    hmac: @escaping @Sendable ([UInt8], [UInt8]) -> [UInt8],
    pbkdf2: @escaping @Sendable ([UInt8], [UInt8], Int) -> [UInt8]
  ) {
    self.sha256 = sha256
    self.hmac = hmac
    self.pbkdf2 = pbkdf2
  }
}

/// What a server keeps instead of a password (RFC 5802, section 3), in the form of PostgreSQL's `pg_authid.rolpassword`.
package struct SCRAMVerifier: Sendable, Equatable {
  /// Rounds of PBKDF2; PostgreSQL 15 makes verifiers of 4096.
  package let iterations: Int
  /// The salt.
  package let salt: [UInt8]
  /// SHA-256 of the client's key.
  package let storedKey: [UInt8]
  /// The key that the server proves itself with.
  package let serverKey: [UInt8]

  /// Rounds of a new verifier.
  package static let defaultIterations = 4096
  /// Bytes of a new verifier's salt.
  package static let saltLengthBytes = 16

  /// A verifier from its parts.
  package init(iterations: Int, salt: [UInt8], storedKey: [UInt8], serverKey: [UInt8]) {
    self.iterations = iterations
    self.salt = salt
    self.storedKey = storedKey
    self.serverKey = serverKey
  }

  /// A new verifier of a password.
  ///
  /// - Parameter salt: `saltLengthBytes` random bytes.
  package init(
    password: String, salt: [UInt8], iterations: Int = defaultIterations, cryptography: SCRAMCryptography
  ) {
    let salted = cryptography.pbkdf2(Self.prepare(password), salt, iterations)
    let clientKey = cryptography.hmac(salted, Array("Client Key".utf8))
    self.init(
      iterations: iterations, salt: salt, storedKey: cryptography.sha256(clientKey),
      serverKey: cryptography.hmac(salted, Array("Server Key".utf8)))
  }

  /// Reads `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`; nil where a text is something else.
  package init?(_ text: String) {
    let parts = text.split(separator: "$", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0] == "SCRAM-SHA-256" else { return nil }
    let round = parts[1].split(separator: ":", omittingEmptySubsequences: false)
    let keys = parts[2].split(separator: ":", omittingEmptySubsequences: false)
    guard round.count == 2, keys.count == 2, let iterations = Int(round[0]), iterations > 0,
      let salt = Base64.decode(round[1]), let storedKey = Base64.decode(keys[0]),
      let serverKey = Base64.decode(keys[1]), storedKey.count == 32, serverKey.count == 32
    else { return nil }
    self.init(iterations: iterations, salt: salt, storedKey: storedKey, serverKey: serverKey)
  }

  /// The form that PostgreSQL stores.
  package var text: String {
    "SCRAM-SHA-256$\(iterations):\(Base64.encode(salt))$\(Base64.encode(storedKey)):\(Base64.encode(serverKey))"
  }

  /// Whether a password is the one.
  package func matches(_ password: String, cryptography: SCRAMCryptography) -> Bool {
    let other = SCRAMVerifier(password: password, salt: salt, iterations: iterations, cryptography: cryptography)
    return constantTimeEqual(other.storedKey, storedKey)
  }

  /// The mapping step of SASLprep (RFC 4013, 2.1): other spaces become a space, invisible characters go.
  ///
  /// The normalization step (NFKC) is left to the client; a password that it changes must be given in that form.
  private static func prepare(_ password: String) -> [UInt8] {
    guard password.utf8.contains(where: { $0 >= 0x80 }) else { return Array(password.utf8) }
    var prepared = String.UnicodeScalarView()
    for scalar in password.unicodeScalars {
      switch scalar.value {
      case 0xa0, 0x1680, 0x2000...0x200b, 0x202f, 0x205f, 0x3000: prepared.append(" ")
      case 0xad, 0x34f, 0x1806, 0x180b...0x180d, 0x200c...0x200d, 0x2060, 0xfe00...0xfe0f, 0xfeff: break
      default: prepared.append(scalar)
      }
    }
    return Array(String(prepared).utf8)
  }
}

/// Equality whose time does not depend on where two secrets differ.
func constantTimeEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
  guard left.count == right.count else { return false }
  var difference: UInt8 = 0
  for index in left.indices { difference |= left[index] ^ right[index] }
  return difference == 0
}
