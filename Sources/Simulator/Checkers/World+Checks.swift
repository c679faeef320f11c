import Metadata
import MetadataLog
import Raft
import ReplicaCore

/// The invariants of reliability.md, looked at whenever something happens that could break them. Each look takes constant
/// time, apart from those at rare events.
extension World {
  /// After each event of a node: what it shows of itself.
  func watch(_ node: Node) {
    let role = node.core.raft.role
    let term = node.core.raft.hardState.term
    if node.core.raft.commitIndex != node.seen.commitIndex { watchCommit(node) }
    if term != node.seen.term || role != node.seen.role { watchRole(node, role, term) }
    if node.core.raft.configurationIndex != node.seen.configurationIndex { watchMembers(node, role) }
    let applied = node.core.appliedIndex
    if applied != node.seen.appliedIndex {
      if applied > node.core.raft.commitIndex {
        violated("4 applied", "node \(node.id) applied \(applied), committed is \(node.core.raft.commitIndex)")
      }
      if applied < node.seen.appliedIndex {
        violated("4 applied", "node \(node.id) went back from \(node.seen.appliedIndex) to \(applied)")
      }
      node.seen.appliedIndex = applied
    }
    if node.damagedUntil != 0 { watchRepair(node) }
    hash.mix(term << 40 ^ node.seen.commitIndex << 4 ^ UInt64(node.slot))
  }

  /// A voter by its log; or by what it knows to be committed, which a later entry of its log would change.
  private func mayCampaign(_ node: Node) -> Bool {
    node.core.raft.configuration.isVoter(node.id) || node.core.raft.committedConfiguration?.isVoter(node.id) == true
  }

  private func watchRole(_ node: Node, _ role: Role, _ term: UInt64) {
    if term < node.seen.term { violated("1 term", "node \(node.id) went back to term \(term)") }
    if role == .leader, node.seen.role != .leader || node.seen.term != term {
      if let other = elections.leads(node.id, term: term) {
        violated("1 one leader", "nodes \(other) and \(node.id) both lead term \(term)")
      }
      checkVotes(node, term)
      let last = log.lastIndex
      // One who finds only now that it was elected need not have what later leaders committed.
      if elections.highestTerm == term, last > node.core.raft.terms.baseIndex,
        node.core.raft.terms.term(at: last) != UInt64(log.terms[Int(last)])
      {
        violated("2 leader completeness", "node \(node.id) leads term \(term) without entry \(last)")
      }
    }
    if role == .candidate || role == .preCandidate || role == .leader, node.seen.role == .follower, !mayCampaign(node) {
      violated("5 campaign", "node \(node.id) campaigns, but is no voter")
    }
    if node.isBlank, role == .leader { violated("6 blank disk", "node \(node.id) leads with a disk that was emptied") }
    node.seen.role = role
    node.seen.term = term
  }

  /// A leader has the votes of a quorum, each on the disk of its voter. What a disk that was emptied says does not count.
  private func checkVotes(_ node: Node, _ term: UInt64) {
    let isElected = node.core.raft.configuration.hasQuorum { id in
      guard let slot = slot(of: id), !nodes[slot].isBlank else { return false }
      let known = nodes[slot].durable.hardState
      return known.term > term || (known.term == term && known.vote == node.id)
    }
    if !isElected { violated("6 votes", "node \(node.id) leads term \(term) without the durable votes of a quorum") }
  }

  func watchCommit(_ node: Node) {
    let commit = node.core.raft.commitIndex
    guard commit != node.seen.commitIndex else { return }
    if commit < node.seen.commitIndex {
      violated("2 commit", "node \(node.id) went back from \(node.seen.commitIndex) to \(commit)")
    }
    // A leader that committed its own removal leads no more.
    let leads = node.core.raft.role == .leader || node.seen.role == .leader
    if commit > log.lastIndex, leads { watchQuorum(node, commit) }
    var index = max(node.seen.commitIndex, node.core.raft.terms.baseIndex) + 1
    while index <= commit {
      if let term = node.core.raft.terms.term(at: index) {
        if index > log.lastIndex, !leads {
          violated("2 commit", "node \(node.id) follows, and committed \(index), which no leader had committed")
        }
        if !log.commit(index, term: term) {
          violated("2 log matching", "node \(node.id) committed entry \(index) of term \(term), others another one")
        }
      }
      index += 1
    }
    node.seen.commitIndex = commit
  }

