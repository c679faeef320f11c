import Foundation
import Testing

extension RealProcesses {
  /// Tables that move from shard to shard, on real processes.
  @Suite
  struct MovingTests {
    @Test(
      "Tables move to the other shard and back under load: no statement fails, every acknowledged row is there once")
    func underLoad() throws {
      let cluster = try Cluster(nodePort: 17301, postgresPort: 15531)
      let report = try Moving.load(cluster, connections: 8) {
        for target in ["2", "1", "2"] {
          let output = try cluster.kunlog([
            "table", "move", "moving", "counter", "--to", target, "--data", cluster.data,
          ])
          #expect(output.contains("completed"))
          #expect(try Moving.shard(of: "moving", cluster) == target)
        }
      }
      #expect(report.errors == [])
      #expect(report.violations == [])
      #expect(report.rows > 0 && report.statements > report.rows, "\(report)")
      try Moving.expectNoOrphans(cluster)
      #expect(try Moving.migrations(cluster).map(\.state) == Array(repeating: "completed", count: 6))
      #expect(
        try cluster.query("SELECT count(*), min(percent) FROM kunlog.migrations WHERE state = 'completed'") == "6|100")
      let history = try cluster.kunlog(["log", "show", "--family", "migrations", "--data", cluster.data])
      for step in [
        "MigrationPlanned", "MigrationSnapshotTaken", "MigrationLoaded", "MigrationWritesCut", "TabletRouted",
      ] {
        #expect(history.contains(step), "\(history)")
      }
    }

    @Test("The manager, the source's leader and the target's leader die while tables move: all ends, nothing is lost")
    func kills() throws {
      let cluster = try Cluster(nodePort: 17401, postgresPort: 15541)
      let report = try Moving.load(cluster, connections: 6, kills: true) {
        var number = 0
        for round in 0..<3 {
          for victim in ["manager", "source", "target"] {
            let source = try Moving.shard(of: "moving", cluster)
            let target = source == "1" ? "2" : "1"
            let leaders = try JSONDecoder().decode(
              Moving.Status.self,
              from: Data(try cluster.kunlog(["cluster", "status", "--data", cluster.data, "--json"]).utf8))
            let names = Dictionary(uniqueKeysWithValues: leaders.shards.map { ("\($0.id)", $0.leader ?? "") })
            try cluster.kunlog(["table", "move", "moving", "--to", target, "--no-wait", "--data", cluster.data])
            // Another step each time.
            Thread.sleep(forTimeInterval: 0.05 + 0.35 * Double(number % 4))
            number += 1
            switch victim {
            case "manager": try cluster.kill("manager-1")
            case "source": try cluster.kill(names[source] ?? "")
            default: try cluster.kill(names[target] ?? "")
            }
            try cluster.eventually(within: 90, "round \(round): the move ends after the death of the \(victim)") {
              try cluster.kunlog(["migration", "list", "--open", "--data", cluster.data]) == "no migrations\n"
            }
            try cluster.eventually(within: 60, "all processes run") {
              try cluster.processes().allSatisfy { $0.state == "ready" || $0.state == "running" || $0.pid != nil }
            }
          }
        }
      }
      #expect(report.violations == [])
      #expect(report.rows > 0)
      let ended = try Moving.migrations(cluster)
      #expect(ended.count == 9)
      #expect(ended.allSatisfy { $0.state == "completed" || $0.state == "rolled back" }, "\(ended)")
      try Moving.expectNoOrphans(cluster)
    }

