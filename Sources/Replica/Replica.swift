import EventLoop
import LogStore
import Logging
import Raft
import ReplicaCore
import SegmentedLog

/// Runs a `ReplicaCore` on the loop: joins it with the durable log, the transport, snapshot files, a state machine, a
/// timer, and the completions of those who wait. What is to be done when is the core's matter.
///
/// The log's writes are its own thread's, so the leader's disk works while the followers' do. Proposals of one turn of
/// the loop share a write and a message.
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
  /// What it has gone through.
  package internal(set) var statistics = ReplicaStatistics()
  private(set) var logDisk: FileDisk?

  enum State {
    case created
    case running(LogStore)
    case ended(ReplicaError)
  }
  var state = State.created
  // Made anew at start, from the log.
  var core: ReplicaCore

  // What is being done: a callback may lead to the next event.
  var actions: [ReplicaCore.Action] = []
  var isPerforming = false
  var isRegistered = false
  var timer: LoopTimer?
  private var promiseTimer: LoopTimer?
  var timerDeadline: UInt64 = .max

  /// Whether the state machine waits for space.
  private var isMachineFull = false
  /// Whether the log has become so long that it is compacted although something is under way that needs it.
  package internal(set) var isHoldOverruled = false

  // Applying.
  var applied = AppliedBatch<Machine.Output>()
  var isApplying = false
  /// Entries to be applied after those that are being applied.
  var ahead: EntryRead?
  var whenApplierRests: [@LoopActor () -> Void] = []

  // Those who wait: for outputs; for reads and changes, told nil or what went wrong.
  var proposals = Completions<@LoopActor (Result<Machine.Output, ReplicaError>) -> Void>()
  var waiters = Completions<@LoopActor (ReplicaError?) -> Void>()

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
    core = ReplicaCore(
      id: configuration.nodeID, options: configuration.core, recovered: .fresh(.empty), appliedIndex: 0, seed: 0,
      atMilliseconds: 0)
  }

  /// Opens the log, restores the state where it is behind the snapshot, and joins the group.
  package func start() async throws(ReplicaStartError) {
    guard case .created = state else { throw .other("a replica is started once") }
    let log: LogStore
    var recovered: Raft.Recovered
    do throws(LogStoreError) {
      _ = try FileDisk(path: configuration.dataDirectory)
      let disk = try FileDisk(path: configuration.dataDirectory + "/log", archive: configuration.archiveFolder)
      logDisk = disk
      (log, recovered) = try await LogStore.open(configuration.log, on: disk) { [logger, configuration] error in
        logger.critical(
          """
          the disk of \(configuration.dataDirectory) is full (\(error)): this member starts when there is space. Free space there
          """)
      }
    } catch { throw .log(error) }
    do throws(ReplicaStartError) {
      let appliedIndex = try await restore(&recovered, log)
      core = ReplicaCore(
        id: configuration.nodeID, options: configuration.core, recovered: recovered,
        appliedIndex: appliedIndex, seed: configuration.seed ?? UInt64.random(in: 0...UInt64.max),
        atMilliseconds: now)
    } catch {
      await log.close()
      throw error
    }
    state = .running(log)
    log.onWritten = { [weak self] sequence in self?.handle(.written(through: sequence)) }
    log.onFailure = { [weak self] in self?.fail($0.description) }
    log.onFull = { [weak self] _ in self?.diskFull() }
    for damage in log.damages { logger.error("\(damage)") }
    if let loss = log.loss { logger.critical("\(loss)") }
    if recovered.promised != nil { watchPromise() }
    transport.setMembers(core.raft.configuration.members)
    do { try transport.start(self) } catch {
      await stop()
      throw .other("\(error)")
    }
    if log.isFull { diskFull() }
    handle(.started)
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
    let members = core.raft.configuration.members.map { member in
      let progress = core.raft.progress.first { $0.id == member.id }
      let isSelf = member.id == configuration.nodeID
      let isLeader = core.raft.role == .leader
      return ReplicaStatus.MemberStatus(
        id: member.id, address: member.address, isVoter: core.raft.configuration.isVoter(member.id),
        isLeaving: core.raft.configuration.isVoter(member.id) && !core.raft.configuration.voters.contains(member.id),
        matchIndex: !isLeader ? nil : isSelf ? core.raft.durableIndex : progress?.matchIndex,
        isAlive: !isLeader
          ? nil
          : isSelf
            || progress.map {
              $0.lastContactMilliseconds + configuration.raft.electionTimeoutMilliseconds >= nowMilliseconds
            } ?? false)
    }
    return ReplicaStatus(
      role: core.raft.role, isReady: core.isReady, term: core.raft.hardState.term, leaderID: core.raft.leaderID,
      leaderAddress: leaderAddress, commitIndex: core.raft.commitIndex, appliedIndex: core.appliedIndex,
      lastIndex: core.raft.lastIndex, promisedIndex: core.raft.promised?.index,
      firstIndex: core.raft.terms.baseIndex + 1,
      snapshotIndex: core.raft.snapshot.index,
      configurationIndex: core.raft.configurationIndex, contactMilliseconds: contactMilliseconds,
      isDiskFull: core.raft.isDiskFull, isJoint: core.raft.configuration.isJoint,
      members: members)
  }

  /// For how long this replica has been out of touch; see `ReplicaStatus`.
  package var contactMilliseconds: UInt64? {
    core.raft.contactMilliseconds.map { now > $0 ? now - $0 : 0 }
  }

  /// The leader, where it is known.
  package var leaderID: UInt64? { core.raft.leaderID }

  /// What is known here to be committed.
  package var commitIndex: UInt64 { core.raft.commitIndex }

  /// What the state machine contains.
  package var appliedIndex: UInt64 { core.appliedIndex }

  /// Whether this replica leads and has applied all that came before its term.
  package var isLeader: Bool { core.isReady }

  var leaderAddress: String? { core.raft.leaderID.flatMap { core.raft.configuration.member($0)?.address } }

  var notLeader: ReplicaError {
    // A leader that is still applying what came before cannot decide anything yet, and knows no better one.
    core.raft.role == .leader
      ? .notLeader(leaderID: nil, leaderAddress: nil)
      : .notLeader(leaderID: core.raft.leaderID, leaderAddress: leaderAddress)
  }

  var now: UInt64 { Loop.now / 1_000_000 }

  var log: LogStore? {
    guard case .running(let log) = state else { return nil }
    return log
  }

  /// Says again and again what is missing while nobody leads: where no member has it, that will not end by itself.
  func watchPromise() {
    guard promiseTimer?.isActive != true else { return }
    promiseTimer = LoopTimer(afterMilliseconds: 10_000, repeatMilliseconds: 30_000) { [weak self] in
      guard let self else { return }
      guard let promised = self.core.raft.promised else {
        self.logger.notice("the log has all again that it had lost")
        self.promiseTimer?.cancel()
        return
      }
      guard self.core.raft.leaderID == nil else { return }
      self.logger.critical(
        """
        entries \(self.core.raft.lastIndex + 1) to \(promised.index) (of term \(promised.term)) were lost here, and no \
        member that has them leads: start the members that are down, or restore the group from a backup
        """)
    }
  }

  /// Told by the state machine's owner: it has no space to apply what is committed, or has it again.
  package func setMachineFull(_ isFull: Bool) {
    isMachineFull = isFull
    diskFull()
  }

  private func diskFull() {
    guard let log else { return }
    let isFull = log.isFull || isMachineFull
    guard isFull != core.raft.isDiskFull else { return }
    if isFull {
      logger.critical(
        """
        the disk of \(configuration.dataDirectory) is full: this member does not lead and takes no entries until there \
        is space again
        """)
    } else {
      logger.notice("the disk of \(configuration.dataDirectory) has space again")
    }
    handle(.diskFull(isFull))
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
    promiseTimer?.cancel()
    core.handle(.stopped, atMilliseconds: now)
    perform()
  }
}