  /// What a leader commits must be on the disks of a quorum at that moment. A disk that was lost counts with what was on it:
  /// it may have been acknowledged before, which the leader cannot take back.
  private func watchQuorum(_ node: Node, _ index: UInt64) {
    guard let term = node.core.raft.terms.term(at: index) else { return }
    if term != node.core.raft.hardState.term {
      violated("2 commit", "node \(node.id) committed entry \(index) of term \(term) by counting in a later term")
    }
    let members = node.core.raft.configuration
    // An entry that changes the members is counted by the new ones; once it is committed the next one may be in force.
    guard index >= node.core.raft.configurationIndex else { return }
    let isDurable = members.hasQuorum { id in
      guard let slot = slot(of: id) else { return false }
      let node = nodes[slot]
      let copy = node.isBlank ? node.wiped : node.durable
      return copy.holds(index, term: term) || (node.damagedUntil != 0 && node.lost.holds(index, term: term))
    }
    if !isDurable {
      violated("3 durable", "node \(node.id) committed entry \(index), which is not on the disks of a quorum")
    }
  }

  private func watchMembers(_ node: Node, _ role: Role) {
    let members = node.core.raft.configuration
    if role == .leader, node.seen.role == .leader, let old = steward.seenMembers[node.slot] {
      if !Self.areAdjacent(old, members) {
        violated("5 quorums", "node \(node.id) went from voters \(old.voters) to \(members.voters) at once")
      }
      let isOtherQuorum = old.voters != members.voters || old.outgoingVoters != members.outgoingVoters
      if isOtherQuorum {
        if node.seen.quorumIndex > node.core.raft.commitIndex {
          violated("5 quorums", "node \(node.id) changes the voters before its last change of them is committed")
        }
        node.seen.quorumIndex = node.core.raft.configurationIndex
      }
    }
    steward.seenMembers[node.slot] = members
    node.seen.configurationIndex = node.core.raft.configurationIndex
  }

  /// Whether each majority of the one shares a voter with each majority of the other.
  private static func areAdjacent(_ old: Configuration, _ new: Configuration) -> Bool {
    if new.isJoint { return new.outgoingVoters == old.voters || new.outgoingVoters == old.outgoingVoters }
    if old.isJoint { return new.voters == old.voters }
    let changed =
      new.voters.filter { !old.voters.contains($0) }.count + old.voters.filter { !new.voters.contains($0) }.count
    return changed <= 1
  }

  private func watchRepair(_ node: Node) {
    if node.restoredInTerm != 0, node.core.raft.promised != nil { node.restoredInTerm = 0 }
    // While its promise lasts it votes for nobody whose log is shorter: it cannot be counted on.
    guard !node.isDamageHidden, node.core.raft.promised == nil, node.durable.terms.lastIndex >= node.damagedUntil,
      !node.isBlank
    else { return }
    tell("node \(node.id) has again all that it had lost")
    if node.restoredInTerm == node.core.raft.hardState.term {
      violated(
        "6 backup",
        "node \(node.id) was given an old backup of its disk, and the leader of term \(node.restoredInTerm), which had its "
          + "word for what came later, has not noticed")
    }
    node.restoredInTerm = 0
    node.damagedUntil = 0
  }

  // MARK: - What a node does

  /// A message shows only what is durable.
  func checkSending(_ node: Node, _ message: Message) {
    let durable = node.durable.hardState
    switch message.body {
    case .preVoteRequest: return
    case .preVoteResponse: return
    case .voteResponse(let isGranted) where isGranted:
      if durable.term == message.term ? durable.vote != message.to : durable.term < message.term {
        violated(
          "1 durable vote", "node \(node.id) votes for \(message.to) in term \(message.term) before that is durable")
      }
    case .appendAccepted(let matchIndex, _):
      if matchIndex > node.durable.terms.lastIndex {
        violated(
          "3 durable",
          "node \(node.id) acknowledges \(matchIndex), its disk holds entries up to \(node.durable.terms.lastIndex)")
      }
    default: break
    }
    if message.term > durable.term {
      violated("1 durable term", "node \(node.id) shows term \(message.term), on its disk is \(durable.term)")
    }
  }

