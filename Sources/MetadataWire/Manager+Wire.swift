import Metadata
import ProtocolMetadata

extension ManagerEvent {
  var wireKind: Kunlog_Metadata_V1_Event.OneOf_Kind {
    switch self {
    case .elected(let id, let epoch):
      .managerElected(
        .with {
          $0.nodeID = id.rawValue
          $0.epoch = epoch
        })
    case .resigned(let epoch): .managerResigned(.with { $0.epoch = epoch })
    }
  }

  /// nil: no event about managers.
  init?(wire: Kunlog_Metadata_V1_Event.OneOf_Kind) {
    switch wire {
    case .managerElected(let event): self = .elected(NodeID(rawValue: event.nodeID), epoch: event.epoch)
    case .managerResigned(let event): self = .resigned(epoch: event.epoch)
    default: return nil
    }
  }
}

extension ManagerCommand {
  var wireKind: Kunlog_Metadata_V1_Command.OneOf_Kind {
    switch self {
    case .elect(let id, let after):
      .electManager(
        .with {
          $0.nodeID = id.rawValue
          $0.afterEpoch = after
        })
    case .resign(let epoch): .resignManager(.with { $0.epoch = epoch })
    }
  }

  /// nil: no command about managers.
  init?(wire: Kunlog_Metadata_V1_Command.OneOf_Kind) {
    switch wire {
    case .electManager(let command): self = .elect(NodeID(rawValue: command.nodeID), after: command.afterEpoch)
    case .resignManager(let command): self = .resign(epoch: command.epoch)
    default: return nil
    }
  }
}

extension ManagerLeadership {
  /// As an image holds it.
  var wire: Kunlog_Metadata_V1_ImageManager {
    .with {
      $0.epoch = epoch
      $0.nodeID = nodeID?.rawValue ?? 0
      $0.sinceIndex = sinceIndex
    }
  }

  /// From an image.
  init(wire: Kunlog_Metadata_V1_ImageManager) {
    self.init(
      epoch: wire.epoch, nodeID: wire.nodeID == 0 ? nil : NodeID(rawValue: wire.nodeID), sinceIndex: wire.sinceIndex)
  }
}
