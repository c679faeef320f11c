import Foundation
import Testing

extension RealProcesses {
  /// What a running cluster tells of itself.
  @Suite
  struct MonitoringTests {
    struct Status: Decodable {
      struct Node: Decodable {
        var name: String
        var role: String?
        var failure: String?
        var disk: String?
        var behind: UInt64?
        var logBytes: UInt64?
      }
      var leader: UInt64?
      var voters: Int
      var votersAnswering: Int
      var nodes: [Node]
    }

    private var decoder: JSONDecoder {
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      return decoder
    }

    private func status(_ cluster: Cluster) throws -> Status {
      let text = try cluster.kunlog(["meta", "status", "--data", cluster.data, "--json", "--timeout-ms", "1000"])
      return try decoder.decode(Status.self, from: Data(text.utf8))
    }

    @Test("Metrics of every role are as promtool, the documentation, the dashboard and the alert rules want them")
    func metrics() throws {
      let cluster = try Cluster(nodePort: 16601, postgresPort: 15461)
      // Something of everything that is counted by kind: on both shards, and an error.
      _ = try cluster.query(
        """
        CREATE TABLE a (id int PRIMARY KEY) WITH (shard = 1); CREATE TABLE b (id int PRIMARY KEY) WITH (shard = 2);
        INSERT INTO a VALUES (1); INSERT INTO b VALUES (1); SELECT count(*) FROM a, b;
        """)
      #expect(try cluster.psql("INSERT INTO a VALUES (1)").status != 0)
      // The manager asks its nodes once a second; what it has not asked yet it does not tell.
      Thread.sleep(forTimeInterval: 2.5)
      let result = try Program.run(
        "/usr/bin/python3", [Program.root + "/tools/monitoring/check", "--data", cluster.data])
      #expect(result.status == 0, "\(result.output)\(result.errors)")
    }

    @Test("kunlog meta status shows each meta node, and names those that do not answer where nobody leads")
    func metaStatus() throws {
      let cluster = try Cluster(nodePort: 16801, postgresPort: 15471)
      try cluster.eventually("a leader is seen by all") {
        let status = try self.status(cluster)
        return status.leader != nil && status.votersAnswering == 3
      }
      let whole = try status(cluster)
      #expect(whole.voters == 3)
      #expect(whole.nodes.map(\.name) == ["meta-1", "meta-2", "meta-3"])
      #expect(whole.nodes.count { $0.role == "leader" } == 1)
      #expect(whole.nodes.allSatisfy { $0.disk == "ok" && ($0.logBytes ?? 0) > 0 && $0.failure == nil })
      let table = try cluster.kunlog(["meta", "status", "--data", cluster.data])
      #expect(table.contains("3 of 3 voters answer"))

      let stopped = try ["meta-2", "meta-3"].map { try #require(try cluster.process(named: $0).pid) }
      for pid in stopped { kill(pid, SIGSTOP) }
      defer { for pid in stopped { kill(pid, SIGCONT) } }
      try cluster.eventually("nobody leads") { try self.status(cluster).leader == nil }
      let rest = try status(cluster)
      #expect(rest.voters == 3)
      #expect(rest.votersAnswering == 1)
      #expect(rest.nodes.map { $0.role == nil } == [false, true, true])
      #expect(rest.nodes.dropFirst().allSatisfy { $0.failure?.contains("DEADLINE_EXCEEDED") == true })
      let without = try cluster.kunlog(["meta", "status", "--data", cluster.data, "--timeout-ms", "500"])
      #expect(without.hasPrefix("no leader: 1 of 3 voters answer"))
      #expect(without.contains("meta-2 at 127.0.0.1:16802 does not answer: DEADLINE_EXCEEDED"))
      for pid in stopped { kill(pid, SIGCONT) }
      try cluster.eventually("somebody leads again") { try self.status(cluster).leader != nil }
    }

    @Test("A node logs JSON, one object per line, with who it is")
    func jsonLog() throws {
      let cluster = try Cluster(nodePort: 17001, postgresPort: 15481)
      let certificates = cluster.data + "/certificates"
      struct Layout: Decodable { var clusterId: String }
      let layout = try decoder.decode(
        Layout.self, from: Data(contentsOf: URL(filePath: cluster.data + "/cluster.json")))
      // The port is taken by the cluster's own manager: this one says so and ends.
      let result = try Program.run(
        Program.kunlog,
        [
          "manager", "--name", "manager-9", "--node-id", "209", "--cluster-id", layout.clusterId, "--listen",
          "127.0.0.1:17013", "--certificate", certificates + "/operator.pem", "--key", certificates + "/operator.key",
          "--authority", certificates + "/ca.pem", "--metadata", "127.0.0.1:17001", "--log-format", "json",
        ])
      #expect(result.status == 1)
      let lines = result.errors.split(separator: "\n")
      let last = try #require(lines.last)
      let object = try #require(try JSONSerialization.jsonObject(with: Data(last.utf8)) as? [String: String])
      #expect(object["level"] == "critical")
      #expect(object["node"] == "manager-9")
      #expect(object["node_id"] == "209")
      #expect(object["role"] == "manager")
      #expect(object["message"]?.hasPrefix("cannot start: ") == true)
      #expect(object["time"]?.count == 27)
    }
  }
}
