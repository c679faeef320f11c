import ArgumentParser
import Coordination
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
    commandName: "list", abstract: "List shards with their replicas, how much they hold, and what their disks have.",
    discussion: "Free space is that of a shard's fullest replica: it decides what can be moved there.")

  @OptionGroup var cluster: ClusterOptions

  @OptionGroup var moment: MomentOptions

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  private struct Document: Encodable {
    var index: UInt64
    var shards: [Row]
  }

  /// A shard, and the disk of its fullest replica, where that is known.
  private struct Row: Encodable {
    var shard: ShardSummary
    var space: DiskSpace?

    enum CodingKeys: String, CodingKey {
      case free = "disk_free_bytes"
      case total = "disk_total_bytes"
      case room = "room_bytes"
    }

    func encode(to encoder: any Encoder) throws {
      try shard.encode(to: encoder)
      guard let space else { return }
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(space.freeBytes, forKey: .free)
      try container.encode(space.totalBytes, forKey: .total)
      try container.encode(space.roomBytes, forKey: .room)
    }
  }

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    let image = try await moment.image(client, cluster)
    var rows = image.shardSummaries.map { Row(shard: $0) }
    if moment.at == nil {
      let usages = try ShardUsages(client, cluster)
      defer { usages.close() }
      let spaces = await usages.spaces(of: image.shards.values.flatMap(\.replicas))
      for place in rows.indices {
        let replicas = image.shards[ShardID(rawValue: rows[place].shard.id)]?.replicas ?? []
        let own = spaces.filter { replicas.contains($0.key) }
        rows[place].space = ShardUsage(tablets: [:], spaces: own).fullest?.space
      }
    }
    StandardStream.output.write(
      (json ? JSONDocument.text(Document(index: image.index, shards: rows)) : Self.text(rows)) + "\n")
  }

  private static func text(_ rows: [Row]) -> String {
    guard !rows.isEmpty else { return "no shards" }
    let isKnown = rows.contains { $0.space != nil }
    var text = TextTable(
      header: ["id", "name", "class", "state", "tables", "tablets"] + (isKnown ? ["free"] : []) + ["replicas"])
    for row in rows {
      let shard = row.shard
      text.add(
        [
          "\(shard.id)", shard.name, shard.shardClass, shard.draining ? "draining" : "", "\(shard.tables)",
          "\(shard.tablets)",
        ] + (isKnown ? [ByteText.free(row.space)] : []) + [shard.replicas.joined(separator: ", ")])
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
