import Foundation
import Testing

extension RealProcesses {
  /// Storage nodes that start where there is no space.
  @Suite(.enabled(if: SmallDisk.missing == nil, Comment(rawValue: SmallDisk.missing ?? "")))
  struct FullDiskStartTests {
    private struct Replicas: Codable {
      struct Member: Codable {
        var name: String
        var isLeader: Bool
        var isAlive: Bool?
        var lag: UInt64?
        var free: UInt64?
        enum CodingKeys: String, CodingKey {
          case name, lag
          case isLeader = "is_leader"
          case isAlive = "is_alive"
          case free = "disk_free_bytes"
        }
      }
      var members: [Member]
    }

    private func replicas(_ cluster: Cluster) throws -> [Replicas.Member] {
      let text = try cluster.kunlog(["storage", "list", "--shard", "2", "--data", cluster.data, "--json"])
      return try JSONDecoder().decode(Replicas.self, from: Data(text.utf8)).members
    }

    private func log(_ cluster: Cluster, _ name: String) throws -> String {
      try String(contentsOfFile: "\(cluster.data)/log/\(name).log", encoding: .utf8)
    }

    /// kill -9; answers the process that the supervisor starts in its place, once it has lived for a while.
    private func restart(_ cluster: Cluster, _ name: String) throws -> Int32 {
      let old = try cluster.kill(name)
      try cluster.eventually("\(name) runs again") {
        guard let pid = try cluster.process(named: name).pid else { return false }
        return pid != old
      }
      return try #require(try cluster.process(named: name).pid)
    }

    @Test("A replica starts on a full disk, takes part, and catches up when there is space; a shard of such reads")
    func start() throws {
      try SmallDisk.underShard2(nodePort: 18651, postgresPort: 15911) { cluster, disks in
        _ = try cluster.query("CREATE TABLE small (id int PRIMARY KEY, pad text) WITH (shard = 2)")
        _ = try cluster.query("INSERT INTO small SELECT g, repeat('disk', 1000) FROM generate_series(1, 100) AS s (g)")
        let follower = try #require(try replicas(cluster).first { !$0.isLeader }?.name)
        try disks[follower]?.fill()
        let begin = try log(cluster, follower).count
        let pid = try restart(cluster, follower)
        try cluster.eventually("\(follower) takes part on its full disk") {
          try replicas(cluster).contains { $0.name == follower && $0.isAlive == true && $0.lag == 0 }
        }
        // What was set aside is used up too.
        try disks[follower]?.fill()
        let again = try restart(cluster, follower)
        #expect(again != pid)
        try cluster.eventually("\(follower) takes part without any space") {
          try replicas(cluster).contains { $0.name == follower && $0.isAlive == true && ($0.free ?? .max) < 1 << 20 }
        }
        _ = try cluster.query(
          "INSERT INTO small SELECT g, repeat('disk', 1000) FROM generate_series(101, 200) AS s (g)")
        #expect(try cluster.process(named: follower).pid == again, "it goes on")
        let said = String(try log(cluster, follower).dropFirst(begin))
        #expect(said.contains("is full: what the shard has logged already is applied in the space"), "\(said)")
        #expect(!said.contains("cannot start"), "\(said)")
        try disks[follower]?.empty()
        try cluster.eventually("\(follower) has all") {
          try replicas(cluster).allSatisfy { $0.isAlive == true && $0.lag == 0 }
        }
        try startAll(cluster, disks)
      }
    }

    /// Nobody of the shard has space.
    private func startAll(_ cluster: Cluster, _ disks: [String: SmallDisk]) throws {
      for disk in disks.values { try disk.fill() }
      for name in disks.keys.sorted() { _ = try restart(cluster, name) }
      try cluster.eventually("the shard is read") { try cluster.query("SELECT count(*) FROM small") == "200" }
      for disk in disks.values { try disk.empty() }
      try cluster.eventually("the shard is written") {
        _ = try cluster.query("INSERT INTO small VALUES (201, 'x') ON CONFLICT DO NOTHING")
        return true
      }
      #expect(try cluster.query("SELECT count(*), sum(length(pad)) FROM small") == "201|800001")
    }
  }
}
