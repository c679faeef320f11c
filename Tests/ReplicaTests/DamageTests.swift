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
      StartDecision(recovered: recovered, appliedIndex: 7, stored: [])
        == .stateAheadOfLog(appliedIndex: 7, lastIndex: 4))
    recovered.promised = LogPosition(index: 9, term: 1)
    #expect(StartDecision(recovered: recovered, appliedIndex: 7, stored: []) == .ready)
    #expect(
      StartDecision(recovered: recovered, appliedIndex: 10, stored: [])
        == .stateAheadOfLog(appliedIndex: 10, lastIndex: 4))
  }

  @Test("Damage that is met while entries are read ends the replica; the next start repairs it")
  func metWhileReading() async throws {
    let cluster = try ReplicaCluster()
    cluster.adjust = { $0.cacheBytes = 1000 }
    try await cluster.start(1, 2, 3)
    let leader = try await cluster.leader()
    let items = (1...100).map { "the item with number \($0)." }
    for item in items { _ = try await leader.propose(item) }
    try await cluster.everyoneHas(items)
    let follower = try await cluster.follower()
    let id = follower.configuration.nodeID
    var failure: ReplicaError?
    follower.onFailure = { failure = $0 }
    let file = cluster.directory + "/\(id)/log/0000000001.log"
    let place = try #require(try Data(contentsOf: URL(fileURLWithPath: file)).range(of: Data("number 12.".utf8)))
    let handle = try FileHandle(forUpdating: URL(fileURLWithPath: file))
    try handle.seek(toOffset: UInt64(place.lowerBound))
    try handle.write(contentsOf: Data("N".utf8))
    try handle.close()
    await #expect(throws: ReplicaError.self) { try await follower.entries(from: 10, limitBytes: 10_000) }
    #expect(failure?.description.contains("0000000001.log is damaged at byte") == true)
    await cluster.stop(id)
    // Its log is let go of in the background.
    for _ in 0..<500 {
      do {
        try await cluster.start(id)
        break
      } catch { try await loopSleep(milliseconds: 10) }
    }
    try await cluster.everyoneHas(items)
    _ = try await cluster.eventually("a log without promise") {
      cluster.replicas[id]?.status.promisedIndex == nil ? true : nil
    }
    await cluster.stopAll()
  }

  @Test("The archive has what compaction dropped, for those who want the history")
  func archive() async throws {
    let cluster = try ReplicaCluster()
    cluster.adjust = {
      $0.segmentBytes = 4096
      $0.archive = .all
    }
    try await cluster.start(1, members: [1])
    let replica = try await cluster.leader()
    let items = (1...200).map { "the item with number \($0)." }
    for item in items { _ = try await replica.propose(item) }
    _ = try await replica.takeSnapshot()
    _ = try await cluster.eventually("a log that begins later") { replica.status.firstIndex > 100 ? true : nil }
    _ = try await replica.propose("the last one")
    await #expect(throws: ReplicaError.self) { try await replica.entries(from: 1, limitBytes: 500) }
    var found: [String] = []
    var next: UInt64 = 1
    while true {
      let entries = try await replica.entries(from: next, limitBytes: 500, readsArchive: true)
      guard let last = entries.last else { break }
      found += entries.map { String(decoding: $0.payload, as: UTF8.self) }
      next = last.index + 1
    }
    #expect(found == items + ["the last one"])
    await cluster.stopAll()
  }

  @Test("What is under way keeps its entries in the log, up to a bound beyond which that is said")
  func held() async throws {
    let cluster = try ReplicaCluster()
    cluster.adjust = {
      $0.segmentBytes = 4096
      $0.heldBytes = 3000
    }
    try await cluster.start(1, members: [1])
    let replica = try await cluster.leader()
    for number in 1...100 { _ = try await replica.propose("the item with number \(number).") }
    replica.machine.heldIndex = 40
    _ = try await replica.takeSnapshot()
    _ = try await cluster.eventually("a log that begins later") { replica.status.firstIndex > 1 ? true : nil }
    #expect(replica.status.firstIndex == 40)
    #expect(!replica.isHoldOverruled)
    for number in 101...200 { _ = try await replica.propose("the item with number \(number).") }
    _ = try await replica.takeSnapshot()
    #expect(replica.isHoldOverruled)
    _ = try await cluster.eventually("a log that begins later") { replica.status.firstIndex > 40 ? true : nil }
    replica.machine.heldIndex = nil
    _ = try await replica.propose("the last one")
    _ = try await replica.takeSnapshot()
    #expect(!replica.isHoldOverruled)
    await cluster.stopAll()
  }

  @Test("A replica whose snapshot is lost gets another one; until then it votes for nobody who lacks what it had")
  func lostSnapshot() async throws {
    let cluster = try ReplicaCluster()
    cluster.adjust = { $0.segmentBytes = 4096 }
    try await cluster.start(1, 2, 3)
    let leader = try await cluster.leader()
    let items = (1...100).map { "the item with number \($0)." }
    for item in items { _ = try await leader.propose(item) }
    try await cluster.everyoneHas(items)
    for replica in cluster.replicas.values { _ = try await replica.takeSnapshot() }
    let follower = try await cluster.follower()
    let id = follower.configuration.nodeID
    #expect(follower.status.snapshotIndex > 100)
    await cluster.stop(id)
    let folder = cluster.directory + "/\(id)/snapshots"
    let snapshot = try #require(
      try FileManager.default.contentsOfDirectory(atPath: folder).first { $0.hasSuffix(".snapshot") })
    var bytes = try Data(contentsOf: URL(fileURLWithPath: folder + "/" + snapshot))
    bytes[5] ^= 1
    try bytes.write(to: URL(fileURLWithPath: folder + "/" + snapshot))
    try await cluster.start(id)
    try await cluster.everyoneHas(items)
    _ = try await cluster.eventually("a log without promise") {
      cluster.replicas[id]?.status.promisedIndex == nil ? true : nil
    }
    _ = try await cluster.leader().propose("one more")
    try await cluster.everyoneHas(items + ["one more"])
    await cluster.stop(id)
    try await cluster.start(id)
    try await cluster.everyoneHas(items + ["one more"])
    await cluster.stopAll()
  }

  @Test("A group of one whose snapshot is lost keeps its log, and says what it needs")
  func lostSnapshotAlone() async throws {
    let cluster = try ReplicaCluster()
    try await cluster.start(1, members: [1])
    let replica = try await cluster.leader()
    for number in 1...20 { _ = try await replica.propose("item \(number)") }
    _ = try await replica.takeSnapshot()
    await cluster.stop(1)
    try FileManager.default.removeItem(atPath: cluster.directory + "/1/snapshots")
    for _ in 0..<2 {
      await #expect {
        try await cluster.start(1, members: [1])
      } throws: { "\($0)".contains("bring it back from a copy") }
    }
    cluster.replicas = [:]
    await cluster.stopAll()
  }
}
