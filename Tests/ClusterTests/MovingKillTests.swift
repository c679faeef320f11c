import Foundation
import Testing

extension RealProcesses {
  /// kill -9 of each participant at each step of a move, as the log shows the step. `KUNLOG_KILL_MATRIX=full` runs all of it; without
  /// that one victim per step.
  @Suite
  struct MovingKillTests {
    enum Victim: String, CaseIterable { case manager, source, target, meta, compute }
    /// Events after which somebody dies.
    enum Step: String, CaseIterable {
      case planned = "MigrationPlanned"
      case snapshotTaken = "MigrationSnapshotTaken"
      case loaded = "MigrationLoaded"
      case caughtUp = "MigrationCaughtUp"
      case writesCut = "MigrationWritesCut"
      case routed = "TabletRouted"
      case finishing = "MigrationFinishing"
      case reverseRequested = "MigrationReverseRequested"
      case reversed = "MigrationReversed"
    }
    private struct Leftovers: Codable {
      var problems: [String]
      var tablets: [String: [String]]
    }
    private struct Leader: Codable { var name: String }

    private static var cases: [(Step, Victim)] {
      if ProcessInfo.processInfo.environment["KUNLOG_KILL_MATRIX"] == "full" {
        return Step.allCases.flatMap { step in Victim.allCases.map { (step, $0) } }
      }
      return [
        (.snapshotTaken, .target), (.loaded, .source), (.caughtUp, .compute), (.writesCut, .manager), (.routed, .meta),
        (.finishing, .source), (.reversed, .target),
      ]
    }

    /// The process that plays the part at this moment.
    private func name(_ victim: Victim, source: String, _ cluster: Cluster) throws -> String {
      switch victim {
      case .manager: return "manager-1"
      case .compute: return "compute-2"
      case .source, .target:
        let shard = victim == .source ? source : source == "1" ? "2" : "1"
        let text = try cluster.kunlog(["cluster", "status", "--data", cluster.data, "--json"])
        let shards = try JSONDecoder().decode(Moving.Status.self, from: Data(text.utf8)).shards
        return shards.first { "\($0.id)" == shard }?.leader ?? "storage-\(shard)-1"
      case .meta:
        struct Meta: Codable {
          struct Node: Codable {
            var name: String?
            var role: String?
          }
          var nodes: [Node]
        }
        let text = try Program.run(Program.kunlog, ["meta", "status", "--data", cluster.data, "--json"]).output
        let nodes = (try? JSONDecoder().decode(Meta.self, from: Data(text.utf8)))?.nodes ?? []
        return nodes.first { $0.role == "leader" }?.name ?? "meta-1"
      }
    }

    /// Kills the process as soon as the log shows the step.
    private func killer(of pid: Int32, after index: UInt64, at step: Step, _ cluster: Cluster) throws -> Process {
      let process = Process()
      process.executableURL = URL(filePath: "/bin/bash")
      process.arguments = [
        "-c",
        // A pipe would be waited for until the log says something more.
        """
        exec 3< <(exec "$0" log tail --data "$1" --from $2 --kind $3 2>/dev/null); reader=$!
        grep -q -m1 $3 <&3 && kill -9 $4
        kill $reader
        """,
        Program.kunlog, cluster.data, "\(index + 1)", step.rawValue, "\(pid)",
      ]
      process.standardOutput = FileHandle.nullDevice
      process.standardError = FileHandle.nullDevice
      try process.run()
      return process
    }

    private func index(_ cluster: Cluster) throws -> UInt64 {
      struct List: Codable { var index: UInt64 }
      let text = try cluster.kunlog(["migration", "list", "--json", "--data", cluster.data])
      return try JSONDecoder().decode(List.self, from: Data(text.utf8)).index
    }

    private func open(_ cluster: Cluster) throws -> String {
      try cluster.kunlog(["migration", "list", "--open", "--data", cluster.data])
    }

    /// The number of the move that rests with its source kept; nil: none does.
    private func resting(_ cluster: Cluster) throws -> String? {
      let id = try cluster.query(
        "SELECT migration FROM kunlog.migrations WHERE state = 'routed' AND keeps_source AND way_back <> 'requested'")
      return id.isEmpty ? nil : id
    }

    private func settled(_ cluster: Cluster, _ what: String) throws {
      try cluster.eventually(within: 120, "\(what): the move rests or has ended") {
        if try resting(cluster) != nil { return true }
        return try open(cluster) == "no migrations\n"
      }
    }

    /// Nothing is left, and all replicas hold the same rows. While the load writes they may differ for a moment.
    private func expectClean(_ cluster: Cluster, rows: Bool, _ what: String) throws {
      var last: [String] = []
      do {
        try cluster.eventually(within: 60, "\(what): nothing is left") {
          let text = try Program.run(
            Program.python, [Program.root + "/Tests/ClusterTests/Clients/leftovers.py", "--data", cluster.data])
          last = try JSONDecoder().decode(Leftovers.self, from: Data(text.output.utf8)).problems
          return last.allSatisfy { !rows && $0.contains("rows of") }
        }
      } catch { throw Cluster.Failure(description: "\(error): \(last)") }
    }

