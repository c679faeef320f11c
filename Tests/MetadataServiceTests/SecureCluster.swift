import AccessControl
import EventLoop
import Metadata
import MetadataService
import MetadataWire
import ProtocolMetadata
import RPC
import Testing

/// One meta node behind TLS, and an authority that can make a caller of any kind.
@LoopActor
final class SecureCluster {
  let directory: String
  let authority: CertificateAuthority
  private(set) var cluster: MetaCluster!
  private var channels: [RPCChannel] = []

  static func start() async throws -> SecureCluster {
    let secure = try SecureCluster()
    let tls = try secure.tls("meta-1", .meta, 1)
    secure.cluster = try await MetaCluster.start(1, adjust: { $0.tls = tls })
    let admin = secure.channel(try secure.tls("bootstrap", .admin, nil))
    let answer = try await secure.append([sample(.createCluster)], over: admin)
    guard case .appended = answer.kind else { throw RPCError(.internalError, "\(answer)") }
    return secure
  }

  private init() throws {
    directory = "/tmp/kunlog-secure-tests-\(UInt64.random(in: 0...UInt64.max))"
    try FileSystem.createDirectory(directory)
    authority = try CertificateAuthority.create(
      commonName: "test authority", certificateFile: directory + "/ca.pem", keyFile: directory + "/ca.key")
  }

  func stop() async {
    for channel in channels { channel.close() }
    await cluster?.stop()
    try? FileSystem.remove(directory)
  }

  /// What a caller shows whose certificate is made out so.
  func tls(_ name: String, _ role: AccessRole, _ node: UInt64?) throws -> TLSConfiguration {
    let identity = try #require(AccessIdentity(name: name, role: role, nodeID: node.map(NodeID.init(rawValue:))))
    return try tls(name, identity.subject)
  }

  func tls(_ file: String, _ subject: PeerCertificate) throws -> TLSConfiguration {
    try authority.issue(subject, certificateFile: "\(directory)/\(file).pem", keyFile: "\(directory)/\(file).key")
    return TLSConfiguration(
      certificateFile: "\(directory)/\(file).pem", keyFile: "\(directory)/\(file).key",
      authorityFile: "\(directory)/ca.pem", requirePeerCertificate: true, alpn: ["h2"])
  }

  /// What a bearer of a token shows.
  func tls(token: String) -> TLSConfiguration {
    var result = TLSConfiguration(
      authorityFile: "\(directory)/ca.pem", requirePeerCertificate: true, alpn: ["h2"])
    result.token = token
    return result
  }

  func channel(_ tls: TLSConfiguration?) -> RPCChannel {
    let endpoint = cluster.endpoints[0]
    let channel = RPCChannel(host: endpoint.host, port: endpoint.port, tls: tls)
    channels.append(channel)
    return channel
  }

  /// A caller of the role; nodes have number 50.
  func channel(_ role: AccessRole) throws -> RPCChannel {
    channel(try tls("a-\(role.rawValue)", role, role.isNode ? 50 : nil))
  }

  func append(
    _ commands: [Command], over channel: RPCChannel, claiming principal: String = ""
  ) async throws(RPCError) -> Kunlog_Metadata_V1_AppendResponse {
    try await channel.unary(
      RPCMethod<Kunlog_Metadata_V1_AppendRequest, Kunlog_Metadata_V1_AppendResponse>(
        service: "kunlog.metadata.v1.Metadata", method: "Append"),
      AppendRequest(principal: principal, commands: commands).wire(clusterID: MetaCluster.id),
      timeoutMilliseconds: 10_000)
  }

  /// How a call of no content to any method ends.
  /// - Parameter timeoutMilliseconds: short for one that goes on for ever where it is let in.
  func outcome(_ path: String, over channel: RPCChannel, timeoutMilliseconds: Int = 20_000) async -> RPCError? {
    let method = RPCMethod<Kunlog_Metadata_V1_StatusRequest, Kunlog_Metadata_V1_StatusResponse>(path: path)
    let reader = channel.serverStream(method, .init(), timeoutMilliseconds: timeoutMilliseconds)
    do throws(RPCError) {
      while try await reader.next() != nil {}
      return nil
    } catch { return error }
  }
}

@LoopActor
func withSecureCluster(_ body: @LoopActor (SecureCluster) async throws -> Void) async throws {
  let cluster = try await SecureCluster.start()
  do { try await body(cluster) } catch {
    await cluster.stop()
    throw error
  }
  await cluster.stop()
}
