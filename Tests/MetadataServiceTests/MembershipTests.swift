import EventLoop
import Metadata
import MetadataClient
import Testing

@testable import MetadataService

/// Changes of the group's members, over the Admin service.
@Suite(.serialized)
@LoopActor
struct MembershipTests {
  @Test("A node that joins with an empty directory receives the log, is given a vote, and becomes a fact")
  func add() async throws {
    try await withMetaCluster { cluster in
      let client = try await cluster.bootstrapped()
      let group = cluster.group()
      let new = try await cluster.join()
      try await group.add(4, at: cluster.endpoints[new], name: "extra")
      try await group.promoteWhenCaughtUp(4)
      let membership = try await group.membership()
      #expect(membership.members.map(\.nodeID.rawValue) == [1, 2, 3, 4])
      #expect(membership.members.map(\.standing) == [.voter, .voter, .voter, .voter])
      try await client.catchUp()
      #expect(client.image.nodes[NodeID(rawValue: 4)]?.name == "extra")
      #expect(client.image.nodes[NodeID(rawValue: 4)]?.port == cluster.endpoints[new].port)
      #expect(client.image.nodes[NodeID(rawValue: 2)]?.name == "meta-2")
      #expect(cluster.nodes[new]?.image.clusterName == "test")
    }
  }

  @Test("A node that joins after the log's beginning was compacted starts from the leader's snapshot")
  func joinBySnapshot() async throws {
    try await withMetaCluster(keptEntries: 2) { cluster in
      let client = try await cluster.bootstrapped()
      for number in 0..<10 { _ = try await client.append([table("t\(number)")]) }
      for node in cluster.nodes { try await node?.takeSnapshot() }
      #expect(cluster.nodes[cluster.leader!]!.status.firstIndex > 5)
      let group = cluster.group()
      let new = try await cluster.join()
      try await group.add(4, at: cluster.endpoints[new])
      try await group.promoteWhenCaughtUp(4)
      let leader = cluster.nodes[cluster.leader!]!.image
      try await cluster.eventually { cluster.nodes[new]!.image.index >= leader.index }
      #expect(cluster.nodes[new]!.image.tables.count == 10)
    }
  }

  @Test("All three nodes are replaced one after another, and a client that was told only of those goes on")
  func replaceAll() async throws {
    try await withMetaCluster { cluster in
      let client = try await cluster.bootstrapped()
      let group = cluster.group()
      for old in 0..<3 {
        let new = try await cluster.join()
        let id = UInt64(new + 1)
        try await group.add(id, at: cluster.endpoints[new])
        try await group.awaitCaughtUp(id)
        try await group.apply([.promote(NodeID(rawValue: id)), .remove(NodeID(rawValue: UInt64(old + 1)))])
        await cluster.stop(old)
        _ = try await client.append([table("t\(old)")])
      }
      let membership = try await group.membership()
      #expect(membership.members.map(\.nodeID.rawValue) == [4, 5, 6])
      #expect(!membership.isJoint)
      try await client.catchUp()
      #expect(client.image.nodes.values.filter { $0.role == .meta }.map(\.id.rawValue).sorted() == [4, 5, 6])
      #expect(client.image.removedNodes.map(\.rawValue).sorted() == [1, 2, 3])
      #expect(client.image.tables.values.map(\.name).sorted() == ["t0", "t1", "t2"])
    }
  }

  @Test("A leader that is removed hands the leadership over first")
  func removeLeader() async throws {
    try await withMetaCluster { cluster in
      _ = try await cluster.bootstrapped()
      let group = cluster.group()
      let before = try await group.membership()
      let leader = try #require(before.leaderID)
      try await group.apply([.remove(leader)])
      let after = try await group.membership()
      #expect(after.members.count == 2)
      #expect(after.member(leader) == nil)
      #expect(after.leaderID != leader)
    }
  }

