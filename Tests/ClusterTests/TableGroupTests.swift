import Foundation
import Testing

extension RealProcesses {
  /// Tables that stay together, on real processes.
  @Suite
  struct TableGroupTests {
    private func shards(_ cluster: Cluster) throws -> String {
      try cluster.query(
        """
        SELECT string_agg(DISTINCT relshardid::text, ',') FROM pg_class
        WHERE relname IN ('moving', 'counter', 'later') AND relkind = 'r'
        """)
    }

    @Test("A table group moves under load and stays together: no statement fails, every acknowledged row is there once")
    func underLoad() throws {
      let cluster = try Cluster(nodePort: 18101, postgresPort: 15811)
      let data = ["--data", cluster.data]
      let report = try Moving.load(cluster, connections: 6, grouped: true) {
        let alone = try Program.run(Program.kunlog, ["table", "move", "moving", "--to", "2"] + data)
        #expect(
          alone.errors.contains("table \"moving\" cannot move without the rest of table group \"together\""),
          "\(alone.errors)")
        #expect(
          alone.errors.contains("Move the group: kunlog table move --group together --to 2."), "\(alone.errors)")
        let output = try cluster.kunlog(["table", "move", "--group", "together", "--to", "2"] + data)
        #expect(output.contains("moves public.moving (tablet 1) from shard 1 to shard 2"), "\(output)")
        #expect(output.contains("moves public.counter (tablet 2) from shard 1 to shard 2"), "\(output)")
        _ = try cluster.query("CREATE TABLE later (id int PRIMARY KEY) WITH (tablegroup = together)")
        #expect(try shards(cluster) == "2")
        // A drain takes them away together.
        try cluster.kunlog(["shard", "drain", "2"] + data)
        #expect(try shards(cluster) == "1")
      }
      #expect(report.errors == [])
      #expect(report.violations == [])
      #expect(report.rows > 0)
      #expect(
        try cluster.query("SELECT string_agg(table_name, ',') FROM kunlog.table_groups WHERE table_group = 'together'")
          == "public.moving,public.counter,public.later")
      #expect(try cluster.kunlog(["table", "list"] + data).contains("together"))
    }

    @Test("A move of a group of which one part is called off leaves the group together")
    func calledOff() throws {
      let cluster = try Cluster(nodePort: 18201, postgresPort: 15821)
      let data = ["--data", cluster.data]
      let report = try Moving.load(cluster, connections: 2, grouped: true) {
        try cluster.kunlog(
          ["table", "move", "--group", "together", "--to", "2", "--keep-source"] + data)
        #expect(try shards(cluster) == "2")
        let output = try cluster.kunlog(["migration", "reverse", "1"] + data)
        #expect(output.contains("so are 1 more of its table group"), "\(output)")
        try cluster.eventually(within: 60, "both are back") {
          try shards(cluster) == "1"
            && cluster.kunlog(["migration", "list", "--open"] + data) == "no migrations\n"
        }
        try cluster.kunlog(["table", "move", "--group", "together", "--to", "2", "--no-wait"] + data)
        try cluster.kunlog(["migration", "abort", "3"] + data)
        try cluster.eventually(within: 90, "all moves end, and the group is together") {
          let places = try shards(cluster)
          return try (places == "1" || places == "2")
            && cluster.kunlog(["migration", "list", "--open"] + data) == "no migrations\n"
        }
      }
      #expect(report.violations == [])
      #expect(report.errors == [])
    }
  }
}
