/// A move of a tablet from one shard to another. Never used twice.
package struct MigrationID: RawRepresentable, Sendable, Hashable, Comparable, CustomStringConvertible {
  package var rawValue: UInt64
  package init(rawValue: UInt64) { self.rawValue = rawValue }
  package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
  package var description: String { String(rawValue) }
}

/// How far a migration is (migration.proto).
package enum MigrationPhase: String, Sendable, Hashable, CaseIterable {
  case planned, snapshotTaken, transferred, loaded, caughtUp, writesCut, routed, finishing
  /// On the way back after it had been routed: writes are cut at the target.
  case reversing
  /// The route is at the source again; the target is to be cleaned up.
  case routedBack
  /// It will not reach its end; the target is to be cleaned up.
  case failed

  /// For people: `snapshot taken`.
  package var text: String {
    switch self {
    case .planned, .transferred, .loaded, .routed, .finishing, .reversing, .failed: rawValue
    case .snapshotTaken: "snapshot taken"
    case .caughtUp: "caught up"
    case .writesCut: "writes cut"
    case .routedBack: "routed back"
    }
  }

  /// The phases before the route moves, in order.
  static let forward: [MigrationPhase] = [.planned, .snapshotTaken, .transferred, .loaded, .caughtUp, .writesCut]

  /// Before the route: it may be retried, and may fail.
  package var isForward: Bool { Self.forward.contains(self) }
}

/// How a migration ended.
package enum MigrationOutcome: String, Sendable, Hashable {
  case completed
  case rolledBack
  case reversed
  /// The table was dropped meanwhile.
  case abandoned

  /// For people.
  package var text: String { self == .rolledBack ? "rolled back" : rawValue }
}

/// What a migration is to do.
package struct MigrationPlan: Sendable, Hashable {
  package static let standardRetries: UInt32 = 3
  package var id: MigrationID
  package var tabletID: TabletID
  package var source: ShardID
  package var target: ShardID
  /// The tablet's when it was planned.
  package var epoch: UInt64
  package var maximumRetries: UInt32
  /// For people.
  package var reason: String
  package var options: MigrationOptions
  package init(
    id: MigrationID, tabletID: TabletID, source: ShardID, target: ShardID, epoch: UInt64,
    maximumRetries: UInt32 = standardRetries, reason: String = "", options: MigrationOptions = .standard
  ) {
    self.id = id
    self.tabletID = tabletID
    self.source = source
    self.target = target
    self.epoch = epoch
    self.maximumRetries = maximumRetries
    self.reason = reason
    self.options = options
  }
}

/// The file that a migration carries over.
package struct MigrationSnapshot: Sendable, Hashable {
  /// The replica of the source that has it.
  package var nodeID: NodeID
  /// The index of the source's log that it contains.
  package var shardIndex: UInt64
  package var lengthBytes: UInt64
  /// SHA-256, 32 bytes.
  package var checksum: [UInt8]
  package init(nodeID: NodeID, shardIndex: UInt64, lengthBytes: UInt64, checksum: [UInt8]) {
    self.nodeID = nodeID
    self.shardIndex = shardIndex
    self.lengthBytes = lengthBytes
    self.checksum = checksum
  }
}

/// The move of a route.
package struct TabletRoute: Sendable, Hashable {
  package var migrationID: MigrationID
  package var tabletID: TabletID
  package var shardID: ShardID
  /// The tablet's from now on.
  package var epoch: UInt64
  /// The last index of the fenced shard's log that concerns the tablet.
  package var shardIndex: UInt64
  /// Of the rows, the same at both sides; empty: they were not compared.
  package var rowsChecksum: [UInt8]
  /// Of the target's log: where the source's copy, which is kept, follows it from; 0: it is not kept.
  package var followFrom: UInt64
  package init(
    migrationID: MigrationID, tabletID: TabletID, shardID: ShardID, epoch: UInt64, shardIndex: UInt64,
    rowsChecksum: [UInt8], followFrom: UInt64 = 0
  ) {
    self.migrationID = migrationID
    self.tabletID = tabletID
    self.shardID = shardID
    self.epoch = epoch
    self.shardIndex = shardIndex
    self.rowsChecksum = rowsChecksum
    self.followFrom = followFrom
  }
}

