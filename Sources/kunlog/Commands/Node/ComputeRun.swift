import ArgumentParser
import ComputeNode
import EventLoop
import Metadata
import MetadataClient
import Monitoring

/// `kunlog compute [run]`: takes clients, plans and runs their statements.
struct ComputeRun: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "run", abstract: "Run a compute node.")

  @OptionGroup var node: NodeOptions

  @Option(name: .long, help: "Data directory; nothing is kept there but the addresses of the meta nodes.")
  var data: String

  @Option(name: .long, help: "Addresses of meta nodes: host:port,host:port,…")
  var metadata: String

  @Option(name: .long, help: "Where PostgreSQL's clients connect: host:port.")
  var postgres: String

  func run() async throws {
    let listen = try node.endpoint()
    let postgres = try Endpoint(postgres)
    // Clients may use TLS with the node's own certificate; they are not asked for one of theirs.
    var configuration = ComputeNodeConfiguration(
      nodeID: NodeID(rawValue: node.nodeID), name: node.name, clusterID: try node.cluster(), host: listen.host,
      port: listen.port, postgresHost: postgres.host, postgresPort: postgres.port,
      metadataEndpoints: try MetadataEndpoint.list(metadata), nodeTLS: node.tls,
      clientTLS: TLSConfiguration(certificateFile: node.certificate, keyFile: node.key))
    configuration.metadataEndpointsFile = data + "/meta-nodes"
    try? FileSystem.createDirectory(data)
    try await NodeProcess.run(node, role: "compute") { [configuration] fail in
      let compute = ComputeNode(configuration)
      compute.onFailure = fail
      return NodeRole(
        start: { try await compute.start() }, stop: { await compute.stop() },
        failureCode: { compute.isRemoved ? removedExitCode : 1 },
        monitoring: MonitoringSource(metrics: { compute.metrics }, unreadiness: { compute.unreadiness }))
    }
  }
}
