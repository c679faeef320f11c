import ArgumentParser
import EventLoop
import Metadata
import MetadataAudit
import MetadataClient

/// `kunlog shard`: shards as the metadata knows them.
struct ShardCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "shard",
    abstract: "Look at shards, now or as they were; add, drain and remove them, say what they are for.",
    subcommands: [
      ShardList.self, ShardShow.self, ShardAdd.self, ShardDrain.self, ShardUndrain.self, ShardRemove.self,
      ShardSetClass.self,
    ])
}

/// `kunlog shard list`.
struct ShardList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List shards with their replicas and how much they hold.")

  @OptionGroup var cluster: ClusterOptions

  @OptionGroup var moment: MomentOptions

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  private struct Document: Encodable {
    var index: UInt64
    var shards: [ShardSummary]
  }

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    let image = try await moment.image(client, cluster)
    let shards = image.shardSummaries
    StandardStream.output.write(
      (json ? JSONDocument.text(Document(index: image.index, shards: shards)) : Self.text(shards)) + "\n")
  }

  static func text(_ shards: [ShardSummary]) -> String {
    guard !shards.isEmpty else { return "no shards" }
    var text = TextTable(header: ["id", "name", "class", "state", "tables", "tablets", "replicas"])
    for shard in shards {
      text.add([
        "\(shard.id)", shard.name, shard.shardClass, shard.draining ? "draining" : "", "\(shard.tables)",
        "\(shard.tablets)",
        shard.replicas.joined(separator: ", "),
      ])
    }
    return text.text
  }
}

/// `kunlog shard show`.
struct ShardShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show a shard: its replicas and its tablets.")

  @OptionGroup var cluster: ClusterOptions

  @OptionGroup var moment: MomentOptions

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  @Argument(help: "The shard: its number or its name.")
  var shard: String

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    let image = try await moment.image(client, cluster)
    guard let details = image.shardDetails(shard) else {
      let all = image.shardSummaries.map { "\($0.id) (\($0.name))" }.joined(separator: ", ")
      throw CommandFailure(
        description: "There is no shard \(shard)\(moment.at == nil ? "" : " at index \(image.index)"). "
          + (all.isEmpty ? "There are no shards." : "Shards: \(all)."))
    }
    StandardStream.output.write((json ? JSONDocument.text(details) : Self.text(details)) + "\n")
  }

  static func text(_ details: ShardDetails) -> String {
    var lines = [
      "shard \(details.shard.id) (\(details.shard.name)), class \(details.shard.shardClass)"
        + (details.shard.draining ? ", draining" : "")
    ]
    for replica in details.replicas { lines.append("  replica \(replica.name) (\(replica.id)) at \(replica.address)") }
    for tablet in details.tablets { lines.append("  " + text(tablet)) }
    return lines.joined(separator: "\n")
  }

  static func text(_ tablet: TableDetails.Tablet) -> String {
    "tablet \(tablet.id) of \(tablet.table) on \(tablet.places), epoch \(tablet.epoch), generation \(tablet.generation)"
  }
}
