import ArgumentParser
import EventLoop
import Metadata
import MetadataClient

/// `kunlog storage remove`.
struct StorageRemove: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Take a replica out of its shard, for ever.",
    discussion: """
      Refused where too few of those that stay could be reached to decide anything. The node may be dead. Its number is never used \
      again. A quick start ends its process and keeps its files in DIR/removed; elsewhere it ends by itself.
      """)

  @OptionGroup var options: ReplicaOptions

  @Argument(help: "The storage node: its number or its name.")
  var node: String

  @LoopActor
  func run() async throws {
    try await ShardReplicas.run(options) { client in
      let image = client.image
      if let number = UInt64(node), image.removedNodes.contains(NodeID(rawValue: number)) {
        // An earlier command was interrupted: the rest of it is done.
        guard try await QuickstartGrowth.endProcess(of: NodeID(rawValue: number), options.cluster) else {
          throw CommandFailure(description: "Node \(number) was removed already.")
        }
        return
      }
      try ShardReplicas.check(image)
      let found = try image.requireStorageNode(node)
      guard let shard = image.shard(of: found.id) else {
        // It was started and never came in.
        _ = try await client.append([.removeNode(found.id)])
        print("\(found.name), which was no replica of any shard, is removed")
        return _ = try await QuickstartGrowth.endProcess(of: found.id, options.cluster)
      }
      guard shard.replicas.count > 1 else {
        throw CommandFailure(
          description:
            "\(found.name) is the last replica of shard \(shard.id): its tables would be lost. Add another one first "
            + "(kunlog storage add --shard \(shard.id)), or remove the shard: kunlog shard drain \(shard.id), then kunlog "
            + "shard remove \(shard.id).")
      }
      let group = try ShardReplicas(options, client, shard.id)
      defer { group.close() }
      _ = try await group.goals.remove(found.id)
      print("\(found.name) is removed; the replicas of shard \(shard.id) are \(try await group.replicas())")
      _ = try await QuickstartGrowth.endProcess(of: found.id, options.cluster)
    }
  }
}
