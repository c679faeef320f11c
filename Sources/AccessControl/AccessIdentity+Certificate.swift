import EventLoop
import Metadata

/// Why a certificate makes nobody of its bearer: in words, with what to do.
package struct CertificateRefusal: Error, CustomStringConvertible {
  package let description: String
}

extension AccessIdentity {
  /// The organization that a certificate of Kunlog's names, so that none that an authority issued for something else counts.
  package static let organization = "kunlog"

  /// Who the bearer of a certificate is: O=kunlog, OU=role, CN=name, and UID=number where it is a node's.
  package init(_ certificate: PeerCertificate) throws(CertificateRefusal) {
    let name = certificate.commonName ?? "without a common name"
    guard certificate.organization == Self.organization, let unit = certificate.organizationalUnit else {
      throw CertificateRefusal(
        description: "the certificate \(name) names no role (it has no O=kunlog, OU=role). Make one that does: "
          + "kunlog cert node or kunlog cert operator; a quick start renews its own when it is started")
    }
    guard let role = AccessRole(rawValue: unit) else {
      throw CertificateRefusal(
        description: "the certificate \(name) names the role '\(unit)', which there is not. Roles: "
          + AccessRole.allCases.map(\.rawValue).joined(separator: ", "))
    }
    let number = certificate.userID.flatMap(UInt64.init)
    guard role.isNode == (certificate.userID != nil), certificate.userID == nil || number != nil,
      let identity = AccessIdentity(
        name: certificate.commonName ?? "", role: role, nodeID: number.map(NodeID.init(rawValue:)))
    else {
      throw CertificateRefusal(
        description:
          "the certificate \(name) of role \(unit) has no valid name, or its number (UID) is missing or out of "
          + "place: nodes have one, people have none. Make another one: kunlog cert node or kunlog cert operator")
    }
    self = identity
  }

  /// The subject of a certificate that makes its bearer this.
  package var subject: PeerCertificate {
    PeerCertificate(
      commonName: name, organization: Self.organization, organizationalUnit: role.rawValue,
      userID: nodeID.map { "\($0)" })
  }
}
