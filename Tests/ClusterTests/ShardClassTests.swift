import Foundation
import Testing

extension RealProcesses {
  /// Partitions that expire and move to a cold shard, on real processes.
  @Suite
  struct ShardClassTests {
    private func shards(_ cluster: Cluster) throws -> String {
      try cluster.query(
        """
        SELECT string_agg(relname || ':' || relshardid, ' ' ORDER BY relname) FROM pg_class
        WHERE relname IN ('e2020', 'e2021', 'later')
        """)
    }

    private func refused(_ cluster: Cluster, _ arguments: String...) throws -> String {
      let result = try Program.run(Program.kunlog, arguments + ["--data", cluster.data])
      #expect(result.status != 0, "\(arguments): \(result.output)")
      return result.errors
    }

    /// Of all rows, in their order.
    private func checksum(_ cluster: Cluster) throws -> String {
      try cluster.query(
        "SELECT count(*), sum(id), md5(string_agg(at::text || id || v, ',' ORDER BY at, id)) FROM events")
    }

    private func createEvents(_ cluster: Cluster) throws {
      _ = try cluster.query(
        """
        CREATE TABLE events (at date, id int, v text, PRIMARY KEY (at, id)) PARTITION BY RANGE (at)
          WITH (cold_after = '90 days');
        CREATE TABLE e2020 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01') WITH (shard = 1);
        CREATE TABLE e2021 PARTITION OF events FOR VALUES FROM ('2021-01-01') TO ('2022-01-01') WITH (shard = 2);
        CREATE TABLE later PARTITION OF events FOR VALUES FROM ('2022-01-01') TO ('2122-01-01') WITH (shard = 1);
        """)
      for year in [2020, 2021, 2025] {
        _ = try cluster.query(
          """
          INSERT INTO events SELECT date '\(year)-01-01' + g % 365, g, repeat('v', g % 50)
          FROM generate_series(1, 3000) g
          """)
      }
    }

    @Test("Expired partitions move to a cold shard, stay readable and writable, and come back when they are to be hot")
    func coldShard() throws {
      let cluster = try Cluster(nodePort: 18701, postgresPort: 15671)
      let data = ["--data", cluster.data]
      try createEvents(cluster)
      #expect(try shards(cluster) == "e2020:1 e2021:2 later:1")
      let without = try cluster.kunlog(["rebalance", "--plan"] + data)
      #expect(without.contains("2 tablets belong to class cold, of which no shard takes any"), "\(without)")
      #expect(without.contains("nothing to move"), "\(without)")
      #expect(
        try cluster.kunlog(["shard", "add", "--class", "cold", "--replicas", "1"] + data).contains(
          "shard 3, class cold is added"))

      // What is written meanwhile is there afterwards.
      var expected = try checksum(cluster)
      let plan = try cluster.kunlog(["rebalance", "--plan"] + data)
      for reason in ["e2020 ended 2020-12-31", "e2021 ended 2021-12-31"] {
        #expect(plan.contains("cold_after of 90 days: \(reason)"), "\(plan)")
      }
      try cluster.kunlog(["rebalance", "--apply", "--no-wait"] + data)
      var written = 0
      while try cluster.kunlog(["migration", "list", "--open"] + data) != "no migrations\n" || written < 20 {
        written += 1
        _ = try cluster.query("INSERT INTO events VALUES ('2020-06-01', \(10_000 + written), 'meanwhile')")
        #expect(try cluster.query("SELECT count(*) FROM events WHERE id > 10000") == "\(written)")
      }
      #expect(try shards(cluster) == "e2020:3 e2021:3 later:1")
      _ = try cluster.query("DELETE FROM events WHERE id > 10000")
      #expect(try checksum(cluster) == expected)
      #expect(try cluster.kunlog(["rebalance"] + data).contains("nothing to move"))
      #expect(
        try cluster.kunlog(["log", "show", "--family", "migrations"] + data).contains(
          "cold_after of 90 days: e2021 ended 2021-12-31"))

      // Cold data are read and written.
      _ = try cluster.query(
        "UPDATE events SET v = 'changed' WHERE at = '2020-02-01'; DELETE FROM events WHERE at = '2021-03-01'")
      #expect(try cluster.query("SELECT DISTINCT v FROM events WHERE at = '2020-02-01'") == "changed")
      #expect(try cluster.query("SELECT count(*) FROM events WHERE at = '2021-03-01'") == "0")

      // Nothing else goes there.
      _ = try cluster.query("CREATE TABLE a (i int); CREATE TABLE b (i int); CREATE TABLE c (i int)")
      #expect(
        try cluster.query("SELECT count(*) FROM pg_class WHERE relname IN ('a', 'b', 'c') AND relshardid = 3") == "0")
      #expect(
        try refused(cluster, "table", "move", "a", "--to", "3").contains(
          "table \"a\" belongs on shards of class hot, and shard 3 is of class cold"))
      #expect(
        try refused(cluster, "shard", "drain", "3").contains(
          "shard 3 cannot be drained: it is the last one of class cold, and has 2 tablets"))
      #expect(try cluster.kunlog(["shard", "list"] + data).contains("cold"))

      // By themselves, too.
      expected = try checksum(cluster)
      try cluster.kunlog(["rebalance", "--automatic", "on"] + data)
      _ = try cluster.query("ALTER TABLE e2021 SET (shard_class = hot)")
      try cluster.eventually(within: 90, "e2021 is on a hot shard") { try shards(cluster).contains("e2021:3") == false }
      _ = try cluster.query("ALTER TABLE e2021 RESET (shard_class)")
      try cluster.eventually(within: 90, "e2021 is on the cold shard again") {
        try shards(cluster).contains("e2021:3")
          && cluster.kunlog(["migration", "list", "--open"] + data) == "no migrations\n"
      }
      #expect(try checksum(cluster) == expected)

      // The way out: the shard becomes a hot one, and goes.
      try cluster.kunlog(["rebalance", "--automatic", "off"] + data)
      #expect(try cluster.kunlog(["shard", "set-class", "3", "hot"] + data).contains("shard 3 is of class hot"))
      #expect(try cluster.kunlog(["shard", "drain", "3"] + data).contains("shard 3 is empty"))
      try cluster.kunlog(["shard", "remove", "3"] + data)
      #expect(try checksum(cluster) == expected)
      let history = try cluster.kunlog(["log", "show", "--family", "shards"] + data)
      for text in ["class cold", "ShardClassSet        shard 3: hot"] { #expect(history.contains(text), "\(history)") }
    }
  }
}
