import Metadata

/// What is known of a cluster when it is decided which tablets should be elsewhere.
package struct RebalanceCluster: Sendable {
  package struct Shard: Sendable {
    package var id: ShardID
    /// All its tablets go elsewhere, and none comes.
    package var isDraining: Bool
    /// Of tablets; nil: no bound is known.
    package var capacityBytes: UInt64?
    /// What its fullest replica has, from which the capacity follows; for those who read the plan.
    package var space: DiskSpace?
    /// What its storage is for.
    package var shardClass: String
    package init(
      id: ShardID, isDraining: Bool = false, capacityBytes: UInt64? = nil, space: DiskSpace? = nil,
      shardClass: String = ShardClass.hot
    ) {
      self.id = id
      self.isDraining = isDraining
      self.capacityBytes = capacityBytes
      self.space = space
      self.shardClass = shardClass
    }
  }

  package struct Tablet: Sendable {
    package var id: TabletID
    /// Where it is, or, of one that moves, where it will be.
    package var shard: ShardID
    package var sizeBytes: UInt64
    /// Reads and writes per second.
    package var load: Double
    /// Those of a group come together and stay together; nil: it is on its own.
    package var group: UInt64?
    /// It counts, and stays where it is.
    package var isFixed: Bool
    /// The class of the shards on which it belongs. Those of a group have one.
    package var shardClass: String
    package init(
      id: TabletID, shard: ShardID, sizeBytes: UInt64, load: Double = 0, group: UInt64? = nil, isFixed: Bool = false,
      shardClass: String = ShardClass.hot
    ) {
      self.shardClass = shardClass
      self.id = id
      self.shard = shard
      self.sizeBytes = sizeBytes
      self.load = load
      self.group = group
      self.isFixed = isFixed
    }
  }

  package var shards: [Shard]
  package var tablets: [Tablet]
  package init(shards: [Shard], tablets: [Tablet]) {
    self.shards = shards
    self.tablets = tablets
  }
}

/// Which tablets should be elsewhere, and what that evens out.
package struct RebalancePlan: Sendable, Equatable {
  package enum Reason: Sendable, Hashable {
    /// The source is being drained.
    case drain
    /// The source has more than its share.
    case even
    /// The target has most of its group.
    case gather
    /// The target is of the class to which it belongs, the source is not.
    case shardClass
  }

  package struct Move: Sendable, Equatable {
    package var tablet: TabletID
    package var source: ShardID
    package var target: ShardID
    package var sizeBytes: UInt64
    package var load: Double
    package var reason: Reason
    /// See `RebalanceCluster.Tablet.group`: those of a group follow each other.
    package var group: UInt64?
  }

  /// How much a shard has.
  package struct Fill: Sendable, Equatable {
    package var shard: ShardID
    package var isDraining: Bool
    package var shardClass: String
    package var tablets: Int
    package var sizeBytes: UInt64
    package var load: Double
    /// Of size and load together; 1: as much as the mean of all of its class that take tablets.
    package var share: Double
  }

  package var moves: [Move] = []
  /// By shard.
  package var before: [Fill] = []
  package var after: [Fill] = []
  /// Tablets of drained shards that no shard has room for.
  package var unplaced: [TabletID] = []
  /// Shards that were passed over because they have no room for what would have come there.
  package var full: [ShardID] = []
  /// How many tablets belong to classes of which no shard takes any, by class: they stay where they are.
  package var homeless: [Homeless] = []

  package struct Homeless: Sendable, Equatable {
    package var shardClass: String
    package var tablets: Int
    package init(shardClass: String, tablets: Int) {
      self.shardClass = shardClass
      self.tablets = tablets
    }
  }

  package init() {}

  /// The moves, those of a group together: they are to be asked for in one request.
  package var batches: [[Move]] {
    var batches: [[Move]] = []
    for move in moves {
      if let group = move.group, batches.last?.last?.group == group {
        batches[batches.count - 1].append(move)
      } else {
        batches.append([move])
      }
    }
    return batches
  }

  package var sizeBytes: UInt64 { moves.reduce(0) { $0 &+ $1.sizeBytes } }
}
