import Foundation
import Testing

extension RealProcesses {
  /// The quick start as a newcomer meets it: real processes, Debian's psql.
  @Suite
  struct QuickstartTests {
    static let seedTables = """
      CREATE TABLE testtable1 (id int primary key);
      CREATE TABLE testtable (id int primary key, name char(8)) partition by hash(id);
      CREATE TABLE  testtable_p1  PARTITION OF testtable FOR VALUES WITH (MODULUS 4, REMAINDER 0);
      CREATE TABLE  testtable_p2  PARTITION OF testtable FOR VALUES WITH (MODULUS 4, REMAINDER 1);
      CREATE TABLE  testtable_p3  PARTITION OF testtable FOR VALUES WITH (MODULUS 4, REMAINDER 2);
      CREATE TABLE  testtable_p4  PARTITION OF testtable FOR VALUES WITH (MODULUS 4, REMAINDER 3);
      """

    @Test("The seed's steps run verbatim, and ten thousand rows are there at every compute node at once")
    func seed() throws {
      let cluster = try Cluster(nodePort: 16001, postgresPort: 15401)
      #expect(try cluster.query(Self.seedTables) == "")
      // Verbatim: the pattern ends in a blank, so it matches nothing.
      #expect(
        try cluster.query("select relname,relshardid from pg_class where  reltype<>0 and relname like '%testtable% ';")
          == "")
      let distribution = try cluster.query(
        "select relname,relshardid from pg_class where reltype<>0 and relname like '%testtable%' order by relname;")
      let rows = distribution.split(separator: "\n").map { $0.split(separator: "|").map(String.init) }
      #expect(
        rows.map(\.first) == [
          "testtable", "testtable1", "testtable_p1", "testtable_p2", "testtable_p3", "testtable_p4",
        ])
      #expect(Set(rows.filter { $0[0].hasPrefix("testtable_p") }.map { $0[1] }) == ["1", "2"])

      let inserts = (1...10_000).map { "INSERT INTO testtable VALUES (\($0), 'n\($0 % 1000)');" }.joined(
        separator: "\n")
      #expect(try cluster.query(inserts) == "")
      for node in 1...3 {
        #expect(
          try cluster.query("SELECT count(*), min(id), max(id), sum(id) FROM testtable", node: node)
            == "10000|1|10000|50005000")
      }
      #expect(try cluster.query("SELECT length(name), name FROM testtable WHERE id = 7") == "2|n7      ")
      #expect(try cluster.query(#"\dt"#).contains("public|testtable_p3|table|abc"))
    }

    @Test("What was acknowledged survives kill -9 of one process of each role in turn, and each comes back")
    func killOne() throws {
      let cluster = try Cluster(nodePort: 16101, postgresPort: 15411)
      _ = try cluster.query("CREATE TABLE t (id int PRIMARY KEY, v text) WITH (shard = 1)")
      var acknowledged = 0
      for victim in ["meta-1", "storage-1-1", "compute-1", "manager-1", "meta-2", "storage-1-2"] {
        let pid = try cluster.kill(victim)
        // Another compute node goes on inserting; a statement that fails was not acknowledged and is sent again.
        for _ in 0..<20 {
          let next = acknowledged + 1
          try cluster.eventually("insert \(next) after the death of \(victim)") {
            try cluster.psql("INSERT INTO t VALUES (\(next), '\(victim)') ON CONFLICT DO NOTHING", node: 2).status == 0
          }
          acknowledged = next
        }
        try cluster.eventually("\(victim) is back") {
          let process = try cluster.process(named: victim)
          return process.state == "running" && process.pid != pid
        }
      }
      #expect(try cluster.query("SELECT count(*), max(id) FROM t", node: 1) == "\(acknowledged)|\(acknowledged)")
      #expect(try cluster.kunlog(["cluster", "status", "--data", cluster.data]).contains("storage-1-1"))
    }

    @Test("What was acknowledged survives kill -9 of all processes at once")
    func killAll() throws {
      let cluster = try Cluster(nodePort: 16201, postgresPort: 15421)
      _ = try cluster.query(
        "CREATE TABLE a (id int PRIMARY KEY) WITH (shard = 1); CREATE TABLE b (id int PRIMARY KEY) WITH (shard = 2)")
      _ = try cluster.query((1...200).map { "INSERT INTO a VALUES (\($0)); INSERT INTO b VALUES (\($0));" }.joined())
      let supervisor = try #require(
        Int32(
          String(contentsOfFile: cluster.data + "/run/supervisor.pid", encoding: .utf8).trimmingCharacters(
            in: .newlines))
      )
      let pids = [supervisor] + (try cluster.processes().compactMap(\.pid))
      #expect(pids.count == 14)
      for pid in pids { kill(pid, SIGKILL) }
      try cluster.eventually("all are gone") { try cluster.processes().allSatisfy { $0.pid == nil } }
      try cluster.start()
      #expect(try cluster.query("SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)") == "200|200")
    }

    @Test("A compute node that starts with an empty directory serves the whole catalog")
    func emptyCompute() throws {
      let cluster = try Cluster(nodePort: 16301, postgresPort: 15431)
      _ = try cluster.query(
        "CREATE TABLE t (id serial PRIMARY KEY, v text); CREATE VIEW w AS SELECT v FROM t; INSERT INTO t (v) VALUES ('x')"
      )
      let pid = try cluster.kill("compute-3")
      try? FileManager.default.removeItem(atPath: cluster.data + "/compute-3")
      try cluster.eventually("compute-3 is back") {
        let process = try cluster.process(named: "compute-3")
        return process.state == "running" && process.pid != pid
      }
      #expect(try cluster.query("SELECT v FROM w", node: 3) == "x")
      #expect(try cluster.query("INSERT INTO t (v) VALUES ('y') RETURNING v", node: 3) == "y")
    }

    @Test("asyncpg, psycopg and SQLAlchemy connect, create, insert with parameters and read every type back")
    func drivers() throws {
      let cluster = try Cluster(nodePort: 16401, postgresPort: 15441)
      let result = try Program.run(
        Program.python, [Program.root + "/Tests/ClusterTests/Clients/drivers.py", "\(cluster.postgresPort)"])
      #expect(result.status == 0, "\(result.errors)")
      #expect(
        result.output.split(separator: "\n") == [
          "asyncpg: every type went there and back", "psycopg: every type went there and back",
          "sqlalchemy: every type went there and back",
        ])
    }
  }
}
