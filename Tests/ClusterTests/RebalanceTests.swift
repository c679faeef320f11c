import Foundation
import Testing

extension RealProcesses {
  /// A cluster that grows from one shard to three and shrinks to two, under load.
  @Suite
  struct RebalanceTests {
    private struct Report: Codable {
      var statements: Int
      var rows: Int
      var retried: Int
      var errors: [String]
      var violations: [String]
      var longestMilliseconds: Double
    }
    private struct Shards: Codable {
      struct Shard: Codable {
        var id: UInt32
        var tablets: Int
        var draining: Bool
      }
      var shards: [Shard]
    }

    private func shards(_ cluster: Cluster) throws -> [Shards.Shard] {
      let text = try cluster.kunlog(["shard", "list", "--data", cluster.data, "--json"])
      return try JSONDecoder().decode(Shards.self, from: Data(text.utf8)).shards
    }

    private func refused(_ cluster: Cluster, _ arguments: String...) throws -> String {
      let result = try Program.run(Program.kunlog, arguments + ["--data", cluster.data])
      #expect(result.status != 0, "\(arguments): \(result.output)")
      return result.errors
    }

    /// Clients that write and read while the body runs.
    private func load(_ cluster: Cluster, _ body: () throws -> Void) throws -> Report {
      let folder = FileManager.default.temporaryDirectory.appending(path: "kunlog-story-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      let (stop, ready, output) = (folder.path + "/stop", folder.path + "/ready", folder.path + "/output")
      _ = FileManager.default.createFile(atPath: output, contents: nil)
      let process = Process()
      process.executableURL = URL(filePath: Program.python)
      process.arguments = [
        Program.root + "/Tests/ClusterTests/Clients/moving.py", "--port", "\(cluster.postgresPort)", "--seconds", "240",
        "--until-file", stop, "--ready-file", ready, "--rows", "6000", "--connections", "16", "--partitions", "12",
      ]
      process.standardOutput = try FileHandle(forWritingTo: URL(filePath: output))
      try process.run()
      defer { if process.isRunning { process.terminate() } }
      try cluster.eventually(within: 60, "the tables are there") { FileManager.default.fileExists(atPath: ready) }
      try body()
      _ = FileManager.default.createFile(atPath: stop, contents: nil)
      process.waitUntilExit()
      return try JSONDecoder().decode(Report.self, from: try Data(contentsOf: URL(filePath: output)))
    }

    /// Two tables move, are written for what is an hour at ten rows a second, and go back: with all that was written since.
    private func thereAndBack(_ cluster: Cluster) throws {
      let data = ["--data", cluster.data]
      let origin = try Moving.shard(of: "counter", cluster)
      let target = origin == "1" ? "4" : "1"
      _ = try cluster.query("CREATE TABLE hour (id bigint PRIMARY KEY, minute int, v text) WITH (shard = \(origin))")
      _ = try cluster.query("INSERT INTO hour SELECT g, 0, 'before' FROM generate_series(1, 1000) g")
      try cluster.kunlog(["table", "move", "counter", "hour", "--to", target, "--keep-source"] + data)
      #expect(try Moving.shard(of: "hour", cluster) == target)
      for minute in 1...60 {
        let first = 1000 + (minute - 1) * 600
        _ = try cluster.query(
          "INSERT INTO hour SELECT g, \(minute), repeat('w', 40) FROM generate_series(\(first + 1), \(first + 600)) g")
      }
      _ = try cluster.query("UPDATE hour SET v = 'changed' WHERE minute = 0; DELETE FROM hour WHERE minute = 60")
      let kept = try cluster.query("SELECT migration FROM kunlog.migrations WHERE keeps_source ORDER BY migration")
      #expect(kept.split(separator: "\n").count == 2, "\(kept)")
      for id in kept.split(separator: "\n") { try cluster.kunlog(["migration", "reverse", String(id)] + data) }
      for table in ["counter", "hour"] { #expect(try Moving.shard(of: table, cluster) == origin) }
      #expect(
        try cluster.query("SELECT count(*), sum(id), max(minute), count(*) FILTER (WHERE v = 'changed') FROM hour")
          == "36400|662498200|59|1000")
    }

    @Test("One shard becomes three, evenly filled, and then two, under load: nothing fails, nothing is lost")
    func story() throws {
      let cluster = try Cluster(nodePort: 17801, postgresPort: 15581)
      // The quick start has two shards: an empty one is removed without more.
      let removed = try cluster.kunlog(["shard", "remove", "2", "--data", cluster.data])
      #expect(removed.contains("shard 2 is removed"))
      #expect(removed.contains("storage-2-1, storage-2-2, storage-2-3 have ended; their files are in"))
      #expect(
        try refused(cluster, "shard", "drain", "1").contains("shard 1 cannot be drained: no other shard takes tablets"))
      let report = try load(cluster) {
        for number in [3, 4] {
          #expect(
            try cluster.kunlog(["shard", "add", "--replicas", "1", "--data", cluster.data]).contains(
              "shard \(number) is added"))
        }
        #expect(try shards(cluster).map(\.tablets) == [14, 0, 0])
        let plan = try cluster.kunlog(["rebalance", "--plan", "--data", cluster.data])
        #expect(plan.contains("To do it: kunlog rebalance --apply"), "\(plan)")
        #expect(try shards(cluster).map(\.tablets) == [14, 0, 0])
        try cluster.kunlog(["rebalance", "--apply", "--data", cluster.data])
        let filled = try shards(cluster)
        #expect(filled.allSatisfy { (3...7).contains($0.tablets) }, "\(filled)")
        let again = try cluster.kunlog(["rebalance", "--data", cluster.data])
        #expect(again.contains("nothing to move"), "\(again)")
        #expect(try refused(cluster, "shard", "remove", "3").contains("Drain it first: kunlog shard drain 3."))
        try cluster.kunlog(["shard", "drain", "3", "--no-wait", "--data", cluster.data])
        #expect(
          try refused(cluster, "table", "move", "counter", "moving_0", "moving_1", "--to", "3").contains(
            "Shard 3 is being drained: it takes no tablets"))
        #expect(try cluster.kunlog(["shard", "drain", "3", "--data", cluster.data]).contains("shard 3 is empty"))
        try cluster.kunlog(["shard", "remove", "3", "--data", cluster.data])
        let left = try shards(cluster)
        #expect(left.map(\.id) == [1, 4])
        #expect(left.map(\.tablets).reduce(0, +) == 14)
        #expect(left.allSatisfy { (5...9).contains($0.tablets) }, "\(left)")
        try thereAndBack(cluster)
      }
      #expect(report.errors == [])
      #expect(report.violations == [])
      #expect(report.rows > 0 && report.statements > report.rows, "\(report)")
      print("story: \(report)")
      #expect(try refused(cluster, "table", "move", "counter", "--to", "3").contains("Shard 3 was removed"))
      #expect(
        try refused(cluster, "shard", "add", "--number", "3").contains(
          "Shard 3 was removed, and its number is never used again. The next one is 5."))
      #expect(FileManager.default.fileExists(atPath: cluster.data + "/removed/storage-3-1"))
      #expect(!FileManager.default.fileExists(atPath: cluster.data + "/storage-3-1"))
      let history = try cluster.kunlog(["log", "show", "--family", "shards", "--data", cluster.data])
      for event in ["ShardDrainBegun", "ShardRemoved"] { #expect(history.contains(event), "\(history)") }
      // What is left is a whole cluster.
      let rows = try cluster.query("SELECT count(*) FROM moving")
      try cluster.stop()
      try cluster.start()
      #expect(try cluster.query("SELECT count(*) FROM moving") == rows)
    }

    @Test("A drain can be taken back; with automatic rebalancing on, the manager evens a new shard out by itself")
    func automatic() throws {
      let cluster = try Cluster(nodePort: 17901, postgresPort: 15591)
      for number in 1...8 {
        _ = try cluster.query(
          "CREATE TABLE t\(number) (id int PRIMARY KEY, v text) WITH (shard = 1); "
            + "INSERT INTO t\(number) SELECT g, repeat('v', 100) FROM generate_series(1, 500) g")
      }
      try cluster.kunlog(["shard", "drain", "2", "--no-wait", "--data", cluster.data])
      #expect(try cluster.kunlog(["shard", "list", "--data", cluster.data]).contains("draining"))
      #expect(try cluster.kunlog(["shard", "drain", "2", "--cancel", "--data", cluster.data]).contains("takes tables"))
      #expect(
        try cluster.kunlog(["rebalance", "--automatic", "on", "--migrations", "2", "--data", cluster.data])
          == "automatic rebalancing is on, 2 moves at a time\n")
      try cluster.eventually(within: 90, "both shards have four") { try shards(cluster).map(\.tablets) == [4, 4] }
      #expect(
        try cluster.query("SELECT (SELECT count(*) FROM t1) + (SELECT count(*) FROM t8)") == "1000")
    }
  }
}
