import EventLoop
import Foundation
import Raft
import Testing

@testable import Replica

@LoopActor
@Suite("Replica", .serialized)
struct ReplicaTests {
  @Test("What the leader accepts is applied everywhere, in one order, and answered with its output")
  func proposals() async throws {
    let cluster = try ReplicaCluster()
    try await cluster.start(1, 2, 3)
    let leader = try await cluster.leader()
    #expect(try await leader.propose("a") == 1)
    #expect(try await leader.propose("b") == 2)
    var appended: [UInt64] = []
    var outputs: [Int] = []
    for number in 0..<50 {
      leader.propose(Array("item \(number)".utf8), onAppended: { appended.append($0) }) { result in
        if case .success(let output) = result { outputs.append(output) }
      }
    }
    _ = try await cluster.eventually("all outputs") { outputs.count == 50 ? true : nil }
    #expect(outputs == Array(3...52))
    #expect(appended == appended.sorted())
    #expect(appended.count == 50)
    try await cluster.everyoneHas(leader.machine.items)
    #expect(leader.machine.leaderships == [true])
    await cluster.stopAll()
  }

  @Test("A follower declines proposals and names the leader")
  func redirect() async throws {
    let cluster = try ReplicaCluster()
    try await cluster.start(1, 2, 3)
    let leader = try await cluster.leader()
    let follower = try await cluster.follower()
    _ = try await leader.propose("a")
    let id = leader.configuration.nodeID
    await #expect(throws: ReplicaError.notLeader(leaderID: id, leaderAddress: "in-process:\(id)")) {
      try await follower.propose("b")
    }
    await cluster.stopAll()
  }

  @Test("When the leader dies another one takes over with all that was acknowledged, and the dead one catches up")
  func leaderDies() async throws {
    let cluster = try ReplicaCluster()
    try await cluster.start(1, 2, 3)
    let first = try await cluster.leader()
    let id = first.configuration.nodeID
    for number in 1...20 { _ = try await first.propose("before \(number)") }
    await cluster.stop(id)
    let second = try await cluster.leader()
    #expect(second.machine.items.count == 20)
    for number in 1...20 { #expect(try await second.propose("after \(number)") == 20 + number) }
    try await cluster.start(id)
    try await cluster.everyoneHas((1...20).map { "before \($0)" } + (1...20).map { "after \($0)" })
    await cluster.stopAll()
  }

  @Test("All at once stopped and started again: everything acknowledged is there")
  func restart() async throws {
    let cluster = try ReplicaCluster()
    try await cluster.start(1, 2, 3)
    for number in 1...30 { _ = try await cluster.leader().propose("item \(number)") }
    for id: NodeID in 1...3 { await cluster.stop(id) }
    try await cluster.start(1, 2, 3)
    let leader = try await cluster.leader()
    #expect(leader.machine.items == (1...30).map { "item \($0)" })
    #expect(try await leader.propose("item 31") == 31)
    await cluster.stopAll()
  }

  @Test("A replica that was away for long gets a snapshot and the rest of the log, and starts from it again")
  func snapshot() async throws {
    let cluster = try ReplicaCluster()
    try await cluster.start(1, 2, 3)
    let away = try await cluster.follower().configuration.nodeID
    await cluster.stop(away)
    for number in 1...200 { _ = try await cluster.leader().propose("item \(number)") }
    let leader = try await cluster.leader()
    #expect(try await leader.takeSnapshot() == leader.status.appliedIndex)
    #expect(leader.status.firstIndex == leader.status.snapshotIndex - 4)
    _ = try await leader.propose("item 201")
    try await cluster.start(away)
    let expected = (1...201).map { "item \($0)" }
    try await cluster.everyoneHas(expected)
    #expect(cluster.replicas[away]?.machine.restores == 1)
    await cluster.stop(away)
    try await cluster.start(away)
    try await cluster.everyoneHas(expected)
    #expect(cluster.replicas[away]?.machine.restores == 1)
    await #expect(throws: ReplicaError.compacted(firstIndex: leader.status.firstIndex)) {
      try await leader.entries(from: 1, limitBytes: 1000)
    }
    let tail = try await leader.entries(from: leader.status.firstIndex, limitBytes: 100_000)
    #expect(tail.last.map { String(decoding: $0.payload, as: UTF8.self) } == "item 201")
    await cluster.stopAll()
  }

  @Test("Snapshots are taken by themselves, and bound the log")
  func automaticSnapshots() async throws {
    let cluster = try ReplicaCluster()
    cluster.adjust = {
      $0.snapshotLogBytes = 50_000
      $0.segmentBytes = 16 * 1024
    }
    try await cluster.start(1, 2, 3)
    let leader = try await cluster.leader()
    let value = String(repeating: "x", count: 1000)
    for _ in 0..<400 { _ = try await leader.propose(value) }
    _ = try await cluster.eventually("a compacted log") { leader.status.firstIndex > 200 ? true : nil }
    let files = try FileManager.default.contentsOfDirectory(
      atPath: leader.configuration.dataDirectory + "/log")
    #expect(files.count < 16)
    await cluster.stopAll()
  }

  @Test(
    "Reads see what was acknowledged before, on the leader and on followers; a leader that is cut off confirms none")
  func reads() async throws {
    let cluster = try ReplicaCluster()
    try await cluster.start(1, 2, 3)
    let leader = try await cluster.leader()
    let follower = try await cluster.follower()
    for number in 1...20 {
      _ = try await leader.propose("item \(number)")
      try await follower.readIndex()
      #expect(follower.machine.items.count >= number)
      try await leader.readIndex()
    }
    cluster.network.cut(leader.configuration.nodeID)
    await #expect(throws: ReplicaError.timedOut) { try await leader.readIndex() }
    let second = try await cluster.leader(except: leader.configuration.nodeID)
    _ = try await second.propose("later")
    cluster.network.heal(leader.configuration.nodeID)
    try await leader.readIndex()
    #expect(leader.machine.items.last == "later")
    #expect(leader.machine.leaderships == [true, false])
    await cluster.stopAll()
  }

  @Test("A proposal of a leader that is cut off has an unknown outcome, and its entry gives way")
  func lostLeadership() async throws {
    let cluster = try ReplicaCluster()
    try await cluster.start(1, 2, 3)
    let leader = try await cluster.leader()
    _ = try await leader.propose("a")
    cluster.network.cut(leader.configuration.nodeID)
    await #expect(throws: ReplicaError.lostLeadership) { try await leader.propose("lost") }
    let second = try await cluster.leader(except: leader.configuration.nodeID)
    _ = try await second.propose("b")
    cluster.network.heal(leader.configuration.nodeID)
    try await cluster.everyoneHas(["a", "b"])
    await cluster.stopAll()
  }

  @Test("Leadership is handed over on demand")
  func transfer() async throws {
    let cluster = try ReplicaCluster()
    try await cluster.start(1, 2, 3)
    let leader = try await cluster.leader()
    let target = try await cluster.follower()
    _ = try await leader.propose("a")
    try await leader.transferLeadership(to: target.configuration.nodeID)
    let second = try await cluster.leader(except: leader.configuration.nodeID)
    #expect(second === target)
    #expect(try await second.propose("b") == 2)
    await cluster.stopAll()
  }

  @Test("A new member catches up, gets a vote, and an old one leaves")
  func membership() async throws {
    let cluster = try ReplicaCluster()
    try await cluster.start(1, 2, 3)
    let leader = try await cluster.leader()
    for number in 1...100 { _ = try await leader.propose("item \(number)") }
    try await leader.takeSnapshot()
    try await cluster.start(4, members: [])
    try await leader.changeMembers([.addLearner(Member(id: 4, address: "in-process:4"))])
    _ = try await cluster.eventually("the learner's state") {
      cluster.replicas[4]?.machine.items.count == 100 ? true : nil
    }
    _ = try await cluster.eventually("the learner's acknowledgement of the members") {
      let status = leader.status
      let match = status.members.first { $0.id == 4 }?.matchIndex ?? 0
      return match >= status.configurationIndex ? true : nil
    }
    try await leader.changeMembers([.promote(4)])
    let leaving = try await cluster.follower().configuration.nodeID
    try await leader.changeMembers([.remove(leaving)])
    await cluster.stop(leaving)
    #expect(leader.status.members.map(\.id).sorted() == Array(Set([1, 2, 3, 4]).subtracting([leaving])).sorted())
    _ = try await leader.propose("last")
    try await cluster.everyoneHas((1...100).map { "item \($0)" } + ["last"])
    await cluster.stopAll()
  }

  @Test("A group of one leads itself, and works on after a restart")
  func single() async throws {
    let cluster = try ReplicaCluster()
    try await cluster.start(1, members: [1])
    #expect(try await cluster.leader().propose("a") == 1)
    try await cluster.leader().readIndex()
    await cluster.stop(1)
    try await cluster.start(1, members: [1])
    #expect(try await cluster.leader().propose("b") == 2)
    await cluster.stopAll()
  }

  @Test("A directory of another cluster is refused, and what is wrong is said")
  func foreign() async throws {
    let cluster = try ReplicaCluster()
    try await cluster.start(1, members: [1])
    await cluster.stop(1)
    cluster.adjust = { $0.clusterID = [UInt8](repeating: 9, count: 16) }
    do {
      try await cluster.start(1, members: [1])
      Issue.record("it started")
    } catch let error as ReplicaStartError {
      #expect("\(error)".contains("belongs to cluster 0102030405060708090a0b0c0d0e0f10"))
    }
    await cluster.stopAll()
  }
}
