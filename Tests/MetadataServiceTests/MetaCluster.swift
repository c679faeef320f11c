import EventLoop
import Metadata
import MetadataClient
import MetadataService
import Raft
import Testing

/// Meta nodes in this process, on loopback, with data below a directory of their own.
@LoopActor
final class MetaCluster {
  static let id = ClusterID(rawValue: [UInt8](repeating: 9, count: 16))

  let directory: String
  private(set) var nodes: [MetaNode?] = []
  private var configurations: [MetaNodeConfiguration] = []
  private var clients: [MetadataClient] = []
  private var groups: [ReplicationGroupClient] = []

  /// Starts `count` nodes and waits for their leader.
  static func start(
    _ count: Int = 3, keptEntries: UInt64 = 50_000, recentBytes: Int = 4_194_304,
    adjust: (inout MetaNodeConfiguration) -> Void = { _ in }
  ) async throws -> MetaCluster {
    let cluster = try MetaCluster(count, keptEntries: keptEntries, recentBytes: recentBytes)
    for index in cluster.configurations.indices { adjust(&cluster.configurations[index]) }
    for index in 0..<count { try await cluster.start(index) }
    try await cluster.eventually { cluster.leader != nil }
    return cluster
  }

  private init(_ count: Int, keptEntries: UInt64, recentBytes: Int) throws {
    directory = "/tmp/kunlog-metadata-tests-\(UInt64.random(in: 0...UInt64.max))"
    let members = MetaCluster.freePorts(count).enumerated().map { index, port in
      MetaNodeConfiguration.Member(nodeID: Metadata.NodeID(rawValue: UInt64(index + 1)), host: "127.0.0.1", port: port)
    }
    for member in members {
      var configuration = MetaNodeConfiguration(
        clusterID: MetaCluster.id, nodeID: member.nodeID, members: members,
        dataDirectory: "\(directory)/meta\(member.nodeID)", host: member.host, port: member.port)
      configuration.keptEntries = keptEntries
      configuration.recentBytes = recentBytes
      // Beside other tests on few cores, nobody is to lose the leadership for being slow.
      configuration.raft.electionTimeoutMilliseconds = 600
      configurations.append(configuration)
      nodes.append(nil)
    }
  }

  /// Ports that are free now, each held until all are known. Below those that the system gives to outgoing connections, which
  /// could take one before its node listens.
  private static func freePorts(_ count: Int) -> [Int] {
    var listeners: [TCPListener] = []
    while listeners.count < count {
      let port = Int.random(in: 11_000..<32_000)
      if let listener = try? TCPListener(host: "127.0.0.1", port: port, onConnection: { $0.close() }) {
        listeners.append(listener)
      }
    }
    let ports = listeners.map(\.port)
    for listener in listeners { listener.close() }
    return ports
  }

  func start(_ index: Int) async throws {
    let node = MetaNode(configurations[index])
    try await node.start()
    nodes[index] = node
  }

  /// Starts one more node, which waits to be added. Its index; its id is the index + 1.
  func join() async throws -> Int {
    let port = MetaCluster.freePorts(1)[0]
    let id = Metadata.NodeID(rawValue: UInt64(nodes.count + 1))
    var configuration = MetaNodeConfiguration(
      clusterID: MetaCluster.id, nodeID: id, members: [], dataDirectory: "\(directory)/meta\(id)", host: "127.0.0.1",
      port: port)
    configuration.raft.electionTimeoutMilliseconds = 600
    configurations.append(configuration)
    nodes.append(nil)
    try await start(nodes.count - 1)
    return nodes.count - 1
  }

  /// An operator's client of the first nodes.
  func group() -> ReplicationGroupClient {
    let client = ReplicationGroupClient(endpoints: Array(endpoints.prefix(3)), tls: nil, clusterID: MetaCluster.id)
    groups.append(client)
    return client
  }

  func stop(_ index: Int) async {
    await nodes[index]?.stop()
    nodes[index] = nil
  }

  func stop() async {
    for client in clients { client.stop() }
    for group in groups { group.close() }
    for index in nodes.indices { await stop(index) }
    try? FileSystem.remove(directory)
  }

  /// The index of the node that leads and may decide.
  var leader: Int? { nodes.firstIndex { $0?.status.isReady == true } }

  var endpoints: [MetadataEndpoint] {
    configurations.map { MetadataEndpoint(host: $0.host, port: $0.port) }
  }

  /// A client that is ready; of one node only where that is said.
  func client(of node: Int? = nil) async -> MetadataClient {
    var configuration = MetadataClient.Configuration(
      endpoints: node.map { [endpoints[$0]] } ?? endpoints, principal: "tester", clusterID: MetaCluster.id)
    // Beside other tests on few cores, a change may take long.
    configuration.appendTimeoutMilliseconds = 60_000
    let client = MetadataClient(configuration)
    clients.append(client)
    client.start()
    await client.ready()
    return client
  }

  /// A client of a cluster that has its first record.
  func bootstrapped() async throws -> MetadataClient {
    let client = await client()
    _ = try await client.append([
      .createCluster(ClusterDraft(id: MetaCluster.id, name: "test", roleName: "abc", roleVerifier: nil)),
      .registerNode(
        NodeDefinition(id: Metadata.NodeID(rawValue: 11), role: .storage, name: "s", host: "127.0.0.1", port: 1)),
      .createShard(ShardDraft(replicas: [Metadata.NodeID(rawValue: 11)])),
    ])
    return client
  }

  func eventually(_ condition: @LoopActor () -> Bool) async throws {
    let deadline = Loop.now + 60_000_000_000
    while !condition() {
      try #require(Loop.now < deadline, "it did not happen within 60 s")
      try await loopSleep(milliseconds: 5)
    }
  }
}

/// Runs the body with a cluster, and stops it however the body ends.
@LoopActor
func withMetaCluster(
  _ count: Int = 3, keptEntries: UInt64 = 50_000, recentBytes: Int = 4_194_304,
  adjust: (inout MetaNodeConfiguration) -> Void = { _ in }, _ body: @LoopActor (MetaCluster) async throws -> Void
) async throws {
  let cluster = try await MetaCluster.start(
    count, keptEntries: keptEntries, recentBytes: recentBytes, adjust: adjust)
  do { try await body(cluster) } catch {
    await cluster.stop()
    throw error
  }
  await cluster.stop()
}

func table(_ name: String) -> Command {
  .createTable(
    TableDraft(
      schemaID: WellKnown.publicSchema, name: name, ownerID: WellKnown.firstRole,
      columns: [ColumnDraft(name: "id", type: .int4)]))
}
