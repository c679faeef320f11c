/// Bringing the followers' logs up to the leader's: probing, pipelining, back-off, snapshots (Raft paper, sections 5.3
/// and 7; thesis, section 10.2).
extension Raft {
  func slot(of peer: NodeID) -> Int? { progress.firstIndex { $0.id == peer } }

  /// Sends the member what it lacks, as far as its window allows.
  mutating func replicate(to slot: Int) {
    while progress[slot].canSend(options) {
      let next = progress[slot].nextIndex
      guard let previousTerm = terms.term(at: next - 1) else {
        progress[slot].mode = .snapshot
        progress[slot].inflight.removeAll()
        effects.append(.sendSnapshot(to: progress[slot].id, term: hardState.term))
        return
      }
      guard next <= terms.lastIndex else { return sendWithoutEntries(to: slot, previousTerm: previousTerm) }
      let entries = recent.slice(from: next, through: flushedIndex, limitBytes: options.maximumAppendBytes)
      guard let entries else {
        progress[slot].isReading = true
        effects.append(
          .readEntries(
            for: progress[slot].id, term: hardState.term, from: next, through: flushedIndex,
            limitBytes: options.maximumAppendBytes))
        return
      }
      sendAppend(entries, to: slot, previousTerm: previousTerm)
    }
  }

  /// Finds out anew where the member's log agrees: after what it is known to hold, or from the end backwards.
  mutating func probe(_ slot: Int) {
    let matchIndex = progress[slot].matchIndex
    progress[slot].probe(from: (matchIndex == 0 ? terms.lastIndex : matchIndex) + 1)
  }

  private mutating func sendWithoutEntries(to slot: Int, previousTerm: UInt64) {
    if progress[slot].mode == .probing {
      sendAppend([], to: slot, previousTerm: previousTerm)
    } else if options.announcesCommits, progress[slot].sentCommitIndex < min(commitIndex, progress[slot].matchIndex) {
      progress[slot].sentCommitIndex = min(commitIndex, progress[slot].matchIndex)
      send(.commitAdvanced(commitIndex: progress[slot].sentCommitIndex), to: progress[slot].id)
    }
  }

  private mutating func sendAppend(_ entries: [Entry], to slot: Int, previousTerm: UInt64) {
    let request = Message.AppendRequest(
      previousIndex: progress[slot].nextIndex - 1, previousTerm: previousTerm, commitIndex: commitIndex,
      round: reads.round, entries: entries)
    progress[slot].sentCommitIndex = min(commitIndex, request.previousIndex + UInt64(entries.count))
    if progress[slot].mode == .probing {
      progress[slot].isProbeOut = true
    } else if let last = entries.last {
      progress[slot].nextIndex = last.index + 1
      progress[slot].inflight.add(lastIndex: last.index, sizeBytes: entries.reduce(0) { $0 + $1.sizeBytes })
    }
    send(.appendRequest(request), to: progress[slot].id)
  }

  mutating func entriesRead(for follower: NodeID, term: UInt64, _ entries: [Entry]) {
    guard role == .leader, term == hardState.term, let slot = slot(of: follower), progress[slot].isReading else {
      return
    }
    progress[slot].isReading = false
    isReplicationDue = true
    guard let first = entries.first, first.index == progress[slot].nextIndex, progress[slot].canSend(options),
      let previousTerm = terms.term(at: first.index - 1)
    else { return }
    sendAppend(entries, to: slot, previousTerm: previousTerm)
  }

