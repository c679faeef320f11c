import EventLoop
import Foundation
import Raft
import ReplicaCore
import SegmentedLog
import Testing

@testable import Replica

@LoopActor
@Suite("Replicas on bad disks", .serialized)
struct DamageTests {
  /// Changes a byte of the text in the log of a stopped replica.
  private func damage(_ text: String, of id: NodeID, _ cluster: ReplicaCluster) throws {
    let file = URL(fileURLWithPath: cluster.directory + "/\(id)/log/0000000001.log")
    var bytes = try Data(contentsOf: file)
    let place = try #require(bytes.range(of: Data(text.utf8)))
    bytes[place.lowerBound] ^= 1
    try bytes.write(to: file)
  }

  @Test("A replica whose log is damaged starts, and gets what it lacks from the others")
  func repaired() async throws {
    let cluster = try ReplicaCluster()
    try await cluster.start(1, 2, 3)
    let leader = try await cluster.leader()
    let items = (1...30).map { "the item with number \($0)." }
    for item in items { _ = try await leader.propose(item) }
    try await cluster.everyoneHas(items)
    let id = try await cluster.follower().configuration.nodeID
    await cluster.stop(id)
    try damage("number 12.", of: id, cluster)
    try await cluster.start(id)
    try await cluster.everyoneHas(items)
    let replica = try #require(cluster.replicas[id])
    _ = try await cluster.eventually("a log without promise") { replica.status.promisedIndex == nil ? true : nil }
    await cluster.stop(id)
    // The repair is durable: nothing is asked of the others any more.
    try await cluster.start(id)
    #expect(cluster.replicas[id]?.status.promisedIndex == nil)
    #expect(cluster.replicas[id]?.status.lastIndex ?? 0 >= 31)
    await cluster.stopAll()
  }

  @Test("Where nobody else has what was lost, the group halts rather than forget")
  func halts() async throws {
    let cluster = try ReplicaCluster()
    try await cluster.start(1, 2, 3)
    let leader = try await cluster.leader()
    let away = try #require([1, 2, 3].first { $0 != leader.configuration.nodeID })
    await cluster.stop(away)
    for number in 1...5 { _ = try await leader.propose("kept only here, \(number)") }
    let others = [1, 2, 3].filter { $0 != away }
    for id in others { await cluster.stop(id) }
    for id in others { try damage("only here, 3", of: id, cluster) }
    try await cluster.start(1, 2, 3)
    for id in others { #expect(cluster.replicas[id]?.status.promisedIndex ?? 0 >= 6) }
    try await loopSleep(milliseconds: 1500)
    #expect(cluster.replicas.values.allSatisfy { $0.status.leaderID == nil })
    await cluster.stopAll()
  }

  @Test("A replica whose directory is empty though it has run before is refused")
  func emptyDirectory() async throws {
    let cluster = try ReplicaCluster()
    try await cluster.start(1, members: [1])
    await cluster.stop(1)
    cluster.adjust = { $0.mayBegin = false }
    try await cluster.start(1, members: [1])
    await cluster.stop(1)
    try FileManager.default.removeItem(atPath: cluster.directory + "/1")
    await #expect {
      try await cluster.start(1, members: [1])
    } throws: { error in
      "\(error)".contains("this is not the first start of this member") && "\(error)".contains("meta member replace")
    }
    cluster.replicas = [:]
    await cluster.stopAll()
  }

  @Test("A state ahead of a damaged log may start; one ahead of a whole log may not")
  func stateAhead() {
    var recovered = Raft.Recovered.fresh(.empty)
    for index: UInt64 in 1...4 { recovered.terms.append(index: index, term: 1) }
    #expect(
      StartDecision(recovered: recovered, appliedIndex: 7, latest: nil)
        == .stateAheadOfLog(appliedIndex: 7, lastIndex: 4))
    recovered.promised = LogPosition(index: 9, term: 1)
    #expect(StartDecision(recovered: recovered, appliedIndex: 7, latest: nil) == .ready)
    #expect(
      StartDecision(recovered: recovered, appliedIndex: 10, latest: nil)
        == .stateAheadOfLog(appliedIndex: 10, lastIndex: 4))
  }
}
