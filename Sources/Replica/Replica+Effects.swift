import EventLoop
import LogStore
import Raft
import SegmentedLog

/// Feeding the core, and carrying out what it says.
extension Replica {
  func step(_ input: Input) {
    guard log != nil else { return }
    perform(raft.step(input, atMilliseconds: now))
  }

  /// Carries out effects in order. A step that is caused by one of them has its effects carried out after the rest.
  func perform(_ new: [Effect]) {
    effects += new
    guard !isPerforming else { return }
    isPerforming = true
    var position = 0
    while position < effects.count, let log {
      let effect = effects[position]
      position += 1
      perform(effect, log)
    }
    effects.removeAll(keepingCapacity: effects.count <= 1024)
    isPerforming = false
    guard log != nil else { return }
    if raft.needsFlush { registerForEndOfTurn() }
    armTimer()
    settleChanges()
  }

  private func perform(_ effect: Effect, _ log: LogStore) {
    switch effect {
    case .writeHardState(let state, let sequence): log.write(.hardState(state), sequence: sequence)
    case .writeEntries(let entries, let sequence): log.write(.entries(entries), sequence: sequence)
    case .installSnapshot(let metadata, let sequence):
      log.write(.reset(LogBase(snapshot: metadata, base: metadata)), sequence: sequence)
      snapshotToRestore = metadata
      applyTarget = metadata.index
      applyNext()
    case .compact(let metadata, let through, let sequence):
      guard let base = raft.snapshotMetadata(at: through) else { break }
      log.write(.compaction(LogBase(snapshot: metadata, base: base)), sequence: sequence)
    case .send(let message, let after):
      if after <= raft.writtenSequence {
        transport.send(message)
      } else {
        delayedMessages.append((message, after))
      }
    case .apply(let index):
      applyTarget = index
      applyNext()
    case .roleChanged(let role, let term, let leader): roleChanged(role, term: term, leader: leader)
    case .membersChanged(let members, _): transport.setMembers(members.members)
    case .readEntries(let follower, let term, let from, let through, let limitBytes):
      read(for: follower, term: term, from: from, through: through, limitBytes: limitBytes, log)
    case .sendSnapshot(let follower, let term): sendSnapshot(to: follower, term: term)
    case .readReady(let id, let index): readReady(id, index: index)
    case .readRefused(let id, _): reads.retryLater(id)
    case .transferAbandoned:
      transferWaiter?(.timedOut)
      transferWaiter = nil
    case .peerFault(let peer, let what): logger.error("member \(peer): \(what)")
    case .accepted, .refused: break
    }
  }

  /// Sends what waited for writes that are durable now.
  func releaseDelayedMessages() {
    guard !delayedMessages.isEmpty else { return }
    let durable = raft.writtenSequence
    var waiting: [(message: Message, after: UInt64)] = []
    for item in delayedMessages {
      if item.after <= durable { transport.send(item.message) } else { waiting.append(item) }
    }
    delayedMessages = waiting
  }

  private func read(
    for follower: NodeID, term: UInt64, from: UInt64, through: UInt64, limitBytes: Int, _ log: LogStore
  ) {
    log.readEntries(from: from, through: through, limitBytes: limitBytes) { [weak self] result in
      guard let self else { return }
      switch result {
      case .success(let entries): self.step(.entriesRead(for: follower, term: term, entries))
      // The log was compacted meanwhile: the core will find that a snapshot is needed.
      case .failure(.compacted), .failure(.beyondEnd):
        self.step(.entriesRead(for: follower, term: term, []))
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

  /// Asks for the reads of this turn together, and has the core send and write what has gathered.
  package func endOfTurn() {
    isRegistered = false
    guard log != nil else { return }
    startReads()
    if raft.needsFlush { step(.flush) }
  }

  /// One timer for all deadlines of the core. A deadline that moved away lets it fire early, once, and be set anew.
  private func armTimer() {
    let deadline = raft.nextDeadline
    guard deadline < timerDeadline || timer == nil, deadline != .max else { return }
    timer?.cancel()
    timerDeadline = deadline
    let wait = Int(deadline - min(deadline, now))
    timer = LoopTimer(afterMilliseconds: wait) { [weak self] in
      guard let self else { return }
      self.timer = nil
      self.timerDeadline = .max
      self.step(.tick)
    }
  }

  private func roleChanged(_ role: Role, term: UInt64, leader: NodeID?) {
    logger.info("\(role.rawValue) in term \(term), leader \(leader.map { "\($0)" } ?? "unknown")")
    if role != .leader {
      // What is committed already will be applied and answered; the rest may yet be lost or not.
      for then in proposals.removeAll(after: raft.commitIndex) { then(.failure(.lostLeadership)) }
      let waiting = changes
      changes = []
      for change in waiting { change.then(.lostLeadership) }
      if leader != nil || role == .follower {
        transferWaiter?(nil)
        transferWaiter = nil
      }
      if isReady {
        isReady = false
        machine.leadershipChanged(isLeader: false, term: term)
      }
    }
    if leader != nil, reads.hasUnstarted { registerForEndOfTurn() }
    establishLeadership()
    onChange?(status)
  }

  /// The state machine leads once it has applied all that came before its term.
  func establishLeadership() {
    guard !isReady, let start = raft.leaderStartIndex, appliedIndex >= start else { return }
    isReady = true
    machine.leadershipChanged(isLeader: true, term: raft.hardState.term)
    onChange?(status)
  }
}

extension Replica: RaftReceiver {
  package func receive(_ message: Message) { step(.receive(message)) }
  package func connected(to member: NodeID) { step(.connected(member)) }
  package func disconnected(from member: NodeID) { step(.disconnected(member)) }
}
