import COpenSSL

extension PeerCertificate {
  /// The subject of a certificate.
  init(_ certificate: OpaquePointer) {
    let subject = X509_get_subject_name(certificate)
    self.init(
      commonName: Self.only(NID_commonName, in: subject), organization: Self.only(NID_organizationName, in: subject),
      organizationalUnit: Self.only(NID_organizationalUnitName, in: subject),
      userID: Self.only(NID_userId, in: subject))
  }

  /// The text of the one entry of a kind; nil where there is none, or another.
  static func only(_ identifier: Int32, in subject: OpaquePointer?) -> String? {
    let position = X509_NAME_get_index_by_NID(subject, identifier, -1)
    guard position >= 0, X509_NAME_get_index_by_NID(subject, identifier, position) < 0,
      let data = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, position))
    else { return nil }
    var bytes: UnsafeMutablePointer<UInt8>?
    let count = ASN1_STRING_to_UTF8(&bytes, data)
    defer { kunlog_OPENSSL_free(bytes) }
    guard count >= 0, let bytes else { return nil }
    let text = UnsafeBufferPointer(start: bytes, count: Int(count))
    // A zero in a name is there to deceive.
    return text.contains(0) ? nil : String(validating: text, as: UTF8.self)
  }
}
