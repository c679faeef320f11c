import ArgumentParser
import Coordination
import EventLoop
import Metadata
import MetadataClient
import RPC
import StorageWire

/// `kunlog shard remove`.
struct ShardRemove: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Remove a shard that is empty, for ever.",
    discussion: """
      Refused while it has tables, moves or transactions: kunlog shard drain N empties it. Its number and those of its nodes are never \
      used again. A quick start ends its processes and keeps their files in DIR/removed; elsewhere end them yourself.
      """)

  @OptionGroup var cluster: ClusterOptions

  @Flag(name: .long, help: "None of its nodes answers any more: do not ask them for transactions.")
  var lost = false

  @Argument(help: "The shard: its number or its name.")
  var shard: String

  private static let leaderMilliseconds = 10_000

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    try await client.catchUp()
    let image = client.image
    if let number = UInt32(shard), image.removedShards.contains(ShardID(rawValue: number)) {
      // An earlier command was interrupted: the rest of it is done.
      return try await endProcesses(ShardID(rawValue: number), nodes: [])
    }
    let id = try image.requireShard(shard)
    if !lost, image.tabletCounts[id] == nil { try await checkTransactions(image, id) }
    let nodes = (image.shards[id]?.replicas ?? []).compactMap { image.nodes[$0]?.name }
    do throws(MetadataError) {
      _ = try await client.append([.shard(.remove(id))])
    } catch { throw CommandFailure(description: "Shard \(id) was not removed: \(error.forOperators)") }
    print("shard \(id) is removed")
    try await endProcesses(id, nodes: nodes)
  }

  /// What the log does not know: transactions that are prepared and not decided.
  @LoopActor
  private func checkTransactions(_ image: Image, _ id: ShardID) async throws {
    guard let clusterID = image.clusterID else { throw CommandFailure(description: "There is no cluster yet.") }
    let tls = try cluster.tls()
    var channels: [NodeID: RPCChannel] = [:]
    defer { for channel in channels.values { channel.close() } }
    var answer: ShardTransactions?
    // A leader that has just been elected takes a moment.
    let deadline = Loop.now + UInt64(Self.leaderMilliseconds) * 1_000_000
    while answer == nil, Loop.now < deadline {
      answer = await ShardTransactions.ask(
        id, of: clusterID, replicas: image.shards[id]?.replicas ?? [], timeoutMilliseconds: 2_000
      ) { id in
        guard let node = image.nodes[id] else { return nil }
        let channel = channels[id] ?? RPCChannel(host: node.host, port: node.port, tls: tls)
        channels[id] = channel
        return channel
      }
      if answer == nil { try await loopSleep(milliseconds: 200) }
    }
    guard let answer else {
      throw CommandFailure(
        description: "Shard \(id) was not removed: no leader of it answers, so that nobody knows of its transactions. "
          + "Start its nodes, or, where they are lost, say --lost.")
    }
    guard answer.prepared.isEmpty else {
      throw CommandFailure(
        description: "Shard \(id) was not removed: \(answer.prepared.count) transactions are prepared there. "
          + "Wait until they are finished (kunlog txn list).")
    }
  }

  @LoopActor
  private func endProcesses(_ id: ShardID, nodes: [String]) async throws {
    guard let data = cluster.data, let layout = try QuickstartDirectory(path: data).loadLayout() else {
      if !nodes.isEmpty { print("End its storage nodes: \(nodes.joined(separator: ", ")). Nothing needs their files.") }
      return
    }
    let processes = layout.processes.filter { $0.role == "storage" && $0.shard == id.rawValue }
    let end = try await QuickstartGrowth.end(processes, in: QuickstartDirectory(path: data), what: "The shard")
    if let end { print(end) }
  }
}
