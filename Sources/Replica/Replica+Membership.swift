import EventLoop
import Raft

/// Changing the members and the leader; on the leader.
extension Replica {
  /// Changes the members; returns once the new configuration is committed.
  package func changeMembers(_ wanted: [MembershipChange]) async throws(ReplicaError) {
    try await change { (token) throws(Refusal) in
      try self.core.changeMembers(wanted, token: token, atMilliseconds: self.now)
    }
  }

  /// Hands leadership to a member, nil: to the one that is furthest; returns once this replica no longer leads.
  package func transferLeadership(to member: UInt64? = nil) async throws(ReplicaError) {
    try await change { (token) throws(Refusal) in
      try self.core.transferLeadership(to: member ?? 0, token: token, atMilliseconds: self.now)
    }
  }

  /// Takes nothing from members for whom the predicate holds: they were removed for ever, and may not know it.
  package func refuse(_ isRefused: @escaping @LoopActor (UInt64) -> Bool) { transport.refuse(isRefused) }

  private func change(_ ask: @LoopActor (UInt64) throws(Refusal) -> Void) async throws(ReplicaError) {
    guard log != nil else { throw endedError }
    let error: ReplicaError? = await withCheckedContinuation { continuation in
      let token = waiters.add { continuation.resume(returning: $0) }
      do throws(Refusal) { try ask(token) } catch { waiters.take(token)(self.error(of: error)) }
      perform()
    }
    if let error { throw error }
  }
}
