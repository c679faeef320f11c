import EventLoop
import Foundation
import Metadata
import MetadataClient
import Testing

extension MetaFaults {
  /// Backups of a group that works, and new groups that are made of them.
  @Suite
  @LoopActor
  struct BackupTests {
    private struct Made: Decodable {
      var clusterId: String
      var index: UInt64
      var hash: String
    }

    private static let decoder = {
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      return decoder
    }()

    @Test(
      "A backup under load becomes a new group with the same catalog and history, which an old node and an old client cannot join"
    )
    func restore() async throws {
      try await withMetaProcesses { group in
        let load = RecordedLoad(group)
        await load.start()
        try await load.progress(50)
        let file = group.directory + "/meta.backup"
        let backup = try await group.kunlog(["meta", "backup", file, "--json"])
        #expect(backup.code == .code(0), "\(backup.errors)")
        let made = try Self.decoder.decode(Made.self, from: Data(backup.output.utf8))
        try await load.progress(20)
        await load.stop()
        // It is that of one moment, although the log went on.
        let old = group.client()
        await old.ready()
        #expect(old.image.index > made.index)
        let then = try await old.image(at: .index(made.index))
        #expect("\(then.hash)" == made.hash)

        let again = try await group.kunlog(["meta", "backup", file])
        #expect(again.code == .code(1))
        #expect(again.errors.contains("A backup overwrites nothing"))

        let ports = [UInt64(11): MetaProcesses.freePort(), 12: MetaProcesses.freePort(), 13: MetaProcesses.freePort()]
        let members = ports.keys.sorted().flatMap { ["--member", "\($0)=127.0.0.1:\(ports[$0]!)"] }
        let target = group.directory + "/restored"
        let line = ["meta", "restore", file, "--into", target, "--principal", "erika", "--json"] + members
        let restored = try await group.kunlog(line, isOffline: true)
        #expect(restored.code == .code(0), "\(restored.errors)")
        let new = try Self.decoder.decode(Made.self, from: Data(restored.output.utf8))
        #expect(new.clusterId != made.clusterId)
        #expect(new.index == made.index + 1)
        let twice = try await group.kunlog(line, isOffline: true)
        #expect(twice.code == .code(1))
        #expect(twice.errors.contains("A restore overwrites nothing"))

        for id in ports.keys {
          try group.startForeign(id, port: ports[id]!, data: target + "/meta-\(id)", cluster: new.clusterId, members)
        }
        let client = group.foreignClient(
          ports.values.map { MetadataEndpoint(host: "127.0.0.1", port: $0) }, cluster: new.clusterId)
        await client.ready()
        // The first leader makes the new members facts; nothing else differs from the moment of the backup.
        try await group.eventually("the old members are gone") {
          client.image.nodes.values.filter { $0.role == .meta }.map(\.id.rawValue).sorted() == [11, 12, 13]
        }
        #expect(client.image.notes == then.notes)
        #expect(client.image.tables == then.tables)
        #expect(client.image.roles == then.roles)
        #expect(client.image.removedNodes.map(\.rawValue).sorted() == [1, 2, 3])
        // The history goes on, from the first record over the backup's last one to the restore.
        let images = try await client.image(at: .index(made.index))
        #expect(images.hash == then.hash)
        let result = try await client.append([.recordNote(topic: "after", content: [1])])
        #expect(result.index > new.index)
        // Every byte of it is verified: the old history, the state of the backup, and what follows.
        try await client.wait(for: result.index)
        var digests: Set<[UInt8]> = []
        for id in ports.keys.sorted() {
          let endpoint = MetadataEndpoint(host: "127.0.0.1", port: ports[id]!)
          let follower = group.foreignClient([endpoint], cluster: new.clusterId)
          try await follower.wait(for: result.index)
          let verified = try await client.verify(endpoint, through: result.index)
          #expect(verified.findings == [], "meta-\(id)")
          #expect(verified.head == (try await client.head(count: verified.head?.count)))
          digests.insert(verified.imageDigest)
        }
        #expect(digests.count == 1)

        // One that still has the old identity is told so, be it a node or a client.
        try await group.kill(1)
        let stranger = try group.startForeign(
          1, port: group.nodes[1]!.endpoint.port, data: group.nodes[1]!.data, cluster: new.clusterId,
          members + ["--member", "1=127.0.0.1:\(group.nodes[1]!.endpoint.port)"])
        try await group.eventually("the old node ends") { stranger.exit != nil }
        #expect(stranger.exit == .code(1))
        let text = try FileSystem.readText(group.logFile(1))
        #expect(text.contains("belongs to cluster") || text.contains(new.clusterId), "\(text.suffix(500))")
        let foreigner = group.foreignClient(
          ports.values.map { MetadataEndpoint(host: "127.0.0.1", port: $0) },
          cluster: String(repeating: "07", count: 16))
        await #expect(throws: MetadataError.self) {
          _ = try await foreigner.append([.recordNote(topic: "x", content: [])], timeoutMilliseconds: 3_000)
        }
        #expect(!foreigner.isReady)
        #expect(client.image.notes["x"] == nil)
      }
    }

