import COpenSSL
import Glibc

/// TLS of one connection, between two blocks of memory: the socket's bytes on one side, the application's on the other.
@LoopActor
final class TLSSession {
  enum Outcome: Equatable {
    /// The handshake is done, or this many bytes were read.
    case done(Int)
    /// More bytes of the peer are needed first.
    case wantsMore
    /// The peer has ended its side in due form.
    case ended
    case failed(String)
  }

  /// Kept while the session lives: OpenSSL refers to it.
  private let context: TLSContext
  private let ssl: OpaquePointer
  private let incoming: OpaquePointer
  private let outgoing: OpaquePointer
  private(set) var isEstablished = false
  private var isReleased = false

  /// - Parameter host: the host that a client connects to; its certificate must bear it (or `serverName`).
  init(_ configuration: TLSConfiguration, _ role: TLSContext.Role, host: String?) throws(NetworkError) {
    let context = try TLSContext.load(configuration, role)
    guard let ssl = SSL_new(context.context), let incoming = BIO_new(BIO_s_mem()), let outgoing = BIO_new(BIO_s_mem())
    else { throw .tls(openSSLError("out of memory")) }
    self.context = context
    self.ssl = ssl
    self.incoming = incoming
    self.outgoing = outgoing
    SSL_set_bio(ssl, incoming, outgoing)
    if role == .server {
      SSL_set_accept_state(ssl)
      return
    }
    SSL_set_connect_state(ssl)
    guard let name = configuration.serverName ?? host else { return }
    if Self.isAddress(name) {
      if context.verifiesPeer { X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) }
    } else {
      _ = kunlog_SSL_set_server_name(ssl, name)
      if context.verifiesPeer { SSL_set1_host(ssl, name) }
    }
  }

  /// Frees the session; nothing may be called afterwards.
  func release() {
    guard !isReleased else { return }
    isReleased = true
    SSL_free(ssl)
  }

  private static func isAddress(_ host: String) -> Bool {
    var address = in6_addr()
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1
  }

  /// Takes bytes that came from the socket.
  func receive(_ bytes: UnsafeRawBufferPointer) {
    BIO_write(incoming, bytes.baseAddress, Int32(bytes.count))
  }

  /// Goes on with the handshake as far as the bytes received allow.
  func handshake() -> Outcome {
    ERR_clear_error()
    let result = SSL_do_handshake(ssl)
    guard result != 1 else {
      isEstablished = true
      return .done(0)
    }
    let verification = SSL_get_verify_result(ssl)
    if SSL_get_error(ssl, result) == SSL_ERROR_SSL, verification != Int(X509_V_OK) {
      ERR_clear_error()
      return .failed(
        "the peer's certificate is not accepted: \(String(cString: X509_verify_cert_error_string(verification)))")
    }
    return outcome(result, "handshake failed")
  }

  /// Reads decrypted bytes.
  func read(into buffer: UnsafeMutableRawBufferPointer) -> Outcome {
    ERR_clear_error()
    let result = SSL_read(ssl, buffer.baseAddress, Int32(buffer.count))
    return result > 0 ? .done(Int(result)) : outcome(result, "cannot read")
  }

  /// Encrypts all of the bytes. Nil, or what went wrong.
  func write(_ bytes: UnsafeRawBufferPointer) -> String? {
    ERR_clear_error()
    var rest = bytes
    while !rest.isEmpty {
      let result = SSL_write(ssl, rest.baseAddress, Int32(min(rest.count, 1 << 24)))
      guard result > 0 else { return openSSLError("cannot write") }
      rest = UnsafeRawBufferPointer(rebasing: rest[Int(result)...])
    }
    return nil
  }

  /// Tells the peer that nothing more follows.
  func shutdown() {
    ERR_clear_error()
    if isEstablished { SSL_shutdown(ssl) }
    ERR_clear_error()
  }

  /// Moves what is to be sent to the socket to the queue. (Reset, OpenSSL's memory would be zeroed as far as it has ever grown.)
  func moveOutput(to queue: ByteQueue) {
    let count = BIO_ctrl_pending(outgoing)
    guard count > 0 else { return }
    queue.append(maximum: count) { max(0, Int(BIO_read(outgoing, $0.baseAddress, Int32(count)))) }
  }

  /// Decrypted or not, whether bytes of the peer wait to be read.
  var hasInput: Bool { SSL_pending(ssl) > 0 || BIO_ctrl_pending(incoming) > 0 }

  /// Whom the peer's certificate is made out to; nil where it presented none, or it was not verified.
  var peerCertificate: PeerCertificate? {
    guard context.verifiesPeer, let certificate = SSL_get1_peer_certificate(ssl) else { return nil }
    defer { X509_free(certificate) }
    return PeerCertificate(certificate)
  }

  /// The application protocol agreed on.
  var negotiatedProtocol: String? {
    var bytes: UnsafePointer<UInt8>?
    var count: UInt32 = 0
    SSL_get0_alpn_selected(ssl, &bytes, &count)
    guard let bytes, count > 0 else { return nil }
    return String(decoding: UnsafeBufferPointer(start: bytes, count: Int(count)), as: UTF8.self)
  }

  private func outcome(_ result: Int32, _ what: String) -> Outcome {
    switch SSL_get_error(ssl, result) {
    case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .wantsMore
    case SSL_ERROR_ZERO_RETURN: return .ended
    default: return .failed(openSSLError(what))
    }
  }
}
