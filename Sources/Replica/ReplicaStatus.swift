import Raft

/// A replica as it is at a moment.
package struct ReplicaStatus: Sendable, Equatable {
  /// One member of the group.
  package struct MemberStatus: Sendable, Equatable {
    /// The member's number.
    package var id: UInt64
    /// Where it takes messages, `host:port`.
    package var address: String
    /// Whether its vote counts.
    package var isVoter: Bool
    /// On the leader: the last entry that is durable there.
    package var matchIndex: UInt64?
    /// On the leader: whether it was heard of within the last election timeout.
    package var isAlive: Bool?
  }

  /// What this replica is.
  package var role: Role
  /// Whether it leads and has applied all that came before its term.
  package var isReady: Bool
  /// The latest term that it knows.
  package var term: UInt64
  /// The term's leader.
  package var leaderID: UInt64?
  /// Where the leader takes messages.
  package var leaderAddress: String?
  /// What is known to be committed.
  package var commitIndex: UInt64
  /// What the state machine contains.
  package var appliedIndex: UInt64
  /// The last entry of the log.
  package var lastIndex: UInt64
  /// The first entry of the log.
  package var firstIndex: UInt64
  /// The latest snapshot.
  package var snapshotIndex: UInt64
  /// All members.
  package var members: [MemberStatus]
}
