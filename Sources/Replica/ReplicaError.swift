import Raft
import SegmentedLog

/// Why a replica does not do what it was asked.
package enum ReplicaError: Error, Sendable, Equatable, CustomStringConvertible {
  /// Another member leads, where that is known; ask there. Nothing was done.
  case notLeader(leaderID: UInt64?, leaderAddress: String?)
  /// Leadership was lost while the proposal was under way: it may or may not be committed later.
  case lostLeadership
  /// Too much waits already; nothing was done.
  case overloaded
  /// The disk that holds the directory is full, and no other member is known to lead; nothing was done.
  case diskFull(String)
  /// The proposal is longer than an entry may be.
  case tooLarge(sizeBytes: Int, limitBytes: Int)
  /// No quorum answered in time.
  case timedOut
  /// The entries asked for are only in the snapshot; the log begins at this index.
  case compacted(firstIndex: UInt64)
  /// The change of members or of the leader was declined.
  case refused(Refusal)
  /// The replica was stopped; what was under way may or may not be committed later.
  case stopped
  /// The replica ended because its disk or its state machine failed.
  case failed(String)

  package var description: String {
    switch self {
    case .notLeader(let id?, let address):
      return "this member does not lead its group; member \(id)\(address.map { " at " + $0 } ?? "") does"
    case .notLeader(nil, _): return "the group has no leader at the moment"
    case .lostLeadership: return "leadership was lost; the outcome of the proposal is unknown"
    case .diskFull(let path): return "the disk of \(path) is full: free space there, it goes on by itself then"
    case .overloaded: return "too much is waiting already"
    case .tooLarge(let size, let limit): return "\(size) bytes are more than an entry may have (\(limit))"
    case .timedOut: return "no majority of the group answered in time"
    case .compacted(let first): return "the log begins at entry \(first)"
    case .refused(let reason): return "declined: \(reason)"
    case .stopped: return "the replica is stopped"
    case .failed(let reason): return "the replica has failed: \(reason)"
    }
  }
}

/// Why a replica cannot start.
package enum ReplicaStartError: Error, Sendable, CustomStringConvertible {
  /// The log cannot be opened.
  case log(LogStoreError)
  /// The state contains entries that the log lacks: the two are not from the same directory or time.
  case stateAheadOfLog(appliedIndex: UInt64, lastIndex: UInt64)
  /// The log begins after a snapshot that is missing or damaged.
  case snapshotMissing(index: UInt64, directory: String)
  /// Something else failed.
  case other(String)

  package var description: String {
    switch self {
    case .log(let error): return error.description
    case .stateAheadOfLog(let applied, let last):
      return "the state contains entry \(applied), but the log ends at \(last): they do not belong together. Remove "
        + "this member from its group and add a new one with an empty directory"
    case .snapshotMissing(let index, let directory):
      return "the log begins after the snapshot at entry \(index), which is missing or damaged in \(directory), "
        + "and no other member could send it: bring it back from a copy"
    case .other(let reason): return reason
    }
  }
}
