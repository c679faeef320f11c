/// Arriving messages: the rules on terms that come before all others (Raft paper, section 5.1), and the dispatch.
extension Raft {
  mutating func receive(_ message: Message) {
    guard message.to == id, message.from != id, message.from != 0 else {
      effects.append(.peerFault(from: message.from, "a message for member \(message.to) reached member \(id)"))
      return
    }
    guard isHeard(message) else { return }
    switch message.body {
    case .preVoteRequest(let lastIndex, let lastTerm):
      return receivePreVoteRequest(message, lastIndex: lastIndex, lastTerm: lastTerm)
    case .preVoteResponse(let isGranted):
      return receivePreVoteResponse(message, isGranted: isGranted)
    case .voteRequest(_, _, let isTransfer)
    where message.term > hardState.term && hasLiveLeader && !(isTransfer && configuration.isVoter(message.from)):
      return
    default:
      break
    }
    if message.term > hardState.term {
      becomeFollower(term: message.term, leader: nil)
    } else if message.term < hardState.term {
      return answerStale(message)
    }
    dispatch(message)
  }

  private mutating func dispatch(_ message: Message) {
    let from = message.from
    switch message.body {
    case .preVoteRequest, .preVoteResponse: break
    case .voteRequest(let lastIndex, let lastTerm, _):
      receiveVoteRequest(message, lastIndex: lastIndex, lastTerm: lastTerm)
    case .voteResponse(let isGranted):
      if role == .candidate { recordVote(from: from, isGranted: isGranted) }
    case .appendRequest(let request):
      if follow(from) { receiveAppend(request, from: from) }
    case .heartbeatRequest(let commitIndex, let round):
      if follow(from) {
        receiveCommitIndex(commitIndex, from: from)
        send(.heartbeatResponse(round: round), to: from)
      }
    case .commitAdvanced(let commitIndex):
      if follow(from) { receiveCommitIndex(commitIndex, from: from) }
    case .promiseRecalled(let position):
      if follow(from) { receivePromiseRecalled(position, from: from) }
    case .promiseKept: receivePromiseKept(from: from)
    case .promiseQuestion(let id): receivePromiseQuestion(id: id, from: from)
    case .promiseAnswer(let id, let position):
      if follow(from) { receivePromiseAnswer(id: id, position) }
    case .appendAccepted(let matchIndex, let round):
      receiveAccepted(from: from, matchIndex: matchIndex, round: round)
    case .appendRejected(let previousIndex, let hintIndex, let hintTerm, let round):
      receiveRejected(
        from: from, previousIndex: previousIndex, hintIndex: hintIndex, hintTerm: hintTerm, round: round)
    case .heartbeatResponse(let round): receiveHeartbeatResponse(from: from, round: round)
    case .timeoutNow:
      if role != .leader, mayCampaign, !isDiskStalled { campaign(isTransfer: true) }
    case .readIndexRequest(let id): readIndex(id: id, from: from)
    case .readIndexResponse(let id, let index):
      effects.append(index.map { .readReady(id: id, index: $0) } ?? .readRefused(id: id, .notLeader(leaderID)))
    case .foreignDisk(let recorded):
      // A leader that is no more may know the members of long ago only; `receive` has seen to that.
      if disk != 0, recorded != disk { effects.append(.foreignDisk(recorded: recorded)) }
    }
  }

  /// A sender with an old term learns of the new one where its message calls for an answer.
  private mutating func answerStale(_ message: Message) {
    switch message.body {
    case .appendRequest, .heartbeatRequest, .promiseRecalled: send(.heartbeatResponse(round: 0), to: message.from)
    case .voteRequest: send(.voteResponse(isGranted: false), to: message.from)
    case .readIndexRequest(let id): send(.readIndexResponse(id: id, index: nil), to: message.from)
    default: break
    }
  }

  /// Takes the sender as the leader of the term; false when that cannot be.
  mutating func follow(_ leader: NodeID) -> Bool {
    if role == .leader || (leaderID != nil && leaderID != leader) {
      effects.append(.peerFault(from: leader, "two leaders in term \(hardState.term)"))
      return false
    }
    if role != .follower { becomeFollower(term: hardState.term, leader: leader) }
    leaderID = leader
    promptCampaigns = 0
    deferredCampaigns = 0
    isLateTickExcused = false
    expectLeader()
    askForPromise(leader)
    return true
  }
}
