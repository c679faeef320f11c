import Coordination
import EventLoop
import FoundationEssentials
import Logging
import Metadata
import Metrics
import ProtocolStorage
import RPC
import Replica
import SQLTypes
import StorageEngine
import StorageWire

/// The service `kunlog.storage.v1.Moves` of one replica, and what follows from the metadata for tablets that move: fences are
/// lifted, snapshots let go, arrivals ended, whoever asked for the move.
@LoopActor
final class MoveDesk {
  let configuration: StorageNodeConfiguration
  let feed: any MetadataFeed
  let machine: ShardStateMachine
  let replica: Replica<ShardStateMachine>
  let reconciler: SchemaReconciler
  let source: MoveSource
  let target: MoveTarget
  private let jobs = MoveJobs()
  private let logger: Logger
  /// Tablets that no transaction gets any more, whose fence is on its way into the log.
  private var fencing: Set<TabletID> = []
  private let changed = WakeUp()
  /// Cuts of tablets of this shard that are under way, and since when this leader has seen them.
  private var cuts: [MigrationID: (attempt: UInt32, since: UInt64)] = [:]
  private var isExpiring = false
  private var timer: LoopTimer?
  private var isTidying = false
  private var needsTidying = false
  /// Statements that met a fence, since the process started.
  private(set) var waitedStatements: UInt64 = 0

  init(
    configuration: StorageNodeConfiguration, feed: any MetadataFeed, machine: ShardStateMachine,
    replica: Replica<ShardStateMachine>, reconciler: SchemaReconciler, logger: Logger
  ) {
    self.configuration = configuration
    self.feed = feed
    self.machine = machine
    self.replica = replica
    self.reconciler = reconciler
    self.logger = logger
    source = MoveSource(configuration: configuration, feed: feed, machine: machine, replica: replica)
    target = MoveTarget(configuration: configuration, feed: feed, machine: machine, replica: replica)
    machine.onFences = { [weak self] in self?.fencesChanged() }
    feed.observe { [weak self] in self?.tidy() }
    timer = LoopTimer(afterMilliseconds: 500, repeatMilliseconds: 500) { [weak self] in self?.watchCuts() }
  }

  func stop() {
    timer?.cancel()
    source.stop()
    target.stop()
    changed.wake()
  }

  func leadershipChanged(_ isLeader: Bool) {
    fencing = []
    cuts = [:]
    changed.wake()
    if isLeader { tidy() }
  }

  func addMetrics(to set: inout MetricSet) {
    set.gauge("kunlog_storage_move_steps", "Steps of moves from shard to shard that are at work here.", jobs.count)
    set.gauge(
      "kunlog_storage_move_snapshots", "Snapshots of tablets that are kept for moves.", source.snapshotCount)
    set.counter(
      "kunlog_storage_moved_bytes_total", "Rows and changes that came from other shards and were logged here.",
      target.arrivedBytes)
    set.gauge(
      "kunlog_storage_fenced_tablets", "Tablets whose writes wait because they are about to move.",
      machine.state.fences.count)
    set.gauge(
      "kunlog_storage_arriving_tablets", "Tablets that come from another shard, or follow one.",
      machine.state.arrivals.count)
    set.counter(
      "kunlog_storage_fence_waits_total", "Requests that waited because a tablet was about to move.", waitedStatements)
  }

  // MARK: Statements

  /// Whether a statement has to wait before it touches the tablet.
  func refuses(_ tablet: TabletID, isWrite: Bool) -> Bool {
    if isWrite, fencing.contains(tablet) { return true }
    guard let fence = machine.state.fences[tablet] else { return false }
    return isWrite || fence.refusesReads
  }

  /// Returns once something about fences or routes has changed, or after a while.
  func wait() async { await changed.wait(milliseconds: 250) }

  func metFence() { waitedStatements &+= 1 }

  // MARK: Steps

