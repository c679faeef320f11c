import Metadata
import MetadataLog
import Raft

/// What travels between nodes, and between clients and nodes.
enum Packet {
  case raft(Message)
  case append(AppendCall)
  case read(ReadCall)
  case reply(Reply)
  case snapshotPart(SnapshotPart)
  case snapshotAnswer(SnapshotAnswer)
  case shardCall(ShardCall)
  case shardAnswer(ShardAnswer)
}

/// A client's request to append. `attempt` lets it tell a late answer from a current one.
struct AppendCall {
  var client: UInt8
  var attempt: UInt32
  var request: AppendRequest
}

/// A client's linearizable read of the log's end and of one sequence's version.
struct ReadCall {
  var client: UInt8
  var attempt: UInt32
  var sequence: UInt8
}

/// What a node tells a client.
struct Reply {
  enum Outcome {
    /// The record is at the index.
    case appended(UInt64)
    /// Nothing had to change; the state was that at the index.
    case unchanged(UInt64)
    /// The state at the index, and the version of the sequence asked for.
    case state(index: UInt64, version: UInt64)
    /// The decision on a transaction that stands, and its record.
    case decision(TransactionOutcome, UInt64)
    /// The transaction is past: it cannot be decided any more.
    case past
    /// Refused for good: another request has changed the object since.
    case conflict
    /// Refused for good.
    case rejected
    /// The node does not lead; it knows who does, or not (0).
    case notLeader(MemberID)
    /// It is not known whether the request was or will be carried out.
    case unknown
  }
  var client: UInt8
  var attempt: UInt32
  var outcome: Outcome
}

/// A piece of a snapshot.
struct SnapshotPart {
  var from: MemberID
  var to: MemberID
  var term: UInt64
  var transfer: UInt32
  var metadata: SnapshotMetadata
  var offset: Int
  var bytes: [UInt8]
  var totalBytes: Int
}

/// How far a snapshot has arrived.
struct SnapshotAnswer {
  enum Outcome {
    /// Send from here on.
    case continueAt(Int)
    /// It is in safe keeping, or superfluous.
    case done
    /// It is not wanted.
    case refused
  }
  var from: MemberID
  var to: MemberID
  var transfer: UInt32
  var outcome: Outcome
}
