/// Becoming a leader, proposals, commitment, and giving up leadership (Raft paper, sections 5.3 and 5.4).
extension Raft {
  mutating func becomeLeader() {
    role = .leader
    leaderID = id
    votes = [:]
    progress = []
    transfer = nil
    uncommitted = UncommittedBytes()
    reads = PendingReads()
    isLateTickExcused = false
    heartbeatDeadline = now + options.heartbeatMilliseconds
    quorumCheckDeadline = now + options.electionTimeoutMilliseconds
    flushedIndex = terms.lastIndex
    alignProgress()
    firstIndexOfTerm = append(.noOp, [])
    recordDisks()
  }

  /// Steps down: what was appended stays and must be written, what waits on leadership ends.
  mutating func abandonLeadership() {
    writeUnflushed()
    refuseReads()
    progress = []
    transfer = nil
    uncommitted = UncommittedBytes()
    isReplicationDue = false
  }

  mutating func tickLeader() {
    let isReckless = options.mutants.contains(.leadsWithHungDisk)
    if isDiskStalled, !isReckless { return handOver() }
    if now >= quorumCheckDeadline + options.heartbeatMilliseconds, !isLateTickExcused {
      // This node was held up itself: what has arrived meanwhile is heard first.
      isLateTickExcused = true
      quorumCheckDeadline = now + options.heartbeatMilliseconds
    } else if now >= quorumCheckDeadline {
      isLateTickExcused = false
      quorumCheckDeadline = now + options.electionTimeoutMilliseconds
      let oldest = now - min(now, options.electionTimeoutMilliseconds)
      let isFollowed = configuration.hasQuorum { member in
        member == id || (slot(of: member).map { progress[$0].lastContactMilliseconds >= oldest } ?? false)
      }
      if !isFollowed { return becomeFollower(term: hardState.term, leader: nil) }
    }
    if let transfer, now >= transfer.deadline {
      abandonTransfer()
      guard role == .leader else { return }
    }
    if now >= heartbeatDeadline {
      heartbeatDeadline = now + options.heartbeatMilliseconds
      // A leader whose disk hangs must not keep others from leading (etcd #13527).
      if writes.stalledMilliseconds(at: now) < options.electionTimeoutMilliseconds || isReckless { startRound() }
    }
  }

  mutating func propose(_ payloads: [[UInt8]]) {
    do { try checkProposal(sizeBytes: payloads.reduce(0) { $0 + $1.count + 32 }) } catch {
      return effects.append(.refused(error))
    }
    let first = terms.lastIndex + 1
    for payload in payloads { append(.command, payload) }
    effects.append(.accepted(firstIndex: first, count: payloads.count, term: hardState.term))
  }

  func checkProposal(sizeBytes: Int) throws(Refusal) {
    guard role == .leader else { throw notLeading }
    guard transfer == nil else { throw .transferring }
    // A single proposal above the bound must not be refused for ever: it passes when nothing else waits.
    guard uncommitted.sizeBytes == 0 || uncommitted.sizeBytes + sizeBytes <= options.maximumUncommittedBytes else {
      throw .overloaded
    }
  }

  /// Adds an entry to the own log; it is written and sent with the next flush.
  @discardableResult
  mutating func append(_ kind: Entry.Kind, _ payload: [UInt8]) -> UInt64 {
    let entry = Entry(index: terms.lastIndex + 1, term: hardState.term, kind: kind, payload: payload)
    terms.append(index: entry.index, term: entry.term)
    recent.append(entry)
    uncommitted.add(lastIndex: entry.index, sizeBytes: entry.sizeBytes)
    isReplicationDue = true
    return entry.index
  }

  mutating func flush() {
    guard role == .leader else { return }
    writeUnflushed()
    isReplicationDue = false
    for slot in progress.indices { replicate(to: slot) }
    recent.trim(notAfter: flushedIndex)
    if reads.wantsRound { startRound() }
  }

  /// Gives the entries that have gathered to the log; its disk works while the followers' do (thesis, section 10.2.1).
  mutating func writeUnflushed() {
    guard flushedIndex < terms.lastIndex,
      let entries = recent.slice(from: flushedIndex + 1, through: terms.lastIndex, limitBytes: .max)
    else { return }
    flushedIndex = terms.lastIndex
    entriesSequence = writes.issue(lastIndex: flushedIndex, at: now)
    effects.append(.writeEntries(entries, sequence: entriesSequence))
  }

  /// Commits what a quorum holds durably, the leader's own disk among it. Only entries of the own term are counted;
  /// earlier ones are committed with them (section 5.4.2).
  mutating func advanceCommit() {
    let index = configuration.quorumValue { member in
      if member == id { return writes.durableIndex }
      return slot(of: member).map { progress[$0].matchIndex } ?? 0
    }
    guard index > commitIndex, terms.term(at: index) == hardState.term || options.mutants.contains(.countsOldTerms)
    else { return }
    commit(through: index)
    uncommitted.release(through: index)
    isReplicationDue = true
    if !reads.untilTermCommitted.isEmpty { admitWaitingReads() }
    continueMembershipChange()
  }
}

/// The sizes of a leader's entries that are not committed, oldest first.
struct UncommittedBytes: Sendable {
  private var items: [(lastIndex: UInt64, sizeBytes: Int)] = []
  private var released = 0
  /// Their sum, in bytes.
  private(set) var sizeBytes = 0

  mutating func add(lastIndex: UInt64, sizeBytes: Int) {
    items.append((lastIndex, sizeBytes))
    self.sizeBytes += sizeBytes
  }

  mutating func release(through index: UInt64) {
    while released < items.count, items[released].lastIndex <= index {
      sizeBytes -= items[released].sizeBytes
      released += 1
    }
    if released > 256, released > items.count / 2 {
      items.removeFirst(released)
      released = 0
    }
  }
}
