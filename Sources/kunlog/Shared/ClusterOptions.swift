import ArgumentParser
import EventLoop
import FoundationEssentials
import Metadata
import MetadataClient

/// How an operator's command finds the cluster: the data directory of a quick start, or addresses and a certificate.
struct ClusterOptions: ParsableArguments {
  @Option(name: .long, help: "Data directory of a quick start.")
  var data: String?

  @Option(name: .long, help: "Addresses of meta nodes: host:port,host:port,…")
  var endpoints: String?

  @Option(name: .long, help: "Certificate that proves who you are (PEM).")
  var certificate: String?

  @Option(name: .long, help: "Private key of the certificate (PEM).")
  var key: String?

  @Option(name: .long, help: "Certificate of the cluster's authority (PEM).")
  var authority: String?

  @Option(name: .long, help: "File with a token, instead of a certificate; or KUNLOG_TOKEN in the environment.")
  var tokenFile: String?

  func validate() throws {
    guard data != nil || endpoints != nil else {
      throw ValidationError(
        "Say which cluster: --data DIR of a quick start, or --endpoints HOST:PORT,… with --certificate, --key and --authority."
      )
    }
    if endpoints != nil, data == nil, authority == nil || (!hasToken && (certificate == nil || key == nil)) {
      throw ValidationError(
        "--endpoints needs --authority, and --certificate with --key or a token (--token-file, KUNLOG_TOKEN).")
    }
  }

  private static var environmentToken: String? {
    ProcessInfo.processInfo.environment["KUNLOG_TOKEN"].flatMap { $0.isEmpty ? nil : $0 }
  }

  private var hasToken: Bool { tokenFile != nil || Self.environmentToken != nil }

  /// A file's token counts before a certificate, a certificate before the environment's token.
  private func token() throws -> String? {
    if let tokenFile {
      let text = try FileSystem.readText(tokenFile).filter { !$0.isWhitespace }
      guard !text.isEmpty else { throw ValidationError("\(tokenFile) holds no token.") }
      return text
    }
    return certificate == nil ? Self.environmentToken : nil
  }

  /// Addresses of meta nodes, to begin with: those that were heard of last, and those that the cluster began with.
  func metaEndpoints() throws -> [MetadataEndpoint] {
    if let endpoints { return try MetadataEndpoint.list(endpoints) }
    return try QuickstartDirectory(path: data!).metaEndpoints()
  }

  /// Where meta nodes that were heard of are kept for the next command; nil where there is no place for that.
  private var endpointsFile: String? {
    endpoints == nil ? data.map { QuickstartDirectory(path: $0).metaEndpointsFile } : nil
  }

  /// Keeps the meta nodes for the next command.
  func remember(_ endpoints: [MetadataEndpoint]) {
    guard let endpointsFile else { return }
    EndpointFile.write(endpoints, to: endpointsFile)
  }

  /// The identity that this command shows to the nodes.
  func tls() throws -> TLSConfiguration {
    if let token = try token() {
      var result = TLSConfiguration(
        authorityFile: authority ?? data.map { QuickstartDirectory(path: $0).authorityFile },
        requirePeerCertificate: true, alpn: ["h2"])
      result.token = token
      return result
    }
    if let certificate, let key, let authority {
      return TLSConfiguration.node(certificateFile: certificate, keyFile: key, authorityFile: authority)
    }
    let directory = QuickstartDirectory(path: data!)
    return TLSConfiguration.node(
      certificateFile: directory.certificateFile("operator"), keyFile: directory.keyFile("operator"),
      authorityFile: directory.authorityFile)
  }

  /// A client whose image has arrived.
  /// - Throws: where no meta node answers in time.
  @LoopActor
  func connect(principal: String, timeoutMilliseconds: Int = 5000) async throws -> MetadataClient {
    let endpoints = try metaEndpoints()
    var configuration = MetadataClient.Configuration(endpoints: endpoints, tls: try tls(), principal: principal)
    configuration.endpointsFile = endpointsFile
    let client = MetadataClient(configuration)
    client.start()
    let limit = LoopTimer(afterMilliseconds: timeoutMilliseconds) { client.stop() }
    await client.ready()
    limit.cancel()
    if let reason = client.outdated { throw ValidationError("This program is too old: \(reason)") }
    guard client.isReady else {
      let names = endpoints.map(\.description).joined(separator: ", ")
      throw ValidationError(
        "No meta node answers at \(names) within \(timeoutMilliseconds / 1000) s. Is the cluster running? "
          + "(kunlog quickstart status --data DIR)")
    }
    return client
  }
}

extension MetadataEndpoint {
  /// `host:port,host:port,…`
  static func list(_ text: String) throws -> [MetadataEndpoint] {
    try Endpoint.list(text).map { MetadataEndpoint(host: $0.host, port: $0.port) }
  }
}
