import Foundation
import Testing

extension RealProcesses {
  /// Moves that keep their source: the way back, on real processes.
  @Suite
  struct MovingBackTests {
    private func show(_ id: Int, _ cluster: Cluster) throws -> String {
      try cluster.kunlog(["migration", "show", "\(id)", "--data", cluster.data])
    }

    private func signal(_ names: [String], _ signal: Int32, _ cluster: Cluster) throws {
      for name in names { if let pid = try cluster.process(named: name).pid { kill(pid, signal) } }
    }

    @Test(
      "A source that is kept follows what is written after the route: reversed, nothing is lost; completed, its copy is gone"
    )
    func reverse() throws {
      let cluster = try Cluster(nodePort: 17701, postgresPort: 15571)
      let data = ["--data", cluster.data]
      let report = try Moving.load(cluster, connections: 6) {
        let output = try cluster.kunlog(
          [
            "table", "move", "moving", "counter", "--to", "2", "--keep-source", "--max-lag", "500ms", "--throttle",
            "20MiB",
          ] + data)
        #expect(output.contains("is kept current: kunlog migration complete 1, or reverse 1"), "\(output)")
        #expect(try Moving.shard(of: "moving", cluster) == "2")
        let shown = try show(1, cluster)
        #expect(shown.contains("options   lag at most 500ms, 20MiB/s at most, source kept"), "\(shown)")
        #expect(shown.contains("way back  open"), "\(shown)")
        _ = try cluster.query("CREATE INDEX moving_pad ON moving (pad)")
        Thread.sleep(forTimeInterval: 2)
        for id in ["1", "2"] {
          let output = try cluster.kunlog(["migration", "reverse", id] + data)
          #expect(output.contains("migration \(id): reversed"), "\(output)")
        }
        #expect(try Moving.shard(of: "moving", cluster) == "1")
        // Once more, through the death of who follows and of who drives.
        try cluster.kunlog(["table", "move", "moving", "--to", "2", "--keep-source"] + data)
        try cluster.kill("manager-1")
        for victim in ["storage-1-1", "storage-2-1"] { try cluster.kill(victim) }
        Thread.sleep(forTimeInterval: 1)
        try cluster.kunlog(["migration", "reverse", "3"] + data)
        try cluster.kunlog(["table", "move", "moving", "--to", "2", "--keep-source", "--no-verify"] + data)
        // All of the source's shard is away for a while; what it missed it takes afterwards.
        let replicas = (1...3).map { "storage-1-\($0)" }
        try signal(replicas, SIGSTOP, cluster)
        Thread.sleep(forTimeInterval: 3)
        try signal(replicas, SIGCONT, cluster)
        try cluster.kunlog(["migration", "reverse", "4"] + data)
        try cluster.kunlog(["table", "move", "moving", "--to", "2", "--keep-source"] + data)
        let refused = try Program.run(Program.kunlog, ["table", "move", "moving", "--to", "1"] + data)
        #expect(refused.errors.contains("or take the table back: kunlog migration reverse 5."), "\(refused.errors)")
        try cluster.kunlog(["migration", "complete", "5"] + data)
      }
      #expect(report.violations == [])
      #expect(report.rows > 0)
      try Moving.expectNoOrphans(cluster)
      #expect(
        try cluster.query(
          "SELECT string_agg(state || ' ' || keeps_source, ',' ORDER BY migration) FROM kunlog.migrations")
          == "reversed true,reversed true,reversed true,reversed true,completed true")
      let late = try Program.run(Program.kunlog, ["migration", "reverse", "5"] + data)
      #expect(late.errors.contains("migration 5 has ended: completed"), "\(late.errors)")
    }

    @Test("TRUNCATE and indexes reach the kept copy, DROP TABLE ends the move, and a way back is called off")
    func definitions() throws {
      let cluster = try Cluster(nodePort: 17801, postgresPort: 15581)
      let data = ["--data", cluster.data]
      _ = try cluster.query(
        """
        CREATE TABLE moving (id int PRIMARY KEY, v text) WITH (shard = 1);
        CREATE TABLE gone (id int PRIMARY KEY) WITH (shard = 1);
        INSERT INTO moving SELECT g, 'old' FROM generate_series(1, 1000) g;
        """)
      try cluster.kunlog(["table", "move", "moving", "gone", "--to", "2", "--keep-source"] + data)
      _ = try cluster.query("TRUNCATE moving; CREATE INDEX moving_v ON moving (v)")
      _ = try cluster.query("INSERT INTO moving SELECT g, 'new' FROM generate_series(1, 10) g; DROP TABLE gone")
      try cluster.kunlog(["migration", "reverse", "1"] + data)
      #expect(try Moving.shard(of: "moving", cluster) == "1")
      #expect(try cluster.query("SELECT count(*), min(v), max(v) FROM moving") == "10|new|new")
      #expect(try cluster.query("SELECT count(*) FROM moving WHERE v = 'new'") == "10")
      #expect(try Moving.migrations(cluster).map(\.state).sorted() == ["abandoned", "reversed"])
      for shard in 1...2 {
        let expected = shard == 1 ? ["t1.sqlite"] : []
        try cluster.eventually("shard \(shard) has \(expected)") {
          try Moving.tabletFiles(cluster, shard: shard) == [expected, expected, expected]
        }
      }
      let bare = try Program.run(Program.kunlog, ["table", "move", "moving", "--to", "2", "--max-lag", "never"] + data)
      #expect(bare.status != 0 && bare.errors.contains("--max-lag"), "\(bare.errors)")
    }
  }
}
