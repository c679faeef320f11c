/// A member's number within its group; never 0, never given to another member.
package typealias NodeID = UInt64

/// One entry of the replicated log (Raft paper, section 5.3).
package struct Entry: Sendable, Equatable {
  /// What an entry is for.
  package enum Kind: UInt8, Sendable {
    /// A command of the state machine.
    case command = 0
    /// The empty entry by which a new leader commits what came before it (section 8).
    case noOp = 1
    /// A `Configuration`, encoded; in force from the moment it is in the log (section 6).
    case configuration = 2
  }

  /// Position in the log; the first entry has index 1.
  package var index: UInt64
  /// Term of the leader that made the entry.
  package var term: UInt64
  /// What the entry is for.
  package var kind: Kind
  /// Bytes that only the state machine understands (or an encoded configuration).
  package var payload: [UInt8]

  /// Makes an entry.
  package init(index: UInt64, term: UInt64, kind: Kind = .command, payload: [UInt8] = []) {
    self.index = index
    self.term = term
    self.kind = kind
    self.payload = payload
  }

  /// What the entry weighs in bounded buffers and messages, in bytes: the payload and a flat charge for the rest.
  package var sizeBytes: Int { payload.count + 32 }
}
