import Foundation
import Testing

extension RealProcesses {
  /// The operator's commands about certificates and tokens, against a running cluster.
  @Suite
  struct SecurityTests {
    private struct Certificate: Decodable {
      var name: String
      var role: String?
      var nodeID: UInt64?
      var daysLeft: Int
      var sha256: String
    }

    private func show(_ cluster: Cluster, _ name: String) throws -> Certificate {
      let text = try cluster.kunlog(["cert", "show", "--json", cluster.data + "/certificates/\(name).pem"])
      return try #require(try JSONDecoder().decode([Certificate].self, from: Data(text.utf8)).first)
    }

    @Test("A reader's token reads and does not write; a renewed certificate is used by the node that runs")
    func tokensAndRenewal() throws {
      let cluster = try Cluster(nodePort: 16501, postgresPort: 15451)
      let certificates = cluster.data + "/certificates"
      let storage = try show(cluster, "storage-1-2")
      #expect(storage.role == "storage")
      #expect(storage.nodeID == 12)
      #expect(try show(cluster, "operator").role == "admin")

      let file = cluster.data + "/grafana.token"
      try cluster.kunlog([
        "access", "token", "create", "--name", "grafana", "--role", "reader", "--expires", "90d", "--output", file,
        "--data", cluster.data,
      ])
      let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
      #expect(mode == 0o600)
      let access = [
        "--endpoints", "127.0.0.1:16501", "--authority", certificates + "/ca.pem", "--token-file", file,
      ]
      #expect(try cluster.kunlog(["access", "token", "list"] + access).contains("grafana  reader"))
      let note = ["log", "note", "--topic", "t", "text"]
      let refused = try Program.run(Program.kunlog, note + access)
      #expect(refused.status != 0)
      #expect(refused.errors.contains("grafana (reader) may not call"), "\(refused.errors)")
      // The log has no secret.
      let secret = try String(contentsOfFile: file, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
      let history = try cluster.kunlog(["log", "show", "--data", cluster.data])
      #expect(history.contains("access.token.grafana"))
      #expect(!history.contains(secret) && !history.contains(String(secret.dropFirst("grafana.".count))))

      try cluster.kunlog(["access", "token", "revoke", "grafana", "--data", cluster.data])
      #expect(try Program.run(Program.kunlog, ["access", "token", "list"] + access).status != 0)

      // A new certificate for a node that runs: who connects sees it, and nothing was restarted.
      let process = try cluster.process(named: "meta-1")
      try cluster.kunlog(["cert", "renew", "--directory", certificates, "--all"])
      #expect(try show(cluster, "storage-1-2").sha256 != storage.sha256)
      let seen = try Program.run(
        "/usr/bin/openssl",
        [
          "s_client", "-connect", "127.0.0.1:\(process.ports["grpc"] ?? 16501)", "-CAfile", certificates + "/ca.pem",
          "-showcerts",
        ])
      let pem = try String(contentsOfFile: certificates + "/meta-1.pem", encoding: .utf8)
      #expect(seen.output.contains(pem.trimmingCharacters(in: .whitespacesAndNewlines)))
      #expect(try cluster.query("CREATE TABLE renewed (id int PRIMARY KEY); INSERT INTO renewed VALUES (1)") == "")
      #expect(try cluster.process(named: "meta-1").pid == process.pid)

      let again = try Program.run(
        Program.kunlog, ["cert", "operator", "--directory", certificates, "--name", "operator", "--role", "admin"])
      #expect(again.status != 0)
      #expect(again.errors.contains("operator.pem exists already"))
    }
  }
}
