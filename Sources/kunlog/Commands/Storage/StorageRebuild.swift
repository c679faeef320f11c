import ArgumentParser
import EventLoop
import Metadata
import MetadataClient

/// `kunlog storage rebuild`.
struct StorageRebuild: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rebuild",
    abstract: "Put a new replica in the place of one whose disk is lost or damaged, made from the others.",
    discussion: """
      A lost disk does not come back under its old number: what it had promised is lost with it. A new node with an empty directory \
      takes its place, in one step, once it has all that the shard has. A quick start starts the new node and keeps the old one's files in \
      DIR/removed. Elsewhere start the new one first (kunlog storage --join …) and name it: --with 14=HOST:PORT
      A command that was cut off is given again: it goes on.
      """)

  @OptionGroup var options: ReplicaOptions

  @Argument(help: "The storage node that goes: its number or its name.")
  var node: String

  @Option(name: .customLong("with"), help: "The new storage node, where it runs already: id=host:port.")
  var new: Member?

  func validate() throws {
    guard new != nil || options.cluster.data != nil else {
      throw ValidationError(
        "Name the new storage node: --with ID=HOST:PORT. Only a quick start (--data DIR) starts one by itself.")
    }
  }

  @LoopActor
  func run() async throws {
    try await ShardReplicas.run(options) { client in
      try ShardReplicas.check(client.image)
      let old = try client.image.requireStorageNode(node)
      guard let shard = client.image.shard(of: old.id) else {
        throw CommandFailure(
          description:
            "\(old.name) is no replica of any shard. To take it out of the log: kunlog storage remove \(old.id)")
      }
      guard new?.nodeID != old.id else {
        throw CommandFailure(
          description: "The new node needs a number and an empty directory of its own: a number is never used twice.")
      }
      let group = try ShardReplicas(options, client, shard.id)
      defer { group.close() }
      _ = try await group.goals.membership()
      let replica = try await NewReplica.provide(options, client, group, member: new)
      try await group.goals.add(replica.node.id, at: replica.endpoint, name: nil)
      try await group.goals.awaitCaughtUp(replica.node.id)
      _ = try await group.goals.swap(old.id, for: replica.node.id)
      try replica.hasBegun()
      print(
        "\(replica.node.name) is in the place of \(old.name); the replicas of shard \(shard.id) are "
          + "\(try await group.replicas())")
      _ = try await QuickstartGrowth.endProcess(of: old.id, options.cluster)
    }
  }
}
