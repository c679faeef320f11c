import ArgumentParser
import EventLoop
import Metadata
import MetadataClient

/// `kunlog shard set-class`.
struct ShardSetClass: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "set-class", abstract: "Say what a shard's storage is for: hot, cold, or another name.",
    discussion: """
      New tables go to hot shards. Others take what belongs to their class: tables with WITH (shard_class = cold), and partitions that \
      cold_after says have expired. What the shard has of another class is moved by kunlog rebalance --apply, or by itself where \
      automatic rebalancing is on.
      """)

  @OptionGroup var cluster: ClusterOptions

  @Argument(help: "The shard: its number or its name.")
  var shard: String

  @Argument(help: "The class: an identifier in lower case.")
  var shardClass: String

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    try await client.catchUp()
    let id = try client.image.requireShard(shard)
    guard client.image.shards[id]?.shardClass != shardClass else {
      return print("shard \(id) is of class \(shardClass) already")
    }
    do throws(MetadataError) {
      _ = try await client.append([.shard(.setClass(id, shardClass))])
    } catch { throw CommandFailure(description: "Shard \(id) is not made \(shardClass): \(error.forOperators)") }
    print("shard \(id) is of class \(shardClass). What has to move: kunlog rebalance --plan")
  }
}
