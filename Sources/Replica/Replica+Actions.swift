import EventLoop
import LogStore
import Raft
import ReplicaCore
import SegmentedLog

/// Telling the core what happens, and doing what it says.
extension Replica {
  func handle(_ event: ReplicaCore.Event) {
    guard log != nil else { return }
    core.handle(event, atMilliseconds: now)
    perform()
  }

  /// Does what the core says, in order. What an action leads to comes after the rest.
  func perform() {
    guard !isPerforming else { return }
    isPerforming = true
    while core.hasActions {
      core.takeActions(into: &actions)
      for action in actions { perform(action) }
      actions.removeAll(keepingCapacity: actions.count <= 1024)
    }
    if !applied.outputs.isEmpty { applied = AppliedBatch() }
    isPerforming = false
    if core.needsEndOfTurn { registerForEndOfTurn() }
    armTimer()
  }

  private func perform(_ action: ReplicaCore.Action) {
    switch action {
    case .send(let message): if log != nil { transport.send(message) }
    case .writeEntries(let entries, let sequence): log?.write(.entries(entries), sequence: sequence)
    case .writeHardState(let state, let sequence): log?.write(.hardState(state), sequence: sequence)
    case .writePromise(let position, let sequence):
      log?.writePromise(position, sequence: sequence)
      watchPromise()
    case .resetLog(let metadata, let sequence):
      log?.write(.reset(LogBase(snapshot: metadata, base: metadata)), sequence: sequence)
    case .compactLog(let snapshot, let base, let sequence):
      log?.write(.compaction(LogBase(snapshot: snapshot, base: base)), sequence: sequence)
    case .readEntries(let follower, let term, let from, let through, let limitBytes):
      read(for: follower, term: term, from: from, through: through, limitBytes: limitBytes)
    case .apply(let from, let through): apply(from: from, through: through)
    case .restoreSnapshot(let metadata): restore(metadata)
    case .takeSnapshot: Task { @LoopActor in _ = try? await self.finishTakingSnapshot() }
    case .sendSnapshot(let member, let term): sendSnapshot(to: member, term: term)
    case .proposalApplied(let token, let index): proposals.take(token)(.success(applied.output(of: index)))
    case .proposalFailed(let token, let failure): proposals.take(token)(.failure(error(of: failure)))
    case .readReady(let token), .changeDone(let token): waiters.take(token)(nil)
    case .readFailed(let token, let failure), .changeFailed(let token, let failure):
      waiters.take(token)(error(of: failure))
    case .roleChanged(let role, let term, let leader):
      statistics.roleChanged(role, term: term, leader: leader)
      logger.info(
        "\(role.rawValue) in term \(term), leader \(leader.map { "\($0)" } ?? "unknown")",
        metadata: [
          "role": "\(role.rawValue)", "term": .stringConvertible(term), "leader": .stringConvertible(leader ?? 0),
        ])
      onChange?(status)
    case .leadershipChanged(let isLeader, let term):
      machine.leadershipChanged(isLeader: isLeader, term: term)
      if log != nil { onChange?(status) }
    case .membersChanged(let members): if log != nil { transport.setMembers(members.members) }
    case .foreignDisk(let recorded):
      fail(
        "member \(configuration.nodeID) of the group has the log directory with id \(recorded), this one has id "
          + "\(core.raft.disk): it does not know what the member has promised. Add a new member with an empty directory, and "
          + "remove member \(configuration.nodeID)")
    case .peerFault(let peer, let what): logger.error("member \(peer): \(what)")
    }
  }

  private func read(for follower: NodeID, term: UInt64, from: UInt64, through: UInt64, limitBytes: Int) {
    log?.readEntries(from: from, through: through, limitBytes: limitBytes) { [weak self] result in
      guard let self else { return }
      switch result {
      case .success(let entries): self.handle(.entriesRead(for: follower, term: term, entries))
      // The log was compacted meanwhile: the core will find that a snapshot is needed.
      case .failure(.compacted), .failure(.beyondEnd):
        self.handle(.entriesRead(for: follower, term: term, []))
      case .failure(.closed): break
      case .failure(let error): self.fail(error.description)
      }
    }
  }

  func registerForEndOfTurn() {
    guard !isRegistered else { return }
    isRegistered = true
    Loop.callAtEndOfTurn(self)
  }

  /// What the turn has gathered is written and sent together.
  package func endOfTurn() {
    isRegistered = false
    if core.needsEndOfTurn { handle(.endOfTurn) }
  }

  /// One timer for all deadlines of the core. A deadline that moved away lets it fire early, once, and be set anew.
  private func armTimer() {
    let deadline = core.nextDeadline
    guard deadline < timerDeadline || timer == nil, deadline != .max else { return }
    timer?.cancel()
    timerDeadline = deadline
    let wait = Int(deadline - min(deadline, now))
    timer = LoopTimer(afterMilliseconds: wait) { [weak self] in
      guard let self else { return }
      self.timer = nil
      self.timerDeadline = .max
      self.handle(.tick)
    }
  }
}

extension Replica: RaftReceiver {
  package var disk: UInt64 { core.raft.disk }
  package func receive(_ message: Message) { handle(.received(message)) }
  package func connected(to member: NodeID) { handle(.connected(member)) }
  package func disconnected(from member: NodeID) { handle(.disconnected(member)) }
}
