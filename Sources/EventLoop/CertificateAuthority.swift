import COpenSSL
import Glibc

/// Why a certificate could not be made.
package enum CertificateError: Error, Sendable, Equatable, CustomStringConvertible {
  /// OpenSSL refused, with its reason.
  case openSSL(String)
  /// A file could not be read or written.
  case file(FileError)

  /// In words.
  package var description: String {
    switch self {
    case .openSSL(let reason): "certificate: \(reason)"
    case .file(let error): error.description
    }
  }
}

/// A certificate authority in two PEM files, from which a cluster's nodes and people get their certificates. Keys are EC P-256,
/// signatures ECDSA with SHA-256 (RFC 5480). A cluster may bring certificates of another authority, with the same subjects.
package struct CertificateAuthority: Sendable {
  /// The authority's certificate, which every node trusts; others that are trusted too may follow.
  package let certificateFile: String
  /// The authority's private key (mode 0600).
  package let keyFile: String

  /// An authority whose files exist.
  package init(certificateFile: String, keyFile: String) {
    self.certificateFile = certificateFile
    self.keyFile = keyFile
  }

  /// Makes a new authority and writes its files.
  package static func create(
    commonName: String, certificateFile: String, keyFile: String, validDays: Int = 3650
  ) throws(CertificateError) -> CertificateAuthority {
    try create(commonName, certificateFile, keyFile, validDays: validDays, trustedBeside: [])
  }

  /// Makes a new authority of the same name in the place of this one, which stays in the file as one that is trusted too.
  package func replaceAuthority(validDays: Int = 3650) throws(CertificateError) {
    let trusted = try CertificateDetails.read(certificateFile)
    let bytes: [UInt8]
    do throws(FileError) { bytes = try FileSystem.read(certificateFile) } catch { throw .file(error) }
    _ = try Self.create(
      trusted.first?.subject.commonName ?? "Kunlog authority", certificateFile, keyFile, validDays: validDays,
      trustedBeside: bytes)
  }

  /// Leaves the newest authority in the file, which is the first.
  /// - Returns: how many others there were.
  @discardableResult
  package func retireOthers() throws(CertificateError) -> Int {
    let others = try CertificateDetails.read(certificateFile).count - 1
    guard others > 0 else { return 0 }
    let first = try Handle(
      Self.readPEM(certificateFile) { PEM_read_bio_X509($0, nil, nil, nil) }, X509_free)
    do throws(FileError) {
      try FileSystem.atomicReplace(certificateFile, Self.pem { PEM_write_bio_X509($0, first.pointer) })
    } catch { throw .file(error) }
    return others
  }

  private static func create(
    _ commonName: String, _ certificateFile: String, _ keyFile: String, validDays: Int, trustedBeside: [UInt8]
  ) throws(CertificateError) -> CertificateAuthority {
    let key = try Handle(kunlog_EC_P256_key(), EVP_PKEY_free)
    let certificate = try Handle(X509_new(), X509_free)
    try fill(
      certificate.pointer, PeerCertificate(commonName: commonName), key: key.pointer, validDays: validDays)
    try check(X509_set_issuer_name(certificate.pointer, X509_get_subject_name(certificate.pointer)))
    try add(NID_basic_constraints, "critical,CA:TRUE,pathlen:0", to: certificate.pointer, issuer: certificate.pointer)
    try add(NID_key_usage, "critical,keyCertSign,cRLSign", to: certificate.pointer, issuer: certificate.pointer)
    try add(NID_subject_key_identifier, "hash", to: certificate.pointer, issuer: certificate.pointer)
    try sign(certificate.pointer, key.pointer)
    try write(certificate.pointer, certificateFile, key.pointer, keyFile, followedBy: trustedBeside)
    return CertificateAuthority(certificateFile: certificateFile, keyFile: keyFile)
  }

  /// Issues a certificate that serves as a server's and as a client's, and writes it with its new key.
  ///
  /// - Parameter hosts: names and addresses that the certificate is good for.
  package func issue(
    commonName: String, hosts: [String] = standardHosts, certificateFile: String, keyFile: String, validDays: Int = 825
  ) throws(CertificateError) {
    try issue(
      PeerCertificate(commonName: commonName), hosts: hosts, certificateFile: certificateFile, keyFile: keyFile,
      validDays: validDays)
  }

  /// Names of the machine itself.
  package static let standardHosts = ["localhost", "127.0.0.1", "::1"]

  /// The same, with more in the subject than a common name.
  package func issue(
    _ name: PeerCertificate, hosts: [String] = standardHosts, certificateFile: String,
    keyFile: String, validDays: Int = 825
  ) throws(CertificateError) {
    let issuer = try Handle(
      Self.readPEM(self.certificateFile) { PEM_read_bio_X509($0, nil, nil, nil) }, X509_free)
    let issuerKey = try Handle(
      Self.readPEM(self.keyFile) { PEM_read_bio_PrivateKey($0, nil, nil, nil) }, EVP_PKEY_free)
    guard X509_check_private_key(issuer.pointer, issuerKey.pointer) == 1 else {
      throw .openSSL(
        "the private key \(self.keyFile) does not belong to the first certificate of \(self.certificateFile)")
    }
    let key = try Handle(kunlog_EC_P256_key(), EVP_PKEY_free)
    let certificate = try Handle(X509_new(), X509_free)
    let subject = certificate.pointer
    try Self.fill(subject, name, key: key.pointer, validDays: validDays)
    try Self.check(X509_set_issuer_name(subject, X509_get_subject_name(issuer.pointer)))
    try Self.add(NID_basic_constraints, "critical,CA:FALSE", to: subject, issuer: issuer.pointer)
    try Self.add(NID_key_usage, "critical,digitalSignature", to: subject, issuer: issuer.pointer)
    try Self.add(NID_ext_key_usage, "serverAuth,clientAuth", to: subject, issuer: issuer.pointer)
    try Self.add(NID_subject_key_identifier, "hash", to: subject, issuer: issuer.pointer)
    try Self.add(NID_authority_key_identifier, "keyid", to: subject, issuer: issuer.pointer)
    if !hosts.isEmpty {
      try Self.add(
        NID_subject_alt_name, hosts.map(Self.alternativeName).joined(separator: ","), to: subject,
        issuer: issuer.pointer)
    }
    try Self.sign(subject, issuerKey.pointer)
    try Self.write(subject, certificateFile, key.pointer, keyFile)
  }

  private static func alternativeName(_ host: String) -> String {
    var address = in6_addr()
    let isAddress = inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1
    return (isAddress ? "IP:" : "DNS:") + host
  }

  /// Version, serial number, subject, key and validity.
  private static func fill(
    _ certificate: OpaquePointer, _ name: PeerCertificate, key: OpaquePointer, validDays: Int
  ) throws(CertificateError) {
    try check(X509_set_version(certificate, 2))
    var serial: UInt64 = 0
    let hasRandom = withUnsafeMutableBytes(of: &serial) { bytes in
      RAND_bytes(bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(bytes.count))
    }
    try check(hasRandom)
    try check(ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1 | 1))
    // A clock of another machine may be a little behind.
    let day = 24 * 3600
    guard X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) != nil,
      X509_gmtime_adj(X509_getm_notAfter(certificate), validDays * day) != nil
    else { throw .openSSL(openSSLError("cannot set the validity")) }
    try check(X509_set_pubkey(certificate, key))
    for (identifier, value) in [
      (NID_organizationName, name.organization), (NID_organizationalUnitName, name.organizationalUnit),
      (NID_commonName, name.commonName), (NID_userId, name.userID),
    ] {
      guard let value else { continue }
      let text = Array(value.utf8)
      try check(
        X509_NAME_add_entry_by_NID(
          X509_get_subject_name(certificate), identifier, MBSTRING_UTF8, text, Int32(text.count), -1, 0))
    }
  }

  private static func add(
    _ identifier: Int32, _ value: String, to certificate: OpaquePointer, issuer: OpaquePointer
  ) throws(CertificateError) {
    var context = X509V3_CTX()
    X509V3_set_ctx(&context, issuer, certificate, nil, nil, 0)
    guard let entry = X509V3_EXT_conf_nid(nil, &context, identifier, value) else {
      throw .openSSL(openSSLError("cannot add \(value)"))
    }
    defer { X509_EXTENSION_free(entry) }
    try check(X509_add_ext(certificate, entry, -1))
  }

  private static func sign(_ certificate: OpaquePointer, _ key: OpaquePointer) throws(CertificateError) {
    guard X509_sign(certificate, key, EVP_sha256()) > 0 else { throw .openSSL(openSSLError("cannot sign")) }
  }

  private static func write(
    _ certificate: OpaquePointer, _ certificateFile: String, _ key: OpaquePointer, _ keyFile: String,
    followedBy others: [UInt8] = []
  ) throws(CertificateError) {
    do throws(FileError) {
      try FileSystem.atomicReplace(keyFile, pem { PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) })
      try FileSystem.atomicReplace(certificateFile, pem { PEM_write_bio_X509($0, certificate) } + others)
    } catch {
      throw .file(error)
    }
  }

  private static func pem(_ write: (OpaquePointer) -> Int32) -> [UInt8] {
    guard let memory = BIO_new(BIO_s_mem()) else { return [] }
    defer { BIO_free(memory) }
    precondition(write(memory) == 1, "writing PEM to memory")
    var start: UnsafeMutablePointer<CChar>?
    let count = Int(kunlog_BIO_memory(memory, &start))
    return [UInt8](UnsafeRawBufferPointer(start: start, count: count))
  }

  private static func readPEM(
    _ path: String, _ read: (OpaquePointer) -> OpaquePointer?
  ) throws(CertificateError) -> OpaquePointer? {
    let bytes: [UInt8]
    do throws(FileError) { bytes = try FileSystem.read(path) } catch { throw .file(error) }
    guard let memory = BIO_new_mem_buf(bytes, Int32(bytes.count)) else { throw .openSSL("out of memory") }
    defer { BIO_free(memory) }
    ERR_clear_error()
    guard let object = read(memory) else {
      throw .openSSL(openSSLError("\(path) is not a PEM file of the kind wanted"))
    }
    return object
  }

  private static func check(_ result: Int32) throws(CertificateError) {
    guard result == 1 else { throw .openSSL(openSSLError("cannot make the certificate")) }
  }
}

/// An object of OpenSSL's that is freed with its owner.
private final class Handle {
  let pointer: OpaquePointer
  private let free: (OpaquePointer?) -> Void

  init(_ pointer: OpaquePointer?, _ free: @escaping (OpaquePointer?) -> Void) throws(CertificateError) {
    guard let pointer else { throw .openSSL(openSSLError("out of memory")) }
    self.pointer = pointer
    self.free = free
  }

  deinit { free(pointer) }
}
