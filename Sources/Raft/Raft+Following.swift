/// What a follower does with its leader's entries (Raft paper, section 5.3).
extension Raft {
  mutating func receiveAppend(_ request: Message.AppendRequest, from leader: NodeID) {
    guard isWellFormed(request) else {
      effects.append(.peerFault(from: leader, "entries after \(request.previousIndex) do not follow each other"))
      return
    }
    if request.previousIndex < commitIndex {
      // Sent before the sender knew; what is committed is equal everywhere.
      accept(leader, matchIndex: commitIndex, round: request.round)
      return
    }
    let isUnchecked = options.mutants.contains(.skipsLogCheck) && request.previousIndex <= terms.lastIndex
    guard terms.term(at: request.previousIndex) == request.previousTerm || isUnchecked else {
      let hint = terms.lastIndex(notAbove: request.previousTerm, atOrBefore: request.previousIndex)
      send(
        .appendRejected(
          previousIndex: request.previousIndex, hintIndex: hint, hintTerm: terms.term(at: hint) ?? 0,
          round: request.round), to: leader)
      return
    }
    if let firstNew = request.entries.firstIndex(where: { terms.term(at: $0.index) != $0.term }) {
      // Not answered: the leader tries again at the pace of its heartbeats.
      guard !isDiskFull else { return }
      replaceTail(by: firstNew == 0 ? request.entries : Array(request.entries[firstNew...]))
    }
    let lastIndex = request.previousIndex + UInt64(request.entries.count)
    commit(through: min(request.commitIndex, lastIndex))
    accept(leader, matchIndex: lastIndex, round: request.round)
  }

  /// The leader says what is committed, of what it knows this log to hold.
  mutating func receiveCommitIndex(_ index: UInt64, from leader: NodeID) {
    guard index <= terms.lastIndex else {
      // What is missing is on its way.
      guard promised == nil else { return }
      effects.append(
        .peerFault(from: leader, "entry \(index) is committed, but this log ends at \(terms.lastIndex)"))
      return
    }
    commit(through: index)
  }

  private mutating func accept(_ leader: NodeID, matchIndex: UInt64, round: UInt64) {
    let sequence = options.mutants.contains(.acknowledgesBeforeDurable) ? 0 : entriesSequence
    send(.appendAccepted(matchIndex: matchIndex, round: round), to: leader, after: sequence)
  }

  private func isWellFormed(_ request: Message.AppendRequest) -> Bool {
    var index = request.previousIndex
    var term = request.previousTerm
    for entry in request.entries {
      guard entry.index == index + 1, entry.term >= term, entry.term <= hardState.term else { return false }
      guard entry.kind != .configuration || Configuration(encoded: entry.payload) != nil else { return false }
      (index, term) = (entry.index, entry.term)
    }
    return true
  }

  private mutating func replaceTail(by entries: [Entry]) {
    let first = entries[0].index
    precondition(first > commitIndex, "a committed entry is never replaced")
    var hasOtherMembers = false
    if first <= terms.lastIndex {
      terms.truncate(from: first)
      recent.truncate(from: first)
      hasOtherMembers = configurations.truncate(from: first)
    }
    for entry in entries {
      terms.append(index: entry.index, term: entry.term)
      recent.append(entry)
      if entry.kind == .configuration, let members = Configuration(encoded: entry.payload) {
        configurations.append(members, at: entry.index)
        hasOtherMembers = true
      }
    }
    settlePromise()
    flushedIndex = terms.lastIndex
    recent.trim()
    entriesSequence = writes.issue(lastIndex: flushedIndex, replacedFrom: first, at: now)
    effects.append(.writeEntries(entries, sequence: entriesSequence))
    if hasOtherMembers { effects.append(.membersChanged(configuration, index: configurationIndex)) }
  }
}
