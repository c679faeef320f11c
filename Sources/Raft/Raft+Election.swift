/// Time, campaigns and votes (Raft paper, section 5.2; thesis, sections 4.2.3 and 9.6).
extension Raft {
  var mayCampaign: Bool { isElectable && promised == nil && !isForeignDisk && !isDiskFull }

  /// A voter; or one that has put its own removal into its log, which is not known to be committed: the others may have no
  /// quorum without it, and cannot win against its longer log. It has no vote of its own (thesis, section 4.2.2).
  private var isElectable: Bool {
    configuration.isVoter(id) || committedConfiguration?.isVoter(id) == true
  }

  /// While true, votes are refused: a leader is alive, and nobody may disturb it (thesis, section 4.2.3).
  var hasLiveLeader: Bool {
    if role == .leader { return true }
    guard let leaderID, let contact = lastLeaderContact else { return false }
    return now < contact + (leaderID == brokenLeaderID ? silenceOfBroken : options.electionTimeoutMilliseconds)
  }

  // A leader that lives in spite of a broken connection is heard of within this time.
  private var silenceOfBroken: UInt64 { options.heartbeatMilliseconds * 5 / 4 }

  /// The leader was heard of: when to miss it next.
  mutating func expectLeader() {
    lastLeaderContact = now
    electionDeadline = now + (leaderID == brokenLeaderID ? silenceOfBroken + promptWait() : electionWait())
  }

  /// When this node was last in touch with those that decide: a follower with a leader, the leader with a quorum. nil: never
  /// since its start. What it has may be as old as that.
  package var contactMilliseconds: UInt64? {
    guard role == .leader else { return lastLeaderContact }
    let contacts = configuration.members.map { member in
      member.id == id ? now : progress.first { $0.id == member.id }?.lastContactMilliseconds ?? 0
    }
    let voters = zip(configuration.members, contacts).filter { configuration.voters.contains($0.0.id) }.map(\.1)
    // So many have been heard of since that time that they decide together with those heard of later.
    return voters.isEmpty ? now : voters.sorted(by: >)[voters.count / 2]
  }

  /// Whether a write of this node takes so long that its disk must be assumed to hang.
  package var isDiskStalled: Bool { writes.stalledMilliseconds(at: now) >= options.stalledWriteMilliseconds }

  private var isDiskSlow: Bool { writes.latencyMilliseconds(at: now) >= options.slowWriteMilliseconds }

  mutating func tick() {
    if role == .leader { return tickLeader() }
    guard now >= electionDeadline, mayCampaign else { return }
    if now >= electionDeadline + options.heartbeatMilliseconds, !isLateTickExcused {
      // This node was held up itself: what has arrived meanwhile is heard first.
      isLateTickExcused = true
      electionDeadline = now + options.heartbeatMilliseconds + random.next(below: options.heartbeatMilliseconds)
      return
    }
    isLateTickExcused = false
    if isDiskStalled {
      // Without a disk there is no vote to cast for oneself; look again later.
      electionDeadline = now + electionWait()
    } else if isDiskSlow, deferredCampaigns < 2 {
      // Others go first, twice (tikv #18058).
      deferredCampaigns += 1
      electionDeadline = now + options.promptCampaignMilliseconds * UInt64(configuration.members.count) + promptWait()
    } else {
      preCampaign()
    }
  }

  /// The wait before a campaign that has a better reason than the timeout. The voters campaign one after another.
  private mutating func promptWait() -> UInt64 {
    var rank: UInt64 = 0
    for member in configuration.members
    where member.id < id && member.id != lostLeaderID && configuration.isVoter(member.id) {
      rank += 1
    }
    return 1 + rank * options.promptCampaignMilliseconds
      + random.next(below: options.promptCampaignMilliseconds / 4 + 1)
  }

  /// Has the next campaign begin soon, unless that was tried often enough.
  private mutating func hasten(afterMilliseconds: UInt64 = 0) {
    guard promptCampaigns < options.promptCampaigns else { return }
    promptCampaigns += 1
    electionDeadline = min(electionDeadline, now + afterMilliseconds + promptWait())
  }

  /// Asks whether a campaign would be won, without disturbing anybody's term.
  mutating func preCampaign() {
    guard mayCampaign else { return }
    role = .preCandidate
    lostLeaderID = leaderID ?? lostLeaderID
    leaderID = nil
    lastLeaderContact = nil
    votes = [:]
    electionDeadline = now + electionWait()
    forEachOtherVoter { raft, voter in raft.requestPreVote(of: voter) }
    recordVote(from: id, isGranted: true)
  }