  func register(on server: RPCServer) {
    server.handle(MoveMethods.step) { [unowned self] request, _ in
      try check(request.clusterID, request.shardID)
      return try await step(request)
    }
    server.handleStream(MoveMethods.readRows) { [unowned self] request, writer, _ in
      try check(request.clusterID, request.shardID)
      try await source.sendRows(
        MigrationID(rawValue: request.migrationID), checksum: Array(request.checksum), writer)
    }
    server.handleStream(MoveMethods.readChanges) { [unowned self] request, writer, context in
      try check(request.clusterID, request.shardID)
      try await catchUp(request.metadataIndex)
      guard machine.isLeader else { throw RPCError(.failedPrecondition, "this replica does not lead its shard") }
      do {
        try await source.sendChanges(request, writer, context)
      } catch let error as ReplicaError {
        if case .compacted = error {
          throw RPCError(.dataLoss, "the shard's log does not go back to the snapshot any more")
        }
        throw RPCError(.unavailable, "\(error)")
      }
    }
  }

  private func check(_ clusterID: Data, _ shardID: UInt32) throws(RPCError) {
    guard Array(clusterID) == configuration.clusterID.rawValue, shardID == configuration.shardID.rawValue else {
      throw RPCError(.failedPrecondition, "this node serves shard \(configuration.shardID) of another cluster")
    }
  }

  /// Followers have the metadata too.
  private func catchUp(_ index: UInt64) async throws(RPCError) {
    let deadline = Loop.now + 2_000_000_000
    while feed.image.index < index {
      guard Loop.now < deadline else {
        throw RPCError(.unavailable, "this node has not caught up with the metadata at \(index)")
      }
      await changed.wait(milliseconds: 20)
    }
  }

  private func step(
    _ request: Kunlog_Storage_V1_MoveStepRequest
  ) async throws -> Kunlog_Storage_V1_MoveStepResponse {
    try await catchUp(request.metadataIndex)
    let id = MigrationID(rawValue: request.migrationID)
    if case .snapshot? = request.step {
    } else {
      guard machine.isLeader else {
        let status = replica.status
        guard status.isDiskFull, status.leaderID == nil else { return .with { $0.notLeader = notLeader } }
        return .with {
          $0.failure.message = "the disk of \(configuration.dataDirectory) is full: this replica cannot lead"
        }
      }
    }
    guard let migration = feed.image.migrations.open[id], migration.attempt == request.attempt,
      let (name, body) = body(of: request, migration)
    else {
      let state = feed.image.migrations.open[id]?.text ?? "migration \(id), which is not under way"
      return .with { $0.failure.message = "the step does not fit \(state)" }
    }
    let (result, progress) = await jobs.run(
      MoveJobs.Key(migrationID: id, attempt: request.attempt, step: name),
      waitMilliseconds: MoveLimits.stepMilliseconds, body)
    switch result {
    case nil:
      return .with {
        $0.working.bytes = progress.bytes
        $0.working.totalBytes = progress.totalBytes
        $0.working.rows = progress.rows
      }
    case .success(let result)?: return .with { $0.done = result.message }
    case .failure(let failure)?:
      if failure.kind == .notLeader { return .with { $0.notLeader = notLeader } }
      logger.warning("migration \(id): \(name): \(failure)")
      return .with {
        $0.failure.message = failure.description
        $0.failure.snapshotLost = failure.kind == .snapshotLost
        $0.failure.isFinal = failure.kind == .final
      }
    }
  }

  /// What a step does, where it fits how far the migration is.
  private func body(
    of request: Kunlog_Storage_V1_MoveStepRequest, _ migration: Migration
  ) -> (name: String, body: @LoopActor (MoveProgress) async throws -> MoveStepResult)? {
    guard let step = MigrationDriver.Step(request, of: migration), step.fits(migration) else { return nil }
    switch step {
    case .snapshot: return ("snapshot", { [source] in try await source.snapshot(migration, $0) })
    case .load: return ("load", { [target] in try await target.load(migration, $0) })
    case .catchUp(let index):
      return ("catch up", { [target] in try await target.catchUp(migration, through: index, $0) })
    case .checksumOrigin: return ("checksum", { [source] in try await source.checksum(migration, $0) })
    case .checksumFollower: return ("checksum", { [target] in try await target.checksum(migration, $0) })
    case .fence(let reads):
      return (reads ? "fence reads" : "fence", { [unowned self] _ in try await fence(migration, reads: reads) })
    case .cleanSource, .cleanTarget:
      let index = request.metadataIndex
      return ("clean", { [unowned self] _ in try await clean(migration, index) })
    }
  }

