import ArgumentParser
import EventLoop
import Metadata
import MetadataClient
import RPC
import StorageWire

/// `kunlog shard add`.
struct ShardAdd: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Add a shard to a running cluster.",
    discussion: """
      With --data DIR of a quick start, its supervisor starts the new storage nodes and keeps them running. Elsewhere start them by \
      hand first (kunlog storage --shard N --member …, each with its certificate), and name them here: \
      --member 31=host:port --member 32=host:port --member 33=host:port

      The new shard is empty: new tables go to the shard that has the fewest, and kunlog table move brings others there. A shard of \
      another class than hot (--class cold) takes only what belongs to that class: tables with WITH (shard_class = cold), and \
      partitions that have expired (cold_after).
      """)

  @OptionGroup var cluster: ClusterOptions

  @Option(name: .long, help: "How many storage nodes the supervisor of a quick start is to start.")
  var replicas = 3

  @Option(
    name: .long, parsing: .singleValue, help: "A storage node of the new shard that runs already: id=host:port. Repeat."
  )
  var member: [Member] = []

  @Option(name: .long, help: "The new shard's number (default: the next one).")
  var number: UInt32?

  @Option(name: .long, help: "The new shard's name (default: shard and its number).")
  var name: String?

  @Option(name: .customLong("class"), help: "What its storage is for: hot, cold, or another name.")
  var shardClass = ShardClass.hot

  /// How long the new nodes may take to elect a leader.
  private static let patienceMilliseconds = 30_000

  func validate() throws {
    guard (1...7).contains(replicas) else { throw ValidationError("--replicas is between 1 and 7.") }
    guard !member.isEmpty || cluster.data != nil else {
      throw ValidationError(
        "Name the storage nodes that run already: --member ID=HOST:PORT for each. Only a quick start (--data DIR) starts them "
          + "by itself.")
    }
    guard ShardClass.isName(shardClass) else {
      throw ValidationError("--class is an identifier in lower case, as hot, cold or archive.")
    }
    guard Set(member.map(\.id)).count == member.count else { throw ValidationError("A node is named twice.") }
  }

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    try await client.catchUp()
    let shard = number ?? client.image.nextShardID.rawValue
    if client.image.shards[ShardID(rawValue: shard)] != nil {
      throw CommandFailure(description: "There is a shard \(shard) already. See kunlog shard list.")
    }
    if client.image.removedShards.contains(ShardID(rawValue: shard)) {
      throw CommandFailure(
        description: "Shard \(shard) was removed, and its number is never used again. The next one is "
          + "\(client.image.nextShardID).")
    }
    if member.isEmpty {
      try await addToQuickstart(client, shard)
    } else {
      let nodes = member.enumerated().map { place, member in
        NodeDefinition(
          id: NodeID(rawValue: member.id), role: .storage, name: "storage-\(shard)-\(place + 1)",
          host: member.endpoint.host, port: member.endpoint.port)
      }
      try check(nodes, client.image)
      try await register(client, shard, nodes)
    }
  }

  private func check(_ nodes: [NodeDefinition], _ image: Image) throws {
    for node in nodes {
      if let known = image.nodes[node.id] {
        throw CommandFailure(
          description:
            "Node \(node.id) is \(known.name) at \(known.host):\(known.port). A node's number is never used twice.")
      }
    }
  }

  // MARK: A quick start

  @LoopActor
  private func addToQuickstart(_ client: MetadataClient, _ shard: UInt32) async throws {
    let growth = try QuickstartGrowth(cluster.data!)
    let added = try await growth.addShard(shard, replicas: replicas, client.image)
    print("starting " + added.map { "\($0.name) (port \($0.port))" }.joined(separator: ", "))
    try await register(client, shard, added.map(\.definition), logs: "\(growth.directory.path)/log/")
    for process in added { try growth.directory.noteBegun(process.name) }
  }

  // MARK: Registering

  /// Waits until the nodes have a leader, then tells the log of them.
  @LoopActor
  private func register(
    _ client: MetadataClient, _ shard: UInt32, _ nodes: [NodeDefinition], logs: String? = nil
  ) async throws {
    let tls = try cluster.tls()
    let channels = nodes.map { RPCChannel(host: $0.host, port: $0.port, tls: tls) }
    defer { for channel in channels { channel.close() } }
    let deadline = Loop.now + UInt64(Self.patienceMilliseconds) * 1_000_000
    var silent = nodes.map(\.name)
    var leads = false
    while !leads || !silent.isEmpty {
      guard Loop.now < deadline else {
        let what =
          silent.isEmpty
          ? "The new nodes have elected no leader within \(Self.patienceMilliseconds / 1000) s."
          : "\(silent.joined(separator: ", ")) do not answer within \(Self.patienceMilliseconds / 1000) s."
        throw CommandFailure(
          description: what + " The shard was not added; repeat the command when they run."
            + (logs.map { " Logs: \($0)" } ?? ""))
      }
      silent = []
      for (node, channel) in zip(nodes, channels) {
        do throws(RPCError) {
          let role = try await ReplicaRole.ask(channel, timeoutMilliseconds: 1000)
          leads = leads || role.isLeader
        } catch {
          silent.append(node.name)
        }
      }
      if !leads || !silent.isEmpty { try await loopSleep(milliseconds: 50) }
    }
    let draft = ShardDraft(
      id: ShardID(rawValue: shard), name: name, replicas: nodes.map(\.id),
      shardClass: shardClass == ShardClass.hot ? nil : shardClass)
    do throws(MetadataError) {
      _ = try await client.append(nodes.map { .registerNode($0) } + [.createShard(draft)])
    } catch {
      throw CommandFailure(description: "The shard was not added: \(error.forOperators)")
    }
    let ofClass = shardClass == ShardClass.hot ? "" : ", class \(shardClass)"
    print("shard \(shard)\(ofClass) is added, with \(nodes.map(\.name).joined(separator: ", "))")
  }
}
