import Metadata

/// What is free on the file system that holds a replica's data, in bytes. Replicas of several shards may share one.
package struct DiskSpace: Sendable, Hashable {
  package var freeBytes: UInt64
  package var totalBytes: UInt64
  package init(freeBytes: UInt64, totalBytes: UInt64) {
    self.freeBytes = freeBytes
    self.totalBytes = totalBytes
  }

  /// A tablet that comes takes its size about so often: its file, the shard's last snapshot and the one that is being written; its
  /// log is let go with them.
  private static let copies: UInt64 = 3

  /// So much is left free by moves, for the shard's log and for what it has taken in already: 5 %, between 64 MiB and 1 GiB.
  package var keptBytes: UInt64 { min(max(totalBytes / 20, 64 << 20), 1 << 30) }

  /// Whether a move that is under way may not go on.
  package var isLow: Bool { freeBytes < keptBytes }

  /// For so many bytes of tablets there is room.
  package var roomBytes: UInt64 { (freeBytes - min(freeBytes, keptBytes)) / Self.copies }
}

/// What a shard's replicas say of it.
package struct ShardUsage: Sendable, Hashable {
  /// As its leader has them.
  package var tablets: [TabletID: TabletUsage]
  /// Of those replicas that have answered and know it.
  package var spaces: [NodeID: DiskSpace]
  package init(tablets: [TabletID: TabletUsage], spaces: [NodeID: DiskSpace] = [:]) {
    self.tablets = tablets
    self.spaces = spaces
  }

  /// The replica with the least room: it decides what the shard can take. nil: none is known.
  package var fullest: (node: NodeID, space: DiskSpace)? {
    spaces.min { ($0.value.roomBytes, $0.value.freeBytes, $0.key) < ($1.value.roomBytes, $1.value.freeBytes, $1.key) }
      .map { (node: $0.key, space: $0.value) }
  }

  /// Whether tablets of so many bytes fit there; true where nothing is known.
  package func hasRoom(forBytes bytes: UInt64) -> Bool { fullest.map { $0.space.roomBytes >= bytes } ?? true }

  /// What its leader has, whatever the metadata say of it.
  package var sizeBytes: UInt64 { tablets.values.reduce(0) { $0 &+ $1.sizeBytes } }
}
