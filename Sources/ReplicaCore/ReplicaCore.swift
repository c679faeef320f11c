import Raft

/// The one interpreter of consensus' effects, without I/O: what happens goes in (`handle`), what is to be done comes out
/// (`takeActions`). `Replica` runs it over files and sockets, the simulator over its world.
///
/// It joins the consensus core with what a replica has beside it: messages that wait for the disk, the state machine's
/// progress, and those who wait for an answer, each known by a token of the shell's choice.
///
/// Invariants:
/// - `appliedIndex` ≤ committed, and durable here; `apply` and `restoreSnapshot` are out one at a time.
/// - A message leaves only when what it shows is durable.
/// - A token that was taken in comes out in exactly one action.
/// - `isReady` only while this node leads and has applied all before its term.
package struct ReplicaCore: Sendable, ~Copyable {
  /// Stands for somebody who waits; chosen by the shell, not looked at here.
  package typealias Token = UInt64

  /// The settings.
  package let options: ReplicaOptions
  /// Consensus.
  package private(set) var raft: Raft
  /// What the state machine contains.
  package private(set) var appliedIndex: UInt64
  /// Whether this replica leads and has applied all before its term.
  package private(set) var isReady = false
  /// Whether the replica has ended: it takes nothing more.
  package private(set) var isEnded = false

  var actions: [Action] = []
  private var effects: [Effect] = []
  private var now: UInt64
  // Messages that show what is not durable so far.
  private var delayed: [(message: Message, after: UInt64)] = []

  // Applying.
  private var applyTarget: UInt64
  private var snapshotToRestore: SnapshotMetadata?
  private var isApplying = false
  private var bytesSinceSnapshot = 0
  private var isTakingSnapshot = false

  // Those who wait.
  private var proposals = WaitingProposals()
  private var leadershipTerm: UInt64 = 0
  private var reads = WaitingReads()
  private var readSweepDeadline = UInt64.max
  private var changes: [(index: UInt64, token: Token)] = []
  private var transferToken: Token?

  private static let readSweepMilliseconds: UInt64 = 100

  /// Makes a replica from what its log holds and what its state contains; `StartDecision` says whether the two fit.
  package init(
    id: NodeID, options: ReplicaOptions, recovered: Raft.Recovered, appliedIndex: UInt64, seed: UInt64,
    atMilliseconds now: UInt64
  ) {
    self.options = options
    self.appliedIndex = appliedIndex
    self.now = now
    var recovered = recovered
    // What damage has left of a log need not be what was committed: the leader says how much of it is.
    if recovered.promised == nil { recovered.commitIndex = max(recovered.commitIndex, appliedIndex) }
    raft = Raft(id: id, options: options.raft, recovered: recovered, seed: seed, atMilliseconds: now)
    applyTarget = raft.appliedIndex
  }

  /// Takes in what happened at a time (milliseconds of a monotonic clock).
  package mutating func handle(_ event: Event, atMilliseconds now: UInt64) {
    guard !isEnded else { return }
    self.now = max(self.now, now)
    switch event {
    case .started:
      // Nobody else can lead a group of one: no need to wait for an election timeout.
      step(raft.configuration.voters == [raft.id] ? .campaign : .tick)
      applyNext()
    case .tick: tick()
    case .endOfTurn: endOfTurn()
    case .received(let message): step(.receive(message))
    case .connected(let member): step(.connected(member))
    case .disconnected(let member): step(.disconnected(member))
    case .written(let sequence): written(through: sequence)
    case .entriesRead(let follower, let term, let entries): step(.entriesRead(for: follower, term: term, entries))
    case .read(let token, let deadline): read(token, deadlineMilliseconds: deadline)
    case .applied(let index, let size): applied(through: index, sizeBytes: size)
    case .snapshotRestored(let metadata): restored(metadata)
    case .snapshotTaken(let metadata, let droppable): snapshotTaken(metadata, droppable: droppable)
    case .snapshotSent(let member, let term, let index): step(.snapshotSent(to: member, term: term, index: index))
    case .snapshotReceived(let metadata, let leader, let term):
      step(.snapshotReceived(metadata, from: leader, term: term))
    case .diskFull(let isFull): step(.diskFull(isFull))
    case .stopped: stopped()
    }
  }

  /// Moves what is to be done into an empty buffer, whose storage is used for what comes next.
  package mutating func takeActions(into buffer: inout [Action]) {
    precondition(buffer.isEmpty, "actions would be done in the wrong order")
    swap(&buffer, &actions)
  }

  /// What is to be done.
  package mutating func takeActions() -> [Action] {
    var taken: [Action] = []
    swap(&taken, &actions)
    return taken
  }

  /// Whether there is something to be done.
  package var hasActions: Bool { !actions.isEmpty }

  /// When the next tick is due, in milliseconds; `.max` when only other events matter.
  package var nextDeadline: UInt64 { isEnded ? .max : min(raft.nextDeadline, readSweepDeadline) }

  /// Whether the end of the turn would write, send or ask for something.
  package var needsEndOfTurn: Bool {
    !isEnded && (raft.needsFlush || (reads.hasUnstarted && raft.leaderID != nil))
  }

  /// A snapshot that was received and waits to be restored, or is being restored.
  package var hasSnapshotToRestore: Bool { snapshotToRestore != nil }

  // MARK: - Asking

  /// Appends an entry; its index. The token comes back when the entry is applied here, or when that is not to be expected.
  /// Refused by who does not lead, or is not ready to: nothing was done then, and the token does not come back.
  package mutating func propose(_ payload: [UInt8], token: Token, atMilliseconds now: UInt64) throws(Refusal) -> UInt64
  {
    guard isReady else {
      if raft.isDiskFull, raft.leaderID == nil { throw .diskFull }
      throw .notLeader(raft.role == .leader ? nil : raft.leaderID)
    }
    let index = try raft.propose(payload, atMilliseconds: now)
    proposals.append(index: index, term: leadershipTerm, token: token)
    return index
  }

  /// Changes the members. The token comes back once the new configuration is committed and no longer joint.
  package mutating func changeMembers(
    _ wanted: [MembershipChange], token: Token, atMilliseconds now: UInt64
  ) throws(Refusal) {
    guard !isEnded else { throw .notLeader(nil) }
    try stepRefusable(.changeMembership(wanted), now)
    changes.append((raft.configurationIndex, token))
    settleChanges()
  }

  /// Hands leadership to a voter, 0: to the one that is furthest. The token comes back once this replica does not lead.
  package mutating func transferLeadership(
    to member: NodeID, token: Token, atMilliseconds now: UInt64
  ) throws(Refusal) {
    guard !isEnded else { throw .notLeader(nil) }
    guard transferToken == nil else { throw .transferring }
    try stepRefusable(.transferLeadership(to: member), now)
    transferToken = token
  }

  /// Compaction does not drop this entry, nor what comes after it. To be set before a snapshot is taken.
  package var heldIndex: UInt64 = .max

  /// How long the latest snapshot is: the next one waits for as much of the log, so that a large state is not written out again for
  /// little (Ongaro's thesis, 5.1.3). To be set before entries are told to be applied.
  package var latestSnapshotBytes = 0

  /// Claims the right to take a snapshot now, to be ended by `Event.snapshotTaken`; false while one is being taken.
  package mutating func beginSnapshot() -> Bool {
    guard !isEnded, !isTakingSnapshot else { return false }
    isTakingSnapshot = true
    bytesSinceSnapshot = 0
    return true
  }

  /// Whether a snapshot that a leader offers is of use. Nil: the offer is stale; false: this replica has all of it.
  package func wantsSnapshot(at index: UInt64, term: UInt64) -> Bool? {
    guard !isEnded, term >= raft.hardState.term else { return nil }
    return index > raft.commitIndex
  }

  // MARK: - Effects

  private mutating func step(_ input: Input) {
    raft.step(input, atMilliseconds: now, into: &effects)
    carryOut()
  }

  private mutating func stepRefusable(_ input: Input, _ now: UInt64) throws(Refusal) {
    self.now = max(self.now, now)
    raft.step(input, atMilliseconds: self.now, into: &effects)
    var refusal: Refusal?
    for case .refused(let reason) in effects { refusal = reason }
    carryOut()
    if let refusal { throw refusal }
  }

  private mutating func carryOut() {
    for effect in effects { carryOut(effect) }
    effects.removeAll(keepingCapacity: effects.count <= 1024)
    if !changes.isEmpty { settleChanges() }
  }

  private mutating func carryOut(_ effect: Effect) {
    switch effect {
    case .writeHardState(let state, let sequence): actions.append(.writeHardState(state, sequence: sequence))
    case .writeEntries(let entries, let sequence): actions.append(.writeEntries(entries, sequence: sequence))
    case .installSnapshot(let metadata, let sequence):
      actions.append(.resetLog(metadata, sequence: sequence))
      // A state that began with a later snapshot than the log knows, because damage has made that shorter, has it already.
      if metadata.index > appliedIndex { snapshotToRestore = metadata }
      applyTarget = max(metadata.index, appliedIndex)
      // Whatever waits for entries that the snapshot swallows cannot get their outputs any more.
      proposals.fail(.lostLeadership, &actions) { _, _ in false }
      applyNext()
    case .compact(let metadata, let through, let sequence):
      guard let base = raft.snapshotMetadata(at: through) else { break }
      actions.append(.compactLog(snapshot: metadata, base: base, sequence: sequence))
    case .writePromise(let position, let sequence): actions.append(.writePromise(position, sequence: sequence))
    case .send(let message, let after):
      if after <= raft.writtenSequence {
        actions.append(.send(message))
      } else if delayed.count < options.maximumDelayedMessages {
        delayed.append((message, after))
      }
    case .apply(let index):
      applyTarget = index
      applyNext()
    case .roleChanged(let role, let term, let leader): roleChanged(role, term: term, leader: leader)
    case .membersChanged(let members, _): actions.append(.membersChanged(members))
    case .readEntries(let follower, let term, let from, let through, let limitBytes):
      actions.append(.readEntries(for: follower, term: term, from: from, through: through, limitBytes: limitBytes))
    case .sendSnapshot(let follower, let term): actions.append(.sendSnapshot(to: follower, term: term))
    case .readReady(let id, let index):
      let applied = options.mutants.contains(.readsBeforeApplied) ? max(appliedIndex, index) : appliedIndex
      reads.confirm(id, index: index, appliedIndex: applied, &actions)
    case .readRefused(let id, _): reads.retryLater(id)
    case .transferAbandoned:
      if let token = transferToken { actions.append(.changeFailed(token, .timedOut)) }
      transferToken = nil
    case .foreignDisk(let recorded): actions.append(.foreignDisk(recorded: recorded))
    case .peerFault(let peer, let what): actions.append(.peerFault(from: peer, what))
    case .accepted, .refused: break
    }
  }

  private mutating func roleChanged(_ role: Role, term: UInt64, leader: NodeID?) {
    actions.append(.roleChanged(role, term: term, leader: leader))
    if role != .leader || term != leadershipTerm { endLeadership(term: term) }
    if role == .leader { leadershipTerm = term }
    if role != .leader, leader != nil || role == .follower, let token = transferToken {
      actions.append(.changeDone(token))
      transferToken = nil
    }
    establishLeadership()
  }

  /// What is committed already will be applied and answered; the rest may yet be lost or not.
  private mutating func endLeadership(term: UInt64) {
    // What a disk that hangs does not hold is not applied for long: those who wait shall ask the next leader.
    let reach = raft.isDiskStalled ? min(raft.commitIndex, raft.durableIndex) : raft.commitIndex
    if raft.isDiskStalled { reads.failAll(.lostLeadership, &actions) }
    proposals.fail(.lostLeadership, &actions) { index, proposedTerm in
      // Of what is compacted, a leader that has not lost its term until now was the author.
      index <= reach && raft.terms.term(at: index).map { $0 == proposedTerm } ?? true
    }
    // A leader that left the group has lost its leadership by the change that it is asked for.
    settleChanges()
    for change in changes { actions.append(.changeFailed(change.token, .lostLeadership)) }
    changes = []
    guard isReady else { return }
    isReady = false
    actions.append(.leadershipChanged(isLeader: false, term: term))
  }

  /// The state machine leads once it has applied all that came before its term.
  private mutating func establishLeadership() {
    guard !isReady, let start = raft.leaderStartIndex,
      appliedIndex >= start || options.mutants.contains(.servesBeforeReplay)
    else { return }
    isReady = true
    actions.append(.leadershipChanged(isLeader: true, term: raft.hardState.term))
  }

  private mutating func settleChanges() {
    guard !raft.configuration.isJoint, raft.configurationIndex <= raft.commitIndex else { return }
    for change in changes where change.index <= raft.commitIndex { actions.append(.changeDone(change.token)) }
    changes.removeAll { $0.index <= raft.commitIndex }
  }

  private mutating func written(through sequence: UInt64) {
    if !delayed.isEmpty {
      // What waits since an earlier term is said no more: its leader would count an entry that the present one may have replaced.
      let term = raft.hardState.term
      for item in delayed where item.after <= sequence && item.message.term >= term {
        actions.append(.send(item.message))
      }
      delayed.removeAll { $0.after <= sequence }
    }
    step(.written(through: sequence))
  }

  private mutating func tick() {
    if now >= readSweepDeadline {
      reads.sweep(
        atMilliseconds: now, retryAfterMilliseconds: options.raft.electionTimeoutMilliseconds, &actions)
      readSweepDeadline = reads.isEmpty ? .max : now + Self.readSweepMilliseconds
    }
    if now >= raft.nextDeadline { step(.tick) }
  }

  private mutating func endOfTurn() {
    if reads.hasUnstarted, raft.leaderID != nil { step(.readIndex(id: reads.start(atMilliseconds: now))) }
    if raft.needsFlush { step(.flush) }
  }

  private mutating func stopped() {
    isEnded = true
    delayed = []
    proposals.fail(.stopped, &actions) { _, _ in false }
    reads.failAll(.stopped, &actions)
    for change in changes { actions.append(.changeFailed(change.token, .stopped)) }
    changes = []
    if let token = transferToken { actions.append(.changeFailed(token, .stopped)) }
    transferToken = nil
    readSweepDeadline = .max
    guard isReady else { return }
    isReady = false
    actions.append(.leadershipChanged(isLeader: false, term: raft.hardState.term))
  }

  // MARK: - Reads

  private mutating func read(_ token: Token, deadlineMilliseconds: UInt64) {
    guard reads.count < options.maximumWaitingReads else { return actions.append(.readFailed(token, .overloaded)) }
    reads.append(token, deadlineMilliseconds: deadlineMilliseconds)
    if readSweepDeadline == .max { readSweepDeadline = now + Self.readSweepMilliseconds }
  }

  // MARK: - The state machine

  private mutating func applyNext() {
    guard !isApplying else { return }
    if let metadata = snapshotToRestore {
      isApplying = true
      return actions.append(.restoreSnapshot(metadata))
    }
    guard appliedIndex < applyTarget else { return }
    isApplying = true
    actions.append(.apply(from: appliedIndex + 1, through: applyTarget))
  }

  private mutating func applied(through index: UInt64, sizeBytes: Int) {
    precondition(isApplying && index <= max(raft.appliedIndex, appliedIndex), "only what was to be applied is applied")
    isApplying = false
    if index > appliedIndex {
      appliedIndex = index
      bytesSinceSnapshot += sizeBytes
      advanced()
    }
    applyNext()
  }

  private mutating func restored(_ metadata: SnapshotMetadata) {
    isApplying = false
    if snapshotToRestore == metadata { snapshotToRestore = nil }
    appliedIndex = metadata.index
    bytesSinceSnapshot = 0
    advanced()
    applyNext()
  }

  private mutating func advanced() {
    if !proposals.isEmpty { proposals.applied(through: appliedIndex, &actions) }
    reads.applied(appliedIndex, &actions)
    establishLeadership()
    if bytesSinceSnapshot >= max(options.snapshotLogBytes, latestSnapshotBytes), beginSnapshot() {
      actions.append(.takeSnapshot)
    }
  }

  private mutating func snapshotTaken(_ metadata: SnapshotMetadata?, droppable: UInt64) {
    isTakingSnapshot = false
    guard let metadata else { return }
    let byEntries = metadata.index - min(metadata.index, options.keptEntries)
    let through = max(byEntries, min(droppable, metadata.index))
    step(.snapshotTaken(metadata, compactThrough: min(through, heldIndex - 1)))
  }
}
