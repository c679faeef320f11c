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
    /// Whether its vote counts only until the change of members that is under way is done.
    package var isLeaving: Bool
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
  /// Up to where the log had promised to reach, while damage keeps it from that.
  package var promisedIndex: UInt64?
  /// The first entry of the log.
  package var firstIndex: UInt64
  /// The latest snapshot.
  package var snapshotIndex: UInt64
  /// The entry that put the members in force; they are not final before it is committed.
  package var configurationIndex: UInt64
  /// For how long it has been out of touch: a follower with the leader, the leader with a quorum. nil: it never was in touch.
  package var contactMilliseconds: UInt64?
  /// Whether the disk has no space: this member does not lead and takes no entries until it has some again.
  package var isDiskFull: Bool
  /// Whether a change of several voters is under way.
  package var isJoint: Bool
  /// All members.
  package var members: [MemberStatus]
}
