import ArgumentParser
import EventLoop
import Metadata
import MetadataClient
import Monitoring
import SQLiteEngine
import StorageNode

/// `kunlog storage`: one replica of one shard.
struct StorageCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "storage", abstract: "Run a storage node.")

  @OptionGroup var node: NodeOptions

  @Option(name: .long, help: "Data directory.")
  var data: String

  @Option(name: .long, help: "The shard that this node serves.")
  var shard: UInt32

  @Option(name: .long, help: "Addresses of meta nodes: host:port,host:port,…")
  var metadata: String

  @Option(
    name: .long, parsing: .singleValue, help: "A storage node of the shard, itself included: id=host:port. Repeat.")
  var member: [Member]

  func run() async throws {
    let listen = try node.endpoint()
    let configuration = StorageNodeConfiguration(
      clusterID: try node.cluster(), shardID: ShardID(rawValue: shard), nodeID: NodeID(rawValue: node.nodeID),
      members: member.map { .init(id: NodeID(rawValue: $0.id), host: $0.endpoint.host, port: $0.endpoint.port) },
      dataDirectory: data, host: listen.host, port: listen.port, tls: node.tls,
      tune: { [mayBegin = !node.existing] in $0.mayBegin = mayBegin })
    let endpoints = try MetadataEndpoint.list(metadata)
    let name = node.name
    try await NodeProcess.run(node, role: "storage") { [tls = node.tls] fail in
      var metadata = MetadataClient.Configuration(
        endpoints: endpoints, tls: tls, principal: name, clusterID: configuration.clusterID)
      metadata.endpointsFile = configuration.dataDirectory + "/meta-nodes"
      let client = MetadataClient(metadata)
      let engine = SQLiteEngine(SQLiteEngineConfiguration(directory: configuration.engineDirectory))
      let storage = StorageNode(configuration, engine: engine, feed: FollowedMetadata(client))
      storage.onFailure = fail
      client.onOutdated = fail
      return NodeRole(
        start: {
          client.start()
          try await storage.start()
        },
        stop: {
          await storage.stop()
          client.stop()
        },
        monitoring: MonitoringSource(
          metrics: {
            var set = await storage.metrics()
            set.add(client.metrics)
            return set
          }, unreadiness: { storage.unreadiness }))
    }
  }
}
