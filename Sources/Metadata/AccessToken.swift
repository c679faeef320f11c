/// A secret that makes its bearer a caller, as the log knows it: by its digest. It stands in the settings, so that every replica of
/// the log can check it, and its making and end are in the history like everything else.
package struct AccessToken: Sendable, Hashable {
  package var name: String
  /// admin, operator or reader.
  package var role: AccessRole
  /// Seconds since 1970-01-01 UTC; nil: it does not end by itself.
  package var expiresSeconds: Int64?
  /// SHA-256 of the whole token.
  package var digest: [UInt8]

  /// Settings whose names begin so are about access: only admins change them, and their values hold no secret.
  package static let settingsPrefix = "access."
  private static let tokenPrefix = "access.token."

  /// The log's form of a token.
  package init(name: String, role: AccessRole, expiresSeconds: Int64?, token: String) {
    self.name = name
    self.role = role
    self.expiresSeconds = expiresSeconds
    digest = AccessToken.digest(token)
  }

  /// What the bearer shows: the name, and a secret of 32 bytes.
  package static func text(name: String, secret: [UInt8]) -> String { "\(name).\(hexadecimal(secret))" }

  /// Whether a text is the token.
  package func matches(_ token: String) -> Bool { AccessToken.digest(token) == digest }

  package func isExpired(atSeconds now: Int64) -> Bool { expiresSeconds.map { $0 <= now } ?? false }

  /// Who the bearer is.
  package var identity: AccessIdentity? { AccessIdentity(name: name, role: role, nodeID: nil) }

  // MARK: As a setting

  package var settingName: String { AccessToken.tokenPrefix + name }

  package var settingValue: String {
    "role=\(role.rawValue) expires=\(expiresSeconds.map { "\($0)" } ?? "never") "
      + "sha256=\(AccessToken.hexadecimal(digest))"
  }

  /// nil where the setting is no token's.
  package init?(settingName: String, value: String) {
    guard settingName.hasPrefix(AccessToken.tokenPrefix) else { return nil }
    let name = String(settingName.dropFirst(AccessToken.tokenPrefix.count))
    let fields = value.split(separator: " ", omittingEmptySubsequences: false)
    guard fields.count == 3, fields[0].hasPrefix("role="), fields[1].hasPrefix("expires="),
      fields[2].hasPrefix("sha256="), let role = AccessRole(rawValue: String(fields[0].dropFirst(5))), !role.isNode,
      AccessIdentity.isName(name), let digest = AccessToken.bytes(fields[2].dropFirst(7)), digest.count == 32
    else { return nil }
    let expires = fields[1].dropFirst(8)
    guard expires == "never" || Int64(expires) != nil else { return nil }
    self.name = name
    self.role = role
    self.expiresSeconds = Int64(expires)
    self.digest = digest
  }

  private static func digest(_ token: String) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: 32)
    let bytes = Array(token.utf8)
    bytes.withUnsafeBytes { bytes in
      result.withUnsafeMutableBytes {
        SHA256.digest(bytes, UnsafeRawBufferPointer(rebasing: bytes[0..<0]), into: $0)
      }
    }
    return result
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  private static func bytes(_ text: Substring) -> [UInt8]? {
    let digits = text.utf8.compactMap { byte -> UInt8? in
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
      default: nil
      }
    }
    guard digits.count == text.utf8.count, digits.count % 2 == 0 else { return nil }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }
}

extension Image {
  /// The token of a name.
  package func accessToken(named name: String) -> AccessToken? {
    let setting = "access.token." + name
    return settings[setting].flatMap { AccessToken(settingName: setting, value: $0) }
  }

  /// All tokens, by name.
  package var accessTokens: [AccessToken] {
    settings.compactMap { AccessToken(settingName: $0.key, value: $0.value) }.sorted { $0.name < $1.name }
  }
}
