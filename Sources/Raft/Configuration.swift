/// A member of a group and where it is reached.
package struct Member: Sendable, Hashable {
  /// The member's number.
  package var id: NodeID
  /// Where the member takes Raft's messages, as `host:port`.
  package var address: String
  /// The random id of the directory that holds the member's log: what it has promised is there and nowhere else. 0 until a
  /// leader has heard of it.
  package var disk: UInt64

  /// Makes a member.
  package init(id: NodeID, address: String, disk: UInt64 = 0) {
    self.id = id
    self.address = address
    self.disk = disk
  }
}

/// Who belongs to a group. Joint while the voters change by more than one (Raft paper, section 6).
///
/// Invariants: `members` is sorted by id and names every id of the three lists; the lists are sorted; no learner votes;
/// `outgoingVoters` is empty unless the configuration is joint.
package struct Configuration: Sendable, Equatable {
  /// Everybody, leaving voters included.
  package private(set) var members: [Member]
  /// Those whose majority decides.
  package private(set) var voters: [NodeID]
  /// While joint: the voters of the old configuration, whose majority is needed as well.
  package private(set) var outgoingVoters: [NodeID]
  /// Those who receive the log but do not vote.
  package private(set) var learners: [NodeID]

  /// Nobody: what a node has that waits to be told of its group.
  package static let empty = Configuration(voters: [])

  /// Makes a configuration that is not joint.
  package init(voters: [Member], learners: [Member] = []) {
    self.init(
      members: voters + learners, voters: voters.map(\.id), outgoingVoters: [], learners: learners.map(\.id))
  }

  init(members: [Member], voters: [NodeID], outgoingVoters: [NodeID], learners: [NodeID]) {
    self.members = members.sorted { $0.id < $1.id }
    self.voters = voters.sorted()
    self.outgoingVoters = outgoingVoters.sorted()
    self.learners = learners.sorted()
  }

  /// Whether two majorities are needed.
  package var isJoint: Bool { !outgoingVoters.isEmpty }

  /// Whether the member's vote counts, in the old configuration or in the new one.
  package func isVoter(_ id: NodeID) -> Bool { voters.contains(id) || outgoingVoters.contains(id) }

  /// The member with this number, nil when it does not belong to the group.
  package func member(_ id: NodeID) -> Member? { members.first { $0.id == id } }

  /// The disk of the member; nil when it does not belong to the group, 0 when its disk is not known.
  package func disk(of id: NodeID) -> UInt64? {
    for position in members.indices where members[position].id == id { return members[position].disk }
    return nil
  }

  /// The same members and quorums, with the disks given where none is known.
  package func recording(_ disks: [NodeID: UInt64]) -> Configuration {
    var next = self
    for position in members.indices where members[position].disk == 0 {
      next.members[position].disk = disks[members[position].id] ?? 0
    }
    return next
  }

  /// Whether the two have the same quorums.
  func hasQuorums(of other: Configuration) -> Bool { voters == other.voters && outgoingVoters == other.outgoingVoters }

  /// Whether those for whom the predicate holds form a quorum. False without voters.
  package func hasQuorum(_ predicate: (NodeID) -> Bool) -> Bool {
    Self.hasMajority(voters, predicate) && (!isJoint || Self.hasMajority(outgoingVoters, predicate))
  }

  /// The greatest value that a quorum has reached, 0 without voters.
  package func quorumValue(_ value: (NodeID) -> UInt64) -> UInt64 {
    let incoming = Self.majorityValue(voters, value)
    return isJoint ? min(incoming, Self.majorityValue(outgoingVoters, value)) : incoming
  }

  private static func hasMajority(_ ids: [NodeID], _ predicate: (NodeID) -> Bool) -> Bool {
    var count = 0
    for id in ids where predicate(id) { count += 1 }
    return count > ids.count / 2
  }

  // Groups are small: comparing all pairs beats sorting, and allocates nothing on the path of every acknowledgement.
  private static func majorityValue(_ ids: [NodeID], _ value: (NodeID) -> UInt64) -> UInt64 {
    var best: UInt64 = 0
    for id in ids {
      let candidate = value(id)
      guard candidate > best else { continue }
      var reached = 0
      for other in ids where value(other) >= candidate { reached += 1 }
      if reached > ids.count / 2 { best = candidate }
    }
    return best
  }
}

/// One wish about the members of a group.
package enum MembershipChange: Sendable, Equatable {
  /// Adds a member that receives the log but does not vote.
  case addLearner(Member)
  /// Gives a learner that has caught up a vote.
  case promote(NodeID)
  /// Takes a member out of the group.
  case remove(NodeID)
  /// Says where a member is now reached.
  case changeAddress(Member)
}

/// Why a change of members makes no sense.
package enum MembershipError: Error, Sendable, Equatable {
  /// The member is there already.
  case alreadyMember(NodeID)
  /// No such member.
  case notMember(NodeID)
  /// Only learners are promoted.
  case notLearner(NodeID)
  /// Nobody would be left to vote.
  case noVotersLeft
}

extension Configuration {
  /// The configuration after the changes: joint when the voters change by more than one.
  package func applying(_ changes: [MembershipChange]) throws(MembershipError) -> Configuration {
    var next = self
    for change in changes { try next.apply(change) }
    guard !next.voters.isEmpty else { throw .noVotersLeft }
    let changed = Set(voters).symmetricDifference(next.voters).count
    guard changed > 1 else { return next }
    var everybody = next.members
    for member in members where next.member(member.id) == nil && voters.contains(member.id) { everybody.append(member) }
    return Configuration(
      members: everybody, voters: next.voters, outgoingVoters: voters, learners: next.learners)
  }

  /// The configuration that a joint one leads to.
  package var leavingJoint: Configuration {
    let staying = members.filter { voters.contains($0.id) || learners.contains($0.id) }
    return Configuration(members: staying, voters: voters, outgoingVoters: [], learners: learners)
  }

  private mutating func apply(_ change: MembershipChange) throws(MembershipError) {
    switch change {
    case .addLearner(let member):
      guard self.member(member.id) == nil else { throw .alreadyMember(member.id) }
      self = Configuration(
        members: members + [member], voters: voters, outgoingVoters: [], learners: learners + [member.id])
    case .promote(let id):
      guard member(id) != nil else { throw .notMember(id) }
      guard learners.contains(id) else { throw .notLearner(id) }
      self = Configuration(
        members: members, voters: voters + [id], outgoingVoters: [], learners: learners.filter { $0 != id })
    case .remove(let id):
      guard member(id) != nil else { throw .notMember(id) }
      self = Configuration(
        members: members.filter { $0.id != id }, voters: voters.filter { $0 != id }, outgoingVoters: [],
        learners: learners.filter { $0 != id })
    case .changeAddress(let member):
      guard let disk = disk(of: member.id) else { throw .notMember(member.id) }
      let moved = Member(id: member.id, address: member.address, disk: disk)
      self = Configuration(
        members: members.filter { $0.id != member.id } + [moved], voters: voters, outgoingVoters: [],
        learners: learners)
    }
  }
}
