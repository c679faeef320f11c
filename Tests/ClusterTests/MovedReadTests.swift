import Foundation
import Testing

extension RealProcesses {
  /// Transactions that used a table before it moved.
  @Suite
  struct MovedReadTests {
    @Test("REPEATABLE READ does not see a table's later moment where it has moved to; READ COMMITTED goes on")
    func moved() throws {
      let cluster = try Cluster(nodePort: 17301, postgresPort: 15531)
      _ = try cluster.query(
        """
        CREATE TABLE a (id int PRIMARY KEY, v int) WITH (shard = 1);
        CREATE TABLE b (id int PRIMARY KEY, v int) WITH (shard = 2);
        INSERT INTO a VALUES (1, 10); INSERT INTO b VALUES (1, 20);
        """)
      func session(_ begin: String, moves target: Int, then statement: String) throws -> (
        output: String, errors: String
      ) {
        let move = "\(Program.kunlog) table move a --to \(target) --data \(cluster.data) > /dev/null"
        let result = try cluster.psql(
          "\\set VERBOSITY verbose\n\(begin);\nSELECT 'a', v FROM a;\n\\! \(move)\n\(statement);\nSELECT 'b', v FROM b;\nCOMMIT;"
        )
        return (result.output, result.errors)
      }
      for (target, statement) in [(2, "SELECT 'a', v FROM a"), (1, "UPDATE a SET v = v + 1")] {
        let result = try session("BEGIN ISOLATION LEVEL REPEATABLE READ", moves: target, then: statement)
        #expect(result.errors.contains("40001"), "\(result)")
        #expect(
          result.errors.contains("could not serialize access: a table has moved to another shard since it was read"),
          "\(result)")
        #expect(result.output == "a|10\n", "\(result)")
      }
      let result = try session("BEGIN", moves: 2, then: "UPDATE a SET v = v + 1 RETURNING 'now', v")
      #expect(result.errors == "", "\(result)")
      #expect(result.output == "a|10\nnow|11\nb|20\n", "\(result)")
      #expect(
        try cluster.query("SELECT a.v, b.v, (SELECT relshardid FROM pg_class WHERE relname = 'a') FROM a, b")
          == "11|20|2")
    }
  }
}
