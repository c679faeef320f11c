import Metadata

/// What is to be done next about one migration: a function of what the log says of it, and of what the steps have come to that
/// this manager has asked for since (design.md section 8). Values in, values out; times in milliseconds.
///
/// The log holds all that must not be forgotten: a driver that knows nothing else goes on from there. Steps may be asked for again;
/// one that is done is answered alike.
package struct MigrationDriver: Sendable, Equatable {
  /// What a storage node is asked to do.
  package enum Step: Sendable, Hashable {
    /// A replica of the source fixes the rows.
    case snapshot
    /// The target takes them.
    case load
    /// The shard that follows takes the other one's log up to an index; 0: up to what it holds now. It is the target until the route
    /// has moved, and the source, where that is kept, afterwards.
    case catchUp(through: UInt64)
    /// Of the shard that has the tablet, and of the one that follows.
    case checksumOrigin
    case checksumFollower
    /// The shard that has the tablet takes no writes any more, or no reads either.
    case fence(reads: Bool)
    /// Nothing is left but what the metadata want.
    case cleanSource
    case cleanTarget
  }

  /// What a step came to.
  package struct StepResult: Sendable, Equatable {
    /// Of the log of the shard that has the tablet.
    package var shardIndex: UInt64
    /// Of the log of the one that follows.
    package var followerIndex: UInt64 = 0
    /// Of the former log: what comes before is not needed any more.
    package var logFrom: UInt64 = 0
    package var checksum: [UInt8]
    package var lengthBytes: UInt64
    /// Of a snapshot.
    package var nodeID: NodeID?
    package init(shardIndex: UInt64 = 0, checksum: [UInt8] = [], lengthBytes: UInt64 = 0, nodeID: NodeID? = nil) {
      self.shardIndex = shardIndex
      self.checksum = checksum
      self.lengthBytes = lengthBytes
      self.nodeID = nodeID
    }
  }

  package enum FailureKind: Sendable, Hashable {
    case transient
    /// The snapshot is no more: it has to begin anew.
    case snapshotLost
    /// Trying again is of no use.
    case final
  }

  package enum Input: Sendable, Equatable {
    /// What the log says, at first and after each change. `epoch`: the tablet's.
    case log(Migration, epoch: UInt64)
    case done(Int, StepResult)
    case failed(Int, FailureKind, reason: String)
    /// A step is under way.
    case working(Int, bytes: UInt64, totalBytes: UInt64, rows: UInt64)
    /// The log has answered, or has not; its state follows.
    case appended
    /// Time has passed.
    case tick
  }

  package enum Effect: Sendable, Equatable {
    /// What it comes to is told with the number.
    case run(Step, number: Int)
    /// As one record.
    case append([MigrationCommand])
    /// For those who watch; nobody waits for it.
    case report(MigrationProgress)
  }

  package struct Limits: Sendable, Equatable {
    /// A step is asked for so often before the attempt counts as failed.
    package var triesPerStep = 5
    /// Between two tries.
    package var pauseMilliseconds: UInt64 = 100
    /// While writes are cut.
    package var cutPauseMilliseconds: UInt64 = 10
    /// So long writes are cut at most before the way back is taken.
    package var cutMilliseconds: UInt64 = 3000
    /// The target is said to have caught up when taking what was missing took no longer; after so many rounds, no longer than the plan
    /// allows.
    package var lagMilliseconds: UInt64 = 150
    package var ambitiousRounds = 20
    /// Between two looks at the target's log, while the source's copy follows it.
    package var followMilliseconds: UInt64 = 250
    /// Between two reports of a long step, at first, and later; of a copy that follows.
    package var reportMilliseconds: UInt64 = 2000
    package var lateReportMilliseconds: UInt64 = 10_000
    package var followReportMilliseconds: UInt64 = 60_000
    /// So often it tries to catch up before it pauses.
    package var rounds = 200
    package init() {}
  }

  private enum Work: Equatable {
    case idle
    case running(Step, number: Int, since: UInt64)
    case appending
    /// Nothing before that time.
    case pausing(until: UInt64)
  }

  /// Times.
  package let limits: Limits
  private var migration: Migration?
  private var epoch: UInt64 = 0
  private var work = Work.idle
  private var lastNumber = 0
  private var tries = 0
  // What was learnt in this phase; forgotten with it.
  private var originChecksum: StepResult?
  private var isAtChecksum = false
  private var isVerified = false
  private var isCaughtUp: UInt64?
  private var fenceIndex: UInt64?
  /// The follower's index, once it has all up to the fence.
  private var drainedAt: UInt64?
  private var refusesReads = false
  private var isClean: Set<Step> = []
  private var cutSince: UInt64?
  private var rounds = 0
  private var lastReason = ""
  private var reports = 0
  private var reportedAt: UInt64 = 0
  /// Of the rows, the same at both sides.
  private var checksum: [UInt8] = []

  package init(limits: Limits = Limits()) { self.limits = limits }

  package mutating func step(_ input: Input, now: UInt64) -> [Effect] {
    switch input {
    case .log(let migration, let epoch):
      self.epoch = epoch
      if migration != self.migration { changed(to: migration, now) }
    case .done(let number, let result):
      guard case .running(let step, number, let since) = work else { return [] }
      work = .idle
      tries = 0
      let effects = done(step, result, tookMilliseconds: now - min(now, since), now)
      if !effects.isEmpty { return effects }
    case .failed(let number, let kind, let reason):
      guard case .running(let step, number, _) = work else { return [] }
      work = .idle
      let effects = failed(step, kind, reason, now)
      if !effects.isEmpty { return effects }
    case .working(let number, let bytes, let total, let rows):
      guard case .running(_, number, let since) = work else { return [] }
      return report(bytes, total, rows, since, now) + next(now)
    case .appended: if work == .appending { work = .idle }
    case .tick: break
    }
    return next(now)
  }

  private mutating func changed(to migration: Migration, _ now: UInt64) {
    let isSame =
      self.migration?.phase == migration.phase && self.migration?.attempt == migration.attempt
      && self.migration?.wayBack?.isRequested == migration.wayBack?.isRequested
      && self.migration?.wayBack?.isLost == migration.wayBack?.isLost
    if self.migration?.snapshot != migration.snapshot { checksum = [] }
    self.migration = migration
    guard !isSame else { return }
    // What is still under way is of an earlier phase: its answer is not heard.
    work = .idle
    tries = 0
    originChecksum = nil
    isAtChecksum = false
    isVerified = !migration.plan.options.isVerified
    if migration.phase != .caughtUp { isCaughtUp = nil }
    fenceIndex = nil
    drainedAt = nil
    refusesReads = false
    isClean = []
    rounds = 0
    lastReason = ""
    (reports, reportedAt) = (0, now)
    cutSince = migration.phase == .writesCut || migration.phase == .reversing ? now : nil
  }

  // MARK: What comes next

  private mutating func next(_ now: UInt64) -> [Effect] {
    guard let migration, migration.outcome == nil else { return [] }
    if let effects = switchBack(migration, now) { return effects }
    switch work {
    case .running, .appending: return []
    case .pausing(let until) where now < until: return []
    case .pausing, .idle: work = .idle
    }
    guard !migration.isPaused else { return [] }
    switch migration.phase {
    case .planned: return migration.plan.options.dropsCopy ? advance(migration, .cutWrites) : run(.snapshot, now)
    case .snapshotTaken, .transferred: return run(.load, now)
    case .loaded:
      if let effects = verify(now) { return effects }
      return advance(migration, .caughtUp(shardIndex: isCaughtUp ?? 0))
    case .caughtUp:
      guard isCaughtUp != nil else { return run(.catchUp(through: 0), now) }
      return advance(migration, .cutWrites)
    case .writesCut, .reversing: return cut(migration, now)
    case .routed: return rest(migration, now)
    case .finishing: return clean(migration, .sourceDropped, now)
    case .failed, .routedBack: return clean(migration, .rolledBack, now)
    }
  }

  /// Catches up, compares both sides as of one index, catches up again; nil: that is done.
  private mutating func verify(_ now: UInt64) -> [Effect]? {
    if isVerified { return isCaughtUp == nil ? run(.catchUp(through: 0), now) : nil }
    guard isCaughtUp != nil || originChecksum != nil else { return run(.catchUp(through: 0), now) }
    guard let originChecksum else { return run(.checksumOrigin, now) }
    guard isAtChecksum else { return run(.catchUp(through: originChecksum.shardIndex), now) }
    return run(.checksumFollower, now)
  }

  /// The route has moved: the source follows until an operator says how it ends.
  private mutating func rest(_ migration: Migration, _ now: UInt64) -> [Effect] {
    guard let wayBack = migration.wayBack else { return advance(migration, .finish) }
    guard !wayBack.isLost else { return [] }
    guard wayBack.isRequested else { return run(.catchUp(through: 0), now) }
    return verify(now) ?? advance(migration, .cutTarget)
  }

  private mutating func cut(_ migration: Migration, _ now: UInt64) -> [Effect] {
    guard let fenceIndex else { return run(.fence(reads: false), now) }
    // Where a copy is dropped the other one has all.
    guard let drainedAt = drainedAt ?? (migration.plan.options.dropsCopy ? 0 : nil) else {
      return run(.catchUp(through: fenceIndex), now)
    }
    guard refusesReads else { return run(.fence(reads: true), now) }
    work = .appending
    let (id, attempt) = (migration.plan.id, migration.attempt)
    let isKept = migration.phase == .writesCut && migration.plan.options.keepsSource
    let route = MigrationCommand.advance(
      id, attempt: attempt,
      .route(
        epoch: epoch, shardIndex: fenceIndex, rowsChecksum: checksum, followFrom: isKept ? drainedAt : 0))
    // Where the source is not kept the way back ends with the route: its copy would be older with each write.
    guard migration.phase == .writesCut, !isKept else { return [.append([route])] }
    return [.append([route, .advance(id, attempt: attempt, .finish)])]
  }

  private mutating func clean(_ migration: Migration, _ step: MigrationStep, _ now: UInt64) -> [Effect] {
    for side in [Step.cleanSource, .cleanTarget] where !isClean.contains(side) { return run(side, now) }
    return advance(migration, step)
  }

  private mutating func run(_ step: Step, _ now: UInt64) -> [Effect] {
    lastNumber += 1
    work = .running(step, number: lastNumber, since: now)
    return [.run(step, number: lastNumber)]
  }

  private mutating func advance(_ migration: Migration, _ step: MigrationStep) -> [Effect] {
    append(.advance(migration.plan.id, attempt: migration.attempt, step))
  }

  private mutating func append(_ command: MigrationCommand) -> [Effect] {
    work = .appending
    return [.append([command])]
  }

  // MARK: What steps came to

  private mutating func done(
    _ step: Step, _ result: StepResult, tookMilliseconds: UInt64, _ now: UInt64
  ) -> [Effect] {
    guard let migration else { return [] }
    let id = migration.plan.id
    switch step {
    case .snapshot:
      let snapshot = MigrationSnapshot(
        nodeID: result.nodeID ?? NodeID(rawValue: 0), shardIndex: result.shardIndex, lengthBytes: result.lengthBytes,
        checksum: result.checksum)
      return advance(migration, .snapshotTaken(snapshot))
    case .load:
      work = .appending
      let steps: [MigrationStep] = migration.phase == .transferred ? [.loaded] : [.transferred, .loaded]
      return [.append(steps.map { .advance(id, attempt: migration.attempt, $0) })]
    case .catchUp(let through): return caughtUp(through, result, tookMilliseconds, migration, now)
    case .checksumOrigin: originChecksum = result
    case .checksumFollower: return compare(result, migration)
    case .fence(let reads): if reads { refusesReads = true } else { fenceIndex = result.shardIndex }
    case .cleanSource, .cleanTarget: isClean.insert(step)
    }
    return []
  }

  private mutating func caughtUp(
    _ through: UInt64, _ result: StepResult, _ took: UInt64, _ migration: Migration, _ now: UInt64
  ) -> [Effect] {
    let isResting = migration.phase == .routed && migration.wayBack?.isRequested != true
    if migration.phase == .writesCut || migration.phase == .reversing {
      drainedAt = result.followerIndex
    } else if isResting {
      work = .pausing(until: now + limits.followMilliseconds)
      return reportFollowing(result, took, migration, now)
    } else if through > 0 {
      isAtChecksum = true
    } else if took <= lagAllowed(migration) || migration.phase != .caughtUp && !isVerified {
      isCaughtUp = result.shardIndex
    } else {
      return stillBehind(migration)
    }
    return []
  }

  private func lagAllowed(_ migration: Migration) -> UInt64 {
    let allowed = UInt64(migration.plan.options.maximumLagMilliseconds)
    return rounds < limits.ambitiousRounds ? min(allowed, limits.lagMilliseconds) : allowed
  }

  // MARK: Reports

  private mutating func report(
    _ bytes: UInt64, _ total: UInt64, _ rows: UInt64, _ since: UInt64, _ now: UInt64
  ) -> [Effect] {
    let pause = reports < 30 ? limits.reportMilliseconds : limits.lateReportMilliseconds
    guard bytes > 0, now >= reportedAt + pause else { return [] }
    (reports, reportedAt) = (reports + 1, now)
    let speed = now > since ? bytes * 1000 / (now - since) : 0
    return [
      .report(MigrationProgress(bytes: bytes, totalBytes: total, rows: rows, bytesPerSecond: speed))
    ]
  }

  /// So the target's log may drop what the source has.
  private mutating func reportFollowing(
    _ result: StepResult, _ took: UInt64, _ migration: Migration, _ now: UInt64
  ) -> [Effect] {
    guard let wayBack = migration.wayBack, result.logFrom > wayBack.neededFrom,
      reports == 0 || now >= reportedAt + limits.followReportMilliseconds
    else { return [] }
    (reports, reportedAt) = (reports + 1, now)
    return [.report(MigrationProgress(lagMilliseconds: took, shardIndex: result.logFrom))]
  }

  // MARK: What failed

  /// What is missing grows as fast as it is taken: after so many rounds the operator decides.
  private mutating func stillBehind(_ migration: Migration) -> [Effect] {
    rounds += 1
    guard rounds >= limits.rounds else { return [] }
    rounds = 0
    let (behind, ahead) = (migration.follower, "writes come faster than it takes them")
    guard migration.phase.isForward else {
      return giveUp(migration, isLost: false, "shard \(behind) does not catch up: \(ahead)")
    }
    return append(
      .pause(
        migration.plan.id,
        reason:
          "shard \(behind) does not catch up: \(ahead). Resume it when there are fewer"))
  }

  private mutating func compare(_ target: StepResult, _ migration: Migration) -> [Effect] {
    guard let source = originChecksum else { return [] }
    originChecksum = nil
    isAtChecksum = false
    isCaughtUp = nil
    // Another manager has had it caught up further meanwhile.
    guard source.shardIndex == target.shardIndex else { return [] }
    guard source.checksum == target.checksum, source.lengthBytes == target.lengthBytes else {
      let reason = "the rows differ as of entry \(source.shardIndex) of shard \(migration.origin)'s log"
      guard migration.phase.isForward else { return giveUp(migration, isLost: true, reason) }
      return retryOrFail(migration, .planned, reason)
    }
    checksum = source.checksum
    isVerified = true
    return []
  }

  private mutating func failed(
    _ step: Step, _ kind: FailureKind, _ reason: String, _ now: UInt64
  ) -> [Effect] {
    guard let migration else { return [] }
    lastReason = reason
    let isForward = migration.phase.isForward
    switch kind {
    case .final where isForward: return append(.fail(migration.plan.id, reason: Self.bounded(reason)))
    case .snapshotLost where isForward: return retryOrFail(migration, .planned, reason)
    case .final where migration.isFollowedBack && step.isOfFollower,
      .snapshotLost where migration.isFollowedBack && step.isOfFollower:
      return giveUp(migration, isLost: true, "the source's copy cannot follow the target any more: \(reason)")
    case .transient where migration.phase == .writesCut || migration.phase == .reversing:
      work = .pausing(until: now + limits.cutPauseMilliseconds)
      return []
    case .transient, .final, .snapshotLost:
      tries += 1
      guard isForward, tries >= limits.triesPerStep else {
        work = .pausing(until: now + limits.pauseMilliseconds * UInt64(min(tries, 10)))
        return []
      }
      return retryOrFail(migration, migration.phase, reason)
    }
  }

  private mutating func retryOrFail(
    _ migration: Migration, _ resumesAt: MigrationPhase, _ reason: String
  ) -> [Effect] {
    let reason = Self.bounded(reason)
    guard migration.attempt < migration.plan.maximumRetries else {
      return append(.fail(migration.plan.id, reason: reason))
    }
    return append(
      .retry(migration.plan.id, attempt: migration.attempt, resumesAt: resumesAt, reason: reason))
  }

  /// Writes were cut for too long: service goes on at the source.
  private mutating func switchBack(_ migration: Migration, _ now: UInt64) -> [Effect]? {
    guard let cutSince, now >= cutSince + limits.cutMilliseconds, work != .appending else { return nil }
    let reason =
      "writes were cut for more than \(limits.cutMilliseconds) ms" + (lastReason.isEmpty ? "" : ": \(lastReason)")
    guard migration.phase == .reversing else { return retryOrFail(migration, migration.resumesAfterCut, reason) }
    let tried = migration.attempt - min(migration.attempt, migration.wayBack?.requestedAttempt ?? 0)
    guard tried < migration.plan.maximumRetries else { return giveUp(migration, isLost: false, reason) }
    return append(
      .retry(
        migration.plan.id, attempt: migration.attempt, resumesAt: migration.resumesAfterCut,
        reason: Self.bounded(reason)))
  }

  /// The tablet stays at the target.
  private mutating func giveUp(_ migration: Migration, isLost: Bool, _ reason: String) -> [Effect] {
    append(
      .giveUpReverse(
        migration.plan.id, attempt: migration.attempt, isLost: isLost, reason: Self.bounded(reason)))
  }

  private static func bounded(_ reason: String) -> String {
    guard reason.utf8.count > 1000 else { return reason }
    return String(decoding: reason.utf8.prefix(990), as: UTF8.self) + " …"
  }
}

extension MigrationDriver.Step {
  /// Whether it is the shard's that follows.
  package var isOfFollower: Bool {
    switch self {
    case .load, .catchUp, .checksumFollower: true
    case .snapshot, .checksumOrigin, .fence, .cleanSource, .cleanTarget: false
    }
  }

  /// Whether it may be done where the migration is.
  package func fits(_ migration: Migration) -> Bool {
    let phase = migration.phase
    return switch self {
    case .snapshot: phase == .planned
    case .load: phase == .snapshotTaken || phase == .transferred
    case .catchUp: phase == .loaded || phase == .caughtUp || phase == .writesCut || migration.isFollowedBack
    case .checksumOrigin, .checksumFollower: phase == .loaded || phase == .routed && migration.isFollowedBack
    case .fence: migration.isCutting(attempt: migration.attempt)
    case .cleanSource, .cleanTarget: true
    }
  }

  /// The shard that is asked.
  package func shard(of migration: Migration) -> ShardID {
    switch self {
    case .cleanSource: migration.plan.source
    case .cleanTarget: migration.plan.target
    case .load, .catchUp, .checksumFollower: migration.follower
    case .snapshot, .checksumOrigin, .fence: migration.origin
    }
  }
}