  private var notLeader: Kunlog_Storage_V1_NotLeader {
    let status = replica.status
    return .with {
      guard let leader = status.leaderID, leader != configuration.nodeID.rawValue else { return }
      $0.leaderNodeID = leader
      $0.leaderAddress = status.leaderAddress ?? ""
    }
  }

  // MARK: Fences

  private func fence(_ migration: Migration, reads: Bool) async throws -> MoveStepResult {
    let tablet = migration.plan.tabletID
    if let index = fenceIndex(migration, reads: reads) { return MoveStepResult(shardIndex: index) }
    if !reads {
      let leadership = machine.leadership
      await machine.engine.fence(tablet, graceMilliseconds: MoveLimits.graceMilliseconds)
      guard machine.isLeader, machine.leadership == leadership else {
        throw MoveFailure(.notLeader, "the shard changed its leader")
      }
      fencing.insert(tablet)
      defer {
        if machine.leadership == leadership { fencing.remove(tablet) }
        fencesChanged()
      }
      // The way back may have been taken while transactions were waited for.
      guard let now = feed.image.migrations.open[migration.plan.id], now.isCutting(attempt: migration.attempt)
      else {
        throw MoveFailure("the cut was given up")
      }
      try await propose(tablet, fence(migration, .writes))
    } else {
      try await propose(tablet, fence(migration, .reads))
    }
    guard let index = fenceIndex(migration, reads: reads) else { throw MoveFailure("the fence was lifted again") }
    return MoveStepResult(shardIndex: index)
  }

  private func fenceIndex(_ migration: Migration, reads: Bool) -> UInt64? {
    guard let fence = machine.state.fences[migration.plan.tabletID], fence.migrationID == migration.plan.id,
      fence.attempt == migration.attempt, fence.refusesReads || !reads
    else { return nil }
    return fence.index
  }

  private func fence(_ migration: Migration, _ action: FenceEntry.Action) -> FenceEntry {
    FenceEntry(
      migrationID: migration.plan.id, attempt: migration.attempt, action: action, metadataIndex: feed.image.index)
  }

  private func propose(_ tablet: TabletID, _ fence: FenceEntry) async throws {
    _ = try await replica.propose(machine.fenceEntry(tablet, fence))
  }

  private func fencesChanged() {
    if machine.isLeader { machine.engine.setFences(fencing.union(machine.state.fences.keys)) }
    changed.wake()
    tidy()
  }

  /// Where no manager ends a cut, the shard asks the log to: only what the log says lifts a fence, since then no route can follow.
  private func watchCuts() {
    guard machine.isLeader else { return }
    let cutting = feed.image.migrations.open.filter {
      $0.value.origin == configuration.shardID && $0.value.isCutting(attempt: $0.value.attempt)
    }
    cuts = cuts.filter { cutting[$0.key]?.attempt == $0.value.attempt }
    for (id, migration) in cutting where cuts[id] == nil { cuts[id] = (migration.attempt, Loop.now) }
    let over = cuts.filter { Loop.now - $0.value.since >= MoveLimits.cutMilliseconds * 1_000_000 }
    guard !isExpiring, !over.isEmpty else { return }
    isExpiring = true
    LoopActor.start {
      for (id, cut) in over.sorted(by: { $0.key < $1.key }) {
        do {
          try await self.feed.expireCut(
            id, attempt: cut.attempt,
            reason: "no manager has ended the cut of writes within \(MoveLimits.cutMilliseconds) ms")
          self.logger.warning("migration \(id): no manager has ended the cut of writes: they go on")
        } catch {
          self.logger.warning("migration \(id): the cut of writes has not ended, the log does not answer: \(error)")
        }
      }
      self.isExpiring = false
    }
  }

