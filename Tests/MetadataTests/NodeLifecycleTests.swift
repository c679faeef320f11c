import Metadata
import MetadataWire
import Testing

@Suite struct NodeLifecycleTests {
  private let shard = ShardID(rawValue: 1)
  private let first = NodeID(rawValue: 1)
  private let compute = NodeID(rawValue: 101)

  /// Shard 1 with two replicas, and a compute node.
  private func fixture() throws -> Fixture {
    var fixture = try Fixture.cluster(shards: 1)
    try fixture.append(
      .registerNode(
        NodeDefinition(id: NodeID(rawValue: 9), role: .storage, name: "new", host: "127.0.0.1", port: 7009)),
      .addReplica(shard, NodeID(rawValue: 9)))
    try fixture.append(
      .registerNode(
        NodeDefinition(
          id: compute, role: .compute, name: "compute-1", host: "127.0.0.1", port: 7101, postgresPort: 5401)))
    return fixture
  }

  @Test func aReplicaThatLeavesIsNoNodeAnyMoreAndNeverComesBack() throws {
    var fixture = try fixture()
    #expect(
      try fixture.append(.shard(.removeReplica(shard, first))) == [.replicaRemoved(shard, first), .nodeRemoved(first)])
    #expect(fixture.image.shards[shard]?.replicas == [NodeID(rawValue: 9)])
    #expect(fixture.image.removedNodes.contains(first))
    #expect(try fixture.append(.shard(.removeReplica(shard, first))).isEmpty)
    #expect(try fixture.append(.shard(.removeReplica(shard, compute))).isEmpty)
    #expect(fixture.rejection(.addReplica(shard, first))?.message == "node 1 does not exist")
    let last = fixture.rejection(.shard(.removeReplica(shard, NodeID(rawValue: 9))))
    #expect(last?.message == "node 9 is the last replica of shard 1")
    #expect(
      last?.hint
        == "Add another one first (kunlog storage add), or remove the shard: kunlog shard remove 1.")
  }

  @Test func aFailureIsNotedOnceAndEndsOnce() throws {
    var fixture = try fixture()
    let reason = "it has not answered for 10 s"
    #expect(
      try fixture.append(.node(.markFailed(first, reason: reason))) == [.node(.failed(first, reason: reason))])
    #expect(fixture.image.nodes[first]?.failure == reason)
    #expect(try fixture.append(.node(.markFailed(first, reason: "another"))).isEmpty)
    #expect(try fixture.append(.node(.markWell(first))) == [.node(.returned(first))])
    #expect(fixture.image.nodes[first]?.failure == nil)
    #expect(try fixture.append(.node(.markWell(first))).isEmpty)
    #expect(
      fixture.rejection(.node(.markFailed(NodeID(rawValue: 77), reason: reason)))?.message == "node 77 does not exist")
    #expect(fixture.rejection(.node(.markFailed(first, reason: "")))?.message == "a failure has a reason")
  }

  @Test func theLastComputeNodeIsNotDrained() throws {
    var fixture = try fixture()
    let refusal = fixture.rejection(.node(.drain(compute, graceSeconds: 30)))
    #expect(refusal?.message == "node 101 is the last compute node: nobody would take clients")
    #expect(refusal?.hint == "Add one first: kunlog compute add.")
    let second = NodeID(rawValue: 102)
    try fixture.append(
      .registerNode(
        NodeDefinition(id: second, role: .compute, name: "compute-2", host: "127.0.0.1", port: 7102, postgresPort: 5402)
      ))
    #expect(
      try fixture.append(.node(.drain(compute, graceSeconds: 30))) == [.node(.drainBegun(compute, graceSeconds: 30))])
    #expect(try fixture.append(.node(.drain(compute, graceSeconds: 30))).isEmpty)
    // More or less time may be given.
    #expect(
      try fixture.append(.node(.drain(compute, graceSeconds: 5))) == [.node(.drainBegun(compute, graceSeconds: 5))])
    #expect(fixture.image.nodes[compute]?.drainSeconds == 5)
    #expect(
      fixture.rejection(.node(.drain(second, graceSeconds: 1)))?.message.hasPrefix("node 102 is the last") == true)
    #expect(
      fixture.rejection(.node(.drain(first, graceSeconds: 1)))?.message
        == "node 1 is a storage node, not a compute node")
  }
}
