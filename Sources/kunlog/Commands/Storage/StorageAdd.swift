import ArgumentParser
import EventLoop
import Metadata
import MetadataClient

/// `kunlog storage add`.
struct StorageAdd: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Add a replica to a shard: it receives all that the shard has, then it votes.",
    discussion: """
      With --data DIR of a quick start, its supervisor starts the new storage node and keeps it running. Elsewhere start it by hand \
      first, with an empty directory and a certificate of its own, and name it here:
        kunlog storage --join --shard 1 --node-id 14 --name storage-1-4 --listen HOST:PORT --data … --metadata …
        kunlog storage add --shard 1 --member 14=HOST:PORT --endpoints …
      A command that was cut off is given again: it goes on.
      """)

  @OptionGroup var options: ReplicaOptions

  @Option(name: .long, help: "The shard: its number or its name.")
  var shard: String

  @Option(name: .long, help: "The storage node, where it runs already: id=host:port.")
  var member: Member?

  @Flag(
    name: .long,
    help: "Start it and let it wait: a manager takes it in the place of a replica that fails (kunlog cluster failures)."
  )
  var spare = false

  func validate() throws {
    guard !spare || member == nil else {
      throw ValidationError("A node that runs already (--join) waits by itself: leave --spare out, or --member.")
    }
    guard member != nil || options.cluster.data != nil else {
      throw ValidationError(
        "Name the storage node that runs already: --member ID=HOST:PORT. Only a quick start (--data DIR) starts one by itself."
      )
    }
  }

  @LoopActor
  func run() async throws {
    try await ShardReplicas.run(options) { client in
      try ShardReplicas.check(client.image)
      let id = try client.image.requireShard(shard)
      let group = try ShardReplicas(options, client, id)
      defer { group.close() }
      if let member, let other = client.image.shard(of: member.nodeID), other.id != id {
        throw CommandFailure(description: "Node \(member.id) is a replica of shard \(other.id) already.")
      }
      // Before anything is started: a shard that cannot decide takes nobody.
      let before = try await group.goals.membership()
      if let member, before.member(member.nodeID)?.standing == .voter {
        throw CommandFailure(description: "Node \(member.id) is a replica of shard \(id) already.")
      }
      let new = try await NewReplica.provide(options, client, group, member: member)
      guard !spare else { return print("\(new.node.name) waits to come into shard \(id)") }
      try await group.goals.add(new.node.id, at: new.endpoint, name: nil)
      try await group.goals.awaitCaughtUp(new.node.id)
      _ = try await group.goals.promote(new.node.id)
      try new.hasBegun()
      print("\(new.node.name) is a replica of shard \(id); its replicas are \(try await group.replicas())")
    }
  }
}

/// A storage node that is to come into a shard: one that runs, or one that a quick start's supervisor starts.
@LoopActor
struct NewReplica {
  var node: NodeDefinition
  var endpoint: MetadataEndpoint
  private var directory: QuickstartDirectory?

  static func provide(
    _ options: ReplicaOptions, _ client: MetadataClient, _ group: ShardReplicas, member: Member?
  ) async throws -> NewReplica {
    if let member {
      let node = try await group.awaitRegistered(member.nodeID, at: member.metadataEndpoint, logs: nil)
      return NewReplica(node: node, endpoint: member.metadataEndpoint)
    }
    let growth = try QuickstartGrowth(options.cluster.data!)
    let process = try await growth.addReplica(group.id.rawValue, client.image)
    StandardStream.error.write("starting \(process.name) (port \(process.port))\n")
    let endpoint = MetadataEndpoint(host: process.host, port: process.port)
    let node = try await group.awaitRegistered(
      NodeID(rawValue: process.nodeID), at: endpoint, logs: growth.directory.logFile(process.name))
    return NewReplica(node: node, endpoint: endpoint, directory: growth.directory)
  }

  /// Its directory holds from now on what it must not lose.
  func hasBegun() throws { try directory?.noteBegun(node.name) }
}
