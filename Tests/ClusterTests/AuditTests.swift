import Foundation
import Testing

extension RealProcesses {
  /// What an auditor asks of a running cluster, on the command line.
  @Suite
  struct AuditTests {
    private static var decoder: JSONDecoder {
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      return decoder
    }

    @Test(
      "Heads and proofs are checked by a script of Python that rejects forged ones; the log is verified and replayed")
    func proofs() throws {
      let cluster = try Cluster(nodePort: 16901, postgresPort: 15491)
      _ = try cluster.query("CREATE TABLE audited (id int PRIMARY KEY)")
      let data = ["--data", cluster.data]
      let script = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined() + "/examples/verify-proof.py"
      func save(_ name: String, _ text: String) throws -> String {
        let path = cluster.data + "/" + name
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
      }
      func check(_ arguments: String...) throws -> ProgramResult {
        try Program.run("/usr/bin/python3", [script] + arguments)
      }
      let early = try save("early.json", try cluster.kunlog(["log", "head", "--json"] + data))
      let record = try index(cluster)
      try cluster.kunlog(["log", "note", "after the head"] + data)
      let head = try save("head.json", try cluster.kunlog(["log", "head", "--json"] + data))

      let text = try cluster.kunlog(["log", "prove", "\(record)", "--head", head] + data)
      let proof = try save("proof.json", text)
      let good = try check(proof, "--head", head)
      #expect(good.status == 0)
      #expect(good.output.hasPrefix("record \(record) is number"))
      #expect(try check(proof, "--head", early).errors.contains("not the one that was written down"))
      func forge(_ change: (inout [String: Any]) -> Void) throws -> ProgramResult {
        var object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        change(&object)
        let bytes = try JSONSerialization.data(withJSONObject: object)
        return try check(try save("forged.json", String(decoding: bytes, as: UTF8.self)), "--head", head)
      }
      let otherBody = try forge { object in
        var record = object["record"] as? [String: Any] ?? [:]
        var body = Data(base64Encoded: record["body"] as? String ?? "") ?? Data()
        body[body.count / 2] ^= 1
        record["body"] = body.base64EncodedString()
        object["record"] = record
      }
      #expect(otherBody.status == 1 && otherBody.errors.contains("does not have the hash that it claims"))
      let otherPlace = try forge { $0["leaf"] = 0 }
      #expect(otherPlace.status == 1 && otherPlace.errors.contains("REFUSED"))
      let otherPath = try forge { object in
        var path = object["path"] as? [String] ?? []
        path[0] = String(repeating: "ab", count: 32)
        object["path"] = path
      }
      #expect(otherPath.status == 1 && otherPath.errors.contains("does not belong to the head's log"))

      let consistency = try save(
        "continued.json", try cluster.kunlog(["log", "prove", "--from", early, "--head", head] + data))
      #expect(try check(consistency, "--head", head).status == 0)

      let verified = try cluster.kunlog(["log", "verify", "--head", early] + data)
      #expect(verified.contains("All is as it must be"))
      let replayed = try cluster.kunlog(["log", "replay", "--into", cluster.data + "/replayed"] + data)
      #expect(replayed.contains("It equals the live state."))
      #expect(try cluster.kunlog(["log", "status"] + data).contains("held       by nothing"))

      try cluster.stop()
      #expect(try cluster.kunlog(["log", "verify"] + data).contains("meta-1: good"))
      let segment = cluster.data + "/meta-2/metadata/log/0000000001.log"
      var bytes = try Data(contentsOf: URL(fileURLWithPath: segment))
      bytes[bytes.count / 2] ^= 8
      try bytes.write(to: URL(fileURLWithPath: segment))
      let damaged = try Program.run(Program.kunlog, ["log", "verify"] + data)
      #expect(damaged.status == 1)
      #expect(damaged.output.contains("0000000001.log, byte \(bytes.count / 2)"))
    }