  /// Entries are given to the log; none that is committed may be replaced by another one.
  func checkWriting(_ node: Node, _ entries: [Entry]) {
    guard let first = entries.first, first.index <= node.seen.commitIndex else { return }
    for entry in entries where entry.index <= node.seen.commitIndex {
      if entry.index < UInt64(log.terms.count), UInt64(log.terms[Int(entry.index)]) != entry.term {
        violated("2 rewritten", "node \(node.id) replaces entry \(entry.index), which it knows to be committed")
      }
    }
  }

  /// A snapshot replaced the log: the members in force are those of the snapshot.
  func checkReset(_ node: Node, _ metadata: SnapshotMetadata) {
    if node.core.raft.configuration != metadata.configuration, node.core.raft.configurationIndex <= metadata.index {
      violated(
        "5 snapshot members",
        "node \(node.id) installed a snapshot with voters \(metadata.configuration.voters), but goes on with "
          + "\(node.core.raft.configuration.voters)")
    }
  }

  /// An entry was folded into a node's state.
  func checkApplied(_ node: Node, _ entry: Entry) {
    watchCommit(node)
    if !log.apply(entry) {
      violated(
        "4 apply", "node \(node.id) applied entry \(entry.index) of term \(entry.term), which is not the committed one")
      return
    }
    guard entry.kind == .command else { return }
    guard node.state.image.index == entry.index else {
      return violated("4 apply", "node \(node.id) applied \(entry.index), its state is at \(node.state.image.index)")
    }
    if node.state.image.featureLevel > node.program {
      violated(
        "18 levels",
        "node \(node.id) goes on at feature level \(node.state.image.featureLevel), its program understands \(node.program)"
      )
    }
    guard let known = log.hash(at: entry.index) else {
      guard let record = node.state.recent.element(at: entry.index)?.record else { return }
      log.add(record)
      transactions?.recorded(record)
      if let problem = versions.committed(record) { violated("10 once", problem) }
      return
    }
    if known != CommittedLog.short(node.state.image.hash) {
      violated("8 chain", "node \(node.id) has another hash at record \(entry.index) than others")
    }
  }

  /// A node's state came from a snapshot.
  func checkImage(_ node: Node) {
    let image = node.state.image
    if image.index > 0, log.hash(at: image.index) != CommittedLog.short(image.hash) {
      violated("7 snapshot", "the snapshot that node \(node.id) restored is not the state at \(image.index)")
    }
  }

  func checkSnapshot(_ node: Node, index: UInt64, _ bytes: [UInt8]) {
    if !log.agrees(snapshot: bytes, at: index) {
      violated("7 snapshot", "the snapshot of node \(node.id) at \(index) differs from another node's")
    }
  }

  /// A node answers that a record is there.
  func checkAcknowledged(_ node: Node, _ index: UInt64) {
    if index > node.core.appliedIndex || index > log.lastIndex {
      violated("3 acknowledged", "node \(node.id) acknowledges \(index), which is not committed")
    }
  }

  /// What a disk gives back after a crash.
  func checkRecovery(_ node: Node, _ recovered: Raft.Recovered) {
    defer {
      node.durable.hardState = recovered.hardState
      node.durable.terms = recovered.terms
      node.durable.replacedFrom = .max
      node.isDamageHidden = false
    }
    let known = node.durable
    guard node.damagedUntil == 0, !node.isBlank else {
      // What was written after the damage had begun may be lost as well.
      if !node.isBlank, recovered.terms.lastIndex < known.terms.lastIndex {
        node.lost = known
        node.damagedUntil = max(node.damagedUntil, known.terms.lastIndex)
      }
      // A backup that lacks next to nothing need not be noticed.
      if recovered.terms.lastIndex + 5 >= node.damagedUntil { node.restoredInTerm = 0 }
      return
    }
    if recovered.hardState.term < known.hardState.term
      || (recovered.hardState.term == known.hardState.term && known.hardState.vote != nil
        && recovered.hardState.vote != known.hardState.vote)
    {
      violated("1 durable vote", "node \(node.id) has forgotten term \(known.hardState.term) or its vote")
    }
    let needed = min(known.terms.lastIndex, known.replacedFrom == 0 ? 0 : known.replacedFrom - 1)
    if recovered.terms.lastIndex < needed {
      violated(
        "3 durable", "node \(node.id) had entries up to \(needed) on its disk, and finds \(recovered.terms.lastIndex)")
    } else if needed > recovered.terms.baseIndex, needed > known.terms.baseIndex,
      recovered.terms.term(at: needed) != known.terms.term(at: needed)
    {
      violated("3 durable", "node \(node.id) finds another entry \(needed) than was on its disk")
    }
  }

