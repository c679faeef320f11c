import Metadata
import SQLTypes

/// Which replication group it is: what may become a member of it, and what people are told.
package enum GroupKind: Sendable, Hashable {
  /// That of the metadata log.
  case meta
  case shard(ShardID)

  /// `the group of meta nodes`, `shard 3`.
  var text: String {
    switch self {
    case .meta: "the group of meta nodes"
    case .shard(let id): "shard \(id)"
    }
  }

  /// Shows how far its members are.
  var listCommand: String {
    switch self {
    case .meta: "kunlog meta member list"
    case .shard(let id): "kunlog storage list --shard \(id)"
    }
  }

  /// Whether the log of facts can hold what comes of a change.
  func check(_ image: Image) throws(Rejection) {
    guard case .shard(let id) = self else { return }
    guard image.featureLevel >= FeatureLevel.coordination else {
      throw Rejection(
        .featureNotSupported, "the members of a shard cannot be changed at feature level \(image.featureLevel)",
        hint: "Upgrade all nodes, then: kunlog cluster upgrade.")
    }
    guard image.shards[id] != nil else {
      throw Rejection(
        .objectNotInPrerequisiteState, "the metadata log does not name shard \(id), as far as its leader knows",
        hint: "Add it first: kunlog shard add.")
    }
  }

  /// Whether the log of facts follows members that move.
  func checkMoves() throws(Rejection) {
    guard case .shard = self else { return }
    throw Rejection(
      .featureNotSupported, "a shard's replicas cannot change their addresses",
      hint: "Put a new one in the place of the old: kunlog storage rebuild.")
  }

  /// Whether a node may come in, by what the log of facts says of it.
  func checkNewcomer(_ id: NodeID, _ image: Image) throws(Rejection) {
    switch self {
    case .meta:
      if let known = image.nodes[id], known.role != .meta {
        throw Rejection(.duplicateObject, "node \(id) is the \(known.role) node \(known.name)")
      }
    case .shard(let shard):
      guard let known = image.nodes[id] else {
        // The shard's leader may not have read of it yet.
        throw Rejection(.objectInUse, "the leader of shard \(shard) does not know node \(id) yet")
      }
      guard known.role == .storage else {
        throw Rejection(.duplicateObject, "node \(id) is the \(known.role) node \(known.name)")
      }
      if let other = image.shards.values.first(where: { $0.id != shard && $0.replicas.contains(id) }) {
        throw Rejection(.objectInUse, "node \(id) is a replica of shard \(other.id)")
      }
    }
  }
}
