import Metadata
import Replica
import SQLTypes

/// Why a step of a move does not get on.
struct MoveFailure: Error, CustomStringConvertible {
  enum Kind {
    /// Trying again may help.
    case transient
    /// The snapshot is no more: it has to begin anew.
    case snapshotLost
    /// Trying again is of no use.
    case final
    /// Another replica leads.
    case notLeader
  }
  var kind: Kind
  var description: String

  init(_ kind: Kind = .transient, _ description: String) {
    self.kind = kind
    self.description = description
  }

  init(_ error: any Error) {
    switch error {
    case let failure as MoveFailure: self = failure
    case let error as ReplicaError:
      switch error {
      case .notLeader, .lostLeadership, .stopped: self.init(.notLeader, "\(error)")
      case .compacted: self.init(.snapshotLost, "the shard's log does not go back to the snapshot any more: \(error)")
      case .tooLarge: self.init(.final, "a row is too long for the shard's log: \(error)")
      default: self.init("\(error)")
      }
    case let error as SQLError: self.init(error.sqlState == .dataCorrupted ? .final : .transient, error.message)
    default: self.init("\(error)")
    }
  }

  init(_ description: String) { self.init(.transient, description) }
}

/// Sizes and times of moves.
enum MoveLimits {
  /// An entry of the target's log holds about so much.
  static let pieceBytes = 256 << 10
  /// Entries of rows that are on their way into the target's log at a time.
  static let entriesInFlight = 8
  /// The same where the copy makes way for statements: one is applied while the next one is logged.
  static let pacedEntriesInFlight = 2
  /// How long writes are cut before the shard itself asks the log to end that: no manager has, within its 3 s.
  static let cutMilliseconds: UInt64 = 5000
  /// How long a fence waits for transactions that hold the tablet before it ends them.
  static let graceMilliseconds = 250
  /// How long a snapshot waits for a moment at which it can be taken.
  static let quietMilliseconds = 5000
  /// How long a call for a step waits for its end.
  static let stepMilliseconds = 1000
}
