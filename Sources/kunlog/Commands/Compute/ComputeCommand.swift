import ArgumentParser
import EventLoop
import Metadata
import MetadataClient
import RPC

/// `kunlog compute`: runs a compute node, or has nodes come and go.
struct ComputeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compute", abstract: "Run a compute node, or have nodes come and go.",
    subcommands: [ComputeRun.self, ComputeAdd.self, ComputeRemove.self], defaultSubcommand: ComputeRun.self)
}

/// `kunlog compute add`.
struct ComputeAdd: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Add a compute node to a running quick start.",
    discussion: """
      The quick start's supervisor starts it and keeps it running. Elsewhere start one by hand (kunlog compute run …): it holds \
      nothing, and tells the log by itself that it is there.
      """)

  @OptionGroup var cluster: ClusterOptions

  private static let patienceMilliseconds = 30_000

  func validate() throws {
    guard cluster.data != nil else {
      throw ValidationError(
        "Only a quick start (--data DIR) starts a compute node. Elsewhere start it: kunlog compute run …")
    }
  }

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    try await client.catchUp()
    let growth = try QuickstartGrowth(cluster.data!)
    let process = try await growth.addCompute(client.image)
    let port = process.postgresPort ?? 0
    let id = NodeID(rawValue: process.nodeID)
    let deadline = Loop.now + UInt64(Self.patienceMilliseconds) * 1_000_000
    while true {
      if client.image.nodes[id] != nil, await QuickstartGrowth.accepts(host: process.host, port: port) { break }
      guard Loop.now < deadline else {
        throw CommandFailure(
          description: "\(process.name) takes no clients within \(Self.patienceMilliseconds / 1000) s: see "
            + "\(growth.directory.logFile(process.name)). To take it out again: kunlog compute remove \(process.name)")
      }
      try await loopSleep(milliseconds: 20)
    }
    try growth.directory.noteBegun(process.name)
    print("\(process.name) takes clients at \(process.host):\(port)")
  }
}

/// `kunlog compute remove`.
struct ComputeRemove: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Take a compute node out of the cluster, for ever, and let its sessions end.",
    discussion: """
      The node takes no new clients from now on, and ends once its sessions have; those that last longer than --grace get 57P01. It \
      may be dead. A quick start ends its process; elsewhere it ends by itself.
      """)

  @OptionGroup var cluster: ClusterOptions

  @Option(name: .long, help: "How many seconds its sessions have to end.")
  var grace: UInt32 = 30

  @Argument(help: "The compute node: its number or its name.")
  var node: String

  /// How long it may take to end after its grace.
  private static let patienceMilliseconds = 15_000

  func validate() throws {
    guard grace <= 86_400 else { throw ValidationError("--grace is at most 86400 seconds.") }
  }

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    try await client.catchUp()
    if let number = UInt64(node), client.image.removedNodes.contains(NodeID(rawValue: number)) {
      // An earlier command was interrupted: the rest of it is done.
      guard try await QuickstartGrowth.endProcess(of: NodeID(rawValue: number), cluster) else {
        throw CommandFailure(description: "Node \(number) was removed already.")
      }
      return
    }
    let found = try client.image.requireComputeNode(node)
    do throws(MetadataError) {
      _ = try await client.append([.node(.drain(found.id, graceSeconds: grace))])
    } catch { throw CommandFailure(description: "\(found.name) was not removed: \(error.forOperators)") }
    try await awaitEnd(found)
    do throws(MetadataError) {
      _ = try await client.append([.removeNode(found.id)])
    } catch { throw CommandFailure(description: "\(found.name) was not removed: \(error.forOperators)") }
    print("\(found.name) is removed")
    _ = try await QuickstartGrowth.endProcess(of: found.id, cluster)
  }

  /// Until the node answers no more: it has ended, or was dead.
  @LoopActor
  private func awaitEnd(_ node: NodeDefinition) async throws {
    let channel = RPCChannel(host: node.host, port: node.port, tls: try cluster.tls())
    defer { channel.close() }
    let deadline = Loop.now + (UInt64(grace) * 1000 + UInt64(Self.patienceMilliseconds)) * 1_000_000
    var silent = 0
    while silent < 3 {
      guard Loop.now < deadline else {
        throw CommandFailure(
          description:
            "\(node.name) takes no clients any more, but has not ended. End its process, and repeat the command.")
      }
      silent = (try? await RPCHealth.isServing(channel, timeoutMilliseconds: 1000)) == nil ? silent + 1 : 0
      try await loopSleep(milliseconds: 100)
    }
  }
}

extension Image {
  /// A compute node by its number or its name.
  func requireComputeNode(_ text: String) throws -> NodeDefinition {
    let found = UInt64(text).flatMap { nodes[NodeID(rawValue: $0)] } ?? nodes.values.first { $0.name == text }
    guard let node = found, node.role == .compute else {
      let all = nodes.values.filter { $0.role == .compute }.sorted { $0.id < $1.id }
      throw CommandFailure(
        description: (found.map { "\($0.name) is a \($0.role) node. " } ?? "There is no compute node \(text). ")
          + "Compute nodes: " + all.map { "\($0.name) (\($0.id))" }.joined(separator: ", ") + ".")
    }
    return node
  }
}