    @Test("Blame, at, diff, listings, show and export tell of tables that were made, changed, dropped and made again")
    func audit() throws {
      let cluster = try Cluster(nodePort: 16801, postgresPort: 15481)
      _ = try cluster.query(
        """
        CREATE TABLE customers (id serial PRIMARY KEY, name text) WITH (shard = 1);
        CREATE INDEX by_name ON customers (name);
        """)
      let before = try index(cluster)
      _ = try cluster.query(
        """
        DROP TABLE customers;
        CREATE TABLE customers (id int PRIMARY KEY, city text) WITH (shard = 2);
        CREATE ROLE erika LOGIN PASSWORD 'x';
        """)
      let data = ["--data", cluster.data]
      struct Record: Decodable {
        struct Event: Decodable { var kind: String }
        var index: UInt64
        var principal: String
        var events: [Event]
      }
      struct Blame: Decodable {
        struct Entry: Decodable {
          var record: Record
          var notes: [Record]?
        }
        struct Life: Decodable {
          var createdAt: UInt64
          var droppedAt: UInt64?
          var entries: [Entry]
        }
        var lives: [Life]
      }
      func decoded<Value: Decodable>(_ arguments: [String]) throws -> Value {
        try Self.decoder.decode(Value.self, from: Data(try cluster.kunlog(arguments + data).utf8))
      }
      var blame: Blame = try decoded(["log", "blame", "table", "public.customers", "--json"])
      #expect(blame.lives.count == 2)
      #expect(
        blame.lives[0].entries.map { $0.record.events.map(\.kind) } == [
          ["TableCreated", "SequenceCreated", "IndexCreated", "TabletCreated"], ["IndexCreated"],
          ["TabletDropped", "IndexDropped", "IndexDropped", "SequenceDropped", "TableDropped"],
        ])
      #expect(blame.lives[0].entries.allSatisfy { $0.record.principal == "abc@compute-1" })
      #expect(blame.lives[0].droppedAt != nil && blame.lives[1].droppedAt == nil)

      let dropped = try #require(blame.lives[0].droppedAt)
      try cluster.kunlog(
        ["log", "note", "--about", "\(dropped)", "made anew for the shop"] + data)
      blame = try decoded(["log", "blame", "table", "customers", "--json"])
      #expect(blame.lives[0].entries.last?.notes?.first?.principal == "operator")

