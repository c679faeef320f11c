/// Settings of the consensus core. Times in milliseconds, sizes in bytes.
package struct Options: Sendable, Equatable {
  /// How often a leader shows that it lives.
  package var heartbeatMilliseconds: UInt64 = 50
  /// The time without a leader after which a node campaigns; each wait is drawn from 1.1 to 1.5 times this. Also how long
  /// a leader goes on without a quorum, and how long followers refuse votes after hearing of a leader.
  package var electionTimeoutMilliseconds: UInt64 = 250
  /// Where there is a reason not to wait for the timeout (the connection to the leader broke, an election was lost): the
  /// first voter campaigns at once, each further one this much later, so that they do not campaign against each other.
  package var promptCampaignMilliseconds: UInt64 = 20
  /// How many campaigns in a row are prompt; then the group is not in a state in which haste helps.
  package var promptCampaigns = 8
  /// Whether a leader tells followers at once what is committed. Else they learn it with the next entries, the next round of reads
  /// or the next heartbeat: half the messages, for groups whose followers serve nobody.
  package var announcesCommits = true
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

  /// How long a write that is due may make no progress before the disk counts as stalled: a leader without a disk serves
  /// nobody, and steps down; within two election timeouts another one leads.
  package var stalledWriteMilliseconds: UInt64 { electionTimeoutMilliseconds * 3 / 2 }
  /// From when on a disk counts as slow: others should lead, if they can.
  package var slowWriteMilliseconds: UInt64 { electionTimeoutMilliseconds / 2 }

  /// Mistakes to make, for the simulator to find; none in production.
  package var mutants: RaftMutants = []

  /// The defaults.
  package init() {}
}
