import Foundation
import Testing

/// What tests of tables that move have in common.
enum Moving {
  struct Report: Codable {
    var statements: Int
    var rows: Int
    var errors: [String]
    var violations: [String]
  }
  struct Migrations: Codable {
    struct Migration: Codable {
      var id: UInt64
      var state: String
      var remark: String
    }
    var migrations: [Migration]
  }
  struct Status: Codable {
    struct Shard: Codable {
      var id: UInt32
      var leader: String?
    }
    var shards: [Shard]
  }

  /// Clients that write and read while the body runs.
  static func load(
    _ cluster: Cluster, connections: Int, kills: Bool = false, grouped: Bool = false, _ body: () throws -> Void
  ) throws -> Report {
    let options =
      ["--seconds", "900", "--rows", "5000"] + (kills ? ["--kills"] : []) + (grouped ? ["--group"] : [])
    return try load(cluster, by: "moving.py", options + ["--connections", "\(connections)"], body)
  }

  /// The same by another program among the clients.
  static func load(
    _ cluster: Cluster, by program: String, _ options: [String], _ body: () throws -> Void
  ) throws -> Report {
    let folder = FileManager.default.temporaryDirectory.appending(path: "kunlog-load-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (stop, ready, output) = (folder.path + "/stop", folder.path + "/ready", folder.path + "/output")
    _ = FileManager.default.createFile(atPath: output, contents: nil)
    let process = Process()
    process.executableURL = URL(filePath: Program.python)
    process.arguments =
      [
        Program.root + "/Tests/ClusterTests/Clients/\(program)", "--port", "\(cluster.postgresPort)", "--until-file",
        stop, "--ready-file", ready,
      ] + options
    process.standardOutput = try FileHandle(forWritingTo: URL(filePath: output))
    try process.run()
    defer { if process.isRunning { process.terminate() } }
    try cluster.eventually(within: 60, "the tables are there") { FileManager.default.fileExists(atPath: ready) }
    try body()
    _ = FileManager.default.createFile(atPath: stop, contents: nil)
    process.waitUntilExit()
    return try JSONDecoder().decode(Report.self, from: try Data(contentsOf: URL(filePath: output)))
  }

  static func migrations(_ cluster: Cluster) throws -> [Migrations.Migration] {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let text = try cluster.kunlog(["migration", "list", "--data", cluster.data, "--json"])
    return try decoder.decode(Migrations.self, from: Data(text.utf8)).migrations
  }

  static func shard(of table: String, _ cluster: Cluster) throws -> String {
    try cluster.query("SELECT relshardid FROM pg_class WHERE relname = '\(table)'")
  }

  /// The tablets that the storage nodes of each shard have on their disks.
  static func tabletFiles(_ cluster: Cluster, shard: Int) throws -> [[String]] {
    try (1...3).map { replica in
      let folder = "\(cluster.data)/storage-\(shard)-\(replica)/tablets/tablets"
      return try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".sqlite") }.sorted()
    }
  }

  /// Nothing is left of a move but the tablets where they belong.
  static func expectNoOrphans(_ cluster: Cluster) throws {
    let rows = try cluster.query(
      "SELECT relname || ':' || relshardid FROM pg_class WHERE relname IN ('moving', 'counter', 'staying') ORDER BY oid"
    )
    let places = rows.split(separator: "\n").enumerated().map { number, row in
      (file: "t\(number + 1).sqlite", shard: row.last == "1" ? 1 : 2)
    }
    for shard in 1...2 {
      let expected = places.filter { $0.shard == shard }.map(\.file)
      try cluster.eventually("shard \(shard) has \(expected) on each disk") {
        try tabletFiles(cluster, shard: shard) == [expected, expected, expected]
      }
    }
  }
}
