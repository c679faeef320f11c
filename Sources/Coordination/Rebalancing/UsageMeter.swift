import Metadata

/// What a shard's leader says of one of its tablets.
package struct TabletUsage: Sendable, Hashable {
  package var sizeBytes: UInt64
  /// Reads and writes since the leader's process began to serve.
  package var operations: UInt64
  package init(sizeBytes: UInt64, operations: UInt64) {
    self.sizeBytes = sizeBytes
    self.operations = operations
  }
}

/// Sizes and loads of tablets, from what leaders have said at several times. Loads are averages over about half a minute.
package struct UsageMeter: Sendable {
  private static let memoryMilliseconds = 30_000.0

  private struct Entry: Sendable {
    var shard: ShardID
    var usage: TabletUsage
    var atMilliseconds: UInt64
    /// Operations per second; nil: it was heard of once.
    var load: Double?
  }

  private struct Disk: Sendable {
    /// Of the fullest replica.
    var space: DiskSpace
    /// Of the tablets that were there then.
    var sizeBytes: UInt64
  }

  private var entries: [TabletID: Entry] = [:]
  private var disks: [ShardID: Disk] = [:]

  package init() {}

  /// Takes what the replicas of a shard have said.
  package mutating func add(_ usage: ShardUsage, of shard: ShardID, nowMilliseconds now: UInt64) {
    disks[shard] = usage.fullest.map { Disk(space: $0.space, sizeBytes: usage.sizeBytes) }
    for (tablet, usage) in usage.tablets {
      guard var entry = entries[tablet], entry.shard == shard, usage.operations >= entry.usage.operations,
        now > entry.atMilliseconds
      else {
        // Its first, or another process counts from 0: what it had been loaded with still tells most.
        entries[tablet] = Entry(
          shard: shard, usage: usage, atMilliseconds: now, load: entries[tablet]?.load)
        continue
      }
      let milliseconds = Double(now - entry.atMilliseconds)
      let load = Double(usage.operations - entry.usage.operations) * 1000 / milliseconds
      let part = entry.load == nil ? 1 : milliseconds / (milliseconds + Self.memoryMilliseconds)
      entry.load = (entry.load ?? 0) * (1 - part) + load * part
      entry.usage = usage
      entry.atMilliseconds = now
      entries[tablet] = entry
    }
  }

  /// The image's shards and tablets with what is known of them. Tablets that move count where they go, and stay.
  /// - Parameter timeMicroseconds: now, since 1970-01-01 UTC: what has expired by then belongs to the class `cold`.
  package mutating func cluster(_ image: Image, timeMicroseconds: Int64) -> RebalanceCluster {
    if entries.contains(where: { image.tablets[$0.key] == nil }) {
      entries = entries.filter { image.tablets[$0.key] != nil }
    }
    let hasGroups = !image.tablesOfGroup.isEmpty
    var groups: [GroupPlace: UInt64] = [:]
    var classifier = ShardClassifier(image, timeMicroseconds: timeMicroseconds)
    return RebalanceCluster(
      shards: image.shards.values.sorted { $0.id < $1.id }.map {
        let disk = disks[$0.id]
        return RebalanceCluster.Shard(
          id: $0.id, isDraining: $0.isDraining, capacityBytes: disk.map { $0.sizeBytes &+ $0.space.roomBytes },
          space: disk?.space, shardClass: $0.shardClass)
      },
      // Mirror tables are everywhere, and move nowhere.
      tablets: image.tablets.values.filter { !$0.isMirror }.sorted { $0.id < $1.id }.map { tablet in
        let entry = entries[tablet.id]
        var group: UInt64?
        if hasGroups, let place = image.groupPlace(of: tablet.id) {
          let number = groups[place] ?? UInt64(groups.count)
          groups[place] = number
          group = number
        }
        return RebalanceCluster.Tablet(
          id: tablet.id, shard: image.destination(of: tablet), sizeBytes: entry?.usage.sizeBytes ?? 0,
          load: entry?.load ?? 0, group: group, isFixed: image.migrations.open(of: tablet.id) != nil,
          shardClass: classifier.answer(for: tablet).shardClass)
      })
  }
}

/// How the cluster evens itself out: settings in the metadata log.
package struct RebalanceSettings: Sendable, Equatable {
  /// `on` or `off`.
  package static let automaticName = "rebalance.automatic"
  package static let migrationsName = "rebalance.migrations"
  package static let standardMigrations = 4

  /// Whether managers even shards out by themselves.
  package var isAutomatic: Bool
  /// So many migrations a manager plans at a time.
  package var maximumMigrations: Int

  package init(_ image: Image) {
    isAutomatic = image.settings[Self.automaticName] == "on"
    let migrations = image.settings[Self.migrationsName].flatMap { Int($0) } ?? Self.standardMigrations
    maximumMigrations = min(max(migrations, 1), 64)
  }
}
