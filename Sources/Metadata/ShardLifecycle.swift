/// What has happened to a shard besides its creation (topology.proto). Since feature level 3.
package enum ShardEvent: Sendable, Hashable {
  /// It takes no new tablets from now on; managers move those that it has elsewhere. `reason`: for people.
  case drainBegun(ShardID, reason: String)
  /// It takes tablets again.
  case drainCancelled(ShardID)
  /// It is no more, and its number is never used again.
  case removed(ShardID)
  /// It is of that class from now on (`ShardClass`).
  case classSet(ShardID, String)

  package var shardID: ShardID {
    switch self {
    case .drainBegun(let id, _), .drainCancelled(let id), .removed(let id), .classSet(let id, _): id
    }
  }

  /// See `Event.kind`.
  package var kind: String {
    switch self {
    case .drainBegun: "ShardDrainBegun"
    case .drainCancelled: "ShardDrainCancelled"
    case .removed: "ShardRemoved"
    case .classSet: "ShardClassSet"
    }
  }

  /// The kinds that there are.
  package static let kinds = ["ShardDrainBegun", "ShardDrainCancelled", "ShardRemoved", "ShardClassSet"]
}

/// What is asked about a shard besides its creation (topology.proto).
package enum ShardCommand: Sendable, Hashable {
  /// Changes nothing where it is being drained already.
  case drain(ShardID, reason: String)
  /// Changes nothing where it is not being drained.
  case undrain(ShardID)
  /// Refused while anything needs it. Its nodes are removed with it.
  case remove(ShardID)
  /// The node is a replica no more, and is removed.
  case removeReplica(ShardID, NodeID)
  /// Changes nothing where it is of that class already. Refused for the last hot shard that takes tablets.
  case setClass(ShardID, String)
}

extension Image {
  /// The number that the next shard gets: above all that there are and have been.
  package var nextShardID: ShardID {
    ShardID(rawValue: max(shards.keys.max()?.rawValue ?? 0, removedShards.max()?.rawValue ?? 0) + 1)
  }
}
