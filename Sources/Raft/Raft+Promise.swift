/// A log that lost entries which it had acknowledged (bit rot, a lost write, a backup brought back) must not act as if it
/// never had them: they may be committed because of its word. So it remembers how far it had promised to hold the log, and
/// until it is that far again it does not campaign, and votes for nobody whose log is behind the promise. Its leader, or the
/// next one, fills it up. Where no member has the entries, nobody can win: the group halts rather than forget.
///
/// The promise may be forgotten once the log is as up to date as it: an entry that equals or surpasses it in term and index
/// only follows the entries that were promised (log matching and leader completeness, section 5.3 and 5.4.3).
extension Raft {
  /// What a candidate's log is compared with.
  var votingPosition: LogPosition { max(terms.lastPosition, promised ?? terms.lastPosition) }

  /// The log has grown.
  mutating func settlePromise() {
    if let promised, terms.lastPosition >= promised { self.promised = nil }
  }

  /// The leader has an acknowledgement of entries that this log lacks. All that this node ever acknowledged, to this leader
  /// or to those before, is in the leader's log: its end is the promise, whatever was known of it here.
  mutating func receivePromiseRecalled(_ position: LogPosition, from leader: NodeID) {
    // Of an earlier time: the log has got there since.
    guard position > terms.lastPosition else { return }
    if promised != position {
      promised = position
      promiseSequence = writes.issue(lastIndex: flushedIndex, at: now)
      effects.append(.writePromise(position, sequence: promiseSequence))
    }
    send(.promiseKept, to: leader, after: promiseSequence)
  }

  /// The follower's promise is durable: from here on its log may be taken as it is.
  mutating func receivePromiseKept(from follower: NodeID) {
    guard role == .leader, let slot = slot(of: follower), progress[slot].mode != .snapshot else { return }
    progress[slot].lastContactMilliseconds = now
    progress[slot].matchIndex = 0
    probe(slot)
    isReplicationDue = true
  }
}
