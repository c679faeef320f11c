import Raft
import Testing

@testable import ReplicaCore

@Suite("The core of a replica")
struct ReplicaCoreTests {
  /// A group of one whose disk and state machine do at once what they are asked for, when told to.
  private struct Single: ~Copyable {
    var core: ReplicaCore
    var now: UInt64 = 1000

    init(options: ReplicaOptions = ReplicaOptions()) {
      let members = Configuration(voters: [Member(id: 1, address: "host:1")])
      core = ReplicaCore(
        id: 1, options: options, recovered: .fresh(members), appliedIndex: 0, seed: 1, atMilliseconds: now)
    }

    mutating func handle(_ event: ReplicaCore.Event) -> [ReplicaCore.Action] {
      core.handle(event, atMilliseconds: now)
      return core.takeActions()
    }

    /// Becomes the leader, ready.
    mutating func lead() {
      _ = handle(.started)
      _ = handle(.written(through: 1))
      _ = handle(.endOfTurn)
      _ = handle(.written(through: 2))
      _ = handle(.applied(through: 1, sizeBytes: 32))
    }

    mutating func propose(_ text: String, token: UInt64) throws(Refusal) -> UInt64 {
      try core.propose(Array(text.utf8), token: token, atMilliseconds: now)
    }
  }

