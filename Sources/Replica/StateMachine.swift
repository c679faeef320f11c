import EventLoop

/// An entry of the log that a state machine has to apply: committed, and therefore final.
package struct CommittedEntry: Sendable, Equatable {
  /// Position in the log. Indexes rise, but not by one: entries that are consensus' own are left out.
  package var index: UInt64
  /// Term of the leader that made the entry.
  package var term: UInt64
  /// What was proposed.
  package var payload: [UInt8]

  /// Makes an entry.
  package init(index: UInt64, term: UInt64, payload: [UInt8]) {
    self.index = index
    self.term = term
    self.payload = payload
  }
}

/// What a group replicates: a deterministic function of the committed entries. A replica calls it on the loop, one
/// `apply` or `restoreSnapshot` at a time; `writeSnapshot` may run beside `apply`.
///
/// What `apply` or `restoreSnapshot` throws ends the replica: a state that lacks an entry must not go on.
@LoopActor
package protocol StateMachine: AnyObject {
  /// What an applied entry gives to the one who proposed it.
  associatedtype Output: Sendable
  /// Applies entries in order. Returns one output for each; it completes the proposal on the replica that proposed it.
  func apply(_ entries: [CommittedEntry]) async throws -> [Output]
  /// The last entry that the durable state contains at start, 0 for none: the replica replays what follows it.
  var appliedIndex: UInt64 { get }
  /// The first entry that must stay in the log because something is under way that began with it; nil: none.
  var heldIndex: UInt64? { get }
  /// Writes the state into a new file at the path; must not block the loop. Returns the last entry that it contains.
  func writeSnapshot(to path: String) async throws -> UInt64
  /// Replaces the state by the one in the file, which contains entries up to the index.
  func restoreSnapshot(from path: String, index: UInt64) async throws
  /// Told at each change of this replica's leadership. With `isLeader`, all entries before the term are applied.
  func leadershipChanged(isLeader: Bool, term: UInt64)
}

extension StateMachine {
  package var heldIndex: UInt64? { nil }
}
