/// What members of a group say to each other (Raft paper, figure 2, and Ongaro's thesis, chapters 3, 4, 6, 9 and 10).
package struct Message: Sendable, Equatable {
  /// The sender.
  package var from: NodeID
  /// The receiver.
  package var to: NodeID
  /// The sender's term; of a pre-vote request and of its granting answer, the term that would be campaigned for.
  package var term: UInt64
  /// What is said.
  package var body: Body
  /// The sender's disk; 0 when it does not say.
  package var fromDisk: UInt64

  /// Makes a message.
  package init(from: NodeID, to: NodeID, term: UInt64, body: Body, fromDisk: UInt64 = 0) {
    self.from = from
    self.to = to
    self.term = term
    self.body = body
    self.fromDisk = fromDisk
  }

  /// The kinds of message.
  package enum Body: Sendable, Equatable {
    /// Would you vote for me? Changes nothing at the receiver (thesis, section 9.6).
    case preVoteRequest(lastIndex: UInt64, lastTerm: UInt64)
    /// The answer to it.
    case preVoteResponse(isGranted: Bool)
    /// Vote for me; with `isTransfer` the old leader has asked for it, so that it counts while that leader lives.
    case voteRequest(lastIndex: UInt64, lastTerm: UInt64, isTransfer: Bool)
    /// The answer to it.
    case voteResponse(isGranted: Bool)
    /// Entries that follow `previousIndex`; perhaps none.
    case appendRequest(AppendRequest)
    /// The receiver has acknowledged entries that its log lacks now; the sender's log ends at the position.
    case promiseRecalled(LogPosition)
    /// The sender remembers durably that it had promised that.
    case promiseKept
    /// The sender lost entries and does not know how many: how far can they have reached? The id belongs to the sender's
    /// present life.
    case promiseQuestion(id: UInt64)
    /// The answer to it: the sender's log ends at the position, and the receiver acknowledged nothing beyond that before it
    /// asked.
    case promiseAnswer(id: UInt64, LogPosition)
    /// The receiver's log is durable and equal to the sender's up to `matchIndex`.
    case appendAccepted(matchIndex: UInt64, round: UInt64)
    /// The receiver's log has no entry of that term at `previousIndex`; the two may agree at `hintIndex`, of `hintTerm`.
    case appendRejected(previousIndex: UInt64, hintIndex: UInt64, hintTerm: UInt64, round: UInt64)
    /// The leader lives; entries up to `commitIndex` are committed.
    case heartbeatRequest(commitIndex: UInt64, round: UInt64)
    /// The receiver follows the sender; `round` is the request's.
    case heartbeatResponse(round: UInt64)
    /// Entries up to `commitIndex` are committed, all of them known to be in the receiver's log; no answer.
    case commitAdvanced(commitIndex: UInt64)
    /// Campaign at once: the leader hands over.
    case timeoutNow
    /// A follower asks which entry a read must have seen.
    case readIndexRequest(id: UInt64)
    /// The answer to it; nil when the sender does not lead (any more).
    case readIndexResponse(id: UInt64, index: UInt64?)
    /// The leader knows the receiver by another disk than the one that it has now.
    case foreignDisk(recorded: UInt64)
  }

  /// Entries, and what they follow.
  package struct AppendRequest: Sendable, Equatable {
    /// The entry before the first.
    package var previousIndex: UInt64
    /// Its term.
    package var previousTerm: UInt64
    /// What the leader has committed.
    package var commitIndex: UInt64
    /// The leader's current round of confirmations; the answer shows that it was followed then.
    package var round: UInt64
    /// The entries, contiguous.
    package var entries: [Entry]

    /// Makes a request.
    package init(
      previousIndex: UInt64, previousTerm: UInt64, commitIndex: UInt64, round: UInt64, entries: [Entry] = []
    ) {
      self.previousIndex = previousIndex
      self.previousTerm = previousTerm
      self.commitIndex = commitIndex
      self.round = round
      self.entries = entries
    }
  }
}
