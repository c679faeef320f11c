import Foundation
import Testing

extension RealProcesses {
  /// Transactions over both shards, on real processes.
  @Suite
  struct TransactionTests {
    private static let tables = """
      CREATE TABLE a (id int PRIMARY KEY, v int) WITH (shard = 1);
      CREATE TABLE b (id int PRIMARY KEY, v int) WITH (shard = 2);
      INSERT INTO a VALUES (1, 100); INSERT INTO b VALUES (1, 100);
      """

    @Test(
      "psql and the Python drivers write both shards in one transaction, savepoints included; a deadlock ends for one")
    func clients() throws {
      let cluster = try Cluster(nodePort: 17101, postgresPort: 15511)
      _ = try cluster.query(Self.tables)
      _ = try cluster.query(
        """
        BEGIN; UPDATE a SET v = v - 10; SAVEPOINT s; UPDATE b SET v = v + 1; ROLLBACK TO s; UPDATE b SET v = v + 10; COMMIT;
        BEGIN; UPDATE a SET v = 0; UPDATE b SET v = 0; ROLLBACK;
        """)
      for node in 1...3 { #expect(try cluster.query("SELECT a.v, b.v FROM a, b", node: node) == "90|110") }
      let failed = try cluster.psql("BEGIN; UPDATE a SET v = 5; INSERT INTO b VALUES (1, 1); COMMIT", node: 2)
      #expect(failed.errors.contains("duplicate key value violates unique constraint \"b_pkey\""))
      #expect(try cluster.query("SELECT a.v, b.v FROM a, b") == "90|110")
      let idle = try cluster.psql(
        "SET idle_in_transaction_session_timeout = 200; BEGIN; UPDATE a SET v = 1;\n\\! sleep 1\nCOMMIT")
      #expect(idle.errors.contains("terminating connection due to idle-in-transaction timeout"))
      #expect(try cluster.query("SELECT a.v, b.v FROM a, b") == "90|110")
      let result = try Program.run(
        Program.python, [Program.root + "/Tests/ClusterTests/Clients/transactions.py", "\(cluster.postgresPort)"])
      #expect(result.status == 0, "\(result.errors)")
      #expect(
        result.output.split(separator: "\n") == [
          "asyncpg: both shards, or none", "psycopg: both shards, or none", "deadlock: one of two got 40P01",
        ])
      let events = try cluster.kunlog(["log", "show", "--data", cluster.data, "--family", "transactions"])
      #expect(events.contains("TransactionDecided") && events.contains("commit, shards 1, 2"))
      try cluster.eventually("the log has forgotten all decisions") {
        try cluster.kunlog(["txn", "list", "--data", cluster.data]) == "no transactions\n"
      }
      #expect(try cluster.query("SELECT count(*) FROM kunlog.transactions") == "0")
    }

    @Test(
      "The bank: random processes die, the total stays, what was acknowledged is there, nothing is in doubt afterwards")
    func bank() throws {
      let cluster = try Cluster(nodePort: 17201, postgresPort: 15521)
      let result = try Program.run(
        Program.python,
        [
          Program.root + "/Tests/ClusterTests/Clients/bank.py", "--kunlog", Program.kunlog, "--data", cluster.data,
          "--port", "\(cluster.postgresPort)", "--seconds", "25", "--kill-every", "4", "--connections", "8",
        ])
      #expect(result.status == 0, "\(result.errors)\n\(result.output)")
      struct Report: Codable {
        var acknowledged: Int
        var consistentReads: Int
        var kills: [String]
        var violations: [String]
      }
      let report = try JSONDecoder().decode(Report.self, from: Data(result.output.utf8))
      #expect(report.violations == [])
      #expect(report.acknowledged > 0 && report.consistentReads > 0 && report.kills.count >= 3, "\(result.output)")
    }
  }
}
