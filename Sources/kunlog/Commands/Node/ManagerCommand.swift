import ArgumentParser
import ClusterManager
import Metadata
import MetadataClient
import Monitoring

/// `kunlog manager`: watches the nodes.
struct ManagerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "manager", abstract: "Run a cluster manager.")

  @OptionGroup var node: NodeOptions

  @Option(name: .long, help: "Addresses of meta nodes: host:port,host:port,…")
  var metadata: String

  @Option(
    name: .long,
    help: "Data directory of the quick start whose supervisor starts storage nodes in the place of failed ones.")
  var quickstart: String?

  func run() async throws {
    let listen = try node.endpoint()
    var configuration = ManagerNodeConfiguration(
      nodeID: NodeID(rawValue: node.nodeID), clusterID: try node.cluster(), host: listen.host, port: listen.port,
      metadata: try MetadataEndpoint.list(metadata), tls: node.tls)
    configuration.starter = quickstart.map { QuickstartGrowth.starter($0) }
    try await NodeProcess.run(node, role: "manager") { [configuration] fail in
      let manager = ManagerNode(configuration)
      manager.onFailure = fail
      return NodeRole(
        start: { try await manager.start() }, stop: { await manager.stop() },
        monitoring: MonitoringSource(metrics: { manager.metrics }, unreadiness: { manager.unreadiness }))
    }
  }
}
