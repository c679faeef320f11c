/// Consensus without I/O: `step` takes what happened and returns what to do (Ongaro and Ousterhout, 2014; Ongaro's
/// thesis for pre-vote, check-quorum, leader transfer, ReadIndex and changes of members).
///
/// A value: no clock, no thread, no file. Time enters with each input, randomness is a seeded generator inside, so the
/// same inputs give the same effects, byte for byte. Not to be copied, as a look at it from another module would else cost
/// a copy of all that it holds.
///
/// Invariants:
/// - `commitIndex` ≤ `log.lastIndex`, never falls, and nothing at or below it is ever replaced.
/// - `appliedIndex` (what the shell was told to apply) ≤ `commitIndex`, and is durable here.
/// - No message leaves before the hard state that it shows is durable (`send`).
/// - A leader only appends to its log.
/// - The members in force are those of the log's last configuration, committed or not: no campaign begins with others, and
///   a snapshot that is installed replaces them.
package struct Raft: Sendable, ~Copyable {
  /// This node.
  package let id: NodeID
  /// The disk that holds this node's log; 0 when it has no identity.
  package let disk: UInt64
  /// The settings.
  package let options: Options

  /// What the node is to its group.
  package internal(set) var role = Role.follower
  /// Term and vote.
  package internal(set) var hardState: HardState
  /// The leader of the term, where it is known.
  package internal(set) var leaderID: NodeID?
  /// The last entry that is known to be committed.
  package internal(set) var commitIndex: UInt64
  /// What the shell was told to apply.
  package internal(set) var appliedIndex: UInt64
  /// Up to where this log had promised to reach, while it does not: entries that it acknowledged were lost to damage.
  package internal(set) var promised: LogPosition?
  // What the leader is asked about the promise: drawn once in this life, 0 before that; and when it may be asked next.
  var promiseQuestionID: UInt64 = 0
  var promiseQuestionDue: (term: UInt64, time: UInt64) = (0, 0)
  /// Whether the disk has no space: the node votes and follows, but takes no entries and does not lead.
  package internal(set) var isDiskFull = false
  /// The latest snapshot of this node's state.
  package internal(set) var snapshot: SnapshotMetadata
  /// The term of every entry of the log.
  package internal(set) var terms: TermIndex
  /// As a leader: what is known of the other members, sorted by id.
  package internal(set) var progress: [Progress] = []

  var recent: RecentEntries
  var configurations: ConfigurationHistory
  var writes: WriteQueue
  var random: SplitMix64
  var effects: [Effect] = []
  var now: UInt64

  // What the shell was last told.
  private struct Standing: Sendable, Equatable {
    var role: Role
    var term: UInt64
    var leaderID: NodeID?
  }
  private var announced: Standing

  // The write after which the current hard state, and the entries appended last, are durable.
  var hardStateSequence: UInt64 = 0
  var entriesSequence: UInt64 = 0
  var promiseSequence: UInt64 = 0

  // Following.
  var electionDeadline: UInt64 = 0
  var lastLeaderContact: UInt64?
  // The leader to which the connection broke: what still arrives from it was sent before, or by another connection.
  var brokenLeaderID: NodeID?
  // The leader that was given up, and what was done since to find another one.
  var lostLeaderID: NodeID?
  var promptCampaigns = 0
  var deferredCampaigns = 0
  var isLateTickExcused = false

  // Campaigning. The own vote counts once it is durable.
  var votes: [NodeID: Bool] = [:]
  var isOwnVoteDurable = false

  // Leading.
  var heartbeatDeadline: UInt64 = 0
  var quorumCheckDeadline: UInt64 = 0
  var firstIndexOfTerm: UInt64 = 0
  var flushedIndex: UInt64 = 0
  var isReplicationDue = false
  var uncommitted = UncommittedBytes()
  var transfer: Transfer?
  var reads = PendingReads()

  // Disks of members that the configuration does not know; and those that were complained about.
  var observedDisks: [NodeID: UInt64] = [:]
  var reportedDisks: [NodeID: UInt64] = [:]

  /// What a node finds in its log at start.
  package struct Recovered: Sendable {
    /// Term and vote.
    package var hardState: HardState
    /// The latest snapshot; at the very beginning index 0, with the configuration that the group starts with.
    package var snapshot: SnapshotMetadata
    /// The terms of the entries; its base is at or before the snapshot.
    package var terms: TermIndex
    /// The configuration entries after the base, in order.
    package var configurations: [(index: UInt64, configuration: Configuration)]
    /// The configuration in force at the base.
    package var baseConfiguration: Configuration
    /// An entry that is known to be committed, for instance because the durable state contains it.
    package var commitIndex: UInt64
    /// Up to where the log had promised to reach, where damage has made it shorter; nil: it is whole.
    package var promised: LogPosition?
    /// The random id of the log's directory; 0 when it has none.
    package var disk: UInt64 = 0

    /// Makes the description of a log.
    package init(
      hardState: HardState, snapshot: SnapshotMetadata, terms: TermIndex, baseConfiguration: Configuration,
      configurations: [(index: UInt64, configuration: Configuration)], commitIndex: UInt64,
      promised: LogPosition? = nil
    ) {
      self.hardState = hardState
      self.snapshot = snapshot
      self.terms = terms
      self.baseConfiguration = baseConfiguration
      self.configurations = configurations
      self.commitIndex = commitIndex
      self.promised = promised
    }

    /// A group's beginning: an empty log and the members given.
    package static func fresh(_ configuration: Configuration) -> Recovered {
      Recovered(
        hardState: HardState(), snapshot: SnapshotMetadata(index: 0, term: 0, configuration: configuration),
        terms: TermIndex(baseIndex: 0, baseTerm: 0), baseConfiguration: configuration, configurations: [],
        commitIndex: 0)
    }
  }

  /// Makes a follower from what the log holds. Everything recovered counts as durable.
  package init(id: NodeID, options: Options, recovered: Recovered, seed: UInt64, atMilliseconds now: UInt64) {
    precondition(id != 0, "0 is not a member's number")
    self.id = id
    self.options = options
    disk = recovered.disk
    self.now = now
    hardState = recovered.hardState
    promised = options.mutants.contains(.forgetsPromise) ? nil : recovered.promised
    snapshot = recovered.snapshot
    terms = recovered.terms
    recent = RecentEntries(limitBytes: options.recentBytes)
    configurations = ConfigurationHistory(base: recovered.baseConfiguration, at: recovered.terms.baseIndex)
    for item in recovered.configurations where !options.mutants.contains(.forgetsMembersAtRestart) {
      configurations.append(item.configuration, at: item.index)
    }
    writes = WriteQueue(durableIndex: recovered.terms.lastIndex)
    random = SplitMix64(seed: seed)
    commitIndex = min(max(recovered.commitIndex, recovered.snapshot.index), recovered.terms.lastIndex)
    appliedIndex = commitIndex
    flushedIndex = recovered.terms.lastIndex
    announced = Standing(role: .follower, term: recovered.hardState.term, leaderID: nil)
    electionDeadline = now + electionWait()
    settlePromise()
  }

  /// Takes in what happened at a time (milliseconds of a monotonic clock), and says what to do.
  package mutating func step(_ input: Input, atMilliseconds now: UInt64) -> [Effect] {
    var result: [Effect] = []
    step(input, atMilliseconds: now, into: &result)
    return result
  }

  /// The same into an empty buffer, whose storage is used for the next step's effects.
  package mutating func step(_ input: Input, atMilliseconds now: UInt64, into buffer: inout [Effect]) {
    precondition(buffer.isEmpty, "effects would be carried out in the wrong order")
    self.now = max(self.now, now)
    switch input {
    case .tick: tick()
    case .receive(let message): receive(message)
    case .propose(let payloads): propose(payloads)
    case .flush: flush()
    case .written(let sequence): written(through: sequence)
    case .entriesRead(let follower, let term, let entries): entriesRead(for: follower, term: term, entries)
    case .snapshotSent(let follower, let term, let index): snapshotSent(to: follower, term: term, index: index)
    case .snapshotReceived(let metadata, let from, let term): snapshotReceived(metadata, from: from, term: term)
    case .snapshotTaken(let metadata, let through): snapshotTaken(metadata, compactThrough: through)
    case .readIndex(let id): readIndex(id: id, from: self.id)
    case .transferLeadership(let target): transferLeadership(to: target)
    case .changeMembership(let changes): changeMembership(changes)
    case .connected(let peer): connected(peer)
    case .disconnected(let peer): disconnected(peer)
    case .diskFull(let isFull): setDiskFull(isFull)
    case .campaign: if role != .leader { preCampaign() }
    }
    announceRole()
    swap(&buffer, &effects)
  }

  /// Appends one command as a leader; its index. It is written and sent with the next flush. Has no effects to carry out.
  package mutating func propose(_ payload: [UInt8], atMilliseconds now: UInt64) throws(Refusal) -> UInt64 {
    self.now = max(self.now, now)
    try checkProposal(sizeBytes: payload.count + 32)
    return append(.command, payload)
  }

  /// When the next tick is due, in milliseconds; `.max` when only other inputs matter.
  package var nextDeadline: UInt64 {
    guard role == .leader else { return mayCampaign ? electionDeadline : .max }
    return min(heartbeatDeadline, quorumCheckDeadline, transfer?.deadline ?? .max)
  }

  /// Whether a flush would send or write something.
  package var needsFlush: Bool {
    role == .leader && (flushedIndex < terms.lastIndex || isReplicationDue || reads.wantsRound)
  }

  /// The members in force.
  package var configuration: Configuration { _read { yield configurations.current } }
  /// The entry that put them in force.
  package var configurationIndex: UInt64 { configurations.currentIndex }
  /// The one in force at what this node knows to be committed.
  package var committedConfiguration: Configuration? { configurations.configuration(at: commitIndex) }
  /// The last entry that is durable here.
  package var durableIndex: UInt64 { writes.durableIndex }
  /// The last write that is known to be durable.
  package var writtenSequence: UInt64 { writes.writtenSequence }
  /// The last entry of the log.
  package var lastIndex: UInt64 { terms.lastIndex }
  /// As a leader: its first entry; all before it is committed and applied once this one is.
  package var leaderStartIndex: UInt64? { role == .leader ? firstIndexOfTerm : nil }

  /// What describes a snapshot of the state that contains all entries up to an index; nil when that is not known.
  package func snapshotMetadata(at index: UInt64) -> SnapshotMetadata? {
    let place = options.mutants.contains(.describesOldMembers) ? terms.baseIndex : index
    guard let term = terms.term(at: index), let members = configurations.configuration(at: place) else { return nil }
    return SnapshotMetadata(index: index, term: term, configuration: members)
  }

  // MARK: - Shared by all roles

  private mutating func announceRole() {
    let standing = Standing(role: role, term: hardState.term, leaderID: leaderID)
    guard standing != announced else { return }
    announced = standing
    effects.append(.roleChanged(role, term: standing.term, leader: leaderID))
  }

  /// Sends once the hard state that the message shows, and the write given, are durable.
  mutating func send(_ body: Message.Body, to peer: NodeID, term: UInt64? = nil, after sequence: UInt64 = 0) {
    let message = Message(from: id, to: peer, term: term ?? hardState.term, body: body, fromDisk: disk)
    let needed = options.mutants.contains(.votesBeforeDurable) ? sequence : max(hardStateSequence, sequence)
    effects.append(.send(message, after: needed <= writes.writtenSequence ? 0 : needed))
  }

  mutating func setHardState(_ state: HardState) {
    guard state != hardState else { return }
    assert(state.term > hardState.term || (state.term == hardState.term && hardState.vote == nil))
    hardState = state
    hardStateSequence = writes.issue(lastIndex: flushedIndex, at: now)
    effects.append(.writeHardState(state, sequence: hardStateSequence))
  }

  mutating func commit(through index: UInt64) {
    guard index > commitIndex else { return }
    precondition(index <= terms.lastIndex, "only entries of the log are committed")
    commitIndex = index
    applyCommitted()
  }

  /// Applies what is committed and durable here: the state is never ahead of the node's own log.
  mutating func applyCommitted() {
    let bound = min(commitIndex, writes.durableIndex)
    guard bound > appliedIndex else { return }
    appliedIndex = bound
    effects.append(.apply(through: bound))
  }

  mutating func written(through sequence: UInt64) {
    writes.written(through: sequence, at: now)
    if role == .candidate, !isOwnVoteDurable, writes.writtenSequence >= hardStateSequence {
      isOwnVoteDurable = true
      recordVote(from: id, isGranted: true)
    }
    if role == .leader { advanceCommit() }
    applyCommitted()
  }

  mutating func electionWait() -> UInt64 {
    let timeout = options.electionTimeoutMilliseconds
    return timeout + timeout / 10 + random.next(below: timeout * 2 / 5)
  }
}
