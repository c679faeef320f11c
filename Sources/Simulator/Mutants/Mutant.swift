import Coordination
import MetadataLog
import Raft
import ReplicaCore
import SegmentedLog

/// A mistake that the code under test is made to make, to show that the simulator would find it: bugs that others had, and
/// the classic ones. Each is a switch at the spot where the bug would be; in production all are off.
package enum Mutant: String, CaseIterable, Sendable {
  case acknowledgesBeforeDurable = "acknowledges-before-durable"
  case skipsSynchronization = "skips-synchronization"
  case snapshotIndexReadLate = "applied-index-beside-state"
  case leadsWithHungDisk = "leads-with-hung-disk"
  case keepsMembersAtSnapshot = "keeps-members-at-snapshot"
  case forgetsMembersAtRestart = "forgets-members-at-restart"
  case describesOldMembers = "removed-member-returns"
  case trustsAnyDisk = "blank-disk-votes"
  case electsSlowVoter = "elects-slow-voter"
  case starvesBehind = "starves-subscriber"
  case buffersForSlow = "buffers-for-slow-subscriber"
  case skipsCompactedRecords = "loses-events-at-compaction"
  case bookmarksAhead = "bookmark-beyond-last-event"
  case repeatsBatchEnds = "repeats-events"
  case servesBeforeReplay = "serves-before-replay"
  case ignoresRejections = "wedged-after-conflict"
  case forgetsRequests = "retry-applied-twice"
  case snapshotInOnePiece = "snapshot-blocks-loop"
  case neverForgivesFullDisk = "full-disk-kills"
  case votesBeforeDurable = "votes-before-durable"
  case countsOldTerms = "counts-old-terms"
  case readsWithoutRound = "reads-of-deposed-leader"
  case readsBeforeApplied = "reads-before-applied"
  case skipsLogCheck = "skips-log-check"
  case changesMembersAtOnce = "changes-members-at-once"
  case forgetsPromise = "forgets-promise"
  case keepsUnknownPromise = "keeps-unknown-promise"
  case takesDamageForTorn = "takes-damage-for-torn"
  case keepsSpeculation = "keeps-speculation"
  case refusesBeforeFinal = "refuses-before-final"
  case skipsUnknownEvents = "skips-unknown-events"
  case toleratesRollback = "tolerates-old-backup"
  case takesForeignDisk = "takes-foreign-disk"
  case keepsOldAddress = "keeps-old-address"
  case forcesStaleSurvivor = "forces-stale-survivor"
  case abortsAlone = "aborts-without-log"
  case believesItself = "late-coordinator-decides"
  case finishesBeforeDecision = "finishes-before-decision"
  case answersBeforeDecision = "answers-before-decision"
  case reusesNames = "reuses-transaction-names"
  case neverResolves = "decisions-grow"
  case resolvesUnheard = "forgets-decision-early"
  case forgetsFailedFinish = "forgets-failed-finish"
  case readsPastPrepared = "reads-past-prepared"
  case holdsNothing = "snapshot-holds-nothing"
  case reachesNothing = "snapshot-reaches-nothing"
  case losesPreparedAtFailover = "loses-prepared-at-failover"
  case forgetsLocksAtFailover = "forgets-locks-at-failover"
  case readsUnconfirmed = "deposed-shard-leader-reads"
  case ignoresDeadlocks = "ignores-deadlocks"
  case forgetsCommitted = "forgets-committed"
  case fencesUnderWriters = "cuts-under-writers"
  case routesBeforeDrained = "routes-before-drained"
  case appliesChangesTwice = "applies-changes-twice"
  case leavesOrphan = "leaves-orphan"
  case leavesFence = "leaves-fence"
  case readsAfterRoute = "reads-after-route"
  case liftsByOldMetadata = "lifts-fence-early"
  case servesByOldMetadata = "serves-by-old-metadata"
  case snapshotForgetsPrepared = "snapshot-forgets-prepared"
  case forgetsFencesAtFailover = "forgets-fences-at-failover"
  case rereadsAfterMove = "rereads-after-move"
  case snapshotsLaggingReplica = "snapshots-lagging-replica"
  case snapshotIgnoresMoves = "snapshot-ignores-moves"
  case followsLate = "follows-late"
  case liftsUnasked = "lifts-fence-alone"
  case followsAgain = "follows-again"

  /// Who had the bug; the classic ones are in the papers.
  package var origin: String {
    switch self {
    case .acknowledgesBeforeDurable, .skipsSynchronization: "etcd #14370"
    case .snapshotIndexReadLate: "etcd #13766"
    case .leadsWithHungDisk: "etcd #13527, hashicorp/raft #503"
    case .keepsMembersAtSnapshot: "openraft #1808"
    case .forgetsMembersAtRestart: "etcd #19557"
    case .describesOldMembers: "etcd #13196"
    case .trustsAnyDisk: "KAFKA-14077"
    case .electsSlowVoter: "tikv #18058"
    case .starvesBehind: "etcd #17529"
    case .buffersForSlow: "etcd #16839"
    case .skipsCompactedRecords: "etcd #18089, #19179, #17780"
    case .bookmarksAhead: "EventStore #4970"
    case .servesBeforeReplay: "Redpanda #13614"
    case .ignoresRejections: "hashicorp/raft #612"
    case .forgetsRequests: "jetcd 0.8.2"
    case .snapshotInOnePiece: "canonical/raft #222"
    case .neverForgivesFullDisk: "dqlite #283"
    case .countsOldTerms: "Raft paper, figure 8"
    case .readsWithoutRound: "Raft paper, section 8"
    case .votesBeforeDurable, .skipsLogCheck: "Raft paper, figure 2"
    case .changesMembersAtOnce: "raft-dev, 2015"
    case .abortsAlone: "citus #1030, #2095"
    case .believesItself: "Klustron"
    case .neverResolves: "citus #1614"
    case .losesPreparedAtFailover: "vitess #2850"
    case .finishesBeforeDecision, .answersBeforeDecision, .reusesNames, .resolvesUnheard, .forgetsFailedFinish,
      .readsPastPrepared, .holdsNothing, .reachesNothing, .forgetsLocksAtFailover, .readsUnconfirmed,
      .ignoresDeadlocks, .forgetsCommitted:
      "own"
    case .fencesUnderWriters, .routesBeforeDrained, .appliesChangesTwice, .leavesOrphan, .leavesFence, .readsAfterRoute,
      .liftsByOldMetadata, .servesByOldMetadata, .snapshotForgetsPrepared, .forgetsFencesAtFailover, .rereadsAfterMove,
      .snapshotsLaggingReplica,
      .snapshotIgnoresMoves, .followsLate, .liftsUnasked, .followsAgain:
      "own"
    case .repeatsBatchEnds, .readsBeforeApplied, .forgetsPromise, .takesDamageForTorn, .keepsSpeculation,
      .refusesBeforeFinal, .skipsUnknownEvents, .toleratesRollback, .takesForeignDisk, .keepsOldAddress,
      .forcesStaleSurvivor, .keepsUnknownPromise:
      "own"
    }
  }

  /// Where it is likely to show.
  package var profiles: [Profile] {
    switch self {
    case .acknowledgesBeforeDurable, .skipsSynchronization, .votesBeforeDurable, .snapshotIndexReadLate,
      .forgetsRequests, .servesBeforeReplay, .snapshotInOnePiece, .skipsUnknownEvents:
      [.process, .swarm]
    case .neverForgivesFullDisk, .leadsWithHungDisk, .trustsAnyDisk, .forgetsPromise, .takesDamageForTorn,
      .toleratesRollback, .takesForeignDisk, .keepsUnknownPromise:
      [.disk, .storm]
    case .keepsMembersAtSnapshot, .forgetsMembersAtRestart, .describesOldMembers, .changesMembersAtOnce,
      .keepsOldAddress, .forcesStaleSurvivor:
      [.membership, .storm]
    case .starvesBehind, .buffersForSlow, .skipsCompactedRecords, .bookmarksAhead, .repeatsBatchEnds:
      [.subscribers, .swarm]
    case .readsWithoutRound: [.time, .network]
    case .electsSlowVoter, .ignoresRejections, .countsOldTerms, .readsBeforeApplied,
      .skipsLogCheck, .keepsSpeculation, .refusesBeforeFinal:
      [.network, .swarm, .process]
    case .abortsAlone, .believesItself, .finishesBeforeDecision, .answersBeforeDecision, .reusesNames, .neverResolves,
      .resolvesUnheard, .forgetsFailedFinish, .readsPastPrepared, .holdsNothing, .reachesNothing,
      .losesPreparedAtFailover, .forgetsLocksAtFailover, .readsUnconfirmed, .ignoresDeadlocks, .forgetsCommitted:
      [.commits, .transactions]
    case .fencesUnderWriters, .routesBeforeDrained, .appliesChangesTwice, .leavesOrphan, .leavesFence, .readsAfterRoute,
      .liftsByOldMetadata, .servesByOldMetadata, .snapshotForgetsPrepared, .forgetsFencesAtFailover, .rereadsAfterMove,
      .snapshotsLaggingReplica,
      .snapshotIgnoresMoves, .followsLate, .liftsUnasked, .followsAgain:
      [.shuffles, .moves]
    }
  }

  /// Makes the code under test make the mistake.
  func turnOn(_ settings: inout WorldSettings) {
    switch self {
    case .acknowledgesBeforeDurable: settings.raftMutants = .acknowledgesBeforeDurable
    case .skipsSynchronization: settings.logMutants = .skipsSynchronization
    case .snapshotIndexReadLate: settings.shellMutants = .snapshotIndexReadLate
    case .leadsWithHungDisk: settings.raftMutants = .leadsWithHungDisk
    case .keepsMembersAtSnapshot: settings.raftMutants = .keepsMembersAtSnapshot
    case .forgetsMembersAtRestart: settings.raftMutants = .forgetsMembersAtRestart
    case .describesOldMembers: settings.raftMutants = .describesOldMembers
    case .trustsAnyDisk: settings.raftMutants = .trustsAnyDisk
    case .electsSlowVoter: settings.raftMutants = .electsSlowVoter
    case .starvesBehind: settings.metadataMutants = .starvesBehind
    case .buffersForSlow: settings.metadataMutants = .buffersForSlow
    case .skipsCompactedRecords: settings.metadataMutants = .skipsCompactedRecords
    case .bookmarksAhead: settings.metadataMutants = .bookmarksAhead
    case .repeatsBatchEnds: settings.metadataMutants = .repeatsBatchEnds
    case .servesBeforeReplay: settings.replicaMutants = .servesBeforeReplay
    case .ignoresRejections: settings.raftMutants = .ignoresRejections
    case .forgetsRequests: settings.metadataMutants = .forgetsRequests
    case .snapshotInOnePiece: settings.shellMutants = .snapshotInOnePiece
    case .neverForgivesFullDisk: settings.logMutants = .neverForgivesFullDisk
    case .votesBeforeDurable: settings.raftMutants = .votesBeforeDurable
    case .countsOldTerms: settings.raftMutants = .countsOldTerms
    case .readsWithoutRound: settings.raftMutants = .readsWithoutRound
    case .readsBeforeApplied: settings.replicaMutants = .readsBeforeApplied
    case .skipsLogCheck: settings.raftMutants = .skipsLogCheck
    case .changesMembersAtOnce: settings.raftMutants = .changesMembersAtOnce
    case .forgetsPromise: settings.raftMutants = .forgetsPromise
    case .keepsUnknownPromise: settings.raftMutants = .keepsUnknownPromise
    case .takesDamageForTorn: settings.logMutants = .takesDamageForTorn
    case .keepsSpeculation: settings.metadataMutants = .keepsSpeculation
    case .refusesBeforeFinal: settings.metadataMutants = .refusesBeforeFinal
    case .skipsUnknownEvents: settings.metadataMutants = .skipsUnknownEvents
    case .toleratesRollback: settings.raftMutants = .toleratesRollback
    case .takesForeignDisk: settings.logMutants = .takesForeignDisk
    case .keepsOldAddress: settings.shellMutants = .keepsOldAddress
    case .forcesStaleSurvivor: settings.shellMutants = .forcesStaleSurvivor
    case .abortsAlone: settings.coordinationMutants = .abortsAlone
    case .believesItself: settings.coordinationMutants = .believesItself
    case .finishesBeforeDecision: settings.coordinationMutants = .finishesBeforeDecision
    case .answersBeforeDecision: settings.coordinationMutants = .answersBeforeDecision
    case .reusesNames: settings.coordinationMutants = .reusesNames
    case .neverResolves: settings.coordinationMutants = .neverResolves
    case .resolvesUnheard: settings.coordinationMutants = .resolvesUnheard
    case .forgetsFailedFinish: settings.coordinationMutants = .forgetsFailedFinish
    case .readsPastPrepared: settings.coordinationMutants = .readsPastPrepared
    case .holdsNothing: settings.coordinationMutants = .holdsNothing
    case .reachesNothing: settings.coordinationMutants = .reachesNothing
    case .losesPreparedAtFailover: settings.shellMutants = .losesPreparedAtFailover
    case .forgetsLocksAtFailover: settings.shellMutants = .forgetsLocksAtFailover
    case .readsUnconfirmed: settings.shellMutants = .readsUnconfirmed
    case .ignoresDeadlocks: settings.shellMutants = .ignoresDeadlocks
    case .forgetsCommitted: settings.shellMutants = .forgetsCommitted
    case .fencesUnderWriters: settings.shellMutants = .fencesUnderWriters
    case .routesBeforeDrained: settings.shellMutants = .routesBeforeDrained
    case .appliesChangesTwice: settings.shellMutants = .appliesChangesTwice
    case .leavesOrphan: settings.shellMutants = .leavesOrphan
    case .leavesFence: settings.shellMutants = .leavesFence
    case .readsAfterRoute: settings.shellMutants = .readsAfterRoute
    case .liftsByOldMetadata: settings.shellMutants = .liftsByOldMetadata
    case .servesByOldMetadata: settings.shellMutants = .servesByOldMetadata
    case .snapshotForgetsPrepared: settings.shellMutants = .snapshotForgetsPrepared
    case .forgetsFencesAtFailover: settings.shellMutants = .forgetsFencesAtFailover
    case .rereadsAfterMove: settings.shellMutants = .rereadsAfterMove
    case .snapshotsLaggingReplica: settings.shellMutants = .snapshotsLaggingReplica
    case .snapshotIgnoresMoves: settings.shellMutants = .snapshotIgnoresMoves
    case .followsLate: settings.shellMutants = .followsLate
    case .liftsUnasked: settings.shellMutants = .liftsUnasked
    case .followsAgain: settings.shellMutants = .followsAgain
    }
  }
}

