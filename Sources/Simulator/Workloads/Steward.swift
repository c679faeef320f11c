import Metadata
import Raft

/// The operator of the group: replaces members that are lost, and members that are not, because somebody wished so.
struct Steward {
  /// What somebody wants of the members.
  enum Wish {
    /// A new member takes an old one's place, in one step (joint consensus).
    case replace
    /// One voter more, for a while.
    case grow
    /// One voter less, for a while.
    case shrink
  }

  /// What the run is in.
  enum Phase {
    case turmoil
    /// A quorum is being made well.
    case healing
    case calm
  }

  var phase = Phase.turmoil
  /// Nodes that stay broken through a calm, by slot.
  var broken: [Int] = []
  /// The members that each node went by when it was last looked at.
  var seenMembers = [Configuration?](repeating: nil, count: World.nodeSlots)
  var wish: Wish?
  /// Members that were taken out: their processes go on until then, not knowing what befell them.
  var leaving: [(slot: Int, until: UInt64)] = []

  func isHurried(_ chance: inout Chance) -> Bool { chance.below(4) == 0 }

  /// Wants something, if nothing else is wanted.
  mutating func wish(_ chance: inout Chance) -> Bool {
    guard wish == nil else { return false }
    let wishes: [Wish] = [.replace, .replace, .grow, .shrink]
    wish = wishes[chance.below(wishes.count)]
    return true
  }
}

extension World {
  /// The operator looks around.
  func stewardTurn() {
    add(.phase, at: 1, after: 2_000_000)
    checkBounds()
    for node in nodes {
      sweepTransfers(node)
      // Damage shows when it is read.
      if node.isDamageHidden, node.isAlive, faultChance.below(3) == 0 {
        crash(node, losesPower: faultChance.below(2) == 0, restartsAfter: 100_000 + faultChance.below(2_000_000))
      }
    }
    replaceOldPrograms()
    for leaving in steward.leaving where leaving.until <= now { retire(leaving.slot) }
    steward.leaving.removeAll { $0.until <= now }
    if let leader, hasSettledMembers(leader) {
      forgetRemoved(leader.core.raft.configuration)
    }
    if let leader, leader.busyUntil <= now, tellAddresses(leader) { return }
    guard steward.phase != .calm, let node = leader, node.busyUntil <= now else { return }
    changeMembers(node)
  }

  /// Whether the members that a node goes by are committed, and not on their way to others.
  func hasSettledMembers(_ node: Node) -> Bool {
    !node.core.raft.configuration.isJoint && node.core.raft.configurationIndex <= node.core.raft.commitIndex
  }

  func retire(_ slot: Int) {
    let node = nodes[slot]
    tell("node \(node.id) is taken away")
    if node.isAlive { crash(node, losesPower: true, restartsAfter: nil) }
    node.generation &+= 1
    node.status = .absent
    slotOfID[Int(node.id)] = -1
  }

