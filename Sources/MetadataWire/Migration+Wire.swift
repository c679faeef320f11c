import Metadata
import ProtocolMetadata

extension MigrationEvent {
  var wireKind: Kunlog_Metadata_V1_Event.OneOf_Kind {
    switch self {
    case .planned(let plan): .migrationPlanned(plan.wire)
    case .snapshotTaken(let id, let snapshot): .migrationSnapshotTaken(snapshot.wire(of: id))
    case .transferred(let id): .migrationTransferred(.with { $0.migrationID = id.rawValue })
    case .loaded(let id): .migrationLoaded(.with { $0.migrationID = id.rawValue })
    case .caughtUp(let id, let index):
      .migrationCaughtUp(
        .with {
          $0.migrationID = id.rawValue
          $0.shardIndex = index
        })
    case .writesCut(let id): .migrationWritesCut(.with { $0.migrationID = id.rawValue })
    case .routed(let route): .tabletRouted(route.wire)
    case .finishing(let id): .migrationFinishing(.with { $0.migrationID = id.rawValue })
    case .sourceDropped(let id): .migrationSourceDropped(.with { $0.migrationID = id.rawValue })
    case .rolledBack(let id): .migrationRolledBack(.with { $0.migrationID = id.rawValue })
    case .abandoned(let id): .migrationAbandoned(.with { $0.migrationID = id.rawValue })
    case .resumed(let id): .migrationResumed(.with { $0.migrationID = id.rawValue })
    case .progressed(let id, let progress):
      .migrationProgressed(
        .with {
          $0.migrationID = id.rawValue
          $0.progress = progress.wire
        })
    case .paused, .retried, .failed, .reverseRequested, .reversed, .reverseGivenUp: wireKindWithReason
    }
  }

  private var wireKindWithReason: Kunlog_Metadata_V1_Event.OneOf_Kind {
    switch self {
    case .paused(let id, let reason):
      .migrationPaused(
        .with {
          $0.migrationID = id.rawValue
          $0.reason = reason
        })
    case .retried(let id, let attempt, let resumesAt, let reason):
      .migrationRetried(
        .with {
          $0.migrationID = id.rawValue
          $0.attempt = attempt
          $0.resumesAt = resumesAt.wire
          $0.reason = reason
        })
    case .failed(let id, let reason):
      .migrationFailed(
        .with {
          $0.migrationID = id.rawValue
          $0.reason = reason
        })
    case .reversed(let id, let reason):
      .migrationReversed(
        .with {
          $0.migrationID = id.rawValue
          $0.reason = reason
        })
    case .reverseRequested(let id, let reason):
      .migrationReverseRequested(
        .with {
          $0.migrationID = id.rawValue
          $0.reason = reason
        })
    case .reverseGivenUp(let id, let isLost, let reason):
      .migrationReverseGivenUp(
        .with {
          $0.migrationID = id.rawValue
          $0.lost = isLost
          $0.reason = reason
        })
    default: preconditionFailure("\(kind) bears no reason")
    }
  }

  /// nil: no event about migrations.
  init?(wire: Kunlog_Metadata_V1_Event.OneOf_Kind) throws(WireError) {
    switch wire {
    case .migrationPlanned(let event): self = .planned(MigrationPlan(wire: event))
    case .migrationSnapshotTaken(let event):
      self = .snapshotTaken(MigrationID(rawValue: event.migrationID), MigrationSnapshot(wire: event))
    case .migrationTransferred(let event): self = .transferred(MigrationID(rawValue: event.migrationID))
    case .migrationLoaded(let event): self = .loaded(MigrationID(rawValue: event.migrationID))
    case .migrationCaughtUp(let event):
      self = .caughtUp(MigrationID(rawValue: event.migrationID), shardIndex: event.shardIndex)
    case .migrationWritesCut(let event): self = .writesCut(MigrationID(rawValue: event.migrationID))
    case .tabletRouted(let event): self = .routed(TabletRoute(wire: event))
    case .migrationFinishing(let event): self = .finishing(MigrationID(rawValue: event.migrationID))
    case .migrationSourceDropped(let event): self = .sourceDropped(MigrationID(rawValue: event.migrationID))
    case .migrationPaused(let event):
      self = .paused(MigrationID(rawValue: event.migrationID), reason: event.reason)
    case .migrationResumed(let event): self = .resumed(MigrationID(rawValue: event.migrationID))
    case .migrationRetried(let event):
      self = .retried(
        MigrationID(rawValue: event.migrationID), attempt: event.attempt,
        resumesAt: try MigrationPhase(wire: event.resumesAt), reason: event.reason)
    case .migrationFailed(let event):
      self = .failed(MigrationID(rawValue: event.migrationID), reason: event.reason)
    case .migrationRolledBack(let event): self = .rolledBack(MigrationID(rawValue: event.migrationID))
    case .migrationReversed(let event):
      self = .reversed(MigrationID(rawValue: event.migrationID), reason: event.reason)
    case .migrationReverseRequested(let event):
      self = .reverseRequested(MigrationID(rawValue: event.migrationID), reason: event.reason)
    case .migrationReverseGivenUp(let event):
      self = .reverseGivenUp(MigrationID(rawValue: event.migrationID), isLost: event.lost, reason: event.reason)
    case .migrationProgressed(let event):
      self = .progressed(MigrationID(rawValue: event.migrationID), MigrationProgress(wire: event.progress))
    case .migrationAbandoned(let event): self = .abandoned(MigrationID(rawValue: event.migrationID))
    default: return nil
    }
  }
}

