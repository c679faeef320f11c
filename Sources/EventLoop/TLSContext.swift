import COpenSSL
import Glibc
import Logging

/// Certificates, keys and rules of one configuration in one role, loaded once and shared by its connections.
///
/// A renewed file counts for the next connection; those that are open go on. Where what is in the files now cannot be used, the
/// next connection gets what was loaded before, and the log says so.
@LoopActor
final class TLSContext {
  enum Role: Hashable {
    case client
    case server
  }

  private struct Key: Hashable {
    let configuration: TLSConfiguration
    let role: Role
  }

  private struct Loaded {
    /// Of the files that were tried last.
    var versions: [FileVersion]
    var context: TLSContext
  }

  private static var loaded: [Key: Loaded] = [:]
  private static let logger = Logger(label: "tls")

  let role: Role
  /// Unsafe: OpenSSL counts the references to it, from any thread; all else is confined to the loop.
  nonisolated(unsafe) let context: OpaquePointer
  let verifiesPeer: Bool
  /// The protocols in the form of ALPN: each preceded by its length.
  let protocols: [UInt8]

  /// The context of a configuration, as its files are now.
  /// - Throws: where they cannot be used, and never could since this process began.
  static func load(_ configuration: TLSConfiguration, _ role: Role) throws(NetworkError) -> TLSContext {
    var shared = configuration
    // Neither is a matter of the context.
    shared.token = nil
    shared.serverName = nil
    let key = Key(configuration: shared, role: role)
    let files = [configuration.certificateFile, configuration.keyFile, configuration.authorityFile].compactMap { $0 }
    let versions = files.map(FileVersion.init)
    let known = loaded[key]
    if let known, known.versions == versions { return known.context }
    do throws(NetworkError) {
      let context = try TLSContext(shared, role)
      loaded[key] = Loaded(versions: versions, context: context)
      if known != nil { logger.notice("loaded anew: \(files.joined(separator: ", "))") }
      return context
    } catch {
      guard let known else { throw error }
      loaded[key]?.versions = versions
      logger.error(
        "\(error); what was loaded before stays in use until \(files.joined(separator: ", ")) can be used again")
      return known.context
    }
  }

  /// The files of all that is in use, as they are watched for renewal.
  static var files: (certificates: Set<String>, authorities: Set<String>) {
    (
      Set(loaded.keys.compactMap(\.configuration.certificateFile)),
      Set(loaded.keys.compactMap(\.configuration.authorityFile))
    )
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
    // From here on `deinit` frees it, also where this fails.
    try loadFiles(configuration)
    negotiateProtocol()
  }

  deinit { SSL_CTX_free(context) }

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
    let demands = role == .server && !configuration.acceptsMissingPeerCertificate
    let mode =
      verifiesPeer ? SSL_VERIFY_PEER | (demands ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0) : SSL_VERIFY_NONE
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
    // Each session holds its context, so an unretained reference stays good.
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

/// Tells a file from what replaces it, however soon; all zero where there is none.
struct FileVersion: Hashable {
  private var inode: UInt64 = 0
  private var sizeBytes: Int64 = 0
  private var changedNanoseconds: Int64 = 0

  init(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return }
    inode = UInt64(status.st_ino)
    sizeBytes = Int64(status.st_size)
    changedNanoseconds = Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
  }
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
