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
    /// The target takes the source's log up to an index; 0: up to what it holds now.
    case catchUp(through: UInt64)
    case checksumSource
    case checksumTarget
    /// The source takes no writes any more, or no reads either.
    case fence(reads: Bool)
    /// Nothing is left but what the metadata want.
    case cleanSource
    case cleanTarget
  }

  /// What a step came to.
  package struct StepResult: Sendable, Equatable {
    /// Of the source's log.
    package var shardIndex: UInt64
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
    /// The target is said to have caught up when taking what was missing took no longer.
    package var lagMilliseconds: UInt64 = 150
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
  private var sourceChecksum: StepResult?
  private var isAtChecksum = false
  private var isVerified = false
  private var isCaughtUp: UInt64?
  private var fenceIndex: UInt64?
  private var isDrained = false
  private var refusesReads = false
  private var isClean: Set<Step> = []
  private var cutSince: UInt64?
  private var rounds = 0
  private var lastReason = ""
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
      let effects = done(step, result, tookMilliseconds: now - min(now, since))
      if !effects.isEmpty { return effects }
    case .failed(let number, let kind, let reason):
      guard case .running(_, number, _) = work else { return [] }
      work = .idle
      let effects = failed(kind, reason, now)
      if !effects.isEmpty { return effects }
    case .appended: if work == .appending { work = .idle }
    case .tick: break
    }
    return next(now)
  }

  private mutating func changed(to migration: Migration, _ now: UInt64) {
    let isSame = self.migration?.phase == migration.phase && self.migration?.attempt == migration.attempt
    if self.migration?.snapshot != migration.snapshot { checksum = [] }
    self.migration = migration
    guard !isSame else { return }
    // What is still under way is of an earlier phase: its answer is not heard.
    work = .idle
    tries = 0
    sourceChecksum = nil
    isAtChecksum = false
    isVerified = false
    if migration.phase != .caughtUp { isCaughtUp = nil }
    fenceIndex = nil
    isDrained = false
    refusesReads = false
    isClean = []
    rounds = 0
    lastReason = ""
    cutSince = migration.phase == .writesCut ? now : nil
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
    case .planned: return run(.snapshot, now)
    case .snapshotTaken, .transferred: return run(.load, now)
    case .loaded: return verify(migration, now)
    case .caughtUp:
      guard isCaughtUp != nil else { return run(.catchUp(through: 0), now) }
      return advance(migration, .cutWrites)
    case .writesCut: return cut(migration, now)
    case .routed: return advance(migration, .finish)
    case .finishing: return clean(migration, .sourceDropped, now)
    case .failed, .routedBack: return clean(migration, .rolledBack, now)
    // Writes are cut at the target until the operator's program routes it back: not this manager's.
    case .reversing: return []
    }
  }

  /// Catches up, compares both sides as of one index, catches up again.
  private mutating func verify(_ migration: Migration, _ now: UInt64) -> [Effect] {
    if isVerified {
      guard let index = isCaughtUp else { return run(.catchUp(through: 0), now) }
      return advance(migration, .caughtUp(shardIndex: index))
    }
    guard isCaughtUp != nil || sourceChecksum != nil else { return run(.catchUp(through: 0), now) }
    guard let sourceChecksum else { return run(.checksumSource, now) }
    guard isAtChecksum else { return run(.catchUp(through: sourceChecksum.shardIndex), now) }
    return run(.checksumTarget, now)
  }

  private mutating func cut(_ migration: Migration, _ now: UInt64) -> [Effect] {
    guard let fenceIndex else { return run(.fence(reads: false), now) }
    guard isDrained else { return run(.catchUp(through: fenceIndex), now) }
    guard refusesReads else { return run(.fence(reads: true), now) }
    work = .appending
    // With the route the way back ends: the source's copy would be older with each write.
    let id = migration.plan.id
    return [
      .append([
        .advance(
          id, attempt: migration.attempt, .route(epoch: epoch, shardIndex: fenceIndex, rowsChecksum: checksum)),
        .advance(id, attempt: migration.attempt, .finish),
      ])
    ]
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

  private mutating func done(_ step: Step, _ result: StepResult, tookMilliseconds: UInt64) -> [Effect] {
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
    case .catchUp(let through):
      if migration.phase == .writesCut {
        isDrained = true
      } else if through > 0 {
        isAtChecksum = true
      } else if tookMilliseconds <= limits.lagMilliseconds || migration.phase == .loaded && !isVerified {
        isCaughtUp = result.shardIndex
      } else {
        return stillBehind(migration)
      }
    case .checksumSource: sourceChecksum = result
    case .checksumTarget: return compare(result, migration)
    case .fence(let reads): if reads { refusesReads = true } else { fenceIndex = result.shardIndex }
    case .cleanSource, .cleanTarget: isClean.insert(step)
    }
    return []
  }

  /// What is missing grows as fast as it is taken: after so many rounds the operator decides.
  private mutating func stillBehind(_ migration: Migration) -> [Effect] {
    rounds += 1
    guard rounds >= limits.rounds else { return [] }
    rounds = 0
    return append(
      .pause(
        migration.plan.id,
        reason:
          "shard \(migration.plan.target) does not catch up: writes come faster than it takes them. Resume it when "
          + "there are fewer"))
  }

  private mutating func compare(_ target: StepResult, _ migration: Migration) -> [Effect] {
    guard let source = sourceChecksum else { return [] }
    sourceChecksum = nil
    isAtChecksum = false
    isCaughtUp = nil
    // Another manager has had it caught up further meanwhile.
    guard source.shardIndex == target.shardIndex else { return [] }
    guard source.checksum == target.checksum, source.lengthBytes == target.lengthBytes else {
      return retryOrFail(
        migration, .planned,
        "the rows differ as of entry \(source.shardIndex) of shard \(migration.plan.source)'s log")
    }
    checksum = source.checksum
    isVerified = true
    return []
  }

  private mutating func failed(_ kind: FailureKind, _ reason: String, _ now: UInt64) -> [Effect] {
    guard let migration else { return [] }
    lastReason = reason
    let isForward = migration.phase.isForward
    switch kind {
    case .final where isForward: return append(.fail(migration.plan.id, reason: Self.bounded(reason)))
    case .snapshotLost where isForward: return retryOrFail(migration, .planned, reason)
    case .transient where migration.phase == .writesCut:
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
    guard migration.phase == .writesCut, let cutSince, now >= cutSince + limits.cutMilliseconds, work != .appending
    else { return nil }
    return retryOrFail(
      migration, .loaded,
      "writes were cut for more than \(limits.cutMilliseconds) ms" + (lastReason.isEmpty ? "" : ": \(lastReason)"))
  }

  private static func bounded(_ reason: String) -> String {
    guard reason.utf8.count > 1000 else { return reason }
    return String(decoding: reason.utf8.prefix(990), as: UTF8.self) + " …"
  }
}

extension MigrationPhase {
  /// Before the route: it may be retried, and may fail.
  fileprivate var isForward: Bool {
    switch self {
    case .planned, .snapshotTaken, .transferred, .loaded, .caughtUp, .writesCut: true
    case .routed, .finishing, .reversing, .routedBack, .failed: false
    }
  }
}
