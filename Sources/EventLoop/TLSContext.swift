import COpenSSL
import Glibc

/// Certificates, keys and rules of one configuration in one role, loaded once and shared by its connections.
@LoopActor
final class TLSContext {
  enum Role: Hashable {
    case client
    case server
  }

  private struct Key: Hashable {
    let configuration: TLSConfiguration
    let role: Role
    /// Times of change of the files, so that a renewed certificate counts for the next connection.
    let versions: [Int64]
  }

  /// Never released: there are as many as there are configurations and renewals.
  private static var cache: [Key: TLSContext] = [:]

  let role: Role
  let context: OpaquePointer
  let verifiesPeer: Bool
  /// The protocols in the form of ALPN: each preceded by its length.
  let protocols: [UInt8]

  /// The context of a configuration, from the cache where its files have not changed.
  static func load(_ configuration: TLSConfiguration, _ role: Role) throws(NetworkError) -> TLSContext {
    let files = [configuration.certificateFile, configuration.keyFile, configuration.authorityFile]
    let key = Key(configuration: configuration, role: role, versions: files.map { $0.map(modificationTime) ?? 0 })
    if let known = cache[key] { return known }
    let context = try TLSContext(configuration, role)
    cache[key] = context
    return context
  }

  private init(_ configuration: TLSConfiguration, _ role: Role) throws(NetworkError) {
    guard let context = SSL_CTX_new(role == .server ? TLS_server_method() : TLS_client_method()) else {
      throw .tls(openSSLError("no context"))
    }
    self.role = role
    self.context = context
    protocols = configuration.alpn.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
    verifiesPeer =
      configuration.requirePeerCertificate || (role == .client && configuration.authorityFile != nil)
    ERR_clear_error()
    _ = kunlog_SSL_CTX_require_tls12(context)
    kunlog_SSL_CTX_release_buffers(context)
    kunlog_SSL_CTX_disable_resumption(context)
    do throws(NetworkError) {
      try loadFiles(configuration)
    } catch {
      SSL_CTX_free(context)
      throw error
    }
    negotiateProtocol()
  }

  private func loadFiles(_ configuration: TLSConfiguration) throws(NetworkError) {
    if let file = configuration.certificateFile {
      guard SSL_CTX_use_certificate_chain_file(context, file) == 1 else {
        throw .tls(openSSLError("cannot read the certificate \(file)"))
      }
      let keyFile = configuration.keyFile ?? file
      guard SSL_CTX_use_PrivateKey_file(context, keyFile, SSL_FILETYPE_PEM) == 1 else {
        throw .tls(openSSLError("cannot read the private key \(keyFile)"))
      }
      guard SSL_CTX_check_private_key(context) == 1 else {
        throw .tls("the private key \(keyFile) does not belong to the certificate \(file)")
      }
    } else if role == .server {
      throw .tls("a server needs a certificate")
    }
    if let file = configuration.authorityFile {
      guard SSL_CTX_load_verify_locations(context, file, nil) == 1 else {
        throw .tls(openSSLError("cannot read the authority's certificate \(file)"))
      }
      if role == .server { SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(file)) }
    } else if verifiesPeer {
      SSL_CTX_set_default_verify_paths(context)
    }
    let mode =
      verifiesPeer ? SSL_VERIFY_PEER | (role == .server ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0) : SSL_VERIFY_NONE
    SSL_CTX_set_verify(context, mode, nil)
  }

  private func negotiateProtocol() {
    guard !protocols.isEmpty else { return }
    if role == .client {
      protocols.withUnsafeBufferPointer { bytes in
        _ = SSL_CTX_set_alpn_protos(context, bytes.baseAddress, UInt32(bytes.count))
      }
      return
    }
    // Contexts are never released, so an unretained reference stays good.
    let reference = Unmanaged.passUnretained(self).toOpaque()
    SSL_CTX_set_alpn_select_cb(
      context,
      { _, selected, selectedLength, offered, offeredLength, reference in
        guard let reference, let selected, let selectedLength, let offered else { return SSL_TLSEXT_ERR_NOACK }
        let context = Unmanaged<TLSContext>.fromOpaque(reference).takeUnretainedValue()
        let peer = UnsafeBufferPointer(start: offered, count: Int(offeredLength))
        guard let range = context.choose(from: peer) else { return SSL_TLSEXT_ERR_NOACK }
        selected.pointee = offered + range.lowerBound
        selectedLength.pointee = UInt8(range.count)
        return SSL_TLSEXT_ERR_OK
      }, reference)
  }

  /// Where in the peer's list the first of our protocols stands that it offers.
  private nonisolated func choose(from offered: UnsafeBufferPointer<UInt8>) -> Range<Int>? {
    func names(_ list: UnsafeBufferPointer<UInt8>) -> [Range<Int>] {
      var ranges: [Range<Int>] = []
      var position = 0
      while position < list.count {
        let end = position + 1 + Int(list[position])
        guard end <= list.count else { break }
        ranges.append(position + 1..<end)
        position = end
      }
      return ranges
    }
    return protocols.withUnsafeBufferPointer { own in
      let candidates = names(offered)
      for name in names(own) {
        if let match = candidates.first(where: { offered[$0].elementsEqual(own[name]) }) { return match }
      }
      return nil
    }
  }
}

/// The file's time of change in nanoseconds; 0 where there is none.
private func modificationTime(_ path: String) -> Int64 {
  var status = stat()
  guard stat(path, &status) == 0 else { return 0 }
  return Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec)
}

/// The text with the reason that OpenSSL queued for this thread, if any; empties the queue.
func openSSLError(_ what: String) -> String {
  let code = ERR_get_error()
  ERR_clear_error()
  guard code != 0 else { return what }
  // Errors of the system carry a flag instead of a library's number.
  if code & 0x8000_0000 != 0 { return "\(what): \(String(cString: strerror(Int32(code & 0x7FFF_FFFF))))" }
  if let reason = ERR_reason_error_string(code) { return "\(what): \(String(cString: reason))" }
  return "\(what): error \(code)"
}