  mutating func receiveAccepted(from follower: NodeID, matchIndex: UInt64, round: UInt64) {
    guard role == .leader, let slot = slot(of: follower) else { return }
    guard matchIndex <= terms.lastIndex else {
      effects.append(.peerFault(from: follower, "claims entry \(matchIndex) of a log that ends at \(terms.lastIndex)"))
      return
    }
    confirm(slot, round: round)
    progress[slot].inflight.acknowledge(through: matchIndex)
    if matchIndex > progress[slot].matchIndex { progress[slot].matchIndex = matchIndex }
    let continuesLog = matchIndex >= terms.baseIndex
    if progress[slot].mode == .probing || (progress[slot].mode == .snapshot && continuesLog) {
      progress[slot].mode = .replicating
      progress[slot].isProbeOut = false
      progress[slot].nextIndex = progress[slot].matchIndex + 1
    }
    progress[slot].nextIndex = max(progress[slot].nextIndex, matchIndex + 1)
    advanceCommit()
    guard role == .leader else { return }
    if transfer?.target == follower { continueTransfer() }
    isReplicationDue = true
  }

  mutating func receiveRejected(
    from follower: NodeID, previousIndex: UInt64, hintIndex: UInt64, hintTerm: UInt64, round: UInt64
  ) {
    guard role == .leader, let slot = slot(of: follower) else { return }
    confirm(slot, round: round)
    switch progress[slot].mode {
    case .snapshot: return
    case .replicating where previousIndex <= progress[slot].matchIndex: return
    case .replicating where options.mutants.contains(.ignoresRejections): return
    case .probing where previousIndex != progress[slot].nextIndex - 1: return
    case .probing where previousIndex > 0 && previousIndex <= progress[slot].matchIndex:
      // It had acknowledged that entry. The probe is repeated when it answers, or with the next heartbeat.
      if options.mutants.contains(.toleratesRollback) {
        progress[slot].matchIndex = 0
        progress[slot].probe(from: hintIndex + 1)
        isReplicationDue = true
        return
      }
      return send(.promiseRecalled(terms.lastPosition), to: follower)
    case .replicating, .probing: break
    }
    // Below the base nothing is known of the own terms: going there leads to a snapshot.
    let agreed =
      hintIndex < terms.baseIndex ? hintIndex : terms.lastIndex(notAbove: hintTerm, atOrBefore: hintIndex)
    progress[slot].probe(from: max(1, min(previousIndex, agreed + 1)))
    isReplicationDue = true
  }

  mutating func receiveHeartbeatResponse(from follower: NodeID, round: UInt64) {
    guard role == .leader, let slot = slot(of: follower) else { return }
    confirm(slot, round: round)
    progress[slot].isProbeOut = false
    guard progress[slot].matchIndex < terms.lastIndex else { return }
    isReplicationDue = true
    // All was sent and some is not acknowledged: should a message have been lost, this one is rejected and tells.
    guard progress[slot].mode == .replicating, progress[slot].inflight.count > 0 else { return }
    if let previousTerm = terms.term(at: progress[slot].nextIndex - 1) {
      sendAppend([], to: slot, previousTerm: previousTerm)
    } else {
      // What was sent is compacted by now: a window that is full would never open again. A snapshot may be needed.
      probe(slot)
    }
  }

  /// Every answer shows that its sender followed this leader in the round.
  private mutating func confirm(_ slot: Int, round: UInt64) {
    progress[slot].lastContactMilliseconds = now
    progress[slot].isConnected = true
    guard round > progress[slot].confirmedRound, round <= reads.round else { return }
    progress[slot].confirmedRound = round
    releaseReads()
  }

  mutating func snapshotSent(to follower: NodeID, term: UInt64, index: UInt64?) {
    guard role == .leader, term == hardState.term, let slot = slot(of: follower), progress[slot].mode == .snapshot
    else { return }
    progress[slot].probe(from: max(progress[slot].matchIndex, index ?? 0) + 1)
    // After a failure the next heartbeat's answer starts the next attempt.
    progress[slot].isProbeOut = index == nil
    isReplicationDue = true
  }

  /// Has a slot for each member but this one, and only for those.
  mutating func alignProgress() {
    var aligned: [Progress] = []
    for member in configuration.members where member.id != id {
      aligned.append(
        slot(of: member.id).map { progress[$0] }
          ?? Progress(id: member.id, nextIndex: terms.lastIndex + 1, nowMilliseconds: now))
    }
    progress = aligned
  }
}
