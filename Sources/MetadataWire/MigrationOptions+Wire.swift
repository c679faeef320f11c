import Metadata
import ProtocolMetadata

extension MigrationOptions {
  var wire: Kunlog_Metadata_V1_MigrationOptions {
    .with {
      let standard = MigrationOptions.standard
      $0.keepsSource = keepsSource
      $0.addsCopy = addsCopy
      $0.dropsCopy = dropsCopy
      $0.isUnverified = !isVerified
      if maximumLagMilliseconds != standard.maximumLagMilliseconds {
        $0.maximumLagMilliseconds = maximumLagMilliseconds
      }
      if bytesPerSecond != standard.bytesPerSecond { $0.bytesPerSecond = bytesPerSecond }
    }
  }

  init(wire: Kunlog_Metadata_V1_MigrationOptions) {
    self.init()
    keepsSource = wire.keepsSource
    addsCopy = wire.addsCopy
    dropsCopy = wire.dropsCopy
    isVerified = !wire.isUnverified
    if wire.hasMaximumLagMilliseconds { maximumLagMilliseconds = wire.maximumLagMilliseconds }
    if wire.hasBytesPerSecond { bytesPerSecond = wire.bytesPerSecond }
  }
}

extension MigrationWayBack {
  var wire: Kunlog_Metadata_V1_MigrationWayBack {
    .with {
      $0.shardIndex = shardIndex
      $0.neededFrom = neededFrom
      $0.lost = isLost
      $0.requested = isRequested
      $0.requestedAttempt = requestedAttempt
    }
  }

  init(wire: Kunlog_Metadata_V1_MigrationWayBack) {
    self.init(shardIndex: wire.shardIndex)
    neededFrom = wire.neededFrom
    isLost = wire.lost
    isRequested = wire.requested
    requestedAttempt = wire.requestedAttempt
  }
}

extension MigrationProgress {
  var wire: Kunlog_Metadata_V1_MigrationProgress {
    .with {
      $0.bytes = bytes
      $0.totalBytes = totalBytes
      $0.rows = rows
      $0.bytesPerSecond = bytesPerSecond
      if let lagMilliseconds { $0.lagMilliseconds = lagMilliseconds }
      $0.shardIndex = shardIndex
    }
  }

  init(wire: Kunlog_Metadata_V1_MigrationProgress) {
    self.init(
      bytes: wire.bytes, totalBytes: wire.totalBytes, rows: wire.rows, bytesPerSecond: wire.bytesPerSecond,
      lagMilliseconds: wire.hasLagMilliseconds ? wire.lagMilliseconds : nil, shardIndex: wire.shardIndex)
  }
}
