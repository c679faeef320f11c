import Foundation
import Testing

extension RealProcesses {
  /// Replicas of a running shard that come, go and are made anew.
  @Suite
  struct ReplicaTests {
    private struct Leftovers: Codable { var problems: [String] }
    private struct Members: Codable {
      struct Member: Codable {
        var id: UInt64
        var name: String
        var standing: String
        var isLeader: Bool
        var isAlive: Bool?
      }
      var members: [Member]
    }

    private func members(_ cluster: Cluster, shard: Int = 1) throws -> [Members.Member] {
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      let text = try cluster.kunlog(["storage", "list", "--shard", "\(shard)", "--data", cluster.data, "--json"])
      return try decoder.decode(Members.self, from: Data(text.utf8)).members
    }

    private func leader(_ cluster: Cluster) throws -> String {
      try #require(try members(cluster).first { $0.isLeader }).name
    }

    private func refused(_ cluster: Cluster, _ arguments: String...) throws -> String {
      let result = try Program.run(Program.kunlog, arguments + ["--data", cluster.data])
      #expect(result.status != 0, "\(arguments): \(result.output)")
      return result.errors
    }

    /// All replicas of each shard hold the same rows.
    private func expectAlike(_ cluster: Cluster) throws {
      var problems = ["not looked at"]
      do {
        try cluster.eventually(within: 60, "replicas are alike") {
          let text = try Program.run(
            Program.python, [Program.root + "/Tests/ClusterTests/Clients/leftovers.py", "--data", cluster.data])
          problems = try JSONDecoder().decode(Leftovers.self, from: Data(text.output.utf8)).problems
          return problems.isEmpty
        }
      } catch { throw Cluster.Failure(description: "\(error): \(problems)") }
    }

    @Test(
      "A replica comes in under load, the leader dies and is taken out, another dies: nothing is lost, replicas are alike"
    )
    func growth() throws {
      let cluster = try Cluster(nodePort: 18101, postgresPort: 15611)
      let data = ["--data", cluster.data]
      let report = try Moving.load(cluster, connections: 8, kills: true) {
        let added = try cluster.kunlog(["storage", "add", "--shard", "1"] + data)
        #expect(
          added.contains(
            "storage-1-4 is a replica of shard 1; its replicas are storage-1-1, storage-1-2, storage-1-3, storage-1-4"))
        #expect(try members(cluster).map(\.standing) == ["voter", "voter", "voter", "voter"])
        let first = try leader(cluster)
        try cluster.kill(first)
        let removed = try cluster.kunlog(["storage", "remove", first] + data)
        #expect(removed.contains("\(first) is removed; the replicas of shard 1 are"))
        #expect(removed.contains("\(first) has ended; its files are in \(cluster.data)/removed"))
        // Of the three that are left the new one is needed for each majority in which another one is missing.
        try cluster.kill(try #require(try members(cluster).first { $0.name != "storage-1-4" && !$0.isLeader }).name)
        try cluster.kunlog(["storage", "add", "--shard", "shard1"] + data)
        #expect(try members(cluster).count == 4)
        try cluster.kill(try leader(cluster))
        try cluster.kunlog(["storage", "remove", "storage-1-4"] + data)
      }
      print("growth: \(report)")
      #expect(report.violations == [])
      #expect(report.rows > 0)
      #expect(try members(cluster).count == 3)
      let history = try cluster.kunlog(["log", "show", "--family", "shards"] + data)
      #expect(history.contains("ReplicaAdded") && history.contains("ReplicaRemoved"), "\(history)")
      try expectAlike(cluster)
      let rows = try cluster.query("SELECT count(*) FROM moving")
      try cluster.stop()
      try cluster.start()
      #expect(try cluster.query("SELECT count(*) FROM moving") == rows)
      #expect(try members(cluster).count == 3)
    }

    @Test(
      "A replica whose disk is lost is made anew from the others; what would lose the majority is refused, with what to do"
    )
    func rebuild() throws {
      let cluster = try Cluster(nodePort: 18301, postgresPort: 15621)
      let data = ["--data", cluster.data]
      _ = try cluster.query(
        "CREATE TABLE t (id int PRIMARY KEY, v text) WITH (shard = 1); CREATE INDEX t_v ON t (v); "
          + "INSERT INTO t SELECT g, repeat(g::text, 20) FROM generate_series(1, 20000) g")
      // One that still applies would end by itself where its files are gone.
      try expectAlike(cluster)
      let lost = cluster.data + "/storage-1-2"
      try FileManager.default.moveItem(atPath: lost, toPath: cluster.data + "/lost")
      try cluster.kill("storage-1-2")
      _ = try cluster.query("UPDATE t SET v = 'new' WHERE id <= 100")
      let rebuilt = try cluster.kunlog(["storage", "rebuild", "12"] + data)
      #expect(
        rebuilt.contains(
          "storage-1-4 is in the place of storage-1-2; the replicas of shard 1 are storage-1-1, storage-1-3, storage-1-4"
        ))
      #expect(try members(cluster).map(\.name) == ["storage-1-1", "storage-1-3", "storage-1-4"])
      try expectAlike(cluster)
      _ = try cluster.query("INSERT INTO t SELECT g, 'later' FROM generate_series(30001, 30100) g")
      try expectAlike(cluster)

      #expect(try refused(cluster, "storage", "remove", "12").contains("Node 12 was removed already"))
      #expect(
        try refused(cluster, "storage", "remove", "99").contains(
          "There is no storage node 99. Storage nodes: storage-1-1 (11)"))
      #expect(try refused(cluster, "storage", "remove", "compute-1").contains("compute-1 is a compute node"))
      #expect(try refused(cluster, "storage", "add", "--shard", "7").contains("7"))
      #expect(
        try refused(cluster, "storage", "add", "--shard", "1", "--member", "11=127.0.0.1:18304").contains(
          "Node 11 is a replica of shard 1 already"))
      #expect(
        try refused(cluster, "storage", "add", "--shard", "1", "--member", "21=127.0.0.1:18307").contains(
          "Node 21 is a replica of shard 2 already"))
      try FileManager.default.createDirectory(
        atPath: cluster.data + "/storage-1-5/log", withIntermediateDirectories: true)
      #expect(try refused(cluster, "storage", "add", "--shard", "1").contains("storage-1-5 is not empty"))

      // One that does not answer: of two that would be left, one could be reached.
      let silent = try #require(try members(cluster).first { !$0.isLeader }).name
      let pid = try #require(try cluster.process(named: silent).pid)
      Foundation.kill(pid, SIGSTOP)
      defer { Foundation.kill(pid, SIGCONT) }
      let other = try #require(try members(cluster).first { !$0.isLeader && $0.name != silent }).name
      try cluster.eventually("the leader misses \(silent)") {
        try members(cluster).contains { $0.name == silent && $0.isAlive == false }
      }
      let refusal = try refused(cluster, "storage", "remove", other)
      #expect(
        refusal.contains("Of the 2 voters that there would be, only 1 could be reached: the group would stop"),
        "\(refusal)")
      #expect(refusal.contains("Bring them back first"))
      let second = try #require(try cluster.process(named: other).pid)
      Foundation.kill(second, SIGSTOP)
      defer { Foundation.kill(second, SIGCONT) }
      try cluster.eventually("shard 1 has no quorum") {
        try refused(cluster, "storage", "rebuild", silent, "--timeout", "2").contains(
          "Shard 1 has no leader: 1 of 3 voters answer")
      }
    }
  }
}
