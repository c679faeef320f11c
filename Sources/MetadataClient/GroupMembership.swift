import Metadata
import ProtocolMetadata

/// A replication group, as one of its members describes it.
package struct GroupMembership: Sendable, Hashable {
  /// What a member is to the group.
  package enum Standing: String, Sendable, Hashable, Codable {
    /// Its vote counts.
    case voter
    /// Receives the log, does not vote.
    case learner
    /// Its vote counts until the change that is under way is done.
    case leaving
  }

  /// One node of the group.
  package struct Member: Sendable, Hashable {
    package var nodeID: NodeID
    /// Empty where the log of facts does not name the node.
    package var name: String
    /// `host:port`.
    package var address: String
    package var standing: Standing
    /// The last entry that is durable there; nil where not the leader answered.
    package var matchIndex: UInt64?
    /// Whether the leader heard of it within the last election timeout; nil where not the leader answered.
    package var isAlive: Bool?
    /// Whether it is near enough to the log's end to be given a vote; nil where not the leader answered.
    package var isCaughtUp: Bool?
  }

  package var clusterID: ClusterID?
  /// Who answered.
  package var nodeID: NodeID
  /// The entry that put these members in force: the version that a change names.
  package var configurationIndex: UInt64
  /// Whether a change of several voters is under way.
  package var isJoint: Bool
  package var term: UInt64
  /// nil where none is known.
  package var leaderID: NodeID?
  package var commitIndex: UInt64
  package var lastIndex: UInt64
  /// By node id.
  package var members: [Member]

  /// The member with this id.
  package func member(_ id: NodeID) -> Member? { members.first { $0.nodeID == id } }

  init(_ wire: Kunlog_Metadata_V1_Membership) {
    clusterID = wire.clusterID.count == 16 ? ClusterID(rawValue: [UInt8](wire.clusterID)) : nil
    nodeID = NodeID(rawValue: wire.nodeID)
    configurationIndex = wire.configurationIndex
    isJoint = wire.isJoint
    term = wire.term
    leaderID = wire.leaderNodeID == 0 ? nil : NodeID(rawValue: wire.leaderNodeID)
    commitIndex = wire.commitIndex
    lastIndex = wire.lastIndex
    members = wire.members.map { member in
      let standing: Standing =
        switch member.standing {
        case .learner: .learner
        case .leaving: .leaving
        default: .voter
        }
      return Member(
        nodeID: NodeID(rawValue: member.nodeID), name: member.name, address: member.address, standing: standing,
        matchIndex: member.hasMatchIndex ? member.matchIndex : nil, isAlive: member.hasIsAlive ? member.isAlive : nil,
        isCaughtUp: member.hasIsCaughtUp ? member.isCaughtUp : nil)
    }
  }
}

/// One wish about the members.
package enum GroupMemberChange: Sendable, Hashable {
  /// Adds a node that receives the log but does not vote; nil name: `meta-<id>`; a shard's nodes have theirs already.
  case addLearner(NodeID, name: String?, MetadataEndpoint)
  /// Gives a learner that has caught up a vote.
  case promote(NodeID)
  /// Takes a node out of the group, for ever.
  case remove(NodeID)
  /// Says where a node is now reached.
  case setAddress(NodeID, MetadataEndpoint)

  var wire: Kunlog_Metadata_V1_MemberChange {
    .with {
      switch self {
      case .addLearner(let id, let name, let endpoint):
        $0.addLearner = .with {
          $0.nodeID = id.rawValue
          $0.name = name ?? ""
          $0.host = endpoint.host
          $0.port = UInt32(clamping: endpoint.port)
        }
      case .promote(let id): $0.promote = id.rawValue
      case .remove(let id): $0.remove = id.rawValue
      case .setAddress(let id, let endpoint):
        $0.setAddress = .with {
          $0.nodeID = id.rawValue
          $0.host = endpoint.host
          $0.port = UInt32(clamping: endpoint.port)
        }
      }
    }
  }
}