  /// A node has started and knows its members.
  func started(_ node: Node, _ recovered: Raft.Recovered) {
    node.seen = SeenState()
    node.seen.commitIndex = node.core.raft.commitIndex
    node.seen.appliedIndex = node.core.appliedIndex
    node.seen.configurationIndex = node.core.raft.configurationIndex
    node.seen.term = node.core.raft.hardState.term
    steward.seenMembers[node.slot] = node.core.raft.configuration
    checkImage(node)
    checkMembers(node)
  }

  /// The members that a node goes by after a start are those that its log says.
  private func checkMembers(_ node: Node) {
    guard let known = log.members(at: min(node.core.raft.lastIndex, log.lastIndex)), node.core.raft.lastIndex > 0 else {
      return
    }
    let holds =
      known.index <= node.core.raft.terms.baseIndex
      || node.core.raft.terms.term(at: known.index) == UInt64(log.terms[Int(known.index)])
    // A later change may be in the log and not be committed.
    guard holds,
      node.core.raft.configurationIndex <= known.index
        || node.core.raft.configurationIndex == node.core.raft.terms.baseIndex,
      known.index > 0 || node.id <= settings.memberCount
    else { return }
    if node.core.raft.configuration != known.configuration {
      violated(
        "5 members",
        "node \(node.id) goes by voters \(node.core.raft.configuration.voters), its log says \(known.configuration.voters) at \(known.index)"
      )
    }
  }

  /// A snapshot is described with the members at its place.
  func checkDescription(_ node: Node, _ metadata: SnapshotMetadata) {
    guard let known = log.members(at: metadata.index), known.configuration != metadata.configuration else { return }
    violated(
      "5 members",
      "node \(node.id) describes its snapshot at \(metadata.index) with voters \(metadata.configuration.voters), "
        + "they are \(known.configuration.voters)")
  }

  func peerFault(_ node: Node, _ peer: MemberID, _ what: String) {
    tell("node \(node.id): fault of \(peer): \(what)")
    let isExcused =
      node.damagedUntil != 0 || node.isBlank
      || slot(of: peer).map { nodes[$0].damagedUntil != 0 || nodes[$0].isBlank } ?? true
    if !isExcused { violated("peer fault", "node \(node.id) about \(peer): \(what)") }
  }

  // MARK: - What clients are told

  func checkAnswered(client: Int, sequence: UInt64, index: UInt64) {
    let known = versions.index(client: client, sequence)
    if known != index {
      violated("10 once", "client \(client) was told \(index) for its request \(sequence), whose record is at \(known)")
    }
  }

  func checkConflict(client: Int, sequence: UInt64, _ expected: Client.Expected?) {
    versions.refused(client: client, sequence)
    guard let expected, versions.current[expected.sequence] == expected.version else { return }
    violated(
      "10 one winner",
      "client \(client) was refused, but sequence \(expected.sequence) is at version \(expected.version) still")
  }

  /// The end of the run: everybody who is at the same place has the same state, byte for byte.
  func checkEnd() {
    var images: [(index: UInt64, hash: UInt64, node: MemberID)] = []
    for node in nodes where node.isRunning && node.state.image.index > 0 {
      guard let bytes = try? ImageSnapshot.bytes(of: node.state.image) else { continue }
      let image = (index: node.state.image.index, hash: TraceHash.of(bytes), node: node.id)
      if let other = images.first(where: { $0.index == image.index && $0.hash != image.hash }) {
        violated("7 replay", "nodes \(other.node) and \(node.id) differ at record \(image.index)")
      }
      images.append(image)
      if !log.agrees(snapshot: bytes, at: image.index) {
        violated("7 replay", "node \(node.id) differs from a snapshot at record \(image.index)")
      }
    }
    for image in images { hash.mix(image.hash) }
    transactions?.checkEnd()
  }

  /// Now and then: nothing grows without bound (reliability.md, 16).
  func checkBounds() {
    for node in nodes where node.isAlive {
      if node.waiters.count > 5_000 { violated("16 bounded", "\(node.waiters.count) wait at node \(node.id)") }
      if let log = node.log, log.pending.count > 20_000 {
        violated("16 bounded", "\(log.pending.count) writes wait at node \(node.id)")
      }
    }
  }
}
