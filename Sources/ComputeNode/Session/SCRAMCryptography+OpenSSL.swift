import COpenSSL
import PostgresWire

extension SCRAMCryptography {
  /// OpenSSL's functions.
  package static let openSSL = SCRAMCryptography(
    sha256: { message in
      var digest = [UInt8](repeating: 0, count: 32)
      let status = EVP_Digest(message, message.count, &digest, nil, EVP_sha256(), nil)
      precondition(status == 1, "SHA-256 is always there")
      return digest
    },
    hmac: { key, message in
      var digest = [UInt8](repeating: 0, count: 32)
      var length: UInt32 = 0
      let result = HMAC(EVP_sha256(), key, Int32(key.count), message, message.count, &digest, &length)
      precondition(result != nil && length == 32, "HMAC-SHA-256 is always there")
      return digest
    },
    pbkdf2: { password, salt, iterations in
      var derived = [UInt8](repeating: 0, count: 32)
      let status = password.withUnsafeBytes { password in
        PKCS5_PBKDF2_HMAC(
          password.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(password.count), salt, Int32(salt.count),
          Int32(iterations), EVP_sha256(), 32, &derived)
      }
      precondition(status == 1, "PBKDF2 is always there")
      return derived
    })
}

/// Random bytes that nobody can foresee.
package enum SecureRandom {
  /// So many of them.
  package static func bytes(_ count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    precondition(RAND_bytes(&bytes, Int32(count)) == 1, "the system has no randomness")
    return bytes
  }

  /// A number of 32 bits.
  package static func int32() -> Int32 {
    bytes(4).reduce(0) { $0 << 8 | Int32($1) }
  }
}
