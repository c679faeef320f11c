/// The last resort of an operator whose group has lost its quorum: one survivor becomes the only voter, by an entry that no
/// quorum has agreed to. What only the others had is lost; what this log holds counts as committed from then on. The others
/// must never run again: nothing in consensus itself could tell their group from this one.
package struct ForcedConfiguration: Sendable, Equatable {
  /// The members as the survivor's log knows them.
  package var before: Configuration
  /// Term and vote to be made durable with the entry: nobody else can win its term here.
  package var hardState: HardState
  /// The configuration's entry, after all that the log holds.
  package var entry: Entry

  /// What makes the member the only voter of its group; nil where the log does not know it.
  package init?(of id: NodeID, in recovered: Raft.Recovered) {
    before = recovered.configurations.last?.configuration ?? recovered.baseConfiguration
    guard var survivor = before.member(id) else { return nil }
    // A copy of the directory has another identity than the one that was known.
    survivor.disk = recovered.disk
    let last = recovered.terms.lastPosition
    // Above everything that this log has seen or promised.
    let term = max(recovered.hardState.term, last.term, recovered.promised?.term ?? 0) + 1
    hardState = HardState(term: term, vote: id)
    entry = Entry(
      index: last.index + 1, term: term, kind: .configuration,
      payload: Configuration(voters: [survivor]).encoded())
  }
}
