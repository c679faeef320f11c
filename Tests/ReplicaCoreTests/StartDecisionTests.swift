import Raft
import ReplicaCore
import Testing

@Suite("What a replica does before it starts")
struct StartDecisionTests {
  private let members = Configuration(voters: [Member(id: 1, address: "host:1")])

  private func snapshot(_ index: UInt64) -> SnapshotMetadata {
    SnapshotMetadata(index: index, term: 3, configuration: members)
  }

  /// A log that begins after a snapshot and ends at an entry.
  private func log(after base: UInt64, to last: UInt64, snapshot index: UInt64? = nil) -> Raft.Recovered {
    var terms = TermIndex(baseIndex: base, baseTerm: 3)
    for index in base..<last { terms.append(index: index + 1, term: 3) }
    return Raft.Recovered(
      hardState: HardState(term: 3), snapshot: snapshot(index ?? base), terms: terms, baseConfiguration: members,
      configurations: [], commitIndex: index ?? base)
  }

  @Test("The newest snapshot that the log reaches is restored")
  func newest() {
    let decision = StartDecision(
      recovered: log(after: 300, to: 620), appliedIndex: 0, stored: [snapshot(300), snapshot(600)])
    #expect(decision == .restore(snapshot(600)))
  }

  @Test("A snapshot that came from the leader, but that the log was not reset to before the end, is passed over")
  func aheadOfLog() {
    let decision = StartDecision(
      recovered: log(after: 308, to: 621), appliedIndex: 0, stored: [snapshot(308), snapshot(637)])
    #expect(decision == .restore(snapshot(308)))
  }

  @Test("A log whose snapshot is gone cannot be started")
  func missing() {
    let decision = StartDecision(recovered: log(after: 308, to: 621), appliedIndex: 0, stored: [snapshot(200)])
    #expect(decision == .snapshotMissing(index: 308))
  }

  @Test("A state within the log replays the rest; an empty one begins with the snapshot")
  func fits() {
    let log = log(after: 5, to: 20, snapshot: 10)
    #expect(StartDecision(recovered: log, appliedIndex: 7, stored: [snapshot(10)]) == .ready)
    #expect(StartDecision(recovered: log, appliedIndex: 20, stored: [snapshot(10)]) == .ready)
    #expect(StartDecision(recovered: log, appliedIndex: 0, stored: [snapshot(10)]) == .restore(snapshot(10)))
    #expect(StartDecision(recovered: log, appliedIndex: 4, stored: [snapshot(12)]) == .restore(snapshot(12)))
  }

  @Test("A state that is ahead of the log, and a log whose snapshot is missing, are refused")
  func doesNotFit() {
    let log = log(after: 5, to: 20, snapshot: 10)
    #expect(
      StartDecision(recovered: log, appliedIndex: 21, stored: [snapshot(10)])
        == .stateAheadOfLog(appliedIndex: 21, lastIndex: 20))
    #expect(StartDecision(recovered: log, appliedIndex: 0, stored: []) == .snapshotMissing(index: 10))
    #expect(StartDecision(recovered: log, appliedIndex: 0, stored: [snapshot(9)]) == .snapshotMissing(index: 10))
    #expect(StartDecision(recovered: log, appliedIndex: 0, stored: [snapshot(21)]) == .snapshotMissing(index: 10))
  }
}
