/// What a node must never forget: durable before any message that shows it (Raft paper, figure 2).
package struct HardState: Sendable, Equatable {
  /// The latest term that the node has seen.
  package var term: UInt64
  /// Whom the node voted for in that term; nil when nobody yet.
  package var vote: NodeID?

  /// Makes a hard state; the default is that of a node that has never taken part.
  package init(term: UInt64 = 0, vote: NodeID? = nil) {
    self.term = term
    self.vote = vote
  }
}

/// What a snapshot of the state machine contains, and what the log needs to go on from it (section 7).
package struct SnapshotMetadata: Sendable, Equatable {
  /// Index of the last entry that the snapshot contains; 0 for the empty state at the beginning.
  package var index: UInt64
  /// Term of that entry.
  package var term: UInt64
  /// The members in force at that entry.
  package var configuration: Configuration

  /// Makes a description of a snapshot.
  package init(index: UInt64, term: UInt64, configuration: Configuration) {
    self.index = index
    self.term = term
    self.configuration = configuration
  }
}
