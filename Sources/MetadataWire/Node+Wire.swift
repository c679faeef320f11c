import Metadata
import ProtocolMetadata

extension NodeEvent {
  var wireKind: Kunlog_Metadata_V1_Event.OneOf_Kind {
    switch self {
    case .failed(let id, let reason):
      .nodeFailed(
        .with {
          $0.nodeID = id.rawValue
          $0.reason = reason
        })
    case .returned(let id): .nodeReturned(.with { $0.nodeID = id.rawValue })
    case .drainBegun(let id, let seconds):
      .nodeDrainBegun(
        .with {
          $0.nodeID = id.rawValue
          $0.graceSeconds = seconds
        })
    }
  }

  /// nil: no event about how a node fares.
  init?(wire: Kunlog_Metadata_V1_Event.OneOf_Kind) {
    switch wire {
    case .nodeFailed(let event): self = .failed(NodeID(rawValue: event.nodeID), reason: event.reason)
    case .nodeReturned(let event): self = .returned(NodeID(rawValue: event.nodeID))
    case .nodeDrainBegun(let event):
      self = .drainBegun(NodeID(rawValue: event.nodeID), graceSeconds: event.graceSeconds)
    default: return nil
    }
  }
}

extension NodeCommand {
  var wireKind: Kunlog_Metadata_V1_Command.OneOf_Kind {
    switch self {
    case .markFailed(let id, let reason):
      .markNodeFailed(
        .with {
          $0.nodeID = id.rawValue
          $0.reason = reason
        })
    case .markWell(let id): .markNodeWell(.with { $0.nodeID = id.rawValue })
    case .drain(let id, let seconds):
      .drainNode(
        .with {
          $0.nodeID = id.rawValue
          $0.graceSeconds = seconds
        })
    }
  }

  /// nil: no command about how a node fares.
  init?(wire: Kunlog_Metadata_V1_Command.OneOf_Kind) {
    switch wire {
    case .markNodeFailed(let command): self = .markFailed(NodeID(rawValue: command.nodeID), reason: command.reason)
    case .markNodeWell(let command): self = .markWell(NodeID(rawValue: command.nodeID))
    case .drainNode(let command):
      self = .drain(NodeID(rawValue: command.nodeID), graceSeconds: command.graceSeconds)
    default: return nil
    }
  }
}
