import EventLoop
import LogStore
import Metrics
import Raft

/// What a replica has gone through since its process started.
package struct ReplicaStatistics: Sendable {
  /// Times that this replica stood for election.
  package private(set) var elections: UInt64 = 0
  /// Times that it heard of another leader than before, itself included.
  package private(set) var leaderChanges: UInt64 = 0
  /// When it last campaigned, or heard of another leader: wall clock, microseconds; 0: never.
  package private(set) var lastElectionMicroseconds: Int64 = 0
  /// Proposals that were taken in.
  package var proposals: UInt64 = 0
  /// Snapshots that were taken here.
  package private(set) var snapshots: UInt64 = 0
  /// Snapshots that could not be taken.
  package private(set) var failedSnapshots: UInt64 = 0
  /// How long the taking took, all together, in nanoseconds.
  package private(set) var snapshotNanoseconds: UInt64 = 0

  /// When it was made: wall clock, microseconds.
  package let startedMicroseconds = Loop.wallClockMicroseconds()

  private var role = Role.follower
  private var term: UInt64 = 0
  private var leader: NodeID?

  mutating func roleChanged(_ role: Role, term: UInt64, leader: NodeID?) {
    if role == .candidate, self.role != .candidate || term != self.term {
      elections &+= 1
      lastElectionMicroseconds = Loop.wallClockMicroseconds()
    }
    if let leader, leader != self.leader {
      leaderChanges &+= 1
      lastElectionMicroseconds = Loop.wallClockMicroseconds()
      self.leader = leader
    }
    self.role = role
    self.term = term
  }

  mutating func snapshotTaken(since start: UInt64) {
    snapshots &+= 1
    snapshotNanoseconds &+= Loop.now - start
  }

  mutating func snapshotFailed() { failedSnapshots &+= 1 }
}

extension Replica {
  /// Bytes of the log and of its archive on disk, and of the latest snapshot.
  package var sizes: (log: Int, archive: Int, snapshot: Int) {
    (log?.sizeBytes ?? 0, log?.archiveBytes ?? 0, snapshots.latest?.sizeBytes ?? 0)
  }

  /// What the log's disk took for what it was asked.
  package var diskStatistics: DiskStatistics.Values { logDisk?.statistics.values ?? DiskStatistics.Values() }

  /// The group, its log and its disk, for those who watch the process.
  package var metrics: MetricSet {
    var set = MetricSet()
    let group = ("group", configuration.groupID)
    addConsensus(to: &set, group, status)
    addLog(to: &set, group)
    addSnapshots(to: &set, group)
    return set
  }

  private func addConsensus(to set: inout MetricSet, _ group: (String, String), _ status: ReplicaStatus) {
    set.gauge("kunlog_raft_is_leader", "Whether this replica leads its group.", status.role == .leader, group)
    set.gauge("kunlog_raft_has_leader", "Whether this replica knows a leader.", status.leaderID != nil, group)
    set.gauge("kunlog_raft_term", "The latest term that this replica knows.", status.term, group)
    let elections = "Times that this replica stood for election."
    set.counter("kunlog_raft_elections_total", elections, statistics.elections, group)
    set.counter(
      "kunlog_raft_leader_changes_total", "Times that this replica heard of another leader than before.",
      statistics.leaderChanges, group)
    set.counter(
      "kunlog_raft_proposals_total", "Entries that this replica proposed as a leader.", statistics.proposals, group)
    set.gauge("kunlog_raft_first_index", "The first entry of the log.", status.firstIndex, group)
    set.gauge("kunlog_raft_last_index", "The last entry of the log.", status.lastIndex, group)
    set.gauge("kunlog_raft_commit_index", "The last entry that is known to be committed.", status.commitIndex, group)
    set.gauge(
      "kunlog_raft_applied_index", "The last entry that the state machine contains.", status.appliedIndex, group)
    set.gauge(
      "kunlog_raft_promised_entries", "Entries that damage has cost this log and that it waits for.",
      status.promisedIndex.map { $0 - min($0, status.lastIndex) } ?? 0, group)
    let voters = status.members.count(where: \.isVoter)
    let members = "Members of the group, by whether they vote."
    set.gauge("kunlog_raft_members", members, voters, group, ("standing", "voter"))
    set.gauge("kunlog_raft_members", members, status.members.count - voters, group, ("standing", "learner"))
    for member in status.members {
      guard let match = member.matchIndex else { continue }
      let label = ("member", "\(member.id)")
      set.gauge(
        "kunlog_raft_member_match_index", "At the leader: the last entry that is durable at the member.", match, group,
        label)
      set.gauge(
        "kunlog_raft_member_lag_entries", "At the leader: entries of its log that the member lacks.",
        status.lastIndex - min(match, status.lastIndex), group, label)
      set.gauge(
        "kunlog_raft_member_up", "At the leader: whether the member was heard of within an election timeout.",
        member.isAlive ?? false, group, label)
    }
  }

  private func addLog(to set: inout MetricSet, _ group: (String, String)) {
    let sizes = sizes
    let disk = diskStatistics
    set.gauge("kunlog_log_size_bytes", "Files that hold the log.", sizes.log, group)
    set.gauge("kunlog_log_archive_size_bytes", "Files of the archive.", sizes.archive, group)
    set.counter("kunlog_log_written_bytes_total", "Bytes written to the log's files.", disk.writtenBytes, group)
    set.histogram("kunlog_log_sync_seconds", "How long fdatasync of the log's files took.", disk.syncs, group)
    set.counter(
      "kunlog_log_disk_stalls_total",
      "Calls of fdatasync that took \(DiskStatistics.stallMilliseconds) ms or longer.", disk.stalls, group)
    let pending = disk.syncingSince.map { Double(Loop.now - min($0, Loop.now)) * 1e-9 } ?? 0
    set.gauge(
      "kunlog_log_sync_pending_seconds", "For how long the fdatasync goes on that is under way.", pending, group)
    set.gauge(
      "kunlog_log_disk_full", "Whether the disk has no space: no leadership, and no new entries.", status.isDiskFull,
      group)
  }

  private func addSnapshots(to set: inout MetricSet, _ group: (String, String)) {
    let taken = "Snapshots that this replica took, or failed to take."
    set.counter("kunlog_snapshots_total", taken, statistics.snapshots, group, ("result", "ok"))
    set.counter("kunlog_snapshots_total", taken, statistics.failedSnapshots, group, ("result", "failed"))
    set.counter(
      "kunlog_snapshot_seconds_total", "Time that the taking of snapshots took.",
      seconds: Double(statistics.snapshotNanoseconds) * 1e-9, group)
    set.gauge("kunlog_snapshot_index", "Up to which entry the latest snapshot goes.", status.snapshotIndex, group)
    set.gauge("kunlog_snapshot_size_bytes", "Size of the latest snapshot.", sizes.snapshot, group)
  }
}
