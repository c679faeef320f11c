import Metadata
@testable import MetadataAudit
import SQLTypes
import Testing

/// Tables and shards as lists.
@Suite
struct CatalogListingTests {
  @Test("Tables are listed by name, a partitioned one with the tablets of all its partitions")
  func tables() throws {
    var log = try AuditFixture()
    try log.append(
      AuditFixture.table("p", partitioning: PartitioningDraft(strategy: .hash, columns: ["id"])))
    let parent = try log.id("p")
    for remainder in 0..<2 {
      try log.append(
        AuditFixture.table(
          "p\(remainder)",
          partition: PartitionMembership(parentID: parent, bound: .hash(modulus: 2, remainder: remainder)),
          shard: UInt32(remainder + 1)))
    }
    try log.append(AuditFixture.table("a", shard: 2))
    let tables = log.image.tableSummaries
    #expect(
      tables.map { "\($0.name) \($0.kind) \($0.columns) \($0.indexes) \($0.tablets) \($0.shards)" } == [
        "public.a table 2 1 [3] [2]", "public.p partitioned table 2 1 [1, 2] [1, 2]",
        "public.p0 partition 2 1 [1] [1]", "public.p1 partition 2 1 [2] [2]",
      ])
    let details = try #require(log.image.tableDetails(ObjectReference(.table, name: "p")))
    #expect(details.partitions.map(\.name) == ["public.p0", "public.p1"])
    #expect(details.partitions[1].fields.last == .init("bound", "with (modulus 2, remainder 1)"))
    #expect(details.tablets.map(\.table) == ["public.p0", "public.p1"])
    #expect(details.changedAt == 8)
    #expect(log.image.tableDetails(ObjectReference(.table, name: "q")) == nil)
    #expect(log.image.tableDetails(ObjectReference(.table, schema: "s", name: "p")) == nil)
    #expect(log.image.tablesLike(ObjectReference(.table, name: "pp")) == ["p", "p0", "p1"])
  }

  @Test("Shards are listed with what they hold, and shown by number or by name")
  func shards() throws {
    var log = try AuditFixture()
    try log.append(AuditFixture.table("a", shard: 2))
    #expect(
      log.image.shardSummaries == [
        ShardSummary(
          id: 1, name: "shard1", replicas: ["storage1"], tablets: 0, tables: 0, draining: false, shardClass: "hot"),
        ShardSummary(
          id: 2, name: "shard2", replicas: ["storage2"], tablets: 1, tables: 1, draining: false, shardClass: "hot"),
      ])
    for name in ["2", "shard2"] {
      let details = try #require(log.image.shardDetails(name))
      #expect(details.replicas == [.init(id: 2, name: "storage2", address: "127.0.0.1:7002")])
      #expect(details.tablets == [.init(id: 1, table: "public.a", shard: 2, epoch: 1, generation: 1)])
    }
    #expect(log.image.shardDetails("3") == nil)
  }
}
