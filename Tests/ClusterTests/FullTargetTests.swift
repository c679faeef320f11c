import Foundation
import Testing

extension RealProcesses {
  /// Moves to a shard whose disks are small: each of its replicas has a file system of its own.
  @Suite(.enabled(if: SmallDisk.missing == nil, Comment(rawValue: SmallDisk.missing ?? "")))
  struct FullTargetTests {
    private struct Status: Codable {
      struct Shard: Codable {
        var id: UInt32
        var leader: String?
      }
      var shards: [Shard]
    }
    private struct Shards: Codable {
      struct Shard: Codable {
        var id: UInt32
        var free: UInt64?
        var total: UInt64?
        var room: UInt64?
        enum CodingKeys: String, CodingKey {
          case id
          case free = "disk_free_bytes"
          case total = "disk_total_bytes"
          case room = "room_bytes"
        }
      }
      var shards: [Shard]
    }

    private func refused(_ cluster: Cluster, _ arguments: String...) throws -> String {
      let result = try Program.run(Program.kunlog, arguments + ["--data", cluster.data])
      #expect(result.status != 0, "\(arguments): \(result.output)")
      return result.errors
    }

    /// A table on shard 1 with rows of about 16 kB.
    private func fill(_ cluster: Cluster, _ table: String, megabytes: Int) throws {
      _ = try cluster.query("CREATE TABLE \(table) (id int PRIMARY KEY, pad text) WITH (shard = 1)")
      let rows = megabytes * 64
      for begin in stride(from: 1, through: rows, by: 256) {
        let end = min(begin + 255, rows)
        _ = try cluster.query(
          "INSERT INTO \(table) SELECT g, repeat('disk', 4000) FROM generate_series(\(begin), \(end)) AS s (g)")
      }
    }

    private func lastMigration(_ cluster: Cluster) throws -> Moving.Migrations.Migration? {
      try Moving.migrations(cluster).max { $0.id < $1.id }
    }

    /// Begins a slow move of `heavy`, does something once rows have come, and answers how the move ended.
    private func move(_ cluster: Cluster, then body: () throws -> Void) throws -> Moving.Migrations.Migration? {
      let before = try cluster.kunlog(["log", "show", "--kind", "migration", "--data", cluster.data])
      let seen = before.components(separatedBy: "MigrationProgressed").count
      try cluster.kunlog([
        "table", "move", "heavy", "--to", "2", "--throttle", "3MiB", "--no-wait", "--data", cluster.data,
      ])
      try cluster.eventually(within: 60, "rows come") {
        let open = try cluster.kunlog(["log", "show", "--kind", "migration", "--data", cluster.data])
        return open.components(separatedBy: "MigrationProgressed").count > seen
      }
      try body()
      try cluster.eventually(within: 90, "the move ends") {
        try cluster.kunlog(["migration", "list", "--open", "--data", cluster.data]) == "no migrations\n"
      }
      return try lastMigration(cluster)
    }

    @Test(
      "A shard without room is refused, also by a drain; a disk that fills on the way ends the move, and nothing else is touched"
    )
    func fullTarget() throws {
      try SmallDisk.underShard2(nodePort: 18601, postgresPort: 15861) { cluster, disks in
        let report = try Moving.load(cluster, connections: 4) {
          try fill(cluster, "heavy", megabytes: 16)
          try fill(cluster, "big", megabytes: 80)
          try expectRefusals(cluster)
          let status = try JSONDecoder().decode(
            Status.self, from: Data(try cluster.kunlog(["cluster", "status", "--data", cluster.data, "--json"]).utf8))
          let leader = status.shards.first { $0.id == 2 }?.leader
          let follower = try #require(disks.keys.sorted().first { $0 != leader })
          let disk = try #require(disks[follower])
          let pid = try cluster.process(named: follower).pid

          // Little is left at one replica: the move ends before the disk is full.
          let early = try move(cluster) { try disk.fill(leavingMegabytes: 40) }
          #expect(early?.state == "rolled back")
          for part in ["the disk of \(follower) (shard 2) has", "MB free of 268 MB: a move leaves 67.1 MB free"] {
            #expect(early?.remark.contains(part) == true, "\(early as Any)")
          }
          try expectClean(cluster)
          try disk.empty()

          // Nothing is left there at all, of a sudden.
          let late = try move(cluster) { try disk.fill() }
          #expect(late?.state == "rolled back")
          #expect(late?.remark.contains("the disk of \(follower) (shard 2) has") == true, "\(late as Any)")
          let history = try cluster.kunlog(["log", "show", "--family", "migrations", "--data", cluster.data])
          #expect(history.contains("MigrationFailed") && history.contains("the disk of \(follower) (shard 2) has"))
          // Before anybody has given space back: what had come is dropped; where the log is full as well, a little later.
          try expectClean(cluster, besides: follower)
          #expect(try cluster.process(named: follower).pid == pid, "a full disk does not end the node")
          try disk.empty()
          try expectClean(cluster)

          try cluster.kunlog(["table", "move", "heavy", "--to", "2", "--data", cluster.data])
          #expect(try Moving.shard(of: "heavy", cluster) == "2")
          #expect(try cluster.query("SELECT count(*), sum(length(pad)) FROM heavy") == "1024|16384000")
          _ = try cluster.query("DROP TABLE heavy; DROP TABLE big")
        }
        #expect(report.errors == [])
        #expect(report.violations == [])
        #expect(report.rows > 0)
        try Moving.expectNoOrphans(cluster)
      }
    }

    private func expectRefusals(_ cluster: Cluster) throws {
      for options in [[], ["--dry-run"]] {
        let result = try Program.run(
          Program.kunlog, ["table", "move", "big", "--to", "2", "--data", cluster.data] + options)
        #expect(result.status != 0)
        #expect(result.errors.contains("Shard 2 has no room for it: 8"), "\(result.errors)")
        #expect(result.errors.contains("its replica storage-2-"), "\(result.errors)")
      }
      let drain = try refused(cluster, "shard", "drain", "1")
      #expect(drain.contains("Shard 1 is not drained: 1 of its"), "\(drain)")
      let text = try cluster.kunlog(["shard", "list", "--data", cluster.data, "--json"])
      let second = try JSONDecoder().decode(Shards.self, from: Data(text.utf8)).shards.first { $0.id == 2 }
      #expect(second?.total == 256 << 20)
      #expect(second?.free ?? .max < 256 << 20 && second?.room ?? .max < second?.free ?? 0, "\(text)")
      let replicas = try cluster.kunlog(["storage", "list", "--shard", "2", "--data", cluster.data])
      #expect(replicas.contains("of 268 MB"), "\(replicas)")
      #expect(try Moving.migrations(cluster).isEmpty)
    }

    /// Shard 2 has the one table that is its own, on each disk.
    private func expectClean(_ cluster: Cluster, besides full: String = "") throws {
      try cluster.eventually("nothing of the move is left at the target") {
        try Moving.tabletFiles(cluster, shard: 2).enumerated().allSatisfy { place, files in
          files == ["t3.sqlite"] || "storage-2-\(place + 1)" == full
        }
      }
    }
  }
}