    @Test("A backup that is damaged, cut off or of something else is refused with the place; nothing is left behind")
    func refusals() async throws {
      try await withMetaProcesses { group in
        let client = group.client()
        await client.ready()
        for number in 0..<50 { _ = try await client.append([.recordNote(topic: "t\(number)", content: [1])]) }
        let file = group.directory + "/meta.backup"
        #expect(try await group.kunlog(["meta", "backup", file]).code == .code(0))
        let check = try await group.kunlog(["meta", "restore", "--check", file], isOffline: true)
        #expect(check.output.contains("records from the first on; their fold is the state"), "\(check.errors)")
        let bytes = try FileSystem.read(file)
        let into = ["--into", group.directory + "/restored", "--member", "1=127.0.0.1:6001"]
        var flipped = bytes
        flipped[bytes.count / 2] ^= 4
        let cases: [(String, [UInt8], String)] = [
          ("flipped", flipped, "does not match"), ("short", Array(bytes.dropLast(100)), "it was cut off"),
          ("empty", [], "it ends early"), ("other", Array("hello, this is no backup at all".utf8), "it is no backup"),
        ]
        for (name, content, reason) in cases {
          let path = group.directory + "/" + name
          try FileSystem.write(path, content)
          let result = try await group.kunlog(["meta", "restore", path] + into, isOffline: true)
          #expect(result.code == .code(1))
          #expect(result.errors.contains("is damaged at byte") && result.errors.contains(reason), "\(result.errors)")
        }
        let missing = try await group.kunlog(["meta", "restore", group.directory + "/nothing"] + into, isOffline: true)
        #expect(missing.errors.contains("No such file or directory"))
        let unwritable = try await group.kunlog(["meta", "backup", "/proc/nothing/here"])
        #expect(unwritable.code == .code(1))
        #expect(unwritable.errors.contains("cannot create /proc/nothing/here"))
        let left = try FileSystem.list(group.directory).filter { $0.contains("partial") || $0 == "restored" }
        #expect(left.isEmpty)
      }
    }
  }
}

@LoopActor
extension MetaProcesses {
  /// Starts a node of another cluster.
  @discardableResult
  func startForeign(
    _ id: UInt64, port: Int, data: String, cluster: String, _ members: [String]
  ) throws -> ChildProcess {
    try certifyNode(id)
    let process = try ChildProcess.spawn(
      executable: Self.executable,
      arguments: [
        "meta", "--existing", "--name", "meta-\(id)", "--node-id", "\(id)", "--cluster-id", cluster, "--listen",
        "127.0.0.1:\(port)", "--data", data, "--certificate", "\(directory)/meta-\(id).pem", "--key",
        "\(directory)/meta-\(id).key",
        "--authority", directory + "/ca.pem", "--parent", "\(getpid())",
      ] + members, output: .append(logFile(id)), errors: .append(logFile(id)))
    adopt(process, id)
    return process
  }
}
