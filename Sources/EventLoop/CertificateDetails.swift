import COpenSSL
import Glibc

/// What a certificate in a file says.
package struct CertificateDetails: Sendable, Hashable {
  package var subject: PeerCertificate
  /// The common name of who issued it.
  package var issuer: String
  /// Names and addresses that it is good for.
  package var hosts: [String]
  /// Whether certificates can be issued in its name.
  package var isAuthority: Bool
  /// `2026-11-26 23:15:02 UTC`.
  package var validFrom: String
  package var validUntil: String
  /// Until it ends; negative where it has ended.
  package var secondsLeft: Int
  /// SHA-256 of the certificate, in hexadecimal digits.
  package var fingerprint: String

  /// All certificates in a PEM file, in order.
  package static func read(_ path: String) throws(CertificateError) -> [CertificateDetails] {
    let bytes: [UInt8]
    do throws(FileError) { bytes = try FileSystem.read(path) } catch { throw .file(error) }
    guard let memory = BIO_new_mem_buf(bytes, Int32(bytes.count)) else { throw .openSSL("out of memory") }
    defer { BIO_free(memory) }
    var result: [CertificateDetails] = []
    while let certificate = PEM_read_bio_X509(memory, nil, nil, nil) {
      defer { X509_free(certificate) }
      result.append(CertificateDetails(certificate))
    }
    ERR_clear_error()
    guard !result.isEmpty else { throw .openSSL("\(path) holds no certificate in PEM form") }
    return result
  }

  private init(_ certificate: OpaquePointer) {
    subject = PeerCertificate(certificate)
    issuer = PeerCertificate.only(NID_commonName, in: X509_get_issuer_name(certificate)) ?? ""
    hosts = Self.hosts(certificate)
    isAuthority = X509_check_ca(certificate) > 0
    validFrom = Self.text(X509_get0_notBefore(certificate))
    validUntil = Self.text(X509_get0_notAfter(certificate))
    var days: Int32 = 0
    var seconds: Int32 = 0
    ASN1_TIME_diff(&days, &seconds, nil, X509_get0_notAfter(certificate))
    secondsLeft = Int(days) * 86_400 + Int(seconds)
    var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var count: UInt32 = 0
    X509_digest(certificate, EVP_sha256(), &digest, &count)
    fingerprint = digest.prefix(Int(count)).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  private static func hosts(_ certificate: OpaquePointer) -> [String] {
    let position = X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1)
    guard position >= 0, let memory = BIO_new(BIO_s_mem()) else { return [] }
    defer { BIO_free(memory) }
    // As OpenSSL prints it: "DNS:localhost, IP Address:127.0.0.1".
    guard X509V3_EXT_print(memory, X509_get_ext(certificate, position), 0, 0) == 1 else { return [] }
    var start: UnsafeMutablePointer<CChar>?
    let count = Int(kunlog_BIO_memory(memory, &start))
    let text = String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
    return text.split(separator: ",").compactMap { part in
      let name = part.drop { $0 == " " }
      for prefix in ["DNS:", "IP Address:"] where name.hasPrefix(prefix) {
        return String(name.dropFirst(prefix.count))
      }
      return nil
    }
  }

  private static func text(_ time: UnsafePointer<ASN1_TIME>?) -> String {
    var parts = tm()
    guard ASN1_TIME_to_tm(time, &parts) == 1 else { return "?" }
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let date = "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
    return date + " \(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) UTC"
  }
}
