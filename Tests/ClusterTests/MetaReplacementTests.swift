import Foundation
import Testing

extension RealProcesses {
  /// The metadata log's own nodes change under a running cluster.
  @Suite
  struct MetaReplacementTests {
    @Test("All meta nodes of a quick start are replaced; every role goes on, restarted processes too")
    func replaceAll() throws {
      let cluster = try Cluster(nodePort: 16501, postgresPort: 15451)
      _ = try cluster.query("CREATE TABLE t (id int PRIMARY KEY) WITH (shard = 1)")
      struct Layout: Decodable {
        var clusterId: String
      }
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      let layout = try decoder.decode(
        Layout.self, from: Data(contentsOf: URL(filePath: cluster.data + "/cluster.json")))
      var added: [Process] = []
      defer { for process in added { process.terminate() } }
      for id in 4...6 {
        let port = 16520 + id
        let process = Process()
        process.executableURL = URL(filePath: Program.kunlog)
        let certificates = cluster.data + "/certificates"
        try cluster.kunlog([
          "cert", "node", "--directory", certificates, "--role", "meta", "--name", "meta-\(id)", "--node-id", "\(id)",
        ])
        process.arguments = [
          "meta", "--join", "--name", "meta-\(id)", "--node-id", "\(id)", "--cluster-id", layout.clusterId,
          "--listen", "127.0.0.1:\(port)", "--data", cluster.data + "/meta-\(id)",
          "--certificate", certificates + "/meta-\(id).pem", "--key", certificates + "/meta-\(id).key",
          "--authority", certificates + "/ca.pem",
        ]
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        added.append(process)
        try cluster.kunlog([
          "meta", "member", "replace", "\(id - 3)", "--with", "\(id)=127.0.0.1:\(port)", "--data", cluster.data,
          "--timeout", "60",
        ])
        // The old one finds out, and is not started again.
        try cluster.eventually("meta-\(id - 3) is stopped") {
          try cluster.process(named: "meta-\(id - 3)").state == "stopped"
        }
        _ = try cluster.query("CREATE TABLE t\(id) (id int PRIMARY KEY) WITH (shard = 1)")
      }
      let members = try cluster.kunlog(["meta", "member", "list", "--data", cluster.data])
      #expect(members.contains("meta-4") && members.contains("meta-6") && !members.contains("meta-3"))
      for victim in ["compute-1", "storage-1-1", "manager-1"] {
        let pid = try cluster.kill(victim)
        try cluster.eventually("\(victim) is back") {
          let process = try cluster.process(named: victim)
          return process.state == "running" && process.pid != pid
        }
      }
      #expect(try cluster.query("CREATE TABLE last (id int PRIMARY KEY); INSERT INTO last VALUES (7)") == "")
      #expect(try cluster.query("SELECT id FROM last", node: 2) == "7")
    }
  }
}
