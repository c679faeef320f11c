import HashTreeCollections

/// Migrations that are under way, and the last ones that have ended.
package struct MigrationTable: Sendable, Equatable {
  package static let maximumOpen = 1_024
  package static let maximumEnded = 256

  package private(set) var open: TreeDictionary<MigrationID, Migration> = [:]
  package private(set) var ended: TreeDictionary<MigrationID, Migration> = [:]
  package var nextID = MigrationID(rawValue: 1)
  /// Derived from `open`.
  package private(set) var ofTablet: TreeDictionary<TabletID, MigrationID> = [:]

  package init() {}

  package func open(of tablet: TabletID) -> Migration? { ofTablet[tablet].flatMap { open[$0] } }

  /// One that an image holds.
  package mutating func add(_ migration: Migration) {
    nextID = max(nextID, MigrationID(rawValue: migration.plan.id.rawValue &+ 1))
    guard migration.outcome == nil else {
      ended[migration.plan.id] = migration
      return
    }
    open[migration.plan.id] = migration
    ofTablet[migration.plan.tabletID] = migration.plan.id
  }

  /// The tablets' own part of `routed` is the image's.
  mutating func apply(_ event: MigrationEvent, at recordIndex: UInt64) {
    if case .planned(let plan) = event {
      guard open[plan.id] == nil, ended[plan.id] == nil, ofTablet[plan.tabletID] == nil else { return }
      return add(Migration(plan: plan, startedIndex: recordIndex))
    }
    guard var migration = open[event.migrationID] else { return }
    migration.changedIndex = recordIndex
    migration.apply(event)
    guard migration.outcome != nil else {
      open[migration.plan.id] = migration
      return
    }
    open[migration.plan.id] = nil
    ofTablet[migration.plan.tabletID] = nil
    ended[migration.plan.id] = migration
    if ended.count > MigrationTable.maximumEnded,
      let oldest = ended.values.min(by: { ($0.changedIndex, $0.plan.id) < ($1.changedIndex, $1.plan.id) })
    {
      ended[oldest.plan.id] = nil
    }
  }
}

extension Migration {
  fileprivate mutating func apply(_ event: MigrationEvent) {
    switch event {
    case .paused, .resumed, .progressed: break
    default: progress = nil
    }
    switch event {
    case .planned: break
    case .snapshotTaken(_, let snapshot):
      phase = .snapshotTaken
      self.snapshot = snapshot
    case .transferred: phase = .transferred
    case .loaded: phase = .loaded
    case .caughtUp: phase = .caughtUp
    case .writesCut: phase = .writesCut
    case .routed(let route):
      phase = route.shardID == plan.source ? .routedBack : .routed
      wayBack = phase == .routed && route.followFrom > 0 ? MigrationWayBack(shardIndex: route.followFrom) : nil
    case .finishing: phase = .finishing
    case .sourceDropped: outcome = .completed
    case .paused(_, let reason):
      isPaused = true
      remark = reason
    case .resumed: isPaused = false
    case .retried(_, let attempt, let resumesAt, let reason):
      self.attempt = attempt
      phase = resumesAt
      remark = reason
      if resumesAt == .planned { snapshot = nil }
    case .failed(_, let reason):
      phase = .failed
      isPaused = false
      remark = reason
    case .rolledBack: outcome = phase == .routedBack ? .reversed : .rolledBack
    case .reverseRequested(_, let reason):
      wayBack?.isRequested = true
      wayBack?.requestedAttempt = attempt
      isPaused = false
      remark = reason
    case .reverseGivenUp(_, let isLost, let reason):
      wayBack?.isRequested = false
      if isLost { wayBack?.isLost = true }
      remark = reason
    case .progressed(_, let progress):
      self.progress = progress
      if let known = wayBack { wayBack?.neededFrom = max(known.neededFrom, progress.shardIndex) }
    case .reversed(_, let reason):
      phase = .reversing
      isPaused = false
      remark = reason
    case .abandoned: outcome = .abandoned
    }
  }
}
