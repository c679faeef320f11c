/// Snapshots, and the log's new beginning (Raft paper, section 7). Their bytes travel outside of the core.
extension Raft {
  /// A snapshot from the leader: it replaces state, log and members, unless the log has all of it already.
  mutating func snapshotReceived(_ metadata: SnapshotMetadata, from leader: NodeID, term: UInt64) {
    guard term >= hardState.term, leader != id else { return }
    if term > hardState.term { becomeFollower(term: term, leader: nil) }
    guard follow(leader) else { return }
    if metadata.index > commitIndex {
      if terms.term(at: metadata.index) == metadata.term {
        commit(through: metadata.index)
      } else {
        install(metadata)
      }
    }
    send(.appendAccepted(matchIndex: commitIndex, round: 0), to: leader, after: entriesSequence)
  }

  private mutating func install(_ metadata: SnapshotMetadata) {
    snapshot = metadata
    terms = TermIndex(baseIndex: metadata.index, baseTerm: metadata.term)
    recent.removeAll()
    settlePromise()
    let members = options.mutants.contains(.keepsMembersAtSnapshot) ? configuration : metadata.configuration
    configurations = ConfigurationHistory(base: members, at: metadata.index)
    flushedIndex = metadata.index
    commitIndex = metadata.index
    appliedIndex = metadata.index
    entriesSequence = writes.issue(lastIndex: metadata.index, replacedFrom: metadata.index + 1, at: now)
    effects.append(.installSnapshot(metadata, sequence: entriesSequence))
    effects.append(.membersChanged(configuration, index: metadata.index))
  }

  /// The own state is in a snapshot: the log may begin later.
  mutating func snapshotTaken(_ metadata: SnapshotMetadata, compactThrough index: UInt64) {
    guard metadata.index > snapshot.index, metadata.index <= appliedIndex else { return }
    snapshot = metadata
    let through = max(terms.baseIndex, min(index, metadata.index))
    terms.compact(through: through)
    configurations.compact(through: through)
    let sequence = writes.issue(lastIndex: flushedIndex, at: now)
    effects.append(.compact(metadata, through: through, sequence: sequence))
  }
}
