/// Settings of the consensus core. Times in milliseconds, sizes in bytes.
package struct Options: Sendable, Equatable {
  /// How often a leader shows that it lives.
  package var heartbeatMilliseconds: UInt64 = 100
  /// The shortest time without a leader after which a node campaigns; each wait is drawn from one to two times this.
  /// Also how long a leader goes on without a quorum, and how long followers refuse votes after hearing of a leader.
  package var electionTimeoutMilliseconds: UInt64 = 300
  /// After the connection to the leader broke: the longest wait before a pre-vote, drawn anew each time, so that the
  /// followers do not campaign against each other.
  package var promptCampaignMilliseconds: UInt64 = 40
  /// How long a leader's own write may take before it steps down; a leader without a disk serves nobody.
  package var stalledWriteMilliseconds: UInt64 = 2_000
  /// Largest sum of entries in one message.
  package var maximumAppendBytes = 256 * 1024
  /// Most unacknowledged messages with entries for one follower.
  package var maximumInflightAppends = 64
  /// Most unacknowledged bytes of entries for one follower.
  package var maximumInflightBytes = 8 * 1024 * 1024
  /// Most bytes that a leader appends before they are committed; beyond it proposals are refused as overloaded.
  package var maximumUncommittedBytes = 64 * 1024 * 1024
  /// Most bytes of recent entries kept for followers; those further behind are served from disk.
  package var recentBytes = 8 * 1024 * 1024
  /// Most reads that wait for a confirmation.
  package var maximumPendingReads = 100_000
  /// How far behind, in entries, a learner may be at its promotion.
  package var promotionLagEntries: UInt64 = 1_000

  /// The defaults.
  package init() {}
}
