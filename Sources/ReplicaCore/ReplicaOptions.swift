import Raft

/// Settings of a replica's core. Times in milliseconds, sizes in bytes.
package struct ReplicaOptions: Sendable, Equatable {
  /// Timeouts and windows of consensus.
  package var raft = Options()
  /// After how many bytes of applied entries a snapshot is taken, or as many as the latest one has where those are more.
  package var snapshotLogBytes = 64 * 1024 * 1024
  /// How many entries before a snapshot stay in the log, for followers and subscribers that are a little behind.
  package var keptEntries: UInt64 = 50_000
  /// Most reads that wait here, whatever for.
  package var maximumWaitingReads = 200_000
  /// Most messages that wait for the disk; beyond it they are dropped, as a network may do.
  package var maximumDelayedMessages = 10_000
  /// Mistakes to make, for the simulator to find; none in production.
  package var mutants: ReplicaMutants = []

  /// The defaults.
  package init() {}
}
