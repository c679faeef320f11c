/// What one side of a TLS connection presents and what it demands. All files are PEM.
package struct TLSConfiguration: Sendable, Hashable {
  /// The certificate (chain) that this side presents; nil for a client without one.
  package var certificateFile: String?
  /// The certificate's private key.
  package var keyFile: String?
  /// Authorities that a peer's certificate must descend from. A client without one does not verify the server unless
  /// `requirePeerCertificate` is set, in which case the system's authorities count.
  package var authorityFile: String?
  /// Whether a server demands a client's certificate (mutual TLS), and a client verifies the server's in any case.
  package var requirePeerCertificate: Bool
  /// Of a server that demands certificates: lets in also who presents none, and must prove in another way who it is. One that is
  /// presented is verified all the same.
  package var acceptsMissingPeerCertificate = false
  /// Of a client: a secret that tells the server who calls (a bearer token). It stands here because it must not leave without
  /// TLS.
  package var token: String?
  /// Application protocols in order of preference, such as `h2`; empty negotiates none.
  package var alpn: [String]
  /// The name that a server's certificate must bear, where it is not the host that is connected to.
  package var serverName: String?

  /// A configuration; a server needs at least `certificateFile` and `keyFile`.
  package init(
    certificateFile: String? = nil, keyFile: String? = nil, authorityFile: String? = nil,
    requirePeerCertificate: Bool = false, alpn: [String] = [], serverName: String? = nil
  ) {
    self.certificateFile = certificateFile
    self.keyFile = keyFile
    self.authorityFile = authorityFile
    self.requirePeerCertificate = requirePeerCertificate
    self.alpn = alpn
    self.serverName = serverName
  }
}
