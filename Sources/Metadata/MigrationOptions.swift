/// How a move is to be done: recorded with its plan, so that whichever manager acts does it alike.
package struct MigrationOptions: Sendable, Hashable {
  /// After the route has moved, the source's copy follows the target until an operator completes or reverses the move.
  package var keepsSource = false
  /// The source keeps its rows, and both have them from then on: the target gets a copy of a mirror table.
  package var addsCopy = false
  /// The source's copy of a mirror table is dropped; the target keeps its own.
  package var dropsCopy = false
  /// Both sides' rows are compared before the route moves.
  package var isVerified = true
  /// Writes are not cut while the target is further behind.
  package var maximumLagMilliseconds: UInt32 = 3000
  /// Rows are copied that fast at most, in bytes per second, and slower where statements need the nodes; 0: as fast as it goes.
  package var bytesPerSecond: UInt64 = 48 << 20
  package init() {}

  package static let standard = MigrationOptions()

  /// The copy makes way for statements too, whatever the bound; without one it goes as fast as it can.
  package var isThrottled: Bool { bytesPerSecond > 0 }
}

/// The way back of a migration whose route has moved and whose source is kept.
package struct MigrationWayBack: Sendable, Hashable {
  /// Of the target's log: the source's copy, as it was at the cut, contains all before it.
  package var shardIndex: UInt64
  /// From here on the target's log is needed: the source has the rest.
  package var neededFrom: UInt64
  /// The source's copy cannot follow any more.
  package var isLost = false
  /// An operator wants the tablet back.
  package var isRequested = false
  /// The migration's attempt when he asked.
  package var requestedAttempt: UInt32 = 0
  package init(shardIndex: UInt64) {
    self.shardIndex = shardIndex
    neededFrom = shardIndex
  }

  /// For people.
  package var text: String { isLost ? "lost" : isRequested ? "requested" : "open" }
}

/// How far a long step is, as a manager has reported it.
package struct MigrationProgress: Sendable, Hashable {
  /// Of the rows' bytes, what is done; of all, 0 where that is not known.
  package var bytes: UInt64
  package var totalBytes: UInt64
  package var rows: UInt64
  package var bytesPerSecond: UInt64
  /// How long taking what was missing took last; nil: nothing is taken yet.
  package var lagMilliseconds: UInt64?
  /// Of the log that is followed: what comes before is not needed any more. 0: not known.
  package var shardIndex: UInt64
  package init(
    bytes: UInt64 = 0, totalBytes: UInt64 = 0, rows: UInt64 = 0, bytesPerSecond: UInt64 = 0,
    lagMilliseconds: UInt64? = nil, shardIndex: UInt64 = 0
  ) {
    self.bytes = bytes
    self.totalBytes = totalBytes
    self.rows = rows
    self.bytesPerSecond = bytesPerSecond
    self.lagMilliseconds = lagMilliseconds
    self.shardIndex = shardIndex
  }

  /// Until all bytes are done at this speed; nil: not known.
  package var secondsLeft: UInt64? {
    guard bytesPerSecond > 0, totalBytes > bytes else { return nil }
    return (totalBytes - bytes) / bytesPerSecond + 1
  }
}