    @Test("A shard is added to a running cluster, takes tables under load, and is there after a restart")
    func newShard() throws {
      let cluster = try Cluster(nodePort: 17601, postgresPort: 15561)
      let report = try Moving.load(cluster, connections: 4) {
        let output = try cluster.kunlog(["shard", "add", "--data", cluster.data])
        #expect(output.contains("shard 3 is added, with storage-3-1, storage-3-2, storage-3-3"))
        try cluster.kunlog(["table", "move", "moving", "counter", "--to", "3", "--data", cluster.data])
        #expect(try Moving.shard(of: "moving", cluster) == "3")
      }
      #expect(report.errors == [])
      #expect(report.violations == [])
      #expect(
        try cluster.kunlog(["shard", "list", "--data", cluster.data]).contains("storage-3-1, storage-3-2, storage-3-3"))
      let rows = try cluster.query("SELECT count(*) FROM moving")
      try cluster.stop()
      try cluster.start()
      #expect(try cluster.query("SELECT count(*) FROM moving") == rows)
      #expect(try cluster.processes().count == 16)
      // A new table goes where there are the fewest.
      _ = try cluster.query("CREATE TABLE another (id int PRIMARY KEY); INSERT INTO another VALUES (1)")
      #expect(try Moving.shard(of: "another", cluster) == "1")
      let again = try Program.run(Program.kunlog, ["shard", "add", "--number", "3", "--data", cluster.data])
      #expect(again.errors.contains("There is a shard 3 already. See kunlog shard list."), "\(again.errors)")
    }

    @Test("What cannot be moved is refused with what to do; a move that is aborted leaves nothing behind")
    func refusals() throws {
      let cluster = try Cluster(nodePort: 17501, postgresPort: 15551)
      _ = try cluster.query(
        """
        CREATE TABLE moving (id int PRIMARY KEY, v text) WITH (shard = 1);
        INSERT INTO moving SELECT g, 'v' FROM generate_series(1, 1000) g;
        """)
      func move(_ arguments: String...) throws -> ProgramResult {
        try Program.run(Program.kunlog, ["table", "move"] + arguments + ["--data", cluster.data])
      }
      let refusals: [([String], String)] = [
        (["moving", "--to", "1"], "public.moving is on shard 1 already"),
        (["moving", "--to", "9"], "There is no shard 9. Shards: 1 (shard1), 2 (shard2)."),
        (["movin", "--to", "2"], "There is no table public.movin. Did you mean moving?"),
        (["pg_catalog.pg_class", "--to", "2"], "is a system table: it is on no shard, and cannot be moved"),
      ]
      for (arguments, text) in refusals {
        let result = try Program.run(Program.kunlog, ["table", "move"] + arguments + ["--data", cluster.data])
        #expect(result.status != 0 && result.errors.contains(text), "\(arguments): \(result.errors)")
      }
      #expect(
        try move("moving", "--to", "2", "--dry-run").output
          == "would move public.moving (tablet 1) from shard 1 to shard 2\n")
      #expect(try Moving.migrations(cluster).isEmpty)
      // A transaction that is under way and prepared nowhere: the fence waits for it a moment, then ends it. An abort in time leaves
      // the table where it is.
      try cluster.kunlog(["table", "move", "moving", "--to", "2", "--no-wait", "--data", cluster.data])
      let again = try move("moving", "--to", "2")
      #expect(
        again.errors.contains("is being moved already") || again.errors.contains("is on shard 2 already"),
        "\(again.errors)")
      _ = try Program.run(Program.kunlog, ["migration", "abort", "1", "--data", cluster.data])
      try cluster.eventually("the migration has ended") {
        try Moving.migrations(cluster).allSatisfy { ["completed", "rolled back"].contains($0.state) }
      }
      #expect(try cluster.query("SELECT count(*) FROM moving") == "1000")
      let place = try Moving.shard(of: "moving", cluster)
      for shard in 1...2 {
        let expected = "\(shard)" == place ? ["t1.sqlite"] : []
        try cluster.eventually("shard \(shard) has \(expected)") {
          try Moving.tabletFiles(cluster, shard: shard) == [expected, expected, expected]
        }
      }
      let unknown = try Program.run(Program.kunlog, ["migration", "show", "77", "--data", cluster.data])
      #expect(unknown.errors.contains("There is no migration 77. See kunlog migration list."), "\(unknown.errors)")
      // What is paused rests until it is resumed.
      let there = place == "1" ? "2" : "1"
      try cluster.kunlog(["table", "move", "moving", "--to", there, "--data", cluster.data])
      #expect(try Moving.shard(of: "moving", cluster) == there)
      #expect(try cluster.query("SELECT count(*), min(v), max(v) FROM moving") == "1000|v|v")
    }
  }
}
