import EventLoop
import LogStore
import Logging
import Raft
import SegmentedLog

/// The one interpreter of consensus' effects: joins the pure core, the durable log, the transport and a state machine.
///
/// The core runs on the loop, the log's writes on the log's thread, so the leader's disk works while the followers' do.
/// Proposals of one turn of the loop share a write and a message.
///
/// Invariants: log writes are given out in the core's order; a message leaves only when its `after` is durable; the
/// state machine applies one batch at a time, each entry once, none before it is committed and durable here.
@LoopActor
package final class Replica<Machine: StateMachine>: TurnParticipant {
  /// How this replica takes part.
  package let configuration: ReplicaConfiguration
  /// What is replicated.
  package let machine: Machine
  /// Told when role, term or leader changed, after the state machine.
  package var onChange: (@LoopActor (ReplicaStatus) -> Void)?
  /// Told once when the replica ended because its disk or its state machine failed.
  package var onFailure: (@LoopActor (ReplicaError) -> Void)?

  let transport: any RaftTransport
  let logger: Logger
  let snapshots: SnapshotStore

  enum State {
    case created
    case running(LogStore)
    case ended(ReplicaError)
  }
  var state = State.created
  // Made anew at start, from the log.
  var raft: Raft

  // Effects that wait while earlier ones are carried out: a callback may lead to the next step.
  var effects: [Effect] = []
  var isPerforming = false
  var isRegistered = false
  var delayedMessages: [(message: Message, after: UInt64)] = []
  var timer: LoopTimer?
  var timerDeadline: UInt64 = .max

  // Applying.
  var appliedIndex: UInt64 = 0
  var applyTarget: UInt64 = 0
  var snapshotToRestore: SnapshotMetadata?
  var isApplying = false
  var bytesSinceSnapshot = 0
  var isTakingSnapshot = false
  var isReady = false
  var whenApplierRests: [@LoopActor () -> Void] = []

  // Those who wait.
  var proposals = ProposalQueue<Machine.Output>()
  var reads = ReadQueue()
  var readTimer: LoopTimer?
  var changes: [(index: UInt64, then: @LoopActor (ReplicaError?) -> Void)] = []
  var transferWaiter: (@LoopActor (ReplicaError?) -> Void)?

  /// Makes a replica that talks through the transport given.
  package init(configuration: ReplicaConfiguration, machine: Machine, transport: any RaftTransport) {
    self.configuration = configuration
    self.machine = machine
    self.transport = transport
    var logger = Logger(label: "replica")
    logger[metadataKey: "group"] = "\(configuration.groupID)"
    logger[metadataKey: "member"] = "\(configuration.nodeID)"
    self.logger = logger
    snapshots = SnapshotStore(directory: configuration.dataDirectory + "/snapshots")
    raft = Raft(
      id: configuration.nodeID, options: configuration.raft, recovered: .fresh(.empty), seed: 0, atMilliseconds: 0)
  }

  /// Opens the log, restores the state where it is behind the snapshot, and joins the group.
  package func start() async throws(ReplicaStartError) {
    guard case .created = state else { throw .other("a replica is started once") }
    let log: LogStore
    var recovered: Raft.Recovered
    do throws(LogStoreError) {
      _ = try FileDisk(path: configuration.dataDirectory)
      let disk = try FileDisk(path: configuration.dataDirectory + "/log")
      (log, recovered) = try await LogStore.open(configuration.log, on: disk)
    } catch { throw .log(error) }
    do throws(ReplicaStartError) {
      try await restore(&recovered)
    } catch {
      await log.close()
      throw error
    }
    raft = Raft(
      id: configuration.nodeID, options: configuration.raft, recovered: recovered,
      seed: configuration.seed ?? UInt64.random(in: 0...UInt64.max), atMilliseconds: now)
    applyTarget = raft.appliedIndex
    state = .running(log)
    log.onWritten = { [weak self] sequence in
      self?.step(.written(through: sequence))
      self?.releaseDelayedMessages()
    }
    log.onFailure = { [weak self] in self?.fail($0.description) }
    transport.setMembers(raft.configuration.members)
    do { try transport.start(self) } catch {
      await stop()
      throw .other("\(error)")
    }
    // Nobody else can lead a group of one: no need to wait for an election timeout.
    step(raft.configuration.voters == [configuration.nodeID] ? .campaign : .tick)
    applyNext()
  }

  /// Brings the state up to the log's snapshot.
  private func restore(_ recovered: inout Raft.Recovered) async throws(ReplicaStartError) {
    let base = recovered.snapshot
    do { try await snapshots.open() } catch { throw .other("\(error)") }
    appliedIndex = machine.appliedIndex
    guard appliedIndex <= recovered.terms.lastIndex || appliedIndex <= base.index else {
      throw .stateAheadOfLog(appliedIndex: appliedIndex, lastIndex: recovered.terms.lastIndex)
    }
    // A state that begins from nothing is sooner there by the snapshot; one that is merely behind replays the log.
    if appliedIndex < recovered.terms.baseIndex || (appliedIndex == 0 && base.index > 0) {
      // A snapshot newer than the log knows (the process ended in between) serves as well, if the log reaches it.
      guard let stored = snapshots.latest, stored.metadata.index >= base.index,
        stored.metadata.index <= recovered.terms.lastIndex
      else { throw .snapshotMissing(index: base.index, directory: snapshots.directory) }
      do {
        try await machine.restoreSnapshot(from: stored.path, index: stored.metadata.index)
      } catch { throw .other("the snapshot at entry \(stored.metadata.index) cannot be restored: \(error)") }
      appliedIndex = stored.metadata.index
    }
    recovered.commitIndex = max(recovered.commitIndex, appliedIndex)
  }

  /// Leaves the group and closes the log. Those who wait are told `stopped`.
  package func stop() async {
    guard case .running(let log) = state else { return }
    end(.stopped)
    await transport.stop()
    if isApplying {
      await withCheckedContinuation { continuation in whenApplierRests.append { continuation.resume() } }
    }
    await log.close()
    snapshots.close()
  }

  /// The replica as it is now.
  package var status: ReplicaStatus {
    let nowMilliseconds = now
    let members = raft.configuration.members.map { member in
      let progress = raft.progress.first { $0.id == member.id }
      let isSelf = member.id == configuration.nodeID
      let isLeader = raft.role == .leader
      return ReplicaStatus.MemberStatus(
        id: member.id, address: member.address, isVoter: raft.configuration.isVoter(member.id),
        matchIndex: !isLeader ? nil : isSelf ? raft.durableIndex : progress?.matchIndex,
        isAlive: !isLeader
          ? nil
          : isSelf
            || progress.map {
              $0.lastContactMilliseconds + configuration.raft.electionTimeoutMilliseconds >= nowMilliseconds
            } ?? false)
    }
    return ReplicaStatus(
      role: raft.role, isReady: isReady, term: raft.hardState.term, leaderID: raft.leaderID,
      leaderAddress: leaderAddress, commitIndex: raft.commitIndex, appliedIndex: appliedIndex,
      lastIndex: raft.lastIndex, firstIndex: raft.terms.baseIndex + 1, snapshotIndex: raft.snapshot.index,
      members: members)
  }

  /// Whether this replica leads and has applied all that came before its term.
  package var isLeader: Bool { isReady }

  var leaderAddress: String? { raft.leaderID.flatMap { raft.configuration.member($0)?.address } }

  var notLeader: ReplicaError {
    // A leader that is still applying what came before cannot decide anything yet, and knows no better one.
    raft.role == .leader
      ? .notLeader(leaderID: nil, leaderAddress: nil)
      : .notLeader(leaderID: raft.leaderID, leaderAddress: leaderAddress)
  }

  var now: UInt64 { Loop.now / 1_000_000 }

  var log: LogStore? {
    guard case .running(let log) = state else { return nil }
    return log
  }

  func fail(_ reason: String) {
    guard case .running(let log) = state else { return }
    logger.critical("the replica ends: \(reason)")
    end(.failed(reason))
    Task { @LoopActor in
      await transport.stop()
      await log.close()
    }
    onFailure?(.failed(reason))
  }

  private func end(_ error: ReplicaError) {
    state = .ended(error)
    timer?.cancel()
    timer = nil
    readTimer?.cancel()
    readTimer = nil
    delayedMessages = []
    effects = []
    for then in proposals.removeAll() { then(.failure(error)) }
    for then in reads.removeAll() { then(error) }
    let waiting = changes
    changes = []
    for change in waiting { change.then(error) }
    transferWaiter?(error)
    transferWaiter = nil
    if isReady {
      isReady = false
      machine.leadershipChanged(isLeader: false, term: raft.hardState.term)
    }
  }
}
