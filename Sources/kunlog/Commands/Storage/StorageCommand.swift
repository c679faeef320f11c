import ArgumentParser
import EventLoop
import Metadata
import MetadataClient

/// `kunlog storage`: runs a storage node, or looks after the replicas of shards.
struct StorageCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "storage", abstract: "Run a storage node, or look after the replicas of shards.",
    subcommands: [StorageRun.self, StorageList.self, StorageAdd.self, StorageRemove.self, StorageRebuild.self],
    defaultSubcommand: StorageRun.self)
}

/// What every command about a shard's replicas takes.
struct ReplicaOptions: ParsableArguments {
  @OptionGroup var cluster: ClusterOptions

  @Option(name: .long, help: "Give up after so many seconds; what was begun can be taken up again.")
  var timeout = 600

  func validate() throws {
    guard (1...86_400).contains(timeout) else { throw ValidationError("--timeout is between 1 and 86400 seconds.") }
  }
}

/// `kunlog storage list`.
struct StorageList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Show the replicas of a shard as its leader knows them, how far each has come, and what its disk has.")

  @OptionGroup var options: ReplicaOptions

  @Option(name: .long, help: "The shard: its number or its name.")
  var shard: String

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  @LoopActor
  func run() async throws {
    try await ShardReplicas.run(options) { client in
      let group = try ShardReplicas(options, client, try client.image.requireShard(shard))
      defer { group.close() }
      let membership = try await group.goals.membership()
      let usages = try ShardUsages(client, options.cluster)
      defer { usages.close() }
      let report = MembershipReport(membership, spaces: await usages.spaces(of: membership.members.map(\.nodeID)))
      print(json ? report.json : report.table)
    }
  }
}

/// A shard's replication group, as commands work on it.
@LoopActor
struct ShardReplicas {
  let id: ShardID
  let goals: GroupOperator
  private let group: ReplicationGroupClient
  private let client: MetadataClient

  /// How long a node may take to say to the log that it is there.
  private static let patienceMilliseconds = 30_000

  /// Runs a command's body with a client that knows all that was recorded before.
  static func run(_ options: ReplicaOptions, _ body: @LoopActor (MetadataClient) async throws -> Void) async throws {
    let client = try await options.cluster.connect(principal: "operator")
    defer { client.stop() }
    try await client.catchUp()
    try await body(client)
  }

  init(_ options: ReplicaOptions, _ client: MetadataClient, _ id: ShardID) throws {
    let nodes = (client.image.shards[id]?.replicas ?? []).compactMap { client.image.nodes[$0] }
    guard !nodes.isEmpty else { throw CommandFailure(description: "Shard \(id) has no replicas.") }
    self.id = id
    self.client = client
    group = ReplicationGroupClient(
      endpoints: nodes.map { MetadataEndpoint(host: $0.host, port: $0.port) }, tls: try options.cluster.tls(),
      clusterID: client.image.clusterID)
    goals = GroupOperator(client: group, words: .shard(id), timeoutSeconds: options.timeout) {
      StandardStream.error.write($0 + "\n")
    }
  }

  func close() { group.close() }

  /// Fails where the members could not be changed.
  static func check(_ image: Image) throws {
    guard image.featureLevel >= FeatureLevel.coordination else {
      throw CommandFailure(
        description:
          "The replicas of shards cannot be changed at feature level \(image.featureLevel). Upgrade all nodes, "
          + "then: kunlog cluster upgrade.")
    }
  }

  /// Waits until the log knows the new node, which tells it so itself.
  func awaitRegistered(_ node: NodeID, at endpoint: MetadataEndpoint, logs: String?) async throws -> NodeDefinition {
    let deadline = Loop.now + UInt64(Self.patienceMilliseconds) * 1_000_000
    while true {
      if let known = client.image.nodes[node] {
        guard known.role == .storage, known.host == endpoint.host, known.port == endpoint.port else {
          throw CommandFailure(
            description:
              "Node \(node) is \(known.name) at \(known.host):\(known.port). A node's number is never used twice.")
        }
        return known
      }
      guard !client.image.removedNodes.contains(node) else {
        throw CommandFailure(description: "Node \(node) was removed, and its number is never used again.")
      }
      guard Loop.now < deadline else {
        throw CommandFailure(
          description:
            "Node \(node) has not come into the metadata log within \(Self.patienceMilliseconds / 1000) s: is it "
            + "started? (\(GroupWords.shard(id).start(node, endpoint.description))) Repeat the command when it runs."
            + (logs.map { " Its log: \($0)" } ?? ""))
      }
      try await loopSleep(milliseconds: 50)
    }
  }

  /// The replicas as the log has them, once it has what was done.
  func replicas() async throws -> String {
    try await client.catchUp()
    return (client.image.shards[id]?.replicas ?? []).map { client.image.nodes[$0]?.name ?? "\($0)" }.joined(
      separator: ", ")
  }
}

extension Image {
  /// A storage node by its number or its name.
  func requireStorageNode(_ text: String) throws -> NodeDefinition {
    let found = UInt64(text).flatMap { nodes[NodeID(rawValue: $0)] } ?? nodes.values.first { $0.name == text }
    guard let node = found else {
      if let number = UInt64(text), removedNodes.contains(NodeID(rawValue: number)) {
        throw CommandFailure(description: "Node \(number) was removed already.")
      }
      let all = nodes.values.filter { $0.role == .storage }.sorted { $0.id < $1.id }
      throw CommandFailure(
        description: "There is no storage node \(text). Storage nodes: "
          + all.map { "\($0.name) (\($0.id))" }.joined(separator: ", ") + ".")
    }
    guard node.role == .storage else {
      throw CommandFailure(
        description: "\(node.name) is a \(node.role) node, not a storage node."
          + (node.role == .meta ? " See kunlog meta member." : node.role == .compute ? " See kunlog compute." : ""))
    }
    return node
  }

  /// The shard that a storage node is a replica of.
  func shard(of node: NodeID) -> ShardDefinition? { shards.values.first { $0.replicas.contains(node) } }
}