  @Test("A group of one leads itself, and is ready once its first entry is applied")
  func leads() {
    var node = Single()
    #expect(
      node.handle(.started) == [
        .writeHardState(HardState(term: 1, vote: 1), sequence: 1), .roleChanged(.candidate, term: 1, leader: nil),
      ])
    #expect(node.handle(.written(through: 1)) == [.roleChanged(.leader, term: 1, leader: 1)])
    #expect(node.core.needsEndOfTurn == true)
    #expect(
      node.handle(.endOfTurn) == [.writeEntries([Entry(index: 1, term: 1, kind: .noOp)], sequence: 2)])
    #expect(node.handle(.written(through: 2)) == [.apply(from: 1, through: 1)])
    #expect(node.core.isReady == false)
    #expect(node.handle(.applied(through: 1, sizeBytes: 32)) == [.leadershipChanged(isLeader: true, term: 1)])
    #expect(node.core.isReady == true)
  }

  @Test("Proposals of a turn are one write; each token comes back when its entry is applied")
  func proposals() throws {
    var node = Single()
    node.lead()
    #expect(try node.propose("a", token: 7) == 2)
    #expect(try node.propose("b", token: 9) == 3)
    #expect(
      node.handle(.endOfTurn) == [
        .writeEntries(
          [
            Entry(index: 2, term: 1, payload: Array("a".utf8)), Entry(index: 3, term: 1, payload: Array("b".utf8)),
          ], sequence: 3)
      ])
    #expect(node.handle(.written(through: 3)) == [.apply(from: 2, through: 3)])
    #expect(
      node.handle(.applied(through: 2, sizeBytes: 33)) == [.proposalApplied(7, index: 2), .apply(from: 3, through: 3)])
    #expect(node.handle(.applied(through: 3, sizeBytes: 33)) == [.proposalApplied(9, index: 3)])
  }

  @Test("A proposal before the replica is ready is refused")
  func notReady() {
    var node = Single()
    #expect(throws: Refusal.notLeader(nil)) { try node.propose("a", token: 1) }
  }

  @Test("Reads of a turn share a request; one that cannot be confirmed in time is given up")
  func reads() {
    var node = Single()
    #expect(node.handle(.read(1, deadlineMilliseconds: 1500)) == [])
    #expect(node.core.needsEndOfTurn == false)
    #expect(node.core.nextDeadline == 1100)
    node.now = 1500
    #expect(node.handle(.tick).contains(.readFailed(1, .timedOut)))
    node = Single()
    node.lead()
    #expect(node.handle(.read(2, deadlineMilliseconds: 1500)) == [])
    #expect(node.handle(.read(3, deadlineMilliseconds: 1500)) == [])
    #expect(node.core.needsEndOfTurn == true)
    #expect(node.handle(.endOfTurn) == [.readReady(2), .readReady(3)])
  }

  @Test("At the end everybody who waits is told, and nothing happens any more")
  func stopped() throws {
    var node = Single()
    node.lead()
    _ = try node.propose("a", token: 7)
    _ = node.handle(.read(8, deadlineMilliseconds: 1500))
    #expect(
      node.handle(.stopped) == [
        .proposalFailed(7, .stopped), .readFailed(8, .stopped), .leadershipChanged(isLeader: false, term: 1),
      ])
    #expect(node.handle(.tick) == [])
    #expect(throws: Refusal.notLeader(nil)) { try node.propose("b", token: 9) }
    #expect(node.core.nextDeadline == .max)
  }

  @Test("A snapshot is wanted after as many bytes as configured, one at a time, and lets the log begin later")
  func snapshots() throws {
    var options = ReplicaOptions()
    options.snapshotLogBytes = 100
    options.keptEntries = 1
    var node = Single(options: options)
    node.lead()
    for (position, text) in ["a", "b"].enumerated() { _ = try node.propose(text, token: UInt64(position)) }
    _ = node.handle(.endOfTurn)
    _ = node.handle(.written(through: 3))
    #expect(
      node.handle(.applied(through: 3, sizeBytes: 80)) == [
        .proposalApplied(0, index: 2), .proposalApplied(1, index: 3), .takeSnapshot,
      ])
    let isSecondTaken = node.core.beginSnapshot()
    #expect(!isSecondTaken)
    let (ofThird, ofSecond) = (node.core.raft.snapshotMetadata(at: 3), node.core.raft.snapshotMetadata(at: 2))
    let metadata = try #require(ofThird)
    let base = try #require(ofSecond)
    #expect(
      node.handle(.snapshotTaken(metadata)) == [.compactLog(snapshot: metadata, base: base, sequence: 4)])
    let isThirdTaken = node.core.beginSnapshot()
    #expect(isThirdTaken)
  }

  @Test("A large state is not written out again before as much has been logged")
  func snapshotsOfLargeStates() throws {
    var options = ReplicaOptions()
    options.snapshotLogBytes = 100
    var node = Single(options: options)
    node.core.latestSnapshotBytes = 250
    node.lead()
    for (position, text) in ["a", "b"].enumerated() { _ = try node.propose(text, token: UInt64(position)) }
    _ = node.handle(.endOfTurn)
    _ = node.handle(.written(through: 3))
    #expect(node.handle(.applied(through: 2, sizeBytes: 200)).contains(.takeSnapshot) == false)
    #expect(node.handle(.applied(through: 3, sizeBytes: 50)).contains(.takeSnapshot))
  }

  @Test("A state that is ahead of a log which damage has made shorter does not go back to an older snapshot")
  func keepsLaterState() {
    let members = Configuration(voters: [1, 2, 3].map { Member(id: $0, address: "host:\($0)") })
    var recovered = Raft.Recovered.fresh(members)
    recovered.promised = LogPosition(index: 12, term: 1)
    var core = ReplicaCore(
      id: 1, options: ReplicaOptions(), recovered: recovered, appliedIndex: 10, seed: 1, atMilliseconds: 1_000)
    core.handle(.started, atMilliseconds: 1_000)
    _ = core.takeActions()
    let older = SnapshotMetadata(index: 8, term: 1, configuration: members)
    core.handle(.snapshotReceived(older, from: 2, term: 2), atMilliseconds: 1_001)
    let actions = core.takeActions()
    #expect(actions.contains { if case .resetLog(older, _) = $0 { true } else { false } })
    #expect(!actions.contains { if case .restoreSnapshot = $0 { true } else { false } })
    #expect(core.appliedIndex == 10)
    let newer = SnapshotMetadata(index: 20, term: 2, configuration: members)
    core.handle(.snapshotReceived(newer, from: 2, term: 2), atMilliseconds: 1_002)
    let later = core.takeActions()
    #expect(later.contains(.restoreSnapshot(newer)))
  }

  @Test(
    "What was to be acknowledged to an earlier leader is not said once there is another one", arguments: [false, true])
  func earlierTerm(hasNewLeader: Bool) {
    let members = Configuration(voters: [1, 2, 3].map { Member(id: $0, address: "host:\($0)") })
    var core = ReplicaCore(
      id: 1, options: ReplicaOptions(), recovered: .fresh(members), appliedIndex: 0, seed: 1, atMilliseconds: 1_000)
    core.handle(.started, atMilliseconds: 1_000)
    func append(from leader: UInt64, term: UInt64, after previous: UInt64, _ entries: [Entry]) -> Message {
      Message(
        from: leader, to: 1, term: term,
        body: .appendRequest(
          Message.AppendRequest(
            previousIndex: previous, previousTerm: previous == 0 ? 0 : 1, commitIndex: 0, round: 1, entries: entries)))
    }
    let entries = [Entry(index: 1, term: 1, kind: .noOp), Entry(index: 2, term: 1, payload: [1])]
    core.handle(.received(append(from: 2, term: 1, after: 0, entries)), atMilliseconds: 1_001)
    if hasNewLeader {
      // It lacks the second entry, and puts its own in its place, before the disk has answered.
      let other = [Entry(index: 2, term: 2, kind: .noOp)]
      core.handle(.received(append(from: 3, term: 2, after: 1, other)), atMilliseconds: 1_002)
    }
    let before = core.takeActions()
    #expect(!before.contains { if case .send = $0 { true } else { false } })
    let last = before.reduce(UInt64(0)) { last, action in
      switch action {
      case .writeHardState(_, let sequence), .writeEntries(_, let sequence): max(last, sequence)
      default: last
      }
    }
    core.handle(.written(through: last), atMilliseconds: 1_003)
    let sent = core.takeActions().compactMap { action -> Message? in
      if case .send(let message) = action { message } else { nil }
    }
    #expect(sent.map(\.to) == [hasNewLeader ? 3 : 2])
    #expect(sent.map(\.term) == [hasNewLeader ? 2 : 1])
    #expect(sent.map(\.body) == [.appendAccepted(matchIndex: 2, round: 1)])
  }
}
