import Testing

@testable import Raft

@Suite("Losses of unknown size")
struct UnknownLossTests {
  /// Node 2 loses a file that may have held hundreds of entries, and held none.
  private func damaged() throws -> TraceCluster {
    var cluster = TraceCluster()
    cluster.hasPromptDisks = true
    for id in NodeID(1)...3 { cluster.add(id, voters: [1, 2, 3]) }
    cluster.now = 600
    _ = try cluster.step(1, .campaign)
    try cluster.settle(except: [])
    _ = try cluster.step(1, .propose([[1]]))
    try cluster.settle(except: [])
    cluster.crash(2)
    cluster.nodes[2]?.promised = LogPosition(index: 900, term: 1)
    cluster.restart(2)
    #expect(cluster.nodes[2]?.raft.promised == LogPosition(index: 900, term: 1))
    return cluster
  }

  @Test("The leader of the term says how far it can reach, and the node votes again")
  func asks() throws {
    var cluster = try damaged()
    _ = try cluster.step(1, .disconnected(2))
    _ = try cluster.step(1, .connected(2))
    try cluster.settle(except: [])
    #expect(cluster.nodes[2]?.raft.promised == nil)
    _ = try cluster.step(1, .propose([[2]]))
    try cluster.settle(except: [])
    cluster.crash(1)
    cluster.now += 5_000
    _ = try cluster.step(3, .campaign)
    try cluster.settle(except: [1])
    #expect(cluster.nodes[3]?.raft.role == .leader)
    #expect(cluster.nodes[2]?.raft.lastIndex == cluster.nodes[3]?.raft.lastIndex)
  }

  @Test("Nobody is believed who does not lead the term: until then it votes for nobody whose log is shorter")
  func waits() throws {
    var cluster = try damaged()
    cluster.crash(1)
    cluster.now += 5_000
    _ = try cluster.step(3, .campaign)
    try cluster.settle(except: [1])
    #expect(cluster.nodes[3]?.raft.role == .preCandidate)
    #expect(cluster.nodes[2]?.raft.promised == LogPosition(index: 900, term: 1))
  }
}
