/// What the log keeps instead of a role's password: a verifier of SCRAM-SHA-256 in the form of PostgreSQL's
/// `pg_authid.rolpassword`, `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`. Nothing else is let into the log.
package enum RoleVerifier {
  /// Of a key, 32 bytes, in base64.
  private static let keyLengthBytes = 44
  private static let maximumLengthBytes = 512

  /// Whether a text has the form. From it alone no password can be told.
  package static func isWellFormed(_ text: String) -> Bool {
    let parts = text.split(separator: "$", omittingEmptySubsequences: false)
    guard text.utf8.count <= maximumLengthBytes, parts.count == 3, parts[0] == "SCRAM-SHA-256" else { return false }
    let round = parts[1].split(separator: ":", omittingEmptySubsequences: false)
    let keys = parts[2].split(separator: ":", omittingEmptySubsequences: false)
    guard round.count == 2, keys.count == 2, let iterations = Int32(round[0]), iterations > 0 else { return false }
    return isBase64(round[1]) && keys.allSatisfy { $0.utf8.count == keyLengthBytes && isBase64($0) }
  }

  private static func isBase64(_ text: Substring) -> Bool {
    let bytes = Array(text.utf8)
    let body = bytes.prefix { $0 != UInt8(ascii: "=") }
    guard !body.isEmpty, bytes.count % 4 == 0, bytes.count - body.count <= 2,
      bytes[body.count...].allSatisfy({ $0 == UInt8(ascii: "=") })
    else { return false }
    return body.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
        true
      default: false
      }
    }
  }
}
