/// Changes of members (Raft paper, section 6; thesis, chapter 4) and of the leader (thesis, section 3.10).
///
/// A configuration is in force once it is in the log. A change waits until the last one that changed what a quorum is,
/// and an entry of the leader's own term, are committed: without the latter two leaders could change one voter each and
/// share no quorum.
struct Transfer: Sendable {
  var target: NodeID
  var deadline: UInt64
}

extension Raft {
  mutating func changeMembership(_ changes: [MembershipChange]) {
    guard role == .leader else { return effects.append(.refused(.notLeader(leaderID))) }
    guard transfer == nil else { return effects.append(.refused(.transferring)) }
    let isPending = commitIndex < firstIndexOfTerm || configurations.quorumIndex > commitIndex
    guard !isPending || options.mutants.contains(.changesMembersAtOnce), !configuration.isJoint else {
      return effects.append(.refused(.membershipChangePending))
    }
    for case .promote(let learner) in changes {
      let matchIndex = slot(of: learner).map { progress[$0].matchIndex } ?? 0
      guard matchIndex >= configurationIndex, matchIndex + options.promotionLagEntries >= terms.lastIndex else {
        return effects.append(.refused(.notCaughtUp(learner)))
      }
    }
    do {
      let index = appendConfiguration(try configuration.applying(changes))
      effects.append(.accepted(firstIndex: index, count: 1, term: hardState.term))
    } catch {
      effects.append(.refused(.membership(error)))
    }
  }

  @discardableResult
  mutating func appendConfiguration(_ members: Configuration) -> UInt64 {
    let index = append(.configuration, members.encoded())
    configurations.append(members, at: index)
    alignProgress()
    effects.append(.membersChanged(members, index: index))
    return index
  }

  /// After a commit: leaves a joint configuration, or hands over where this node is no longer among the voters.
  mutating func continueMembershipChange() {
    guard configurationIndex <= commitIndex else { return }
    if configuration.isJoint {
      appendConfiguration(configuration.leavingJoint)
    } else if !configuration.isVoter(id), transfer == nil {
      // The others must learn that it is committed, from this leader, before it falls silent.
      writeUnflushed()
      for slot in progress.indices { replicate(to: slot) }
      guard let target = furthestVoter else { return becomeFollower(term: hardState.term, leader: nil) }
      startTransfer(to: target)
    }
  }

  private mutating func startTransfer(to target: NodeID) {
    transfer = Transfer(target: target, deadline: now + options.electionTimeoutMilliseconds)
    isReplicationDue = true
    continueTransfer()
  }

  /// Has the target campaign once it has everything. A leader that is to leave the group is done then.
  mutating func continueTransfer() {
    guard let transfer, let slot = slot(of: transfer.target), progress[slot].matchIndex == terms.lastIndex else {
      return
    }
    send(.timeoutNow, to: transfer.target)
    if !configuration.isVoter(id) { becomeFollower(term: hardState.term, leader: nil) }
  }

  /// The target did not take over in time.
  mutating func abandonTransfer() {
    if let transfer { effects.append(.transferAbandoned(to: transfer.target)) }
    transfer = nil
    if !configuration.isVoter(id), configurationIndex <= commitIndex {
      becomeFollower(term: hardState.term, leader: nil)
    }
  }

  mutating func transferLeadership(to wanted: NodeID) {
    guard role == .leader else { return effects.append(.refused(.notLeader(leaderID))) }
    let target = wanted == 0 ? furthestVoter : wanted
    guard let target, target != id, configuration.voters.contains(target), slot(of: target) != nil else {
      return effects.append(.refused(.membership(.notMember(wanted))))
    }
    startTransfer(to: target)
  }

  /// Steps down at once; the voter that is furthest need not wait for a timeout to take over.
  mutating func handOver() {
    if let target = furthestVoter { send(.timeoutNow, to: target) }
    becomeFollower(term: hardState.term, leader: nil)
  }

  private var furthestVoter: NodeID? {
    var best: Progress?
    for candidate in progress where candidate.isConnected && configuration.voters.contains(candidate.id) {
      if candidate.matchIndex > best?.matchIndex ?? 0 { best = candidate }
    }
    return best?.id
  }
}