    private func run(_ step: Step, _ victim: Victim, _ cluster: Cluster) throws {
      let data = ["--data", cluster.data]
      let source = try Moving.shard(of: "moving", cluster)
      let target = source == "1" ? "2" : "1"
      let isLate = [.finishing, .reverseRequested, .reversed].contains(step)
      func begin() throws {
        try cluster.kunlog(["table", "move", "moving", "--to", target, "--keep-source", "--no-wait"] + data)
      }
      if isLate {
        try begin()
        try settled(cluster, "before \(step)")
      }
      // On the way back the target is who has the tablet: names stay those of the plan.
      let name = try name(victim, source: source, cluster)
      guard let pid = try cluster.process(named: name).pid else { throw Cluster.Failure(description: "no \(name)") }
      let killer = try killer(of: pid, after: try index(cluster), at: step, cluster)
      defer { if killer.isRunning { killer.terminate() } }
      if isLate, let id = try resting(cluster) {
        _ = try Program.run(
          Program.kunlog, ["migration", step == .finishing ? "complete" : "reverse", id] + data)
      } else {
        try begin()
      }
      try cluster.eventually(within: 60, "\(name) is killed at \(step)") {
        !killer.isRunning && kill(pid, 0) != 0
      }
      try settled(cluster, "\(victim) at \(step)")
      try cluster.eventually(within: 60, "all processes run") {
        try cluster.processes().allSatisfy { $0.pid != nil }
      }
      if let id = try resting(cluster) { try cluster.kunlog(["migration", "complete", id] + data) }
      try expectClean(cluster, rows: false, "\(victim) at \(step)")
    }

    @Test(
      "Each participant is killed at steps of a move: every acknowledged row is there once, on all replicas, and nothing is left"
    )
    func matrix() throws {
      let cluster = try Cluster(nodePort: 17901, postgresPort: 15591)
      let report = try Moving.load(cluster, connections: 3, kills: true) {
        for (step, victim) in Self.cases {
          let began = Date()
          try run(step, victim, cluster)
          print("killed \(victim) at \(step): \(String(format: "%.1f", Date().timeIntervalSince(began))) s")
        }
      }
      #expect(report.violations == [])
      #expect(report.rows > 0)
      try expectClean(cluster, rows: true, "at the end")
      print("\(report.statements) statements, \(report.rows) rows")
      let states = try Moving.migrations(cluster).map(\.state)
      #expect(states.allSatisfy { ["completed", "rolled back", "reversed"].contains($0) }, "\(states)")
    }

    @Test(
      "The log tells the story of a move that was interrupted twice, and shows the shard map before, during and after")
    func story() throws {
      let cluster = try Cluster(nodePort: 18001, postgresPort: 15601)
      _ = try cluster.query(
        """
        CREATE TABLE moving (id int PRIMARY KEY, v text) WITH (shard = 1);
        INSERT INTO moving SELECT g, repeat('v', 1000) FROM generate_series(1, 3000) g;
        """)
      let data = ["--data", cluster.data]
      let before = try index(cluster)
      var killers: [Process] = []
      for (step, victim) in [(Step.snapshotTaken, Victim.target), (.loaded, .manager)] {
        let name = try name(victim, source: "1", cluster)
        killers.append(try killer(of: try cluster.process(named: name).pid ?? 0, after: before, at: step, cluster))
      }
      try cluster.kunlog(["table", "move", "moving", "--to", "2", "--no-wait"] + data)
      try settled(cluster, "the move")
      try cluster.eventually("both are killed") { killers.allSatisfy { !$0.isRunning } }
      let story = try cluster.kunlog(["log", "show", "--kind", "migration"] + data)
      var rest = Substring(story)
      for kind in [
        "MigrationPlanned", "MigrationSnapshotTaken", "MigrationTransferred", "MigrationLoaded", "MigrationCaughtUp",
        "MigrationWritesCut", "TabletRouted", "MigrationFinishing", "MigrationSourceDropped",
      ] {
        guard let range = rest.range(of: kind) else {
          Issue.record("\(kind) does not follow: \(story)")
          break
        }
        rest = rest[range.upperBound...]
      }
      let managers = try cluster.kunlog(["log", "show", "--kind", "ManagerElected"] + data)
      #expect(managers.components(separatedBy: "ManagerElected").count >= 3, "\(managers)")
      func shard(at index: UInt64) throws -> String {
        try cluster.kunlog(["log", "at", "--index", "\(index)", "--path", "/tablets/1/shard"] + data)
      }
      let indexes = try cluster.query("SELECT started_index || ' ' || changed_index FROM kunlog.migrations").split(
        separator: " "
      ).compactMap { UInt64($0) }
      #expect(try shard(at: before).contains("1"))
      #expect(try shard(at: indexes[0]).contains("1"))
      #expect(try shard(at: indexes[1]).contains("2"))
      let during = try cluster.kunlog(
        ["log", "at", "--index", "\(indexes[0])", "--list", "migration"] + data)
      #expect(during.contains("planned"), "\(during)")
      #expect(try cluster.query("SELECT count(*), min(length(v)) FROM moving") == "3000|1000")
      try expectClean(cluster, rows: true, "at the end")
    }
  }
}
