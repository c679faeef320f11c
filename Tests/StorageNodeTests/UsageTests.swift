import Coordination
import EventLoop
import Metadata
import ProtocolStorage
import RPC
import StorageWire
import Testing

/// Who is asked for what when somebody wants to know what a shard holds.
@Suite(.timeLimit(.minutes(1))) @LoopActor struct UsageTests {
  @LoopActor
  private final class Questions {
    var all: [String] = []
  }

  /// A node that answers `Status` as it is told, and keeps what it was asked.
  @LoopActor
  private final class Answerer {
    let server = RPCServer(host: "127.0.0.1", port: 0)
    let channel: RPCChannel
    private let questions = Questions()
    var asked: [String] { questions.all }

    /// - Parameter saysRole: whether short answers bear the role; the first programs that gave them left it out.
    init(_ role: String, free: UInt64, saysRole: Bool = true) throws {
      server.handle(StorageMethods.status) { [questions] request, _ in
        questions.all.append(request.onlySpace ? "space" : request.usage ? "usage" : "all")
        return .with {
          if saysRole || !request.onlySpace { $0.role = role }
          $0.diskFreeBytes = free
          $0.diskTotalBytes = 1000
          if request.usage {
            $0.usage = [
              .with {
                $0.tabletID = 5
                $0.sizeBytes = 77
                $0.reads = 3
                $0.writes = 4
              }
            ]
          }
        }
      }
      try server.start()
      channel = RPCChannel(host: "127.0.0.1", port: server.port)
    }

    func end() async {
      channel.close()
      await server.shutdown(graceMilliseconds: 0)
    }
  }

  private func ask(_ nodes: [Answerer]) async -> ShardUsage? {
    let usage = await ShardUsage.ask(
      replicas: (1...UInt64(nodes.count)).map { NodeID(rawValue: $0) }, timeoutMilliseconds: 5000
    ) { nodes[Int($0.rawValue) - 1].channel }
    for node in nodes { await node.end() }
    return usage
  }

  private let tablets = [TabletID(rawValue: 5): TabletUsage(sizeBytes: 77, operations: 7)]

  @Test("Only the leader is asked for its tablets; the others say what their disks have")
  func leaderOnly() async throws {
    let nodes = [
      try Answerer("follower", free: 10), try Answerer("leader", free: 20), try Answerer("follower", free: 30),
    ]
    let usage = try #require(await ask(nodes))
    #expect(usage.tablets == tablets)
    #expect(
      usage.spaces == [
        NodeID(rawValue: 1): DiskSpace(freeBytes: 10, totalBytes: 1000),
        NodeID(rawValue: 2): DiskSpace(freeBytes: 20, totalBytes: 1000),
        NodeID(rawValue: 3): DiskSpace(freeBytes: 30, totalBytes: 1000),
      ])
    #expect(nodes.map(\.asked) == [["space"], ["space", "usage"], ["space"]])
  }

  @Test("One whose short answer says no role is asked on: it runs an older program, and may lead")
  func olderProgram() async throws {
    let nodes = [
      try Answerer("follower", free: 10, saysRole: false), try Answerer("follower", free: 20),
      try Answerer("leader", free: 30, saysRole: false),
    ]
    let usage = try #require(await ask(nodes))
    #expect(usage.tablets == tablets)
    #expect(nodes.map(\.asked) == [["space", "usage"], ["space"], ["space", "usage"]])
  }

  @Test("Without a leader nothing is known, and nobody looks at tablets")
  func noLeader() async throws {
    let nodes = [try Answerer("follower", free: 10), try Answerer("candidate", free: 20)]
    #expect(await ask(nodes) == nil)
    #expect(nodes.map(\.asked) == [["space"], ["space"]])
  }

  @Test("A replica's short answer says its role and what its disk has, and nothing of its tablets")
  func shortAnswer() async throws {
    let fixture = ShardFixture()
    try await fixture.start()
    let leader = try await fixture.leader()
    fixture.metadata.createTable(1)
    try await fixture.insert(1, "one")
    for place in 0..<3 {
      let channel = RPCChannel(host: "127.0.0.1", port: fixture.nodes[place]?.port ?? 0)
      defer { channel.close() }
      let answer = try await channel.unary(
        StorageMethods.status,
        .with {
          $0.onlySpace = true
          $0.usage = true
        }, timeoutMilliseconds: 5000)
      #expect(answer.role == (place == leader ? "leader" : "follower"))
      #expect(answer.diskTotalBytes >= answer.diskFreeBytes && answer.diskTotalBytes > 0)
      #expect(answer.tablets == 0 && answer.sizeBytes == 0 && answer.usage.isEmpty)
    }
    await fixture.finish()
  }
}
