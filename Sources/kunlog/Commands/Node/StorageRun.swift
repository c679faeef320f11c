import ArgumentParser
import EventLoop
import Metadata
import MetadataClient
import Monitoring
import SQLiteEngine
import StorageNode

/// `kunlog storage [run]`: one replica of one shard.
struct StorageRun: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "run", abstract: "Run a storage node.")

  @OptionGroup var node: NodeOptions

  @Option(name: .long, help: "Data directory.")
  var data: String

  @Option(name: .long, help: "The shard that this node serves.")
  var shard: UInt32

  @Option(name: .long, help: "Addresses of meta nodes: host:port,host:port,…")
  var metadata: String

  @Option(
    name: .long, parsing: .singleValue,
    help: "A storage node that the shard starts with, itself included: id=host:port. Repeat.")
  var member: [Member] = []

  @Flag(
    name: .long,
    help: "The shard exists: this node waits until 'kunlog storage add' or 'rebuild' names it.")
  var join = false

  func validate() throws {
    guard join != !member.isEmpty else {
      throw ValidationError(
        join
          ? "Leave --member out with --join: a node that comes in is told of the others by their leader."
          : "Say whom the shard starts with (--member, for each of them), or --join where it exists already.")
    }
    guard join || member.contains(where: { $0.id == node.nodeID }) else {
      throw ValidationError("The shard starts without this node: no --member \(node.nodeID)=HOST:PORT.")
    }
  }

  func run() async throws {
    let listen = try node.endpoint()
    let configuration = StorageNodeConfiguration(
      clusterID: try node.cluster(), shardID: ShardID(rawValue: shard), nodeID: NodeID(rawValue: node.nodeID),
      members: member.map { .init(id: NodeID(rawValue: $0.id), host: $0.endpoint.host, port: $0.endpoint.port) },
      dataDirectory: data, host: listen.host, port: listen.port, name: node.name, tls: node.tls,
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
        failureCode: { storage.isRemoved ? removedExitCode : 1 },
        monitoring: MonitoringSource(
          metrics: {
            var set = await storage.metrics()
            set.add(client.metrics)
            return set
          }, unreadiness: { storage.unreadiness }))
    }
  }
}
