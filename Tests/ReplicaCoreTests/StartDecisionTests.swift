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
  private func log(after base: UInt64, to last: UInt64) -> Raft.Recovered {
    var terms = TermIndex(baseIndex: base, baseTerm: 3)
    for index in base..<last { terms.append(index: index + 1, term: 3) }
    return Raft.Recovered(
      hardState: HardState(term: 3), snapshot: snapshot(base), terms: terms, baseConfiguration: members,
      configurations: [], commitIndex: base)
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
}