  mutating func campaign(isTransfer: Bool) {
    role = .candidate
    leaderID = nil
    lastLeaderContact = nil
    votes = [:]
    isOwnVoteDurable = false
    electionDeadline = now + electionWait()
    setHardState(HardState(term: hardState.term + 1, vote: id))
    forEachOtherVoter { raft, voter in raft.requestVote(of: voter, isTransfer: isTransfer) }
  }

  private mutating func requestPreVote(of voter: NodeID) {
    send(
      .preVoteRequest(lastIndex: terms.lastIndex, lastTerm: terms.lastTerm), to: voter, term: hardState.term + 1)
  }

  private mutating func requestVote(of voter: NodeID, isTransfer: Bool) {
    send(
      .voteRequest(lastIndex: terms.lastIndex, lastTerm: terms.lastTerm, isTransfer: isTransfer), to: voter)
  }

  mutating func recordVote(from voter: NodeID, isGranted: Bool) {
    if votes[voter] == nil { votes[voter] = isGranted }
    if configuration.hasQuorum({ votes[$0] == true }) {
      if role == .preCandidate { campaign(isTransfer: false) } else { becomeLeader() }
    } else if !configuration.hasQuorum({ votes[$0] != false }) {
      becomeFollower(term: hardState.term, leader: nil)
      hasten()
    } else if !isGranted {
      // Who is silent may be dead, and so the outcome open for long: after what an answer takes, the next one.
      hasten(afterMilliseconds: options.promptCampaignMilliseconds)
    }
  }

  mutating func becomeFollower(term: UInt64, leader: NodeID?) {
    if role == .leader { abandonLeadership() }
    if role != .follower { electionDeadline = now + electionWait() }
    if term > hardState.term { setHardState(HardState(term: term)) }
    role = .follower
    leaderID = leader
    lastLeaderContact = leader == nil ? nil : now
    votes = [:]
  }

  mutating func receivePreVoteRequest(_ message: Message, lastIndex: UInt64, lastTerm: UInt64) {
    let isGranted =
      message.term > hardState.term && !hasLiveLeader && mayVote(lastIndex: lastIndex, lastTerm: lastTerm)
    send(
      .preVoteResponse(isGranted: isGranted), to: message.from, term: isGranted ? message.term : hardState.term)
  }

  mutating func receivePreVoteResponse(_ message: Message, isGranted: Bool) {
    if !isGranted, message.term > hardState.term { return becomeFollower(term: message.term, leader: nil) }
    guard role == .preCandidate, !isGranted || message.term == hardState.term + 1 else { return }
    recordVote(from: message.from, isGranted: isGranted)
  }

  mutating func receiveVoteRequest(_ message: Message, lastIndex: UInt64, lastTerm: UInt64) {
    let isFree = hardState.vote == message.from || (hardState.vote == nil && leaderID == nil)
    let isGranted = isFree && mayVote(lastIndex: lastIndex, lastTerm: lastTerm)
    if isGranted {
      electionDeadline = now + electionWait()
      setHardState(HardState(term: hardState.term, vote: message.from))
    }
    send(.voteResponse(isGranted: isGranted), to: message.from)
  }

  /// Whether a candidate whose log ends there may have this node's vote.
  private func mayVote(lastIndex: UInt64, lastTerm: UInt64) -> Bool {
    if options.mutants.contains(.electsSlowVoter), lastTerm == terms.lastTerm { return true }
    return !isForeignDisk && LogPosition(index: lastIndex, term: lastTerm) >= votingPosition
  }

  private mutating func forEachOtherVoter(_ body: (inout Raft, NodeID) -> Void) {
    for member in configuration.members where member.id != id && configuration.isVoter(member.id) {
      body(&self, member.id)
    }
  }

  /// The peer can be reached: as a leader, find out where its log stands.
  mutating func connected(_ peer: NodeID) {
    if peer == brokenLeaderID { brokenLeaderID = nil }
    if role == .preCandidate || role == .candidate, votes[peer] == nil, configuration.isVoter(peer) {
      // What was asked before the connection stood is lost.
      return role == .candidate ? requestVote(of: peer, isTransfer: false) : requestPreVote(of: peer)
    }
    guard role == .leader, let slot = slot(of: peer) else { return }
    progress[slot].isConnected = true
    if progress[slot].mode != .snapshot { probe(slot) }
    isReplicationDue = true
  }

  /// A follower whose leader's connection broke does not wait for the timeout: most likely the leader's process died.
  mutating func disconnected(_ peer: NodeID) {
    if role == .leader, let slot = slot(of: peer) {
      progress[slot].isConnected = false
      if progress[slot].mode != .snapshot { probe(slot) }
    } else if role == .follower, peer == leaderID {
      brokenLeaderID = peer
      lostLeaderID = peer
      leaderID = nil
      lastLeaderContact = nil
      hasten()
    }
  }
}