/// What has happened in a migration (migration.proto). Since feature level 3.
package enum MigrationEvent: Sendable, Hashable {
  case planned(MigrationPlan)
  case snapshotTaken(MigrationID, MigrationSnapshot)
  case transferred(MigrationID)
  case loaded(MigrationID)
  case caughtUp(MigrationID, shardIndex: UInt64)
  /// The source's leader fences the tablet.
  case writesCut(MigrationID)
  case routed(TabletRoute)
  /// There is no way back: the source deletes its copy.
  case finishing(MigrationID)
  /// It has ended.
  case sourceDropped(MigrationID)
  case paused(MigrationID, reason: String)
  case resumed(MigrationID)
  case retried(MigrationID, attempt: UInt32, resumesAt: MigrationPhase, reason: String)
  case failed(MigrationID, reason: String)
  /// It has ended.
  case rolledBack(MigrationID)
  /// An operator wants the tablet back: the manager cuts writes at the target once the source has caught up.
  case reverseRequested(MigrationID, reason: String)
  /// The target's leader fences the tablet; the route goes back.
  case reversed(MigrationID, reason: String)
  /// The tablet stays at the target. `isLost`: the source's copy cannot follow it any more.
  case reverseGivenUp(MigrationID, isLost: Bool, reason: String)
  /// How far a long step is.
  case progressed(MigrationID, MigrationProgress)
  /// It has ended, because the table was dropped.
  case abandoned(MigrationID)

  package var migrationID: MigrationID {
    switch self {
    case .planned(let plan): plan.id
    case .routed(let route): route.migrationID
    case .snapshotTaken(let id, _), .transferred(let id), .loaded(let id), .caughtUp(let id, _), .writesCut(let id),
      .finishing(let id), .sourceDropped(let id), .paused(let id, _), .resumed(let id), .retried(let id, _, _, _),
      .failed(let id, _), .rolledBack(let id), .reverseRequested(let id, _), .reversed(let id, _),
      .reverseGivenUp(let id, _, _), .progressed(let id, _), .abandoned(let id):
      id
    }
  }

  /// See `Event.kind`.
  package var kind: String {
    switch self {
    case .planned: "MigrationPlanned"
    case .snapshotTaken: "MigrationSnapshotTaken"
    case .transferred: "MigrationTransferred"
    case .loaded: "MigrationLoaded"
    case .caughtUp: "MigrationCaughtUp"
    case .writesCut: "MigrationWritesCut"
    case .routed: "TabletRouted"
    case .finishing: "MigrationFinishing"
    case .sourceDropped: "MigrationSourceDropped"
    case .paused: "MigrationPaused"
    case .resumed: "MigrationResumed"
    case .retried: "MigrationRetried"
    case .failed: "MigrationFailed"
    case .rolledBack: "MigrationRolledBack"
    case .reverseRequested: "MigrationReverseRequested"
    case .reversed: "MigrationReversed"
    case .reverseGivenUp: "MigrationReverseGivenUp"
    case .progressed: "MigrationProgressed"
    case .abandoned: "MigrationAbandoned"
    }
  }

  /// The kinds that there are.
  package static let kinds = [
    "MigrationPlanned", "MigrationSnapshotTaken", "MigrationTransferred", "MigrationLoaded", "MigrationCaughtUp",
    "MigrationWritesCut", "TabletRouted", "MigrationFinishing", "MigrationSourceDropped", "MigrationPaused",
    "MigrationResumed", "MigrationRetried", "MigrationFailed", "MigrationRolledBack", "MigrationReversed",
    "MigrationAbandoned", "MigrationReverseRequested", "MigrationReverseGivenUp", "MigrationProgressed",
  ]
}

/// What is asked about migrations (migration.proto).
package enum MigrationCommand: Sendable, Hashable {
  /// `epoch`: the tablet's, as the asker knows it; nil: whatever it is. `maximumRetries`: nil: 3.
  case plan(
    TabletID, target: ShardID, epoch: UInt64?, maximumRetries: UInt32?, reason: String,
    options: MigrationOptions = .standard)
  /// `attempt`: how often it has been retried, as the asker knows it.
  case advance(MigrationID, attempt: UInt32, MigrationStep)
  case pause(MigrationID, reason: String)
  case resume(MigrationID)
  case retry(MigrationID, attempt: UInt32, resumesAt: MigrationPhase, reason: String)
  case fail(MigrationID, reason: String)
  /// Takes the tablet back to the source, which was kept.
  case reverse(MigrationID, reason: String)
  /// The tablet stays at the target after all, or, `isLost`, because the source's copy cannot follow it any more.
  case giveUpReverse(MigrationID, attempt: UInt32, isLost: Bool, reason: String)
  /// Lets the source go that was kept.
  case complete(MigrationID)
  case report(MigrationID, attempt: UInt32, MigrationProgress)
  /// By a shard whose fence has stood too long: no manager is there to lift it. Changes nothing where something else was first.
  case expireCut(MigrationID, attempt: UInt32, reason: String)
}

