/// What has happened to the managers' leadership (manager.proto). Since feature level 3.
package enum ManagerEvent: Sendable, Hashable {
  /// It manages from now on; earlier epochs have ended.
  case elected(NodeID, epoch: UInt64)
  /// Nobody manages until the next election.
  case resigned(epoch: UInt64)

  /// See `Event.kind`.
  package var kind: String {
    switch self {
    case .elected: "ManagerElected"
    case .resigned: "ManagerResigned"
    }
  }

  /// The kinds that there are.
  package static let kinds = ["ManagerElected", "ManagerResigned"]
}

/// What managers ask for (manager.proto).
package enum ManagerCommand: Sendable, Hashable {
  /// `after`: the epoch that the asker found.
  case elect(NodeID, after: UInt64)
  case resign(epoch: UInt64)
}

/// Which manager acts.
package struct ManagerLeadership: Sendable, Hashable {
  /// 0: there has been none.
  package var epoch: UInt64
  /// nil: resigned, or there has been none.
  package var nodeID: NodeID?
  /// The record with its election or resignation.
  package var sinceIndex: UInt64
  package init(epoch: UInt64 = 0, nodeID: NodeID? = nil, sinceIndex: UInt64 = 0) {
    self.epoch = epoch
    self.nodeID = nodeID
    self.sinceIndex = sinceIndex
  }

  mutating func apply(_ event: ManagerEvent, at recordIndex: UInt64) {
    switch event {
    case .elected(let node, let epoch): self = ManagerLeadership(epoch: epoch, nodeID: node, sinceIndex: recordIndex)
    case .resigned(let epoch):
      guard epoch == self.epoch else { return }
      self = ManagerLeadership(epoch: epoch, nodeID: nil, sinceIndex: recordIndex)
    }
  }
}
