/// What a node's shell has to do, in this order; `after` delays a message, not what follows it.
///
/// Writes carry rising sequence numbers, go to the log in their order, and are reported by `Input.written`. A message
/// may leave once all writes up to its `after` are durable: the order of I/O is data, not code.
package enum Effect: Sendable, Equatable {
  /// Make term and vote durable.
  case writeHardState(HardState, sequence: UInt64)
  /// Make the entries durable; they replace all from the first one's index on.
  case writeEntries([Entry], sequence: UInt64)
  /// Replace state and log by the snapshot received: the log goes on after it.
  case installSnapshot(SnapshotMetadata, sequence: UInt64)
  /// The snapshot is the log's new start: entries up to `through` may go.
  case compact(SnapshotMetadata, through: UInt64, sequence: UInt64)
  /// Make durable that this log had promised to reach so far; forgotten by itself once it does.
  case writePromise(LogPosition, sequence: UInt64)
  /// Send the message once all writes up to `after` are durable.
  case send(Message, after: UInt64)
  /// Entries up to this one are committed, and durable here: apply them.
  case apply(through: UInt64)
  /// The proposal has these places in the log (and may still lose them to another leader).
  case accepted(firstIndex: UInt64, count: Int, term: UInt64)
  /// The proposal or the change of members was declined; nothing was appended.
  case refused(Refusal)
  /// Role, term or leader changed.
  case roleChanged(Role, term: UInt64, leader: NodeID?)
  /// These are the members now, by the entry at the index.
  case membersChanged(Configuration, index: UInt64)
  /// Read entries from the log, for a follower that is far behind; answered by `Input.entriesRead`.
  case readEntries(for: NodeID, term: UInt64, from: UInt64, through: UInt64, limitBytes: Int)
  /// Send the latest snapshot to the member; answered by `Input.snapshotSent`.
  case sendSnapshot(to: NodeID, term: UInt64)
  /// A read may be served once this entry is applied.
  case readReady(id: UInt64, index: UInt64)
  /// The read cannot be confirmed.
  case readRefused(id: UInt64, Refusal)
  /// A transfer of leadership was given up.
  case transferAbandoned(to: NodeID)
  /// The leader knows this node by another disk: it must not go on under its number.
  case foreignDisk(recorded: UInt64)
  /// A peer said what no correct member says; its message was ignored.
  case peerFault(from: NodeID, String)
}

/// What a node is to its group.
package enum Role: String, Sendable, Equatable {
  /// Follows a leader or waits for one.
  case follower
  /// Asks whether a campaign would be won.
  case preCandidate
  /// Campaigns.
  case candidate
  /// Leads.
  case leader
}
