import Foundation
import Testing

extension RealProcesses {
  /// Tables with a copy on every shard, on real processes.
  @Suite
  struct MirrorTableTests {
    /// The rows of the copy on a shard, by way of a table that is there.
    private func checksum(_ cluster: Cluster, shard: Int) throws -> String {
      let query =
        "SELECT count(*), md5(string_agg(concat_ws('/', id, m.client, value, luck), ',' ORDER BY id)) FROM mirror m, "
        + "anchor_\(shard) a WHERE a.client = 0"
      let plan = try cluster.query("EXPLAIN " + query)
      #expect(plan.hasPrefix("Remote Query on shard \(shard) "), "\(plan)")
      return try cluster.query(query)
    }

    private func copies(_ cluster: Cluster, _ data: [String]) throws -> String {
      let lines = try cluster.kunlog(["table", "show", "mirror"] + data).split(separator: "\n")
      return lines.first { $0.contains("tablet ") && $0.contains("mirror") }.map(String.init) ?? ""
    }

    @Test("A shard that is added gets its copies while they are written: all are alike, and nothing fails")
    func addedShard() throws {
      let cluster = try Cluster(nodePort: 18301, postgresPort: 15831)
      let data = ["--data", cluster.data]
      let report = try Moving.load(cluster, by: "mirror.py", ["--connections", "6"]) {
        try cluster.kunlog(["shard", "add"] + data)
        // Whoever manages next goes on with the copy.
        try cluster.kill("manager-1")
        try cluster.eventually(within: 60, "shard 3 has a copy") {
          try copies(cluster, data).contains("on shards 1, 2, 3,")
        }
        _ = try cluster.query(
          "CREATE TABLE anchor_3 (client int PRIMARY KEY) WITH (shard = 3); INSERT INTO anchor_3 VALUES (0)")
        Thread.sleep(forTimeInterval: 3)
      }
      #expect(report.errors == [])
      #expect(report.violations == [])
      #expect(report.rows > 0)
      let all = try (1...3).map { try checksum(cluster, shard: $0) }
      #expect(Set(all).count == 1, "\(all)")
      let refused = try Program.run(Program.kunlog, ["table", "move", "mirror", "--to", "3"] + data)
      #expect(
        refused.errors.contains("mirror table \"mirror\" cannot move: it has a copy on every shard"),
        "\(refused.errors)")
    }

    @Test("A shard that is drained loses its copies while they are written: what is left is alike, and nothing fails")
    func removedShard() throws {
      let cluster = try Cluster(nodePort: 18401, postgresPort: 15841)
      let data = ["--data", cluster.data]
      let report = try Moving.load(cluster, by: "mirror.py", ["--connections", "4"]) {
        try cluster.kunlog(["shard", "add"] + data)
        try cluster.eventually(within: 60, "shard 3 has a copy") {
          try copies(cluster, data).contains("on shards 1, 2, 3,")
        }
        // The first copy goes: it is the one where writers come first.
        try cluster.kunlog(["shard", "drain", "1"] + data)
        try cluster.kunlog(["shard", "remove", "1"] + data)
        #expect(try copies(cluster, data).contains("on shards 2, 3,"))
        Thread.sleep(forTimeInterval: 2)
      }
      #expect(report.errors == [])
      #expect(report.violations == [])
      #expect(report.rows > 0)
      _ = try cluster.query(
        "CREATE TABLE anchor_3 (client int PRIMARY KEY) WITH (shard = 3); INSERT INTO anchor_3 VALUES (0)")
      #expect(try checksum(cluster, shard: 2) == checksum(cluster, shard: 3))
    }
  }
}
