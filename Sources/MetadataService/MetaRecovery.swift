import EventLoop
import Metadata
import Raft
import Replica
import SegmentedLog

/// `kunlog meta recover`: a meta node's data directory, opened while the node does not run. Blocks: for commands only.
package final class MetaRecovery {
  /// The node.
  package let nodeID: UInt64
  /// The last entry that is durable here.
  package let last: LogPosition
  /// The term that the node knows.
  package let term: UInt64
  /// What is known to be committed: the snapshot. More may be.
  package let committedAtLeast: UInt64
  /// The members as this log knows them, and which of them vote.
  package let members: [(member: Member, isVoter: Bool)]
  /// What damage has cost the log, in words; nil: nothing.
  package let loss: String?
  /// The entry that will make the node the only voter.
  package let forcedIndex: UInt64
  /// Its term.
  package let forcedTerm: UInt64

  private let dataDirectory: String
  private let lock: DirectoryLock
  private let log: ForcedRecovery
  private let forced: ForcedConfiguration
  private let earlier: QuorumRecovery?

  /// Opens the directory.
  /// - Throws: where there is no meta node's log, or a process uses it.
  package init(dataDirectory: String) throws(MetaNodeError) {
    self.dataDirectory = dataDirectory
    guard FileSystem.isDirectory(dataDirectory + "/metadata/log") else {
      throw MetaNodeError(
        description:
          "\(dataDirectory) is no meta node's data directory: it holds no metadata/log. Name the one that the node "
          + "is started with (kunlog meta --data)")
    }
    do {
      lock = try DirectoryLock(dataDirectory)
      log = try ForcedRecovery(dataDirectory: dataDirectory + "/metadata")
    } catch { throw MetaNodeError(description: "\(error)") }
    guard log.identity.groupID == "metadata", let forced = log.forced else {
      throw MetaNodeError(
        description:
          "node \(log.identity.nodeID) in \(dataDirectory) belongs to no group: it was never added to one, or was "
          + "removed. Nothing can be recovered from it; use another survivor")
    }
    // One that cannot be read is written anew.
    earlier = try? QuorumRecovery.read(dataDirectory)
    self.forced = forced
    nodeID = log.identity.nodeID
    last = log.recovered.terms.lastPosition
    term = log.recovered.hardState.term
    committedAtLeast = log.recovered.snapshot.index
    members = forced.before.members.map { ($0, forced.before.isVoter($0.id)) }
    loss = log.loss?.description
    forcedIndex = forced.entry.index
    forcedTerm = forced.entry.term
  }

  /// Whether the node is the only voter already.
  package var isAlone: Bool { forced.before.voters == [nodeID] && !forced.before.isJoint && members.count == 1 }

  /// Makes this node the only voter.
  package func force(principal: String) throws(MetaNodeError) {
    var former = Set(earlier?.formerMembers ?? [])
    for member in earlier?.members ?? [] where member.id != nodeID { former.insert(member.id) }
    let recovery = QuorumRecovery(
      index: forced.entry.index, term: forced.entry.term, principal: principal,
      timeMicroseconds: Loop.wallClockMicroseconds(), last: last, members: forced.before.members,
      formerMembers: former.sorted())
    // First: a node that goes on alone must know from its first moment whom not to listen to. Without the entry it means
    // nothing.
    try recovery.write(dataDirectory)
    do throws(LogStoreError) {
      try log.force(forced)
      try log.close()
    } catch { throw MetaNodeError(description: "\(error)") }
  }

  /// Leaves everything as it is.
  package func cancel() { try? log.close() }
}
