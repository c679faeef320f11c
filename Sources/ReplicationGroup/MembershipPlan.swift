import Metadata
import ProtocolMetadata
import Raft
import Replica
import SQLTypes

/// An operator's change of the members, checked for what would do harm: consensus itself only refuses what makes no sense.
package struct MembershipPlan {
  /// In the order in which they were asked for.
  package private(set) var changes: [MembershipChange] = []
  /// Names for the nodes that come in.
  package private(set) var names: [UInt64: String] = [:]
  /// Who leaves.
  package private(set) var removed: Set<UInt64> = []
  /// The live voter that stays whose log is furthest; nil where there is none but the leader.
  package private(set) var successor: UInt64?

  private let status: ReplicaStatus
  private let image: Image
  private let kind: GroupKind

  package init(
    _ wire: [Kunlog_Metadata_V1_MemberChange], of kind: GroupKind, status: ReplicaStatus, image: Image
  ) throws(Rejection) {
    self.status = status
    self.image = image
    self.kind = kind
    try kind.check(image)
    guard !wire.isEmpty else { throw Rejection(.invalidParameterValue, "no change of the members was asked for") }
    var voters = Set(status.members.filter { $0.isVoter && !$0.isLeaving }.map(\.id))
    // Of these a vote can be hoped for.
    var alive = Set(status.members.filter { $0.isAlive == true }.map(\.id))
    for change in wire {
      switch change.kind {
      case .addLearner(let learner): try add(learner)
      case .promote(let id):
        changes.append(.promote(id))
        voters.insert(id)
      case .remove(let id):
        changes.append(.remove(id))
        removed.insert(id)
        voters.remove(id)
      case .setAddress(let move):
        try kind.checkMoves()
        try checkAddress(of: move.nodeID, move.host, move.port)
        changes.append(.changeAddress(Member(id: move.nodeID, address: Self.address(move.host, move.port))))
        // It is not known to be there.
        alive.remove(move.nodeID)
      case nil: throw Rejection(.featureNotSupported, "a change of the members of a kind that this node does not know")
      }
    }
    try checkQuorum(voters: voters, alive: alive)
    let leader = status.leaderID
    successor =
      status.members
      .filter { voters.contains($0.id) && $0.isVoter && $0.isAlive == true && $0.id != leader }
      .max { ($0.matchIndex ?? 0) < ($1.matchIndex ?? 0) }?.id
  }

  private mutating func add(_ learner: Kunlog_Metadata_V1_MemberChange.AddLearner) throws(Rejection) {
    let id = Metadata.NodeID(rawValue: learner.nodeID)
    guard learner.nodeID != 0 else { throw Rejection(.invalidParameterValue, "a node's id is above 0") }
    guard !image.removedNodes.contains(id) else {
      throw Rejection(
        .objectNotInPrerequisiteState, "node \(id) was removed, and its id is never used again",
        hint: "Give the node a new id and an empty data directory.")
    }
    try kind.checkNewcomer(id, image)
    guard learner.name.utf8.count <= 63 else {
      throw Rejection(.invalidParameterValue, "a node's name has at most 63 bytes")
    }
    try checkAddress(of: learner.nodeID, learner.host, learner.port)
    changes.append(.addLearner(Member(id: learner.nodeID, address: Self.address(learner.host, learner.port))))
    if !learner.name.isEmpty { names[learner.nodeID] = learner.name }
  }

  private func checkAddress(of id: UInt64, _ host: String, _ port: UInt32) throws(Rejection) {
    guard !host.isEmpty, host.utf8.count <= 255, (1...65_535).contains(port) else {
      throw Rejection(.invalidParameterValue, "\"\(host)\" with port \(port) is not an address")
    }
    let address = Self.address(host, port)
    if let other = status.members.first(where: { $0.address == address && $0.id != id }) {
      throw Rejection(.duplicateObject, "node \(other.id) is at \(address) already")
    }
    if let other = image.nodes.values.first(where: {
      $0.host == host && $0.port == Int(port) && $0.id.rawValue != id
    }) {
      throw Rejection(.duplicateObject, "the \(other.role) node \(other.name) is at \(address) already")
    }
  }

  /// A change that leaves no live majority could not even be committed: the group would stop with it.
  private func checkQuorum(voters: Set<UInt64>, alive: Set<UInt64>) throws(Rejection) {
    guard !voters.isEmpty else {
      throw Rejection(.objectNotInPrerequisiteState, "nobody would be left to vote")
    }
    let dead = voters.subtracting(alive).sorted()
    guard (voters.count - dead.count) * 2 > voters.count else {
      throw Rejection(
        .objectNotInPrerequisiteState,
        "of the \(voters.count) voters that there would be, only \(voters.count - dead.count) could be reached: "
          + "the group would stop",
        detail: "Not heard of: " + dead.map { "node \($0)" }.joined(separator: ", ") + ".",
        hint: "Bring them back first, or remove them first while a majority of the present voters is there.")
    }
  }

  private static func address(_ host: String, _ port: UInt32) -> String {
    host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
  }
}

extension Rejection {
  /// Why consensus declined a change, for operators.
  init(_ refusal: Refusal, of kind: GroupKind) {
    switch refusal {
    case .notLeader: self.init(.objectInUse, "the leadership has changed")
    case .diskFull: self.init(.insufficientResources, "the disk is full")
    case .overloaded, .transferring: self.init(.objectInUse, "the leadership is being handed over")
    case .membershipChangePending: self.init(.objectInUse, "another change of the members is under way")
    case .notCaughtUp(let id):
      self.init(
        .objectInUse, "node \(id) lacks too much of the log to be given a vote",
        hint: "Wait until it has caught up: \(kind.listCommand).")
    case .membership(.alreadyMember(let id)): self.init(.duplicateObject, "node \(id) is a member already")
    case .membership(.notMember(let id)): self.init(.undefinedObject, "node \(id) is not a member")
    case .membership(.notLearner(let id)): self.init(.wrongObjectType, "node \(id) is no learner")
    case .membership(.noVotersLeft): self.init(.objectNotInPrerequisiteState, "nobody would be left to vote")
    }
  }
}
