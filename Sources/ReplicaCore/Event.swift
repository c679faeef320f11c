import Raft

extension ReplicaCore {
  /// What happens to a replica. Proposals, changes of members and of the leader are methods, as they are answered at once.
  package enum Event: Sendable, Equatable {
    /// The replica begins; once, first.
    case started
    /// Time has passed; due at the latest at `nextDeadline`.
    case tick
    /// A turn of the shell's loop ends: what it has gathered is written and sent. Due while `needsEndOfTurn`.
    case endOfTurn
    /// A message has arrived.
    case received(Message)
    /// Messages can reach the member (again).
    case connected(NodeID)
    /// A connection to or from the member broke.
    case disconnected(NodeID)
    /// All log writes up to this sequence number are durable.
    case written(through: UInt64)
    /// The answer to `Action.readEntries`; none when the log does not hold them any more.
    case entriesRead(for: NodeID, term: UInt64, [Entry])
    /// A linearizable read is wanted; answered by `readReady` or `readFailed` with the token.
    case read(Token, deadlineMilliseconds: UInt64)
    /// The answer to `Action.apply`: the state contains entries up to `through`, which may be fewer than asked for (or
    /// none, where the log lost them to a snapshot that waits to be restored). `sizeBytes` is what was applied.
    case applied(through: UInt64, sizeBytes: Int)
    /// The answer to `Action.restoreSnapshot`: the state is that of the snapshot.
    case snapshotRestored(SnapshotMetadata)
    /// A snapshot of the own state is in safe keeping; nil: none was taken. Ends what `takeSnapshot` or `beginSnapshot` began.
    /// For the log's size, entries up to `droppable` may go.
    case snapshotTaken(SnapshotMetadata?, droppable: UInt64 = 0)
    /// The answer to `Action.sendSnapshot`: the index of the snapshot that the member has now, nil when that failed.
    case snapshotSent(to: NodeID, term: UInt64, index: UInt64?)
    /// A whole snapshot from the leader of the term is in safe keeping.
    case snapshotReceived(SnapshotMetadata, from: NodeID, term: UInt64)
    /// The disk has no space for more entries, or has some again.
    case diskFull(Bool)
    /// The replica ends: everybody who waits is told `stopped`, and nothing happens any more.
    case stopped
  }
}