  @Test("A change that would leave no live majority is refused, and the group works on")
  func quorum() async throws {
    try await withMetaCluster { cluster in
      let client = try await cluster.bootstrapped()
      let group = cluster.group()
      let leader = try #require(try await group.membership().leaderID)
      let others = [1, 2, 3].map { NodeID(rawValue: $0) }.filter { $0 != leader }
      await cluster.stop(Int(others[0].rawValue) - 1)
      var members = try await group.membership()
      while members.member(others[0])?.isAlive != false {
        try await loopSleep(milliseconds: 20)
        members = try await group.membership()
      }
      let rejection = await group.rejection(of: [.remove(others[1])])
      #expect(rejection?.sqlState.rawValue == "55000")
      #expect(
        rejection?.message
          == "of the 2 voters that there would be, only 1 could be reached: the group would stop")
      #expect(rejection?.detail == "Not heard of: node \(others[0]).")
      _ = try await client.append([table("t")])
      // The dead one may go.
      try await group.apply([.remove(others[0])])
      #expect(try await group.membership().members.count == 2)
    }
  }

  @Test("The number of a node that was removed, an address that is taken and an outdated version are refused")
  func refusals() async throws {
    try await withMetaCluster { cluster in
      let client = try await cluster.bootstrapped()
      let group = cluster.group()
      let follower = try #require(
        try await group.membership().members.map(\.nodeID).first { $0.rawValue != UInt64(cluster.leader! + 1) })
      let free = MetadataEndpoint(host: "127.0.0.1", port: 1025)
      let taken = cluster.endpoints[cluster.leader!]
      #expect(
        await group.rejection(of: [.addLearner(NodeID(rawValue: 7), name: nil, taken)])?.message
          == "node \(cluster.leader! + 1) is at \(taken) already")
      #expect(
        await group.rejection(of: [.addLearner(NodeID(rawValue: 11), name: nil, free)])?.message
          == "node 11 is the storage node s")
      #expect(await group.rejection(of: [.promote(follower)])?.message == "node \(follower) is no learner")
      #expect(await group.rejection(of: [.remove(NodeID(rawValue: 9))])?.message == "node 9 is not a member")
      try await group.apply([.remove(follower)])
      try await client.catchUp()
      #expect(
        await group.rejection(of: [.addLearner(follower, name: nil, free)])?.message
          == "node \(follower) was removed, and its id is never used again")
      let error = await #expect(throws: MetadataError.self) {
        _ = try await group.change([.remove(NodeID(rawValue: 1))], at: 1)
      }
      guard case .rejected(let rejection) = error else {
        Issue.record("not refused: \(String(describing: error))")
        return
      }
      #expect(rejection.sqlState.rawValue == "40001")
    }
  }

  @Test("The leadership goes where the operator wants it")
  func transfer() async throws {
    try await withMetaCluster { cluster in
      _ = try await cluster.bootstrapped()
      let group = cluster.group()
      for id in [UInt64(1), 2, 3, 1] {
        try await group.transferLeadership(to: NodeID(rawValue: id))
        #expect(try await group.membership().leaderID == NodeID(rawValue: id))
      }
      let error = await #expect(throws: MetadataError.self) {
        try await group.transferLeadership(to: NodeID(rawValue: 8))
      }
      #expect("\(error!)".hasPrefix("node 8 is no voter of the group of meta nodes"))
    }
  }
}

@LoopActor
extension ReplicationGroupClient {
  /// Changes the members, again where the group was busy.
  func apply(_ changes: [GroupMemberChange]) async throws {
    while true {
      let membership = try await membership()
      do throws(MetadataError) {
        _ = try await change(changes, at: membership.configurationIndex)
        return
      } catch {
        guard case .rejected(let rejection) = error, ["40001", "55006"].contains(rejection.sqlState.rawValue) else {
          throw error
        }
        try await loopSleep(milliseconds: 20)
      }
    }
  }

  func add(_ id: UInt64, at endpoint: MetadataEndpoint, name: String? = nil) async throws {
    try await apply([.addLearner(NodeID(rawValue: id), name: name, endpoint)])
  }

  func awaitCaughtUp(_ id: UInt64) async throws {
    let deadline = Loop.now + 20_000_000_000
    while try await membership().member(NodeID(rawValue: id))?.isCaughtUp != true {
      try #require(Loop.now < deadline, "node \(id) did not catch up")
      try await loopSleep(milliseconds: 20)
    }
  }

  func promoteWhenCaughtUp(_ id: UInt64) async throws {
    try await awaitCaughtUp(id)
    try await apply([.promote(NodeID(rawValue: id))])
  }

  /// Why the change is refused; nil where it is not.
  func rejection(of changes: [GroupMemberChange]) async -> Rejection? {
    do {
      try await apply(changes)
      return nil
    } catch MetadataError.rejected(let rejection) {
      return rejection
    } catch {
      return nil
    }
  }
}
