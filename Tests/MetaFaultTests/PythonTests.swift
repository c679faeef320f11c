import EventLoop
import Foundation
import Metadata
import MetadataClient
import SQLTypes
import Testing

extension MetaFaults {
  /// The examples in Python, which know the .proto files and nothing else of Kunlog.
  @Suite
  @LoopActor
  struct PythonTests {
    @Test("Python (grpcio) subscribes with a filter, is cut off, resumes at another replica, and has every event once")
    func routesAreWatched() async throws {
      try await withMetaProcesses { group in
        let python = try await PythonExample(group)
        let writer = group.client()
        await writer.ready()
        _ = try await writer.append([
          .registerNode(
            NodeDefinition(id: NodeID(rawValue: 11), role: .storage, name: "s", host: "127.0.0.1", port: 1)),
          .createShard(ShardDraft(replicas: [NodeID(rawValue: 11)])),
        ])
        var tables = 0
        func createTables() async throws {
          for _ in 0..<5 {
            tables += 1
            let draft = TableDraft(
              schemaID: WellKnown.publicSchema, name: "t\(tables)", ownerID: WellKnown.firstRole,
              columns: [ColumnDraft(name: "id", type: .int4)])
            // What the filter leaves out stands between.
            _ = try await writer.append([.setSetting(name: "n", value: "\(tables)")], timeoutMilliseconds: 20_000)
            _ = try await writer.append([.createTable(draft)], timeoutMilliseconds: 20_000)
          }
        }
        func arrive(_ when: String) async throws {
          try await group.eventually("all \(tables) routes are seen \(when)", seconds: 40) {
            try python.routes().count >= tables
          }
        }
        try await createTables()
        let watcher = try python.start("watch_routes.py", ["--position", group.directory + "/position"])
        try await arrive("at first")
        try await createTables()
        try await arrive("as they are made")

        let killed = try #require(try python.followed())
        try await group.kill(killed)
        try await createTables()
        try await arrive("after the followed replica was killed")
        try group.start(killed)

        let stopped = try #require(try python.followed())
        #expect(stopped != killed)
        group.signal(stopped, SIGSTOP)
        try await createTables()
        try await arrive("after the followed replica stood still")
        let resumed = try #require(try python.followed())
        #expect(resumed != stopped)
        group.signal(stopped, SIGCONT)

        watcher.signal(SIGTERM)
        try await group.eventually("the watcher ends") { watcher.exit != nil }
        #expect(watcher.exit == .code(0))
        try await createTables()
        let second = try python.start("watch_routes.py", ["--position", group.directory + "/position"])
        try await arrive("after the consumer was away")
        second.signal(SIGTERM)
        try await group.eventually("the watcher ends") { second.exit != nil }

        let routes = try python.routes()
        #expect(routes.map(\.tablet).sorted() == (1...tables).map { $0 })
        #expect(routes.map(\.index) == routes.map(\.index).sorted())
        #expect(Set(routes.map(\.shard)) == ["shard 1"])
        // Those that were there at the start came as the state, all others as events.
        #expect(routes.map(\.verb) == (1...tables).map { $0 <= 5 ? "is" : "created" })
      }
    }

    @Test("Python (grpcio) appends through whichever node it knows, and a repeated request has the first one's result")
    func notesAreAppended() async throws {
      try await withMetaProcesses { group in
        let python = try await PythonExample(group)
        let leader = try await group.leader()
        // A follower, asked first, names the leader.
        let endpoints = group.endpoints().filter { $0 != group.endpoints([leader])[0] } + group.endpoints([leader])
        let arguments = ["--topic", "python", "--client", "example", "--sequence", "1", "hello"]
        let first = try await python.run("append_note.py", arguments, endpoints: endpoints)
        try await group.kill(leader)
        let second = try await python.run("append_note.py", arguments, endpoints: endpoints)
        let other = try await python.run(
          "append_note.py", ["--topic", "python", "--client", "example", "--sequence", "2", "again"],
          endpoints: endpoints)
        #expect(UInt64(first) != nil)
        #expect(second == first)
        #expect(try #require(UInt64(other)) > #require(UInt64(first)))
        let client = group.client()
        await client.ready()
        try await client.catchUp(timeoutMilliseconds: 10_000)
        #expect(client.image.notes["python"]?.count == 2)
      }
    }
  }
}

/// Runs what lies in examples/python.
@LoopActor
private final class PythonExample {
  struct Route {
    var index: UInt64
    var verb: String
    var tablet: Int
    var shard: String
  }

  private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path
  private let group: MetaProcesses
  private let python: String
  private var output: String { group.directory + "/python.out" }
  private var errors: String { group.directory + "/python.err" }

  init(_ group: MetaProcesses) async throws {
    self.group = group
    var text: [UInt8] = []
    let child = try ChildProcess.spawn(
      executable: Self.root + "/tools/python-environment", arguments: [], output: .pipe { text += $0 })
    guard await child.waitForExit() == .code(0) else {
      throw MetaProcesses.Failure(description: "tools/python-environment failed")
    }
    python = String(String(decoding: text, as: UTF8.self).split(separator: "\n").last ?? "")
  }

  private func arguments(_ name: String, _ arguments: [String], _ endpoints: [String]) -> [String] {
    [
      "\(Self.root)/examples/python/\(name)", "--endpoints", endpoints.joined(separator: ","), "--certificate",
      group.directory + "/tester.pem", "--key", group.directory + "/tester.key", "--authority",
      group.directory + "/ca.pem",
    ] + arguments
  }

  /// Starts one that goes on until it is told to end.
  func start(_ name: String, _ arguments: [String]) throws -> ChildProcess {
    try ChildProcess.spawn(
      executable: python,
      arguments: self.arguments(name, arguments, group.endpoints().map(\.description)), output: .append(output),
      errors: .append(errors))
  }

  /// Runs one to its end; what it printed, without the newline.
  func run(_ name: String, _ arguments: [String], endpoints: [MetadataEndpoint]) async throws -> String {
    var text: [UInt8] = []
    let child = try ChildProcess.spawn(
      executable: python, arguments: self.arguments(name, arguments, endpoints.map(\.description)),
      output: .pipe { text += $0 }, errors: .append(errors))
    guard await child.waitForExit() == .code(0) else {
      throw MetaProcesses.Failure(description: "\(name): \((try? FileSystem.readText(errors)) ?? "")")
    }
    return String(decoding: text, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// What the watcher has printed.
  func routes() throws -> [Route] {
    guard FileSystem.exists(output) else { return [] }
    return try FileSystem.readText(output).split(separator: "\n").map { line in
      let fields = line.split(separator: "\t").map(String.init)
      return Route(
        index: try #require(UInt64(fields[0])), verb: fields[1],
        tablet: try #require(Int(fields[2].dropFirst("tablet ".count))), shard: fields[4])
    }
  }

  /// The node that the watcher follows.
  func followed() throws -> UInt64? {
    let lines = try FileSystem.readText(errors).split(separator: "\n").filter { $0.hasPrefix("following ") }
    guard let endpoint = lines.last?.split(separator: " ")[1] else { return nil }
    return group.nodes.values.first { $0.endpoint.description == endpoint }?.id
  }
}
