import Foundation
import Testing

extension RealProcesses {
  /// Compute nodes that come and go, and nodes that a manager holds to have failed.
  @Suite
  struct NodeTests {
    private struct Leftovers: Codable { var problems: [String] }

    /// psql that is fed by hand.
    private final class Session {
      let process = Process()
      private let input = Pipe()
      private let output: String
      private let errors: String

      init(_ cluster: Cluster, port: Int) throws {
        let place = FileManager.default.temporaryDirectory.appending(path: "kunlog-psql-\(UUID().uuidString)").path
        (output, errors) = (place + ".output", place + ".errors")
        for file in [output, errors] { _ = FileManager.default.createFile(atPath: file, contents: nil) }
        process.executableURL = URL(filePath: "/usr/bin/psql")
        process.arguments = [
          "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", "\(port)", "-U", "abc", "postgres",
        ]
        process.environment = ProcessInfo.processInfo.environment.merging(["PGPASSWORD": "abc"]) { _, new in new }
        process.standardInput = input
        process.standardOutput = try FileHandle(forWritingTo: URL(filePath: output))
        process.standardError = try FileHandle(forWritingTo: URL(filePath: errors))
        try process.run()
      }

      func say(_ text: String) { input.fileHandleForWriting.write(Data((text + "\n").utf8)) }

      /// Runs statements that end with one that answers `ready`.
      func begin(_ text: String, _ cluster: Cluster) throws {
        say(text + " SELECT 'ready';")
        try cluster.eventually("the session is ready") {
          try String(contentsOfFile: output, encoding: .utf8).contains("ready")
        }
      }

      /// What it said of errors, once it has ended.
      func end() throws -> String {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
        defer { for file in [output, errors] { try? FileManager.default.removeItem(atPath: file) } }
        return try String(contentsOfFile: errors, encoding: .utf8)
      }

      deinit { if process.isRunning { process.terminate() } }
    }

    private func refused(_ cluster: Cluster, _ arguments: String...) throws -> String {
      let result = try Program.run(Program.kunlog, arguments + ["--data", cluster.data])
      #expect(result.status != 0, "\(arguments): \(result.output)")
      return result.errors
    }

    private func log(_ cluster: Cluster) throws -> String {
      try cluster.kunlog(["log", "show", "--family", "nodes", "--data", cluster.data])
    }

    @Test("A compute node comes in and takes clients; one that leaves lets its sessions end, and ends those that last")
    func compute() throws {
      let cluster = try Cluster(nodePort: 18401, postgresPort: 15641)
      let data = ["--data", cluster.data]
      _ = try cluster.query("CREATE TABLE t (id int PRIMARY KEY)")
      let added = try cluster.kunlog(["compute", "add"] + data)
      #expect(added == "compute-4 takes clients at 127.0.0.1:15644\n")
      #expect(try cluster.query("INSERT INTO t VALUES (1); SELECT count(*) FROM t", node: 4) == "1")
      #expect(
        try refused(cluster, "compute", "remove", "storage-1-1").contains(
          "storage-1-1 is a storage node. Compute nodes:"))
      #expect(try refused(cluster, "compute", "remove", "compute-9").contains("There is no compute node compute-9"))

      let session = try Session(cluster, port: 15644)
      try session.begin("BEGIN; INSERT INTO t VALUES (2);", cluster)
      let removal = Process()
      removal.executableURL = URL(filePath: Program.kunlog)
      removal.arguments = ["compute", "remove", "compute-4", "--grace", "60"] + data
      removal.standardOutput = FileHandle.nullDevice
      try removal.run()
      try cluster.eventually("compute-4 takes no new clients") {
        try cluster.psql("SELECT 1", node: 4).errors.contains("Connection refused")
      }
      #expect(session.process.isRunning && removal.isRunning)
      session.say("INSERT INTO t VALUES (3); COMMIT;")
      #expect(try session.end() == "")
      removal.waitUntilExit()
      #expect(removal.terminationStatus == 0)
      #expect(try cluster.query("SELECT count(*) FROM t") == "3")
      #expect(try cluster.processes().map(\.name).contains("compute-4") == false)
      #expect(try refused(cluster, "compute", "remove", "104").contains("Node 104 was removed already"))

