import EventLoop
import Raft

/// Changing the members and the leader; on the leader.
extension Replica {
  /// Changes the members; returns once the new configuration is committed.
  package func changeMembers(_ wanted: [MembershipChange]) async throws(ReplicaError) {
    guard log != nil else { throw endedError }
    let effects = raft.step(.changeMembership(wanted), atMilliseconds: now)
    for case .refused(let reason) in effects {
      perform(effects)
      throw error(of: reason)
    }
    let index = raft.configurationIndex
    let error: ReplicaError? = await withCheckedContinuation { continuation in
      changes.append((index, { continuation.resume(returning: $0) }))
      perform(effects)
    }
    if let error { throw error }
  }

  /// Ends the waits for changes that are committed and no longer joint.
  func settleChanges() {
    guard !changes.isEmpty, !raft.configuration.isJoint, raft.configurationIndex <= raft.commitIndex else { return }
    let committed = raft.commitIndex
    let done = changes.filter { $0.index <= committed }
    changes.removeAll { $0.index <= committed }
    for change in done { change.then(nil) }
  }

  /// Hands leadership to a member, nil: to the one that is furthest; returns once this replica no longer leads.
  package func transferLeadership(to member: UInt64? = nil) async throws(ReplicaError) {
    guard log != nil else { throw endedError }
    guard raft.role == .leader else { throw notLeader }
    guard transferWaiter == nil else { throw .refused(.transferring) }
    let effects = raft.step(.transferLeadership(to: member ?? 0), atMilliseconds: now)
    for case .refused(let reason) in effects {
      perform(effects)
      throw error(of: reason)
    }
    let error: ReplicaError? = await withCheckedContinuation { continuation in
      transferWaiter = { continuation.resume(returning: $0) }
      perform(effects)
    }
    if let error { throw error }
  }
}
