/// Mistakes that the simulator can have the core make, to show that it would find them (reliability.md). None in production.
package struct RaftMutants: OptionSet, Sendable {
  package let rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Entries are acknowledged, and the leader's own counted, before they are durable (etcd #14370).
  package static let acknowledgesBeforeDurable = RaftMutants(rawValue: 1 << 0)
  /// Votes are told before they are durable.
  package static let votesBeforeDurable = RaftMutants(rawValue: 1 << 1)
  /// Entries of earlier terms are committed by counting (Raft paper, figure 8).
  package static let countsOldTerms = RaftMutants(rawValue: 1 << 2)
  /// Reads are served without asking whether this node still leads.
  package static let readsWithoutRound = RaftMutants(rawValue: 1 << 3)
  /// Entries are taken without a look at what they follow.
  package static let skipsLogCheck = RaftMutants(rawValue: 1 << 4)
  /// An installed snapshot leaves the members that were in force before (openraft #1808).
  package static let keepsMembersAtSnapshot = RaftMutants(rawValue: 1 << 5)
  /// After a restart, changes of members that the log holds are not in force (etcd #19557).
  package static let forgetsMembersAtRestart = RaftMutants(rawValue: 1 << 6)
  /// A snapshot is described with the members at the log's base, so that those removed since come back (etcd #13196).
  package static let describesOldMembers = RaftMutants(rawValue: 1 << 7)
  /// Votes are given to candidates whose log is shorter (tikv #18058).
  package static let electsSlowVoter = RaftMutants(rawValue: 1 << 8)
  /// A leader whose disk hangs goes on leading (etcd #13527, hashicorp/raft #503).
  package static let leadsWithHungDisk = RaftMutants(rawValue: 1 << 9)
  /// A rejection while messages are in flight does not lead back to probing (hashicorp/raft #612).
  package static let ignoresRejections = RaftMutants(rawValue: 1 << 10)
  /// A change of members does not wait until the last one is committed.
  package static let changesMembersAtOnce = RaftMutants(rawValue: 1 << 11)
  /// A node whose disk is not the one that the members know takes part all the same (KAFKA-14077).
  package static let trustsAnyDisk = RaftMutants(rawValue: 1 << 12)
  /// A log that lost what it had promised to hold campaigns and votes as if it had not.
  package static let forgetsPromise = RaftMutants(rawValue: 1 << 13)
  /// A leader sends again what a follower had acknowledged and lacks now, and makes nothing of it.
  package static let toleratesRollback = RaftMutants(rawValue: 1 << 14)
  /// A log that lost it is not known how much asks nobody how much that can have been.
  package static let keepsUnknownPromise = RaftMutants(rawValue: 1 << 15)
}