      // As it was.
      #expect(
        try cluster.kunlog(["table", "list", "--at", "\(before)"] + data).contains("3        2        1        1")
          == false)
      let then = try cluster.kunlog(["table", "show", "customers", "--at", "\(before)"] + data)
      #expect(then.contains("column 2: name text") && then.contains("on shard 1"))
      let now = try cluster.kunlog(["table", "show", "customers"] + data)
      #expect(now.contains("column 2: city text") && now.contains("on shard 2"))
      let shards = try cluster.kunlog(["shard", "list", "--at", "\(before)"] + data)
      #expect(
        shards.split(separator: "\n").contains {
          $0.split(separator: " ").prefix(5) == ["1", "shard1", "hot", "1", "1"]
        })
      #expect(try cluster.kunlog(["shard", "show", "shard2"] + data).contains("of public.customers on shard 2"))
      #expect(
        try cluster.kunlog(["cluster", "status", "--at", "\(before)"] + data).contains(
          "13 nodes, metadata log at \(before)"))
      #expect(
        try cluster.kunlog(["log", "at", "--index", "\(before)"] + data).contains("1 table, 2 indexes, 1 sequence"))
      let diff = try cluster.kunlog(["log", "diff", "\(before)"] + data)
      #expect(diff.contains("- sequence public.customers_id_seq") && diff.contains("+ role erika"))
      #expect(!diff.contains("SCRAM"))

      struct Records: Decodable { var records: [Record] }
      let shown: Records = try decoded([
        "log", "show", "--object", "table customers", "--reverse", "--limit", "2", "--json",
      ])
      #expect(shown.records.map { $0.events[0].kind } == ["TableCreated", "TabletDropped"])
      let roles: Records = try decoded(["log", "show", "--family", "roles", "--principal", "abc@*", "--json"])
      #expect(roles.records.map { $0.events[0].kind } == ["RoleCreated"])
      try export(cluster)
      try refusals(cluster)
    }

    private func index(_ cluster: Cluster) throws -> UInt64 {
      struct Report: Decodable { var metadataIndex: UInt64 }
      let text = try cluster.kunlog(["cluster", "status", "--json", "--data", cluster.data])
      return try Self.decoder.decode(Report.self, from: Data(text.utf8)).metadataIndex
    }

    private func export(_ cluster: Cluster) throws {
      let database = cluster.data + "/audit.db"
      let lines = cluster.data + "/audit.jsonl"
      let data = ["--data", cluster.data]
      try cluster.kunlog(["log", "export", "--sqlite", database] + data)
      try cluster.kunlog(["log", "export", "--jsonl", lines] + data)
      _ = try cluster.query("CREATE VIEW late AS SELECT 1 AS one")
      // A line that was cut off is written again.
      let handle = try FileHandle(forWritingTo: URL(filePath: lines))
      try handle.seekToEnd()
      try handle.write(contentsOf: Data("{\"index\":12,\"te".utf8))
      try handle.close()
      #expect(try cluster.kunlog(["log", "export", "--sqlite", database] + data).hasPrefix("1 records with 1 events"))
      #expect(try cluster.kunlog(["log", "export", "--jsonl", lines] + data).hasPrefix("1 records with 1 events"))
      let whole = try cluster.kunlog(["log", "export", "--jsonl"] + data)
      #expect(try String(contentsOfFile: lines, encoding: .utf8) == whole)
      let query = try Program.run(
        Program.python,
        [
          "-c",
          """
          import sqlite3, sys
          d = sqlite3.connect(sys.argv[1])
          one = lambda q: d.execute(q).fetchone()
          print(one("SELECT count(*) = (SELECT count(*) FROM records) FROM (SELECT DISTINCT record FROM events)")[0],
                one("SELECT count(*) FROM objects WHERE name = 'public.customers'")[0],
                one("SELECT count(*) FROM living_objects WHERE name = 'public.customers'")[0],
                one("SELECT kind FROM timeline ORDER BY record DESC LIMIT 1")[0],
                one("SELECT count(*) FROM records a JOIN records b ON b.previous_record = a.record WHERE b.previous_hash <> a.hash")[0],
                one("SELECT count(*) FROM object_history WHERE object_name = 'public.customers' AND kind = 'TableDropped'")[0])
          """, database,
        ])
      #expect(query.output == "1 2 1 ViewCreated 0 1\n", "\(query.errors)")
    }

    private func refusals(_ cluster: Cluster) throws {
      let database = cluster.data + "/other.db"
      let cases: [([String], String)] = [
        (["log", "at", "--index", "0"], "The log's indexes begin with 1."),
        (["log", "at", "--index", "999999"], "Index 999999 is in the future: the log ends at "),
        (["log", "at", "--time", "2020-01-01"], "nothing was before"),
        (["log", "at", "--time", "2999-01-01"], "is in the future"),
        (["log", "at", "--time", "soon"], "'soon' is no time. Write 2026-11-26T23:15:03Z"),
        (["log", "show", "--from", "999999"], "is in the future"),
        (["log", "show", "--since", "x"], "'x' is no time"),
        (["log", "show", "--object", "table custmers"], "Did you mean customers?"),
        (["log", "blame", "table", "custmers"], "Did you mean customers?"),
        (["log", "blame", "tabel", "customers"], "did you mean table?"),
        (["table", "show", "custmers"], "Did you mean customers?"),
        (["shard", "show", "9"], "There is no shard 9. Shards: 1 (shard1), 2 (shard2)."),
        (["table", "list", "--at", "999999"], "is in the future"),
        (["log", "diff", "1", "999999"], "nothing was before"),
        (["log", "export", "--sqlite", "/nowhere/x.db"], "cannot be used as an SQLite database"),
        (["log", "export", "--sqlite", cluster.data + "/cluster.json"], "file is not a database"),
        (["log", "export", "--jsonl", "/nowhere/x"], "No such file or directory"),
        (["log", "export", "--jsonl", cluster.data + "/cluster.json"], "it is no export"),
      ]
      for (arguments, expected) in cases {
        let result = try Program.run(Program.kunlog, arguments + ["--data", cluster.data])
        #expect(result.status != 0, "\(arguments)")
        #expect(result.errors.contains(expected), "\(arguments): \(result.errors)")
      }
      // A file of another cluster.
      let made = try Program.run(
        Program.python,
        [
          "-c",
          """
          import shutil, sqlite3, sys
          shutil.copy(sys.argv[1], sys.argv[2])
          d = sqlite3.connect(sys.argv[2])
          d.execute("UPDATE export SET value = 'ab' WHERE key = 'cluster_id'")
          d.commit()
          """, cluster.data + "/audit.db", database,
        ])
      #expect(made.status == 0, "\(made.errors)")
      let foreign = try Program.run(Program.kunlog, ["log", "export", "--sqlite", database, "--data", cluster.data])
      #expect(foreign.status == 1)
      #expect(foreign.errors.contains("is the export of cluster quickstart (ab)"), "\(foreign.errors)")
      try cluster.stop()
      let gone = try Program.run(Program.kunlog, ["log", "blame", "table", "customers", "--data", cluster.data])
      #expect(gone.status != 0)
      #expect(gone.errors.contains("No meta node answers at "))
    }
  }
}
