import Testing

@testable import Raft

@Suite("A pipeline whose entries are compacted")
struct CompactedPipelineTests {
  @Test("A follower whose messages were lost gets a snapshot, though its window is full and the log begins later")
  func fullWindow() throws {
    var cluster = TraceCluster()
    cluster.options.maximumInflightAppends = 1
    for id in UInt64(1)...3 { cluster.add(id, voters: [1, 2, 3]) }
    cluster.hasPromptDisks = true
    cluster.now = 600
    _ = try cluster.step(1, .campaign)
    try cluster.settle(except: [])
    #expect(cluster.nodes[1]?.raft.progress.map(\.mode) == [.replicating, .replicating])
    // Nothing reaches node 3 any more, nor does its connection break.
    for number in UInt8(0)..<3 {
      _ = try cluster.step(1, .propose([[number]]))
      try cluster.settle(except: [3])
      cluster.network.removeAll { $0.to == 3 }
    }
    let applied = try #require(cluster.nodes[1]?.appliedIndex)
    #expect(applied == 4)
    let described = cluster.nodes[1]?.raft.snapshotMetadata(at: applied)
    let metadata = try #require(described)
    _ = try cluster.step(1, .snapshotTaken(metadata, compactThrough: applied))
    #expect(cluster.nodes[1]?.raft.terms.baseIndex == 4)
    #expect(cluster.snapshotRequests.isEmpty)
    // The network works again: the first heartbeat's answer shows what is missing.
    cluster.now += cluster.options.heartbeatMilliseconds
    _ = try cluster.step(1, .tick)
    try cluster.settle(except: [])
    #expect(cluster.snapshotRequests.map(\.to) == [3])
  }
}
