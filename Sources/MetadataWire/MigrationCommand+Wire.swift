import Metadata
import ProtocolMetadata

extension MigrationCommand {
  var wireKind: Kunlog_Metadata_V1_Command.OneOf_Kind {
    switch self {
    case .plan(let tablet, let target, let epoch, let retries, let reason, let options):
      .planMigration(
        .with {
          $0.tabletID = tablet.rawValue
          $0.targetShardID = target.rawValue
          $0.epoch = epoch ?? 0
          if let retries { $0.maximumRetries = retries }
          $0.reason = reason
          if options != .standard { $0.options = options.wire }
        })
    case .advance(let id, let attempt, let step):
      .advanceMigration(
        .with {
          $0.migrationID = id.rawValue
          $0.attempt = attempt
          $0.step = step.wire
        })
    case .pause(let id, let reason):
      .pauseMigration(
        .with {
          $0.migrationID = id.rawValue
          $0.reason = reason
        })
    case .resume(let id): .resumeMigration(.with { $0.migrationID = id.rawValue })
    case .retry(let id, let attempt, let resumesAt, let reason):
      .retryMigration(
        .with {
          $0.migrationID = id.rawValue
          $0.attempt = attempt
          $0.resumesAt = resumesAt.wire
          $0.reason = reason
        })
    case .fail(let id, let reason):
      .failMigration(
        .with {
          $0.migrationID = id.rawValue
          $0.reason = reason
        })
    case .reverse(let id, let reason):
      .reverseMigration(
        .with {
          $0.migrationID = id.rawValue
          $0.reason = reason
        })
    case .giveUpReverse(let id, let attempt, let isLost, let reason):
      .giveUpReverse(
        .with {
          $0.migrationID = id.rawValue
          $0.attempt = attempt
          $0.lost = isLost
          $0.reason = reason
        })
    case .complete(let id): .completeMigration(.with { $0.migrationID = id.rawValue })
    case .expireCut(let id, let attempt, let reason):
      .expireCut(
        .with {
          $0.migrationID = id.rawValue
          $0.attempt = attempt
          $0.reason = reason
        })
    case .report(let id, let attempt, let progress):
      .reportMigration(
        .with {
          $0.migrationID = id.rawValue
          $0.attempt = attempt
          $0.progress = progress.wire
        })
    }
  }

  /// nil: no command about migrations.
  init?(wire: Kunlog_Metadata_V1_Command.OneOf_Kind) throws(WireError) {
    switch wire {
    case .planMigration(let command):
      self = .plan(
        TabletID(rawValue: command.tabletID), target: ShardID(rawValue: command.targetShardID),
        epoch: command.epoch == 0 ? nil : command.epoch,
        maximumRetries: command.hasMaximumRetries ? command.maximumRetries : nil, reason: command.reason,
        options: MigrationOptions(wire: command.options))
    case .advanceMigration(let command):
      self = .advance(
        MigrationID(rawValue: command.migrationID), attempt: command.attempt, try MigrationStep(wire: command.step))
    case .pauseMigration(let command):
      self = .pause(MigrationID(rawValue: command.migrationID), reason: command.reason)
    case .resumeMigration(let command): self = .resume(MigrationID(rawValue: command.migrationID))
    case .retryMigration(let command):
      self = .retry(
        MigrationID(rawValue: command.migrationID), attempt: command.attempt,
        resumesAt: try MigrationPhase(wire: command.resumesAt), reason: command.reason)
    case .failMigration(let command):
      self = .fail(MigrationID(rawValue: command.migrationID), reason: command.reason)
    case .reverseMigration(let command):
      self = .reverse(MigrationID(rawValue: command.migrationID), reason: command.reason)
    case .giveUpReverse(let command):
      self = .giveUpReverse(
        MigrationID(rawValue: command.migrationID), attempt: command.attempt, isLost: command.lost,
        reason: command.reason)
    case .expireCut(let command):
      self = .expireCut(
        MigrationID(rawValue: command.migrationID), attempt: command.attempt, reason: command.reason)
    case .completeMigration(let command): self = .complete(MigrationID(rawValue: command.migrationID))
    case .reportMigration(let command):
      self = .report(
        MigrationID(rawValue: command.migrationID), attempt: command.attempt,
        MigrationProgress(wire: command.progress))
    default: return nil
    }
  }
}

extension MigrationStep {
  fileprivate var wire: Kunlog_Metadata_V1_AdvanceMigration.OneOf_Step {
    switch self {
    case .snapshotTaken(let snapshot):
      .snapshotTaken(
        .with {
          $0.nodeID = snapshot.nodeID.rawValue
          $0.shardIndex = snapshot.shardIndex
          $0.lengthBytes = snapshot.lengthBytes
          $0.checksum = .init(snapshot.checksum)
        })
    case .transferred: .transferred(.init())
    case .loaded: .loaded(.init())
    case .caughtUp(let index): .caughtUp(.with { $0.shardIndex = index })
    case .cutWrites: .cutWrites(.init())
    case .route(let epoch, let index, let checksum, let followFrom):
      .route(
        .with {
          $0.epoch = epoch
          $0.shardIndex = index
          $0.rowsChecksum = .init(checksum)
          $0.followFrom = followFrom
        })
    case .cutTarget: .cutTarget(.init())
    case .finish: .finish(.init())
    case .sourceDropped: .sourceDropped(.init())
    case .rolledBack: .rolledBack(.init())
    }
  }

  fileprivate init(wire: Kunlog_Metadata_V1_AdvanceMigration.OneOf_Step?) throws(WireError) {
    switch wire {
    case .snapshotTaken(let step):
      self = .snapshotTaken(
        MigrationSnapshot(
          nodeID: NodeID(rawValue: step.nodeID), shardIndex: step.shardIndex, lengthBytes: step.lengthBytes,
          checksum: [UInt8](step.checksum)))
    case .transferred: self = .transferred
    case .loaded: self = .loaded
    case .caughtUp(let step): self = .caughtUp(shardIndex: step.shardIndex)
    case .cutWrites: self = .cutWrites
    case .route(let step):
      self = .route(
        epoch: step.epoch, shardIndex: step.shardIndex, rowsChecksum: [UInt8](step.rowsChecksum),
        followFrom: step.followFrom)
    case .cutTarget: self = .cutTarget
    case .finish: self = .finish
    case .sourceDropped: self = .sourceDropped
    case .rolledBack: self = .rolledBack
    case nil: throw .unknownCommand
    }
  }
}
