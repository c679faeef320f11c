import Raft
import ReplicaCore
import SegmentedLog

/// How a replica takes part in its group. Sizes in bytes, times in milliseconds.
package struct ReplicaConfiguration: Sendable {
  /// The cluster's id, 16 bytes.
  package var clusterID: [UInt8]
  /// The group's name within the cluster, the same on all members.
  package var groupID: String
  /// This member.
  package var nodeID: NodeID
  /// The voters that the group starts with; what the log says later takes precedence.
  package var members: [Member]
  /// A directory of the replica's own: the log in `log`, snapshots in `snapshots`.
  package var dataDirectory: String
  /// Whether the log may begin in an empty directory. False for a member that had one: its disk was lost, and what it had
  /// promised with it.
  package var mayBegin = true
  /// Timeouts and windows of consensus.
  package var raft = Options()
  /// Length of a segment of the log.
  package var segmentBytes = 16 * 1024 * 1024
  /// Most bytes of recent entries in memory.
  package var cacheBytes = 4 * 1024 * 1024
  /// The longest proposal; longer ones are refused. Bounded by what one message can carry.
  package var maximumEntryBytes = 15 * 1024 * 1024
  /// After how many bytes of applied entries a snapshot is taken, or as many as the latest one has where those are more.
  package var snapshotLogBytes = 64 * 1024 * 1024
  /// How many entries before a snapshot stay in the log, for followers and subscribers that are a little behind.
  package var keptEntries: UInt64 = 50_000
  /// Most bytes of entries that stay in the log before a snapshot, about.
  package var keptBytes = 256 * 1024 * 1024
  /// What becomes of the parts of the log that are not needed any more.
  package var archive = ArchiveRetention.none
  /// A folder to which archived segments move; nil: they stay in the log's directory.
  package var archiveFolder: String?
  /// Whether files of segments that were dropped are used again; see `LogConfiguration`.
  package var recyclesSegments = true
  /// Most bytes of entries that stay in the log because something is under way that needs them (`StateMachine.heldIndex`), about.
  package var heldBytes = 1024 * 1024 * 1024
  /// Most bytes of entries that are applied at once.
  package var applyBatchBytes = 1024 * 1024
  /// How long a read waits to be confirmed, for instance while there is no leader.
  package var readTimeoutMilliseconds = 3_000
  /// Starts the sequence of random timeouts; nil: something that differs between processes.
  package var seed: UInt64?

  /// Makes a configuration with the defaults.
  package init(clusterID: [UInt8], groupID: String, nodeID: NodeID, members: [Member], dataDirectory: String) {
    self.clusterID = clusterID
    self.groupID = groupID
    self.nodeID = nodeID
    self.members = members
    self.dataDirectory = dataDirectory
  }

  var core: ReplicaOptions {
    var options = ReplicaOptions()
    options.raft = raft
    options.snapshotLogBytes = snapshotLogBytes
    options.keptEntries = keptEntries
    return options
  }

  var log: LogConfiguration {
    var log = LogConfiguration(
      identity: LogIdentity(clusterID: clusterID, groupID: groupID, nodeID: nodeID),
      initialMembers: Configuration(voters: members))
    log.segmentBytes = segmentBytes
    log.cacheBytes = cacheBytes
    log.archive = archive
    log.recyclesSegments = recyclesSegments
    log.mayBegin = mayBegin
    log.newDisk = UInt64.random(in: 1...UInt64.max)
    return log
  }
}