extension MigrationPhase {
  private static let wires: [(MigrationPhase, Kunlog_Metadata_V1_MigrationPhase)] = [
    (.planned, .planned), (.snapshotTaken, .snapshotTaken), (.transferred, .transferred), (.loaded, .loaded),
    (.caughtUp, .caughtUp), (.writesCut, .writesCut), (.routed, .routed), (.finishing, .finishing),
    (.reversing, .reversing), (.routedBack, .routedBack), (.failed, .failed),
  ]

  var wire: Kunlog_Metadata_V1_MigrationPhase {
    MigrationPhase.wires.first { $0.0 == self }?.1 ?? .unspecified
  }

  init(wire: Kunlog_Metadata_V1_MigrationPhase) throws(WireError) {
    guard let phase = MigrationPhase.wires.first(where: { $0.1 == wire })?.0 else {
      throw .malformed("migration phase \(wire.rawValue)")
    }
    self = phase
  }
}

extension MigrationOutcome {
  static func wire(_ outcome: MigrationOutcome?) -> Kunlog_Metadata_V1_MigrationOutcome {
    switch outcome {
    case .completed: .completed
    case .rolledBack: .rolledBack
    case .reversed: .reversed
    case .abandoned: .abandoned
    case nil: .unspecified
    }
  }

  static func from(_ wire: Kunlog_Metadata_V1_MigrationOutcome) throws(WireError) -> MigrationOutcome? {
    switch wire {
    case .unspecified: nil
    case .completed: .completed
    case .rolledBack: .rolledBack
    case .reversed: .reversed
    case .abandoned: .abandoned
    case .UNRECOGNIZED(let value): throw .malformed("migration outcome \(value)")
    }
  }
}

extension MigrationPlan {
  var wire: Kunlog_Metadata_V1_MigrationPlanned {
    .with {
      $0.migrationID = id.rawValue
      $0.tabletID = tabletID.rawValue
      $0.sourceShardID = source.rawValue
      $0.targetShardID = target.rawValue
      $0.epoch = epoch
      $0.maximumRetries = maximumRetries
      $0.reason = reason
      if options != .standard { $0.options = options.wire }
    }
  }

  init(wire: Kunlog_Metadata_V1_MigrationPlanned) {
    self.init(
      id: MigrationID(rawValue: wire.migrationID), tabletID: TabletID(rawValue: wire.tabletID),
      source: ShardID(rawValue: wire.sourceShardID), target: ShardID(rawValue: wire.targetShardID), epoch: wire.epoch,
      maximumRetries: wire.maximumRetries, reason: wire.reason, options: MigrationOptions(wire: wire.options))
  }
}

extension MigrationSnapshot {
  func wire(of id: MigrationID) -> Kunlog_Metadata_V1_MigrationSnapshotTaken {
    .with {
      $0.migrationID = id.rawValue
      $0.nodeID = nodeID.rawValue
      $0.shardIndex = shardIndex
      $0.lengthBytes = lengthBytes
      $0.checksum = .init(checksum)
    }
  }

  init(wire: Kunlog_Metadata_V1_MigrationSnapshotTaken) {
    self.init(
      nodeID: NodeID(rawValue: wire.nodeID), shardIndex: wire.shardIndex, lengthBytes: wire.lengthBytes,
      checksum: [UInt8](wire.checksum))
  }
}

extension TabletRoute {
  var wire: Kunlog_Metadata_V1_TabletRouted {
    .with {
      $0.migrationID = migrationID.rawValue
      $0.tabletID = tabletID.rawValue
      $0.shardID = shardID.rawValue
      $0.epoch = epoch
      $0.shardIndex = shardIndex
      $0.rowsChecksum = .init(rowsChecksum)
      $0.followFrom = followFrom
    }
  }

  init(wire: Kunlog_Metadata_V1_TabletRouted) {
    self.init(
      migrationID: MigrationID(rawValue: wire.migrationID), tabletID: TabletID(rawValue: wire.tabletID),
      shardID: ShardID(rawValue: wire.shardID), epoch: wire.epoch, shardIndex: wire.shardIndex,
      rowsChecksum: [UInt8](wire.rowsChecksum), followFrom: wire.followFrom)
  }
}

extension Migration {
  /// As an image holds it.
  var wire: Kunlog_Metadata_V1_ImageMigrations.Migration {
    .with {
      $0.plan = plan.wire
      $0.phase = phase.wire
      $0.startedIndex = startedIndex
      $0.changedIndex = changedIndex
      $0.attempt = attempt
      $0.paused = isPaused
      $0.remark = remark
      if let snapshot { $0.snapshot = snapshot.wire(of: plan.id) }
      $0.outcome = MigrationOutcome.wire(outcome)
      if let wayBack { $0.wayBack = wayBack.wire }
      if let progress { $0.progress = progress.wire }
    }
  }

  /// From an image.
  init(wire: Kunlog_Metadata_V1_ImageMigrations.Migration) throws(WireError) {
    self.init(plan: MigrationPlan(wire: wire.plan), startedIndex: wire.startedIndex)
    phase = try MigrationPhase(wire: wire.phase)
    changedIndex = wire.changedIndex
    attempt = wire.attempt
    isPaused = wire.paused
    remark = wire.remark
    if wire.hasSnapshot { snapshot = MigrationSnapshot(wire: wire.snapshot) }
    outcome = try MigrationOutcome.from(wire.outcome)
    if wire.hasWayBack { wayBack = MigrationWayBack(wire: wire.wayBack) }
    if wire.hasProgress { progress = MigrationProgress(wire: wire.progress) }
  }
}
