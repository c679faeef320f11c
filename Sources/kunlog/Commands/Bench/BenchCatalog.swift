import ArgumentParser
import EventLoop
import Metadata
import SQLTypes

/// `kunlog bench meta catalog`: makes a catalog of many tables, each with a primary key and a tablet.
struct BenchCatalog: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "catalog", abstract: "Create many tables by commands to the metadata log; print how many.")

  private static let batch = 100
  private static let storageNode = NodeID(rawValue: 1_000_001)

  @OptionGroup var target: BenchTarget

  @Option(name: .long, help: "How many tables.")
  var tables = 50_000

  @Option(name: .long, help: "The number of the first one.")
  var first = 0

  @Option(name: .long, help: "What their names begin with.")
  var prefix = "table_"

  @Flag(name: .long, help: "The cluster has shards, which get the tables; else the log is new, its shard a name.")
  var inCluster = false

  func validate() throws {
    guard target.system == .kunlog else { throw ValidationError("etcd has no catalog.") }
    guard (1...1_000_000).contains(tables) else { throw ValidationError("--tables is between 1 and 1000000.") }
  }

  @LoopActor
  func run() async throws {
    let (members, leader) = try await target.membersAndLeader()
    defer { for member in members { member.close() } }
    guard let leader = members[leader] as? KunlogMember else { return }
    if !inCluster { try await prepare(leader) }
    let end = first + tables
    for start in stride(from: first, to: end, by: Self.batch) {
      try await leader.append((start..<min(start + Self.batch, end)).map { .createTable(table($0)) })
    }
    try printJSON(["tables": tables])
  }

  @LoopActor
  private func prepare(_ leader: KunlogMember) async throws {
    try await leader.prepare()
    try await leader.append([
      .registerNode(
        NodeDefinition(
          id: Self.storageNode, role: .storage, name: "bench", host: "127.0.0.1", port: 1, postgresPort: nil)),
      .createShard(ShardDraft(id: ShardID(rawValue: 1), replicas: [Self.storageNode])),
    ])
  }

  private func table(_ number: Int) -> TableDraft {
    TableDraft(
      schemaID: WellKnown.publicSchema, name: "\(prefix)\(number)", ownerID: WellKnown.firstRole,
      columns: [
        ColumnDraft(name: "id", type: .int8, isNotNull: true), ColumnDraft(name: "name", type: .text),
      ],
      keys: [KeyDraft(kind: .primaryKey, columns: ["id"])])
  }
}
