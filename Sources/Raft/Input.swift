/// What can happen to a node. Everything that it knows of the world arrives as one of these.
package enum Input: Sendable {
  /// Time has passed; due at the latest at `nextDeadline`.
  case tick
  /// A message has arrived.
  case receive(Message)
  /// Append these commands; answered by `accepted` or `refused`. They leave with the next `flush`.
  case propose([[UInt8]])
  /// Send and write what has gathered: once for all inputs of a turn, while `needsFlush`.
  case flush
  /// All writes up to this sequence number are durable.
  case written(through: UInt64)
  /// The answer to `readEntries`, at least one entry.
  case entriesRead(for: NodeID, term: UInt64, [Entry])
  /// `sendSnapshot` has ended; `index` is that of the snapshot that was sent, nil when it failed.
  case snapshotSent(to: NodeID, term: UInt64, index: UInt64?)
  /// A whole snapshot has arrived from the leader of the term and is in safe keeping.
  case snapshotReceived(SnapshotMetadata, from: NodeID, term: UInt64)
  /// A snapshot of the own state machine is in safe keeping; entries up to `through` may be forgotten.
  case snapshotTaken(SnapshotMetadata, compactThrough: UInt64)
  /// Which entry must a read have seen? Answered by `readReady` or `readRefused` with the same id.
  case readIndex(id: UInt64)
  /// Hand leadership to a voter; zero: to the one that is furthest.
  case transferLeadership(to: NodeID)
  /// Change the members; answered by `accepted` or `refused`.
  case changeMembership([MembershipChange])
  /// Messages can reach the peer (again).
  case connected(NodeID)
  /// The connection to the peer broke.
  case disconnected(NodeID)
  /// The disk has no space for more entries, or has some again.
  case diskFull(Bool)
  /// Campaign now if that is allowed.
  case campaign
}

/// Why a node declines what it was asked.
package enum Refusal: Error, Sendable, Equatable {
  /// The node does not lead; the leader, where it is known.
  case notLeader(NodeID?)
  /// Too much is waiting already; try later.
  case overloaded
  /// The disk is full, and nobody else is known to lead.
  case diskFull
  /// Leadership is being handed to another member.
  case transferring
  /// Another change of members, or the leader's first entry, is not committed yet.
  case membershipChangePending
  /// The learner lacks too many entries to be promoted.
  case notCaughtUp(NodeID)
  /// The change makes no sense.
  case membership(MembershipError)
}
