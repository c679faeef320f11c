import SQLTypes

/// Which manager acts.
extension Decision {
  mutating func decide(_ command: ManagerCommand) throws(Rejection) {
    switch command {
    case .elect(let id, let after): try electManager(id, after)
    case .resign(let epoch):
      try checkManagerEpoch(epoch)
      if image.manager.nodeID != nil { emit(.manager(.resigned(epoch: epoch))) }
    }
  }

  private mutating func electManager(_ id: NodeID, _ after: UInt64) throws(Rejection) {
    let node = try node(id)
    guard node.role == .manager else {
      throw Rejection(.wrongObjectType, "node \(id) is a \(node.role) node, not a manager")
    }
    let manager = image.manager
    guard after == manager.epoch, manager.epoch < .max else {
      throw Rejection(
        .serializationFailure, "another manager was elected since epoch \(after)", detail: managerText,
        hint: "Read the state anew, and ask again only where that manager is silent.")
    }
    emit(.manager(.elected(id, epoch: manager.epoch + 1)))
  }

  /// Refuses who manages no longer.
  func checkManagerEpoch(_ epoch: UInt64) throws(Rejection) {
    guard epoch == image.manager.epoch, epoch > 0 else {
      throw Rejection(
        .serializationFailure, "manager epoch \(epoch) has ended", detail: managerText,
        hint: "Stop acting as the manager; another election is needed to become it again.")
    }
  }

  private var managerText: String {
    let manager = image.manager
    guard manager.epoch > 0 else { return "No manager has been elected yet." }
    guard let id = manager.nodeID else {
      return "Nobody manages: epoch \(manager.epoch) ended with record \(manager.sinceIndex)."
    }
    let name = image.nodes[id].map { " (\($0.name))" } ?? ""
    return "Node \(id)\(name) manages since record \(manager.sinceIndex), epoch \(manager.epoch)."
  }
}
