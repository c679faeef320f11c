/// What has happened to a node besides its coming and going (topology.proto). Since feature level 3.
package enum NodeEvent: Sendable, Hashable {
  /// It has not answered the manager for a while. `reason`: for people.
  case failed(NodeID, reason: String)
  /// It answers again.
  case returned(NodeID)
  /// It takes no new sessions, ends once it has none, and after so many seconds in any case.
  case drainBegun(NodeID, graceSeconds: UInt32)

  package var nodeID: NodeID {
    switch self {
    case .failed(let id, _), .returned(let id), .drainBegun(let id, _): id
    }
  }

  /// See `Event.kind`.
  package var kind: String {
    switch self {
    case .failed: "NodeFailed"
    case .returned: "NodeReturned"
    case .drainBegun: "NodeDrainBegun"
    }
  }

  /// The kinds that there are.
  package static let kinds = ["NodeFailed", "NodeReturned", "NodeDrainBegun"]
}

/// What is asked about a node besides its coming and going (topology.proto).
package enum NodeCommand: Sendable, Hashable {
  /// Changes nothing where it is marked already.
  case markFailed(NodeID, reason: String)
  /// Changes nothing where it is not marked.
  case markWell(NodeID)
  /// Of a compute node.
  case drain(NodeID, graceSeconds: UInt32)
}
