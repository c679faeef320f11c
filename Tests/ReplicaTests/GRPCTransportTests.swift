import EventLoop
import Foundation
import RPC
import Raft
import Testing

@testable import Replica

@LoopActor
@Suite("Replicas over gRPC", .serialized)
struct GRPCTransportTests {
  /// Three replicas, each behind a server of its own.
  private struct Group {
    var servers: [RPCServer] = []
    var replicas: [Replica<ListMachine>] = []
    var members: [Member] = []
    var directory: String
  }

  private func start(_ group: inout Group, _ id: Int) async throws {
    var configuration = ReplicaConfiguration(
      clusterID: Array(1...16), groupID: "grpc", nodeID: UInt64(id + 1), members: group.members,
      dataDirectory: group.directory + "/\(id)")
    configuration.keptEntries = 5
    configuration.seed = UInt64(id)
    let replica = Replica(configuration: configuration, machine: ListMachine(), server: group.servers[id])
    if id < group.replicas.count { group.replicas[id] = replica } else { group.replicas.append(replica) }
    try await replica.start()
  }

  private func makeGroup() async throws -> Group {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("grpc-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    var group = Group(directory: directory)
    for id in 1...3 {
      let server = RPCServer(host: "127.0.0.1", port: 0)
      try server.start()
      group.servers.append(server)
      group.members.append(Member(id: UInt64(id), address: "127.0.0.1:\(server.port)"))
    }
    for id in 0..<3 { try await start(&group, id) }
    return group
  }

  private func stop(_ group: Group) async {
    for replica in group.replicas { await replica.stop() }
    for server in group.servers { await server.shutdown() }
    try? FileManager.default.removeItem(atPath: group.directory)
  }

  private func eventually<T>(_ what: String, _ value: @LoopActor () -> T?) async throws -> T {
    for _ in 0..<2000 {
      if let found = value() { return found }
      try await loopSleep(milliseconds: 5)
    }
    throw NeverHappened(what: what)
  }

  @Test("Proposals, reads on followers, death of the leader, and a snapshot for the one that was away")
  func wholeLife() async throws {
    var group = try await makeGroup()
    let replicas = group.replicas
    let leader = try await eventually("a leader") { replicas.first { $0.isLeader } }
    for number in 1...50 { _ = try await leader.propose("item \(number)") }
    for replica in replicas {
      try await replica.readIndex()
      #expect(replica.machine.items.count == 50)
    }
    let position = try #require(replicas.firstIndex { $0 === leader })
    await leader.stop()
    let second = try await eventually("a second leader") { replicas.first { $0.isLeader && $0 !== leader } }
    for number in 51...100 { _ = try await second.propose("item \(number)") }
    try await second.takeSnapshot()
    try await start(&group, position)
    let back = group.replicas[position]
    let expected = (1...100).map { "item \($0)" }
    _ = try await eventually("the old leader's state") { back.machine.items == expected ? true : nil }
    #expect(back.machine.restores == 1)
    await stop(group)
  }

  @Test("A group that has lost its leader finds a member that has moved, though no log knows it")
  func movedUnknown() async throws {
    var group = try await makeGroup()
    _ = try await eventually("a leader") { group.replicas.firstIndex { $0.isLeader } }
    for replica in group.replicas { await replica.stop() }
    await group.servers[0].shutdown()
    group.servers[0] = RPCServer(host: "127.0.0.1", port: 0)
    try group.servers[0].start()
    let members = group.members
    group.members[0].address = "127.0.0.1:\(group.servers[0].port)"
    try await start(&group, 0)
    group.members = members
    try await start(&group, 1)
    let leading = try await eventually("one of the two leads, and the other one follows") {
      [(0, 1), (1, 0)].first {
        group.replicas[$0].isLeader && group.replicas[$1].status.leaderID == UInt64($0 + 1)
      }?.0
    }
    _ = try await group.replicas[leading].propose("an item")
    await stop(group)
  }

  @Test("A member that has moved leads one whose log still has its old address")
  func movedMember() async throws {
    var group = try await makeGroup()
    let leader = try await eventually("a leader") { group.replicas.firstIndex { $0.isLeader } }
    let (away, moved) = ((leader + 1) % 3, (leader + 2) % 3)
    await group.replicas[away].stop()
    await group.replicas[moved].stop()
    await group.servers[moved].shutdown()
    group.servers[moved] = RPCServer(host: "127.0.0.1", port: 0)
    try group.servers[moved].start()
    group.members[moved].address = "127.0.0.1:\(group.servers[moved].port)"
    try await start(&group, moved)
    // A leader that was alone for too long has stepped down: then one of the two is elected.
    let leading = try await eventually("one of the two leads, and the other one follows") {
      [(leader, moved), (moved, leader)].first {
        group.replicas[$0].isLeader && group.replicas[$1].status.leaderID == UInt64($0 + 1)
      }?.0
    }
    try await group.replicas[leading].changeMembers([.changeAddress(group.members[moved])])
    _ = try await group.replicas[leading].propose("an item")
    let index = group.replicas[leading].status.commitIndex
    _ = try await eventually("the moved member has it all") {
      group.replicas[moved].status.commitIndex >= index ? true : nil
    }
    await group.replicas[leader].stop()
    try await start(&group, away)
    _ = try await eventually("the moved member leads") { group.replicas[moved].isLeader ? true : nil }
    await stop(group)
  }

  @Test("Who belongs to another cluster, or calls the wrong member, is refused")
  func strangers() async throws {
    let group = try await makeGroup()
    let channel = RPCChannel(host: "127.0.0.1", port: group.servers[0].port)
    for (cluster, to, message) in [
      ([UInt8](repeating: 9, count: 16), UInt64(1), "this is another cluster"),
      (Array(1...16), UInt64(2), "this is member 1, not 2"),
    ] {
      let (writer, reader) = channel.bidirectional(RaftService.exchange)
      try await writer.send(
        .with {
          $0.hello = .with {
            $0.clusterID = .init(cluster)
            $0.groupID = "grpc"
            $0.from = 3
            $0.to = to
          }
        })
      await #expect(throws: RPCError(.failedPrecondition, message)) { _ = try await reader.next() }
    }
    channel.close()
    await stop(group)
  }
}
