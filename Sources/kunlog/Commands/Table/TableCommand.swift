import ArgumentParser
import EventLoop
import Metadata
import MetadataAudit
import MetadataClient

/// `kunlog table`: tables as the metadata knows them.
struct TableCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "table", abstract: "Look at tables, now or as they were, and move them from shard to shard.",
    subcommands: [TableList.self, TableShow.self, TableMove.self])
}

/// `kunlog table list`.
struct TableList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List tables, partitioned tables and partitions with their tablets and shards.")

  @OptionGroup var cluster: ClusterOptions

  @OptionGroup var moment: MomentOptions

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  private struct Document: Encodable {
    var index: UInt64
    var tables: [TableSummary]
  }

  @LoopActor
  func run() async throws {
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    let image = try await moment.image(client, cluster)
    let tables = image.tableSummaries
    StandardStream.output.write(
      (json ? JSONDocument.text(Document(index: image.index, tables: tables)) : Self.text(tables)) + "\n")
  }

  static func text(_ tables: [TableSummary]) -> String {
    guard !tables.isEmpty else { return "no tables" }
    var text = TextTable(header: [
      "id", "name", "kind", "owner", "columns", "indexes", "tablets", "shards", "group", "class",
    ])
    for table in tables {
      text.add([
        "\(table.id)", table.name, table.kind, table.owner, "\(table.columns)", "\(table.indexes)",
        "\(table.tablets.count)", table.shards.map(String.init).joined(separator: ", "),
        table.group ?? "", table.shardClass ?? "",
      ])
    }
    return text.text
  }
}

/// `kunlog table show`.
struct TableShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show a table: columns, keys, indexes, sequences, partitions, tablets.")

  @OptionGroup var cluster: ClusterOptions

  @OptionGroup var moment: MomentOptions

  @Flag(name: .long, help: "One JSON document on standard output.")
  var json = false

  @Argument(help: "The table: NAME, SCHEMA.NAME, or its id.")
  var table: String

  private func reference() throws -> ObjectReference {
    do throws(ObjectReference.Malformed) { return try ObjectReference(words: ["table", table]) } catch {
      throw ValidationError(error.description)
    }
  }

  func validate() throws { _ = try reference() }

  @LoopActor
  func run() async throws {
    let reference = try reference()
    let client = try await cluster.connect(principal: "operator")
    defer { client.stop() }
    let image = try await moment.image(client, cluster)
    guard let details = image.tableDetails(reference) else {
      let near = image.tablesLike(reference)
      throw CommandFailure(
        description: "There is no table \(reference.schema).\(reference.name)"
          + (moment.at == nil ? "." : " at index \(image.index).")
          + (near.isEmpty ? "" : " Did you mean \(near.joined(separator: ", "))?"))
    }
    StandardStream.output.write((json ? JSONDocument.text(details) : Self.text(details)) + "\n")
  }

  static func text(_ details: TableDetails) -> String {
    var lines = ["table \(details.table.name) (\(details.table.id)), last changed at index \(details.changedAt)"]
    for field in details.table.fields where !["schema", "name"].contains(field.name) {
      lines.append("  \(field.name): \(field.value)")
    }
    func value(_ object: ObjectDescription, _ name: String) -> String {
      object.fields.first { $0.name == name }?.value ?? ""
    }
    for index in details.indexes {
      lines.append("  \(value(index, "kind")) \(value(index, "name")): \(value(index, "columns"))")
    }
    for sequence in details.sequences {
      lines.append("  sequence \(value(sequence, "name")): last reserved \(value(sequence, "last reserved"))")
    }
    for partition in details.partitions {
      lines.append("  partition \(partition.name): \(value(partition, "bound"))")
    }
    for tablet in details.tablets { lines.append("  " + ShardShow.text(tablet)) }
    return lines.joined(separator: "\n")
  }
}