/// A step that is done, or, of `cutWrites`, `cutTarget`, `route` and `finish`, to be taken.
package enum MigrationStep: Sendable, Hashable {
  case snapshotTaken(MigrationSnapshot)
  case transferred
  case loaded
  case caughtUp(shardIndex: UInt64)
  case cutWrites
  /// `epoch`: the tablet's, as the asker knows it. `followFrom`: see `TabletRoute`.
  case route(epoch: UInt64, shardIndex: UInt64, rowsChecksum: [UInt8], followFrom: UInt64 = 0)
  /// On the way back.
  case cutTarget
  case finish
  case sourceDropped
  case rolledBack
}

/// A migration and how far it is.
package struct Migration: Sendable, Hashable {
  package var plan: MigrationPlan
  package var phase = MigrationPhase.planned
  /// The record with the plan.
  package var startedIndex: UInt64
  /// The record with the last event about it.
  package var changedIndex: UInt64
  /// How often a step has been tried again.
  package var attempt: UInt32 = 0
  package var isPaused = false
  /// Why it is paused, was retried, failed or was reversed.
  package var remark = ""
  package var snapshot: MigrationSnapshot?
  /// nil: its route has not moved, or the source is not kept.
  package var wayBack: MigrationWayBack?
  /// Of the present phase; nil: nothing was reported.
  package var progress: MigrationProgress?
  /// nil: under way.
  package var outcome: MigrationOutcome?
  package init(plan: MigrationPlan, startedIndex: UInt64) {
    self.plan = plan
    self.startedIndex = startedIndex
    changedIndex = startedIndex
  }

  /// The shard that has the tablet, and whose log the other one follows.
  package var origin: ShardID { isBehindRoute ? plan.target : plan.source }
  package var follower: ShardID { isBehindRoute ? plan.source : plan.target }
  private var isBehindRoute: Bool {
    switch phase {
    case .routed, .reversing, .finishing: true
    case .planned, .snapshotTaken, .transferred, .loaded, .caughtUp, .writesCut, .routedBack, .failed: false
    }
  }

  /// The source's copy follows the target.
  package var isFollowedBack: Bool {
    (phase == .routed || phase == .reversing) && wayBack.map { !$0.isLost } == true && outcome == nil
  }

  /// Writes are cut, in this attempt.
  package func isCutting(attempt: UInt32) -> Bool {
    (phase == .writesCut || phase == .reversing) && self.attempt == attempt
  }

  /// From where a cut that is given up goes on.
  package var resumesAfterCut: MigrationPhase {
    phase == .reversing ? .routed : plan.options.dropsCopy ? .planned : .loaded
  }

  /// Its route has moved, and it waits for an operator to say how it ends.
  package var isResting: Bool {
    outcome == nil && phase == .routed && plan.options.keepsSource && wayBack?.isRequested != true
  }

  /// For people.
  package var text: String {
    "migration \(plan.id) of tablet \(plan.tabletID) from shard \(plan.source) to shard \(plan.target), "
      + (outcome?.text ?? (isPaused ? "\(phase.text), paused" : phase.text))
  }

  /// How far it is, in steps that weigh about what they take; 100: it has ended.
  package var percent: Int {
    guard outcome == nil else { return 100 }
    return switch phase {
    case .planned, .failed: 0
    case .snapshotTaken:
      20 + (progress.map { $0.totalBytes == 0 ? 0 : Int(40 * min(1, Double($0.bytes) / Double($0.totalBytes))) } ?? 0)
    case .transferred: 60
    case .loaded: 70
    case .caughtUp: 90
    case .writesCut: 95
    case .routed, .finishing, .reversing, .routedBack: 99
    }
  }
}

extension MigrationPhase {
  /// The target takes, or may take, the source's log.
  package var needsSource: Bool {
    switch self {
    case .snapshotTaken, .transferred, .loaded, .caughtUp, .writesCut: true
    case .planned, .routed, .finishing, .reversing, .routedBack, .failed: false
    }
  }
}

extension Image {
  /// Whether a shard keeps a tablet that is not its own, for a migration.
  package func isKept(_ tablet: TabletID, on shard: ShardID) -> Bool {
    guard let migration = migrations.open(of: tablet) else { return false }
    switch migration.phase {
    case .planned, .snapshotTaken, .transferred, .loaded, .caughtUp, .writesCut: return migration.plan.target == shard
    case .routed, .reversing: return migration.plan.source == shard && migration.wayBack != nil
    case .finishing, .routedBack, .failed: return false
    }
  }
}