  private func changeMembers(_ node: Node) {
    let members = node.core.raft.configuration
    // An operator in a hurry does not wait for the last change.
    guard !members.isJoint, hasSettledMembers(node) || faultChance.below(3) == 0 else { return }
    let lost = members.members.first { member in
      slot(of: member.id).map { nodes[$0].status != .running && isLost(nodes[$0]) } ?? true
    }
    if let lost {
      // Rather a spare voter first, where a removal would leave too few.
      if members.learners.contains(lost.id) || members.voters.count > 3 || members.learners.isEmpty {
        if members.voters.count > 2 || members.learners.contains(lost.id) { return change(node, [.remove(lost.id)]) }
      }
    }
    let lastIndex = node.core.raft.lastIndex
    let caughtUp = node.core.raft.progress.first {
      members.learners.contains($0.id) && $0.mode == .replicating && $0.matchIndex + 50 >= lastIndex
    }?.id
    let wanted = settings.memberCount
    let areWell = members.voters.allSatisfy { voter in
      slot(of: voter).map { nodes[$0].damagedUntil == 0 && !isLost(nodes[$0]) } ?? false
    }
    switch steward.wish {
    case .replace?:
      guard let learner = caughtUp else { return addLearner(node, members) }
      let voters = members.voters.filter { $0 != node.id || faultChance.below(3) == 0 }
      steward.wish = nil
      guard let old = voters.first else { return }
      change(node, [.promote(learner), .remove(old)])
    case .grow?:
      guard let learner = caughtUp else { return addLearner(node, members) }
      steward.wish = nil
      change(node, [.promote(learner)])
    case .shrink?:
      steward.wish = nil
      if areWell, members.voters.count > 3 || (members.voters.count == 3 && faultChance.below(3) == 0) {
        change(node, [.remove(members.voters[faultChance.below(members.voters.count)])])
      }
    case nil:
      if members.voters.count < wanted {
        if let learner = caughtUp { change(node, [.promote(learner)]) } else { addLearner(node, members) }
      } else if members.voters.count > wanted, areWell, faultChance.below(10) == 0 {
        change(node, [.remove(members.voters[faultChance.below(members.voters.count)])])
      } else if let learner = members.learners.first, faultChance.below(20) == 0 {
        change(node, [.remove(learner)])
      }
    }
  }

  /// Whether a node will not come back by itself.
  func isLost(_ node: Node) -> Bool {
    if case .failed = node.status { return true }
    return node.isBlank
  }

  private func change(_ node: Node, _ changes: [MembershipChange]) {
    // As the service does: what would leave no majority of those that are well is refused.
    if let members = try? node.core.raft.configuration.applying(changes) {
      let isBearable = members.hasQuorum { id in slot(of: id).map { !steward.broken.contains($0) } ?? false }
      guard isBearable || steward.broken.isEmpty else { return }
    }
    let token = node.addWaiter(.membership)
    do throws(Refusal) {
      try node.core.changeMembers(changes, token: token, atMilliseconds: milliseconds(node))
      tell("node \(node.id) changes the members: \(changes)")
      result.memberships += 1
    } catch { _ = node.takeWaiter(token) }
    if steward.isHurried(&faultChance), nodes.allSatisfy({ $0.damagedUntil == 0 }) { hurry(node) }
    pump(node)
  }

  /// Asks for the next change at once, which is to be refused.
  private func hurry(_ node: Node) {
    let voters = node.core.raft.configuration.voters
    guard voters.count > 3, let other = voters.first(where: { $0 != node.id }) else { return }
    let token = node.addWaiter(.membership)
    do throws(Refusal) {
      try node.core.changeMembers([.remove(other)], token: token, atMilliseconds: milliseconds(node))
      tell("node \(node.id) removes \(other)")
    } catch { _ = node.takeWaiter(token) }
  }

  private func addLearner(_ node: Node, _ members: Configuration) {
    guard members.learners.isEmpty, let spare = nodes.first(where: { $0.status == .absent }) else { return }
    let id = MemberID(slotOfID.count)
    slotOfID.append(Int8(spare.slot))
    spare.become(id)
    if hasVersions {
      spare.program = UInt32(faultChance.between(UInt64(max(1, versions.level)), UInt64(FeatureLevel.newest)))
    }
    spare.status = .down
    spare.generation &+= 1
    add(.nodeStart, at: spare.slot, after: 10_000, generation: spare.generation)
    change(node, [.addLearner(Member(id: id, address: spare.address))])
  }

  /// Members that are none any more: some of their processes go on for a while.
  private func forgetRemoved(_ members: Configuration) {
    for node in nodes where node.status != .absent && members.member(node.id) == nil {
      guard !steward.leaving.contains(where: { $0.slot == node.slot }) else { continue }
      steward.leaving.append((node.slot, now + 5_000_000 + faultChance.below(60_000_000)))
    }
  }
}
