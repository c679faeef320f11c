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
  /// of the same term may ever reach it. So whoever leads that term is asked for the end of its log, whenever it is heard of
  /// and an election timeout has passed since the last question.
  ///
  /// Why that is enough: of what this node acknowledged before it asked, the leader of the term sent all that is of the term,
  /// and only ever appended; of earlier terms it has all that was or will be committed, since they commit nothing more once a
  /// quorum has elected it. It need not have committed an entry of its own.
  mutating func askForPromise(_ leader: NodeID) {
    guard let promised, promised.term == hardState.term, !options.mutants.contains(.keepsUnknownPromise) else { return }
    guard promiseQuestionDue.term != promised.term || now >= promiseQuestionDue.time else { return }
    promiseQuestionDue = (promised.term, now + options.electionTimeoutMilliseconds)
    if promiseQuestionID == 0 { promiseQuestionID = random.next() | 1 }
    send(.promiseQuestion(id: promiseQuestionID), to: leader)
  }

  mutating func receivePromiseQuestion(id question: UInt64, from follower: NodeID) {
    guard role == .leader else { return }
    send(.promiseAnswer(id: question, terms.lastPosition), to: follower)
  }

  /// Whatever was lost here was not beyond the position. An answer to a question of an earlier life says nothing: this node
  /// may have acknowledged more between the two.
  mutating func receivePromiseAnswer(id question: UInt64, _ position: LogPosition) {
    guard question == promiseQuestionID, let promised, position < promised else { return }
    promiseQuestionDue.time = .max
    self.promised = position
    writePromise(position)
    settlePromise()
  }

  /// The leader has an acknowledgement of entries that this log lacks. All that this node ever acknowledged, to this leader
  /// or to those before, is in the leader's log. What was known of the promise may reach further: then it stays.
  mutating func receivePromiseRecalled(_ position: LogPosition, from leader: NodeID) {
    // Of an earlier time: the log has got there since.
    guard position >= terms.lastPosition, position > terms.lastPosition || promised != nil else { return }
    if position > promised ?? terms.lastPosition {
      promised = position
      promiseQuestionDue = (hardState.term, .max)
      writePromise(position)
    }
    send(.promiseKept, to: leader, after: promiseSequence)
  }

  private mutating func writePromise(_ position: LogPosition) {
    promiseSequence = writes.issue(lastIndex: flushedIndex, at: now)
    effects.append(.writePromise(position, sequence: promiseSequence))
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
