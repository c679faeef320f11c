import EventLoop
import Logging
import Metadata
import Replica
import SQLTypes
import StorageEngine

/// Makes the shard's tablets what the metadata says they are: the leader compares the image with the tablets and proposes what
/// is missing. Comparing states rather than following events, a new leader needs to know nothing of what the old one did. It compares
/// all once; afterwards only those that a change may concern: of many tablets one is made as fast as of few.
@LoopActor
final class SchemaReconciler {
  /// How long transactions that hold a tablet may delay its schema change.
  private static let graceMilliseconds = 2000

  private struct Waiter {
    let index: UInt64
    let timer: LoopTimer
    let continuation: UnsafeContinuation<CatchUp, Never>
    let number: Int
  }

  /// How a wait for the metadata ends.
  enum CatchUp { case done, notLeader, timedOut }

  private let feed: any MetadataFeed
  private let machine: ShardStateMachine
  private let shardID: ShardID
  private let logger: Logger
  private let propose: @LoopActor ([UInt8]) async throws(ReplicaError) -> UInt64
  /// While it leads: the tablets are as the metadata at this index says.
  private(set) var consumedIndex: UInt64 = 0
  /// The tablets to compare; nil: all.
  private var touched: Set<TabletID>?
  private var waiters: [Waiter] = []
  private var waiterNumber = 0
  private var isRunning = false

  init(
    feed: any MetadataFeed, machine: ShardStateMachine, shardID: ShardID, logger: Logger,
    propose: @escaping @LoopActor ([UInt8]) async throws(ReplicaError) -> UInt64
  ) {
    self.feed = feed
    self.machine = machine
    self.shardID = shardID
    self.logger = logger
    self.propose = propose
    feed.observeTablets { [weak self] in self?.changed($0) }
  }

  /// Told at each change of leadership.
  func leadershipChanged(_ isLeader: Bool) {
    consumedIndex = 0
    touched = nil
    if isLeader {
      wake()
    } else {
      let waiting = waiters
      waiters = []
      for waiter in waiting { finish(waiter, .notLeader) }
    }
  }

  /// Waits until the shard's tablets are as the metadata at `index` says.
  func catchUp(to index: UInt64, timeoutMilliseconds: Int) async -> CatchUp {
    if machine.isLeader, consumedIndex >= index { return .done }
    guard machine.isLeader else { return .notLeader }
    wake()
    waiterNumber += 1
    let number = waiterNumber
    return await withUnsafeContinuation { continuation in
      let timer = LoopTimer(afterMilliseconds: timeoutMilliseconds) { [weak self] in
        guard let self, let place = waiters.firstIndex(where: { $0.number == number }) else { return }
        finish(waiters.remove(at: place), .timedOut)
      }
      waiters.append(Waiter(index: index, timer: timer, continuation: continuation, number: number))
    }
  }

  private func finish(_ waiter: Waiter, _ result: CatchUp) {
    waiter.timer.cancel()
    waiter.continuation.resume(returning: result)
  }

  private func changed(_ tablets: Set<TabletID>?) {
    if let tablets { touched?.formUnion(tablets) } else { touched = nil }
    wake()
  }

  private func wake() {
    guard machine.isLeader, !isRunning, feed.image.index > consumedIndex else { return }
    isRunning = true
    Task {
      await run()
      isRunning = false
      // What changed while the last step ended.
      if machine.isLeader, feed.image.index > consumedIndex, feed.image.index >= machine.state.metadataIndex { wake() }
    }
  }

  private func run() async {
    while machine.isLeader {
      let image = feed.image
      // An image older than what the shard has followed already would undo it.
      guard image.index > consumedIndex, image.index >= machine.state.metadataIndex else { return }
      let fenced = Set(machine.state.fences.keys)
      // What arrives may have come into being or ended since it was compared.
      touched?.formUnion(machine.state.arrivals.keys)
      let changes = Self.changes(image, shardID, machine.engine.tablets, fenced: fenced, of: touched)
      if changes.isEmpty {
        // What is fenced was left as it is: it is compared again.
        touched = fenced
        consumed(image.index)
        continue
      }
      let tablets = Self.existing(changes)
      await machine.engine.lockExclusive(tablets, graceMilliseconds: Self.graceMilliseconds)
      defer { machine.engine.releaseExclusive(tablets) }
      guard machine.isLeader else { return }
      do {
        _ = try await propose(machine.schemaEntry(metadataIndex: image.index, changes))
        logger.info("schema follows the metadata at \(image.index): \(changes.count) changes")
        warnOfRefusals(changes)
      } catch ReplicaError.overloaded {
        try? await loopSleep(milliseconds: 20)
      } catch {
        // Whoever leads next begins anew.
        logger.info("schema change not proposed: \(error)")
        try? await loopSleep(milliseconds: 20)
      }
    }
  }

  private func warnOfRefusals(_ changes: [TabletChange]) {
    for tablet in Set(changes.map(\.tabletID)).sorted() {
      guard let summary = machine.engine.tablets[tablet], !summary.refusals.isEmpty else { continue }
      let reasons = summary.refusals.values.sorted().joined(separator: "; ")
      logger.error("tablet \(tablet) cannot be used, the engine refused its definition: \(reasons)")
    }
  }

  /// The tablets that exist and change.
  private static func existing(_ changes: [TabletChange]) -> [TabletID] {
    var tablets: Set<TabletID> = []
    for change in changes {
      if case .create = change { continue }
      tablets.insert(change.tabletID)
    }
    return tablets.sorted()
  }

  private func consumed(_ index: UInt64) {
    consumedIndex = index
    let ready = waiters.filter { $0.index <= index }
    waiters.removeAll { $0.index <= index }
    for waiter in ready { finish(waiter, .done) }
  }

  /// What makes the tablets those of the image, by ascending tablet. Those that move are left as they are: the target takes the
  /// source's changes in their order, and a fenced one does not change.
  /// - Parameter touched: the tablets that are compared; nil: all.
  nonisolated static func changes(
    _ image: Image, _ shardID: ShardID, _ tablets: [TabletID: TabletSummary], fenced: Set<TabletID> = [],
    of touched: Set<TabletID>? = nil
  ) -> [TabletChange] {
    var changes: [TabletChange] = []
    let known = touched.map { $0.compactMap { image.tablets[$0] } } ?? Array(image.tablets.values)
    let wanted = known.filter { $0.isHeld(by: shardID) }.sorted { $0.id < $1.id }
    for tablet in wanted where !fenced.contains(tablet.id) {
      guard let table = image.tables[tablet.tableID] else { continue }
      let indexes = image.indexes(of: table.id).sorted { $0.id < $1.id }
      guard let present = tablets[tablet.id] else {
        changes.append(.create(tablet.id, table, indexes: indexes, generation: tablet.generation))
        continue
      }
      if present.generation < tablet.generation {
        changes.append(.clear(tablet.id, generation: tablet.generation))
      }
      let secondary = indexes.filter { $0.constraint != .primaryKey }
      for index in present.indexes.subtracting(secondary.map(\.id)).sorted() {
        changes.append(.dropIndex(tablet.id, index))
      }
      for index in secondary where !present.indexes.contains(index.id) {
        changes.append(.createIndex(tablet.id, table, index))
      }
    }
    let present = touched.map { $0.filter { tablets[$0] != nil } } ?? Set(tablets.keys)
    for id in present.subtracting(wanted.map(\.id)).sorted() where !image.isKept(id, on: shardID) {
      changes.append(.drop(id))
    }
    return changes
  }
}
