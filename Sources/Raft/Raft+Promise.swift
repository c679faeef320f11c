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

  /// Of a file that is missing nobody knows how many entries it held: the promise says the most that is possible, and nothing
  /// of the same term may ever reach it. So the leader of that term is asked, by declining what it knows to be here: it
  /// answers with the end of its log (`receivePromiseRecalled`), beyond which nothing was acknowledged.
  mutating func asksForPromise(_ request: Message.AppendRequest, _ leader: NodeID) -> Bool {
    guard let promised, promised.term == hardState.term else { return false }
    // A leader that does not remember goes one step back for each question, and has no answer.
    if promiseQuestions.term != hardState.term { promiseQuestions = (hardState.term, 3) }
    guard promiseQuestions.left > 0 else { return false }
    promiseQuestions.left -= 1
    send(
      .appendRejected(
        previousIndex: request.previousIndex, hintIndex: request.previousIndex, hintTerm: request.previousTerm,
        round: request.round), to: leader)
    return true
  }

  /// The leader has an acknowledgement of entries that this log lacks. All that this node ever acknowledged, to this leader
  /// or to those before, is in the leader's log: its end is the promise, whatever was known of it here.
  mutating func receivePromiseRecalled(_ position: LogPosition, from leader: NodeID) {
    // Of an earlier time: the log has got there since.
    guard position >= terms.lastPosition, position > terms.lastPosition || promised != nil else { return }
    promiseQuestions = (hardState.term, 0)
    if promised != position {
      promised = position
      promiseSequence = writes.issue(lastIndex: flushedIndex, at: now)
      effects.append(.writePromise(position, sequence: promiseSequence))
      settlePromise()
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
