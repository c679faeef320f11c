import Raft

extension ReplicaCore {
  /// What the shell has to do, in this order. Every token that was given in comes back in exactly one action.
  ///
  /// Log writes carry rising sequence numbers, go to the log in their order, and are reported by `Event.written`. Messages
  /// may leave at once: what they show is durable already.
  package enum Action: Sendable, Equatable {
    /// Make term and vote durable.
    case writeHardState(HardState, sequence: UInt64)
    /// Make the entries durable; they replace all from the first one's index on.
    case writeEntries([Entry], sequence: UInt64)
    /// Make durable that the log had promised to reach so far.
    case writePromise(LogPosition, sequence: UInt64)
    /// A snapshot received replaces the log, which goes on after it.
    case resetLog(SnapshotMetadata, sequence: UInt64)
    /// The snapshot is the latest; entries up to `base` may go.
    case compactLog(snapshot: SnapshotMetadata, base: SnapshotMetadata, sequence: UInt64)
    /// Send the message.
    case send(Message)
    /// Read entries from the log for a follower that is far behind; answered by `Event.entriesRead`.
    case readEntries(for: NodeID, term: UInt64, from: UInt64, through: UInt64, limitBytes: Int)

    /// Apply entries of the log, as many of these as suits, at least one; answered by `Event.applied`. One at a time.
    case apply(from: UInt64, through: UInt64)
    /// Replace the state by the snapshot; answered by `Event.snapshotRestored`. Never beside `apply`.
    case restoreSnapshot(SnapshotMetadata)
    /// Take a snapshot of the state; answered by `Event.snapshotTaken`. May run beside `apply`.
    case takeSnapshot
    /// Send the latest snapshot to the member; answered by `Event.snapshotSent`.
    case sendSnapshot(to: NodeID, term: UInt64)

    /// The proposal is applied here, as the entry at the index. In the order of indexes, after `Event.applied`.
    case proposalApplied(Token, index: UInt64)
    /// The proposal's outcome is not known here, or will never be.
    case proposalFailed(Token, Failure)
    /// The state contains all that the read must see.
    case readReady(Token)
    /// The read cannot be confirmed.
    case readFailed(Token, Failure)
    /// The change of members is committed, or leadership was handed over.
    case changeDone(Token)
    /// The change of members or of the leader was given up; that of members may still be committed.
    case changeFailed(Token, Failure)

    /// Role, term or leader changed.
    case roleChanged(Role, term: UInt64, leader: NodeID?)
    /// This replica leads and has applied all before its term, or does not lead any more.
    case leadershipChanged(isLeader: Bool, term: UInt64)
    /// These are the members now.
    case membersChanged(Configuration)
    /// The group knows this member by another disk, whose promises this one does not know: the replica must end.
    case foreignDisk(recorded: UInt64)
    /// A peer said what no correct member says; it was ignored.
    case peerFault(from: NodeID, String)
  }

  /// Why somebody who waited is disappointed.
  package enum Failure: Error, Sendable, Equatable {
    /// Leadership was lost: what was proposed may or may not be committed later.
    case lostLeadership
    /// Too much waits already; nothing was done.
    case overloaded
    /// No quorum answered in time.
    case timedOut
    /// The replica ended.
    case stopped
  }
}
