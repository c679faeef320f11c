import EventLoop
import Metadata

extension CertificateAuthority {
  /// Issues a certificate that makes its bearer the caller named, and writes it with its new key.
  package func issue(
    _ identity: AccessIdentity, hosts: [String] = standardHosts, certificateFile: String, keyFile: String,
    validDays: Int = 825
  ) throws(CertificateError) {
    try issue(
      identity.subject, hosts: hosts, certificateFile: certificateFile, keyFile: keyFile, validDays: validDays)
  }
}
