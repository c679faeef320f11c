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

  /// Lets node 1's heartbeats do their work.
  private func heartbeat(_ cluster: inout TraceCluster, after milliseconds: UInt64) throws {
    cluster.now += milliseconds
    _ = try cluster.step(1, .tick)
  }

  private func questions(_ cluster: TraceCluster) -> [Message] {
    cluster.network.filter { if case .promiseQuestion = $0.body { true } else { false } }
  }

  @Test("A leader that sees nothing amiss answers too: a heartbeat is enough")
  func asksInAnyMode() throws {
    var cluster = try damaged()
    #expect(cluster.nodes[1]?.raft.progress.first { $0.id == 2 }?.mode == .replicating)
    try heartbeat(&cluster, after: 60)
    try cluster.settle(except: [])
    #expect(cluster.nodes[1]?.raft.progress.first { $0.id == 2 }?.mode == .replicating)
    #expect(cluster.nodes[2]?.raft.promised == nil)
    #expect(cluster.nodes[2]?.promised == LogPosition(index: 2, term: 1))
    cluster.crash(2)
    cluster.restart(2)
    #expect(cluster.nodes[2]?.raft.promised == nil)
  }

  @Test("A question that is lost is asked again after an election timeout, and not before")
  func asksAgain() throws {
    var cluster = try damaged()
    var asked: [UInt64] = []
    let start = cluster.now
    for _ in 0..<12 {
      try heartbeat(&cluster, after: 50)
      _ = try cluster.deliver(from: 1, to: 2, count: 10)
      if !questions(cluster).isEmpty { asked.append(cluster.now - start) }
      cluster.network.removeAll { if case .promiseQuestion = $0.body { true } else { false } }
      try cluster.settle(except: [])
    }
    #expect(asked == [50, 300, 550])
    #expect(cluster.nodes[2]?.raft.promised == LogPosition(index: 900, term: 1))
  }

  @Test("Once it is answered nothing more is asked, though entries are missing still")
  func asksNoMore() throws {
    var cluster = try damaged()
    cluster.network.append(Message(from: 1, to: 2, term: 1, body: .heartbeatRequest(commitIndex: 0, round: 0)))
    _ = try cluster.deliver(from: 1, to: 2, count: 1)
    let question = try #require(questions(cluster).first)
    guard case .promiseQuestion(let id) = question.body else { return }
    cluster.network = []
    let end = LogPosition(index: 40, term: 1)
    _ = try cluster.step(2, .receive(Message(from: 1, to: 2, term: 1, body: .promiseAnswer(id: id, end))))
    #expect(cluster.nodes[2]?.raft.promised == end)
    cluster.now += 5_000
    _ = try cluster.step(
      2, .receive(Message(from: 1, to: 2, term: 1, body: .heartbeatRequest(commitIndex: 0, round: 0))))
    #expect(questions(cluster).isEmpty)
    cluster.crash(2)
    cluster.restart(2)
    #expect(cluster.nodes[2]?.raft.promised == end)
  }

  @Test("What was said before the loss is not believed: more may have been acknowledged since")
  func distrustsOldAnswers() throws {
    var cluster = try damaged()
    let end = LogPosition(index: 2, term: 1)
    for body in [Message.Body.promiseRecalled(end), .promiseAnswer(id: 0, end), .promiseAnswer(id: 77, end)] {
      _ = try cluster.step(2, .receive(Message(from: 1, to: 2, term: 1, body: body)))
      #expect(cluster.nodes[2]?.raft.promised == LogPosition(index: 900, term: 1))
    }
  }

  @Test("Who does not lead answers no question")
  func followersAreSilent() throws {
    var cluster = try damaged()
    cluster.network = []
    let lines = try cluster.step(3, .receive(Message(from: 2, to: 3, term: 1, body: .promiseQuestion(id: 5))))
    #expect(lines == [])
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