  // MARK: What the metadata want

  /// Nothing of the migration is left here but what the metadata want.
  private func clean(_ migration: Migration, _ metadataIndex: UInt64) async throws -> MoveStepResult {
    let tablet = migration.plan.tabletID
    switch await reconciler.catchUp(to: metadataIndex, timeoutMilliseconds: 5000) {
    case .done: break
    case .notLeader: throw MoveFailure(.notLeader, "it leads no longer")
    case .timedOut: throw MoveFailure("the shard has not caught up with the metadata at \(metadataIndex)")
    }
    let deadline = Loop.now + 5_000_000_000
    while Loop.now < deadline {
      let isOwner = feed.image.tablets[tablet]?.isHeld(by: configuration.shardID) == true
      let isLeft = !isOwner && machine.engine.tablets[tablet] != nil
      if !isLeft, machine.state.fences[tablet] == nil, machine.state.arrivals[tablet] == nil {
        return MoveStepResult()
      }
      tidy()
      await changed.wait(milliseconds: 20)
    }
    throw MoveFailure("shard \(configuration.shardID) has not cleaned up after migration \(migration.plan.id) yet")
  }

  /// Does what the metadata make necessary.
  private func tidy() {
    changed.wake()
    source.tidy()
    jobs.forget { [feed] in feed.image.migrations.open[$0] != nil }
    needsTidying = true
    guard machine.isLeader, !isTidying, !machine.state.fences.isEmpty || !machine.state.arrivals.isEmpty else { return }
    isTidying = true
    LoopActor.start {
      while self.needsTidying, self.machine.isLeader {
        self.needsTidying = false
        await self.tidyShard()
      }
      self.isTidying = false
    }
  }

  private func tidyShard() async {
    let image = feed.image
    for (tablet, fence) in machine.state.fences.sorted(by: { $0.key < $1.key }) {
      // Metadata that are older than the fence know nothing of it. One that has moved away stays fenced until it is dropped.
      guard image.index >= fence.metadataIndex, image.tablets[tablet]?.isHeld(by: configuration.shardID) == true,
        image.migrations.open[fence.migrationID]?.isCutting(attempt: fence.attempt) != true
      else { continue }
      await carryOut(
        try? machine.fenceEntry(
          tablet,
          FenceEntry(
            migrationID: fence.migrationID, attempt: fence.attempt, action: .lift, metadataIndex: image.index)))
    }
    for (tablet, arrival) in machine.state.arrivals.sorted(by: { $0.key < $1.key }) {
      // Metadata that are older than those by which it came know nothing of it.
      guard image.index >= machine.state.metadataIndex else { continue }
      let migration = image.migrations.open[arrival.migrationID]
      let isOwner = image.tablets[tablet]?.isHeld(by: configuration.shardID) == true
      let isOver = isOwner && (migration == nil || migration?.origin == configuration.shardID)
      // What began to follow while its tablet was on its way out.
      let isLeft = !isOwner && machine.engine.tablets[tablet] == nil && !image.isKept(tablet, on: configuration.shardID)
      guard isOver || isLeft else { continue }
      await carryOut(
        try? machine.arrivalEntry(
          tablet, ArrivalEntry(migrationID: arrival.migrationID, step: .ended(metadataIndex: image.index))))
    }
  }

  private func carryOut(_ payload: [UInt8]?) async {
    guard let payload else { return }
    do throws(ReplicaError) {
      _ = try await replica.propose(payload)
    } catch {
      guard machine.isLeader else { return }
      try? await loopSleep(milliseconds: 20)
      needsTidying = true
    }
    changed.wake()
  }
}

extension MoveStepResult {
  var message: Kunlog_Storage_V1_MoveStepDone {
    .with {
      $0.shardIndex = shardIndex
      $0.sourceIndex = sourceIndex
      $0.lengthBytes = lengthBytes
      $0.checksum = Data(checksum)
      $0.rows = rows
      $0.followerIndex = followerIndex
      $0.logFrom = logFrom
    }
  }
}
