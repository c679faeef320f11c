import MetadataLog
import Raft

/// What is to be simulated. The same options give the same run, byte for byte.
package struct RunOptions: Sendable {
  /// Everything random follows from it.
  package var seed: UInt64
  /// Which faults there may be.
  package var profile: Profile
  /// Virtual time, in seconds.
  package var seconds: UInt64 = 3600
  /// How long turmoil and calm last together, in seconds; nil: ten minutes, or all of a shorter run.
  package var cycleSeconds: UInt64?
  /// Kinds of fault that are left out.
  package var without: FaultKinds = []
  /// Faults that come at times of their own end after so many.
  package var maximumFaults = Int.max
  /// How many clients; nil: as the seed says.
  package var clients: Int?
  /// The mistake that the code under test is to make; nil: none.
  package var mutant: Mutant?
  /// The run ends with the first violation.
  package var stopsAtViolation = true
  /// Told what happens, line by line; nil: nothing is put into words.
  package var trace: (@Sendable (String) -> Void)?

  /// A run of a profile.
  package init(seed: UInt64, profile: Profile) {
    self.seed = seed
    self.profile = profile
  }
}

/// A broken invariant.
package struct Violation: Sendable, Equatable, CustomStringConvertible {
  /// When, in microseconds of virtual time.
  package var time: UInt64
  /// Which invariant; the number is that of reliability.md where it has one.
  package var invariant: String
  /// What was seen.
  package var text: String

  package var description: String {
    "\(time / 1_000_000).\(String(1_000_000 + time % 1_000_000).dropFirst()) s: \(invariant): \(text)"
  }
}

/// What the transactions of a run, or of many, came to.
package struct TransactionResult: Sendable {
  /// Transactions that were begun.
  package var begun: UInt64 = 0
  /// Those of which a client was told that they are committed.
  package var committed: UInt64 = 0
  /// Of those, the ones that wrote several shards.
  package var distributed: UInt64 = 0
  /// Reads of all accounts as of one moment.
  package var snapshots: UInt64 = 0
  /// Times that a shard asked the log to abort.
  package var doubts: UInt64 = 0
  package var deadlocks: UInt64 = 0
  /// Errors with SQLSTATE 40001.
  package var conflicts: UInt64 = 0

  /// Nothing.
  package init() {}

  /// Adds another run's.
  package mutating func add(_ other: TransactionResult) {
    begun += other.begun
    committed += other.committed
    distributed += other.distributed
    snapshots += other.snapshots
    doubts += other.doubts
    deadlocks += other.deadlocks
    conflicts += other.conflicts
  }
}

/// What a run has shown.
package struct RunResult: Sendable {
  /// Of all that happened: two runs with the same hash were the same.
  package var traceHash: UInt64 = 0
  /// How many events there were.
  package var events: UInt64 = 0
  /// Virtual time that passed, in microseconds.
  package var microseconds: UInt64 = 0
  /// Faults by kind, in the order of `FaultKind.allCases`.
  package var faults = [UInt64](repeating: 0, count: FaultKind.allCases.count)
  /// The greatest number of faults that lasted at the same time.
  package var overlap = 0
  /// What broke.
  package var violations: [Violation] = []
  /// Appends that were acknowledged.
  package var appends: UInt64 = 0
  /// Linearizable reads that were answered.
  package var reads: UInt64 = 0
  /// Records that subscribers were given.
  package var delivered: UInt64 = 0
  /// What transactions came to, where the profile has them.
  package var transactions = TransactionResult()
  /// What moves of tablets came to, where the profile has them.
  package var moves = MoveResult()
  /// Leaders that there were.
  package var terms: UInt64 = 0
  /// Changes of members that were committed.
  package var memberships: UInt64 = 0
  /// Times that nodes started again.
  package var restarts: UInt64 = 0
  /// While all was well: the time of an append at the client, in microseconds, of which so many hundredths were shorter.
  package var calmLatency50: UInt64 = 0
  package var calmLatency99: UInt64 = 0
  /// While all was well: messages between nodes, and synchronizations, per thousand commits.
  package var calmMessagesPerThousandCommits: UInt64 = 0
  package var calmSynchronizationsPerThousandCommits: UInt64 = 0

  /// All faults.
  package var faultCount: UInt64 { faults.reduce(0, +) }
}
