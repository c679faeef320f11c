import EventLoop

extension TLSConfiguration {
  /// What one node shows to another, and demands of it: certificates of the same authority on both sides.
  static func node(certificateFile: String, keyFile: String, authorityFile: String) -> TLSConfiguration {
    TLSConfiguration(
      certificateFile: certificateFile, keyFile: keyFile, authorityFile: authorityFile, requirePeerCertificate: true,
      alpn: ["h2"])
  }
}
