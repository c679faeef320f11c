/// Who a certificate that was verified is made out to. A part that the subject names more than once, or not as text, is nil:
/// nobody may choose which of two names counts.
package struct PeerCertificate: Sendable, Hashable {
  /// CN.
  package var commonName: String?
  /// O.
  package var organization: String?
  /// OU.
  package var organizationalUnit: String?
  /// UID (RFC 4519).
  package var userID: String?

  /// A subject from its parts.
  package init(
    commonName: String? = nil, organization: String? = nil, organizationalUnit: String? = nil, userID: String? = nil
  ) {
    self.commonName = commonName
    self.organization = organization
    self.organizationalUnit = organizationalUnit
    self.userID = userID
  }
}