      let lasting = try Session(cluster, port: 15643)
      try lasting.begin("BEGIN; INSERT INTO t VALUES (4);", cluster)
      try cluster.kunlog(["compute", "remove", "compute-3", "--grace", "1"] + data)
      lasting.say("COMMIT;")
      #expect(try lasting.end().contains("terminating connection due to administrator command"))
      #expect(try cluster.query("SELECT count(*) FROM t") == "3")
      try cluster.kunlog(["compute", "remove", "compute-2", "--grace", "0"] + data)
      #expect(
        try refused(cluster, "compute", "remove", "compute-1").contains(
          "node 101 is the last compute node: nobody would take clients"))
      let history = try log(cluster)
      #expect(history.contains("NodeDrainBegun") && history.contains(", within 60 s"), "\(history)")
      try cluster.stop()
      try cluster.start()
      #expect(try cluster.query("SELECT count(*) FROM t") == "3")
    }

    @Test(
      "A node that does not answer is marked in the log, and marked well once it does; a replica that stays away is replaced"
    )
    func failures() throws {
      let cluster = try Cluster(nodePort: 18601, postgresPort: 15651)
      let data = ["--data", cluster.data]
      #expect(
        try cluster.kunlog(["cluster", "failures"] + data)
          == "nodes are marked after 10 s; storage nodes are not replaced by themselves\nno node is marked as failed\n")
      _ = try cluster.query(
        "CREATE TABLE t (id int PRIMARY KEY, v text) WITH (shard = 1); "
          + "INSERT INTO t SELECT g, repeat(g::text, 10) FROM generate_series(1, 5000) g")
      try cluster.kunlog(["cluster", "failures", "--mark-after", "2"] + data)
      let pid = try #require(try cluster.process(named: "compute-3").pid)
      Foundation.kill(pid, SIGSTOP)
      defer { Foundation.kill(pid, SIGCONT) }
      try cluster.eventually("compute-3 is marked") {
        try cluster.kunlog(["cluster", "status"] + data).contains("compute-3 has failed: it has not answered for")
      }
      Foundation.kill(pid, SIGCONT)
      try cluster.eventually("compute-3 is well again") {
        try cluster.kunlog(["cluster", "failures"] + data).contains("no node is marked as failed")
      }

      try FileManager.default.moveItem(atPath: cluster.data + "/storage-1-2", toPath: cluster.data + "/lost")
      try cluster.kill("storage-1-2")
      try cluster.eventually("storage-1-2 is marked") {
        try cluster.kunlog(["cluster", "status"] + data).contains(
          "Start it, or, where its disk is lost: kunlog storage rebuild storage-1-2")
      }
      try cluster.kunlog(["cluster", "failures", "--replace-after", "3"] + data)
      try cluster.eventually(within: 60, "storage-1-2 is replaced") {
        let shard = try cluster.kunlog(["shard", "show", "1"] + data)
        return shard.contains("storage-1-4") && !shard.contains("storage-1-2")
      }
      try cluster.eventually(within: 60, "storage-1-2 is no process any more") {
        try !cluster.processes().map(\.name).contains("storage-1-2")
      }
      var problems = ["not looked at"]
      do {
        try cluster.eventually(within: 60, "replicas are alike") {
          let text = try Program.run(
            Program.python, [Program.root + "/Tests/ClusterTests/Clients/leftovers.py", "--data", cluster.data])
          problems = try JSONDecoder().decode(Leftovers.self, from: Data(text.output.utf8)).problems
          return problems.isEmpty
        }
      } catch { throw Cluster.Failure(description: "\(error): \(problems)") }
      let history = try log(cluster)
      for event in ["NodeFailed", "NodeReturned", "NodeRemoved"] { #expect(history.contains(event), "\(history)") }
      #expect(
        try cluster.kunlog(["log", "show", "--kind", "NoteRecorded"] + data).contains(
          "storage-1-4 is to take the place of storage-1-2 in shard 1: it has not answered for"))
      #expect(try cluster.query("SELECT count(*) FROM t") == "5000")
    }
  }
}
