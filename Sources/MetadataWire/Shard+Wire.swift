import Metadata
import ProtocolMetadata

extension ShardEvent {
  var wireKind: Kunlog_Metadata_V1_Event.OneOf_Kind {
    switch self {
    case .drainBegun(let id, let reason):
      .shardDrainBegun(
        .with {
          $0.shardID = id.rawValue
          $0.reason = reason
        })
    case .drainCancelled(let id): .shardDrainCancelled(.with { $0.shardID = id.rawValue })
    case .removed(let id): .shardRemoved(.with { $0.shardID = id.rawValue })
    case .classSet(let id, let name):
      .shardClassSet(
        .with {
          $0.shardID = id.rawValue
          $0.shardClass = wireClass(name)
        })
    }
  }

  /// nil: no event about the life of shards.
  init?(wire: Kunlog_Metadata_V1_Event.OneOf_Kind) {
    switch wire {
    case .shardDrainBegun(let event): self = .drainBegun(ShardID(rawValue: event.shardID), reason: event.reason)
    case .shardDrainCancelled(let event): self = .drainCancelled(ShardID(rawValue: event.shardID))
    case .shardRemoved(let event): self = .removed(ShardID(rawValue: event.shardID))
    case .shardClassSet(let event):
      self = .classSet(ShardID(rawValue: event.shardID), namedClass(event.shardClass))
    default: return nil
    }
  }
}

extension ShardCommand {
  var wireKind: Kunlog_Metadata_V1_Command.OneOf_Kind {
    switch self {
    case .drain(let id, let reason):
      .drainShard(
        .with {
          $0.shardID = id.rawValue
          $0.reason = reason
        })
    case .undrain(let id): .undrainShard(.with { $0.shardID = id.rawValue })
    case .remove(let id): .removeShard(.with { $0.shardID = id.rawValue })
    case .removeReplica(let id, let node):
      .removeReplica(
        .with {
          $0.shardID = id.rawValue
          $0.nodeID = node.rawValue
        })
    case .setClass(let id, let name):
      .setShardClass(
        .with {
          $0.shardID = id.rawValue
          $0.shardClass = wireClass(name)
        })
    }
  }

  /// nil: no command about the life of shards.
  init?(wire: Kunlog_Metadata_V1_Command.OneOf_Kind) {
    switch wire {
    case .drainShard(let command): self = .drain(ShardID(rawValue: command.shardID), reason: command.reason)
    case .undrainShard(let command): self = .undrain(ShardID(rawValue: command.shardID))
    case .removeShard(let command): self = .remove(ShardID(rawValue: command.shardID))
    case .removeReplica(let command):
      self = .removeReplica(ShardID(rawValue: command.shardID), NodeID(rawValue: command.nodeID))
    case .setShardClass(let command):
      self = .setClass(ShardID(rawValue: command.shardID), namedClass(command.shardClass))
    default: return nil
    }
  }
}