/// Mistakes of the shell around the core: in the real program they would be in `Replica`, here they are in the simulated shell.
struct ShellMutants: OptionSet, Sendable {
  let rawValue: UInt32

  /// A snapshot is written in one piece, while the loop does nothing else (canonical/raft #222).
  static let snapshotInOnePiece = ShellMutants(rawValue: 1 << 0)
  /// A snapshot's index is that of the state when it is written out, its content that of when it was begun (etcd #13766).
  static let snapshotIndexReadLate = ShellMutants(rawValue: 1 << 1)
  /// The transport goes on with the address that a member had at first.
  static let keepsOldAddress = ShellMutants(rawValue: 1 << 2)
  /// A survivor that lacks what was committed is made the only voter, as if it had all.
  static let forcesStaleSurvivor = ShellMutants(rawValue: 1 << 3)
  /// What is prepared on a shard is lost with its leader (vitess #2850).
  static let losesPreparedAtFailover = ShellMutants(rawValue: 1 << 4)
  /// A shard's new leader serves without the locks of what is prepared.
  static let forgetsLocksAtFailover = ShellMutants(rawValue: 1 << 5)
  /// A shard's leader reads without asking whether it leads still.
  static let readsUnconfirmed = ShellMutants(rawValue: 1 << 6)
  /// Nobody looks for transactions that wait for each other on several shards.
  static let ignoresDeadlocks = ShellMutants(rawValue: 1 << 7)
  /// A shard does not remember what it has committed: who asks again is told that it is lost.
  static let forgetsCommitted = ShellMutants(rawValue: 1 << 8)
  /// The tablet is fenced while transactions still hold rows of it.
  static let fencesUnderWriters = ShellMutants(rawValue: 1 << 9)
  /// The route moves before the target has all up to the fence.
  static let routesBeforeDrained = ShellMutants(rawValue: 1 << 10)
  /// The target takes changes that it has taken already.
  static let appliesChangesTwice = ShellMutants(rawValue: 1 << 11)
  /// The target keeps what was copied when the move fails.
  static let leavesOrphan = ShellMutants(rawValue: 1 << 12)
  /// The source goes on refusing writes after the cut was given up.
  static let leavesFence = ShellMutants(rawValue: 1 << 13)
  /// The source answers reads until it has heard of the route.
  static let readsAfterRoute = ShellMutants(rawValue: 1 << 14)
  /// The source lifts a fence by metadata that are older than it.
  static let liftsByOldMetadata = ShellMutants(rawValue: 1 << 15)
  /// A leader makes and drops tablets by metadata that are older than they.
  static let servesByOldMetadata = ShellMutants(rawValue: 1 << 16)
  /// The log is read from the snapshot on: what was prepared before, and committed after it, is missing.
  static let snapshotForgetsPrepared = ShellMutants(rawValue: 1 << 17)
  /// A new leader of the source takes writes in spite of the fence.
  static let forgetsFencesAtFailover = ShellMutants(rawValue: 1 << 18)
  /// REPEATABLE READ reads a tablet again where it has moved to, as of a later moment.
  static let rereadsAfterMove = ShellMutants(rawValue: 1 << 19)
  /// The rows are fixed by a replica that may lag behind what the move was planned upon.
  static let snapshotsLaggingReplica = ShellMutants(rawValue: 1 << 20)
  /// A read of one moment of several shards asks each of them about its own tablets only: one that has moved meanwhile is read
  /// before, and what is written with it after.
  static let snapshotIgnoresMoves = ShellMutants(rawValue: 1 << 21)
  /// The copy that stayed follows the target's log from where that is when it begins to, not from where the two were alike.
  static let followsLate = ShellMutants(rawValue: 1 << 22)
  /// A fence that no manager lifts in time is lifted without the log, as the target may be given the tablet still.
  static let liftsUnasked = ShellMutants(rawValue: 1 << 23)
  /// What has come back begins to follow again where a leader, or a step that is still under way, does not know that it has.
  static let followsAgain = ShellMutants(rawValue: 1 << 24)
}
