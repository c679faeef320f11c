import SQLTypes

/// How nodes fare, and how they end.
extension Decision {
  mutating func decide(_ command: NodeCommand) throws(Rejection) {
    switch command {
    case .markFailed(let id, let reason):
      let node = try node(id)
      try checkRemark(reason)
      guard !reason.isEmpty else { throw Rejection(.invalidParameterValue, "a failure has a reason") }
      if node.failure == nil { emit(.node(.failed(id, reason: reason))) }
    case .markWell(let id):
      if try node(id).failure != nil { emit(.node(.returned(id))) }
    case .drain(let id, let seconds):
      let node = try node(id)
      guard node.role == .compute else {
        throw Rejection(
          .wrongObjectType, "node \(id) is a \(node.role) node, not a compute node",
          hint: node.role == .storage ? "kunlog storage remove, or kunlog shard drain." : nil)
      }
      guard seconds <= 86_400 else {
        throw Rejection(.invalidParameterValue, "a node's sessions have at most 86400 s to end")
      }
      guard image.nodes.values.contains(where: { $0.role == .compute && $0.id != id && $0.drainSeconds == nil }) else {
        throw Rejection(
          .objectNotInPrerequisiteState, "node \(id) is the last compute node: nobody would take clients",
          hint: "Add one first: kunlog compute add.")
      }
      if node.drainSeconds != seconds { emit(.node(.drainBegun(id, graceSeconds: seconds))) }
    }
  }

  /// The group has taken the node out: what is left is to say so.
  mutating func removeReplica(_ id: ShardID, _ replica: NodeID) throws(Rejection) {
    if image.removedNodes.contains(replica) { return }
    let shard = try shard(id)
    guard shard.replicas.contains(replica) else { return }
    guard shard.replicas.count > 1 else {
      throw Rejection(
        .objectNotInPrerequisiteState, "node \(replica) is the last replica of shard \(id)",
        hint: "Add another one first (kunlog storage add), or remove the shard: kunlog shard remove \(id).")
    }
    emit(.replicaRemoved(id, replica))
    if image.nodes[replica] != nil { emit(.nodeRemoved(replica)) }
  }
}
