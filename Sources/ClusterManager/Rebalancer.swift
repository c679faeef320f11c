import Coordination
import EventLoop
import Logging
import Metadata
import MetadataClient
import Metrics
import RPC
import StorageWire

/// Plans the moves that empty drained shards and bring table groups together, and, where the settings say so, those that bring tables
/// to shards of their class and even shards out: a few at a time, while this manager acts. Which ones `RebalancePlanner` decides anew each time, from what the log says and what leaders measure.
@LoopActor
final class Rebalancer {
  private static let callMilliseconds = 1000
  /// Loads are watched for so long before anything is evened out.
  private static let patienceMilliseconds: UInt64 = 10_000

  private let client: MetadataClient
  private let channel: @LoopActor (NodeDefinition) -> RPCChannel
  private let logger = Logger(label: "manager")
  private var meter = UsageMeter()
  private var watchedSince: UInt64?
  private var moves = MoveBackoff<TabletID>()
  private var unplaced: [TabletID] = []
  private var full: [ShardID] = []
  private var plannedCount: UInt64 = 0
  /// Whether groups were scattered at that index.
  private var scattered: (index: UInt64, isSo: Bool)?

  init(client: MetadataClient, channel: @escaping @LoopActor (NodeDefinition) -> RPCChannel) {
    self.client = client
    self.channel = channel
  }

  func addMetrics(to set: inout MetricSet) {
    set.gauge(
      "kunlog_manager_draining_shards", "Shards that are being drained and still have tablets.",
      client.image.shards.values.count { $0.isDraining && client.image.tabletCounts[$0.id] != nil })
    set.counter(
      "kunlog_manager_planned_moves_total", "Moves that this manager has planned to drain or to even out shards.",
      plannedCount)
  }

  /// One round.
  /// - Parameter epoch: in which this manager acts.
  func run(_ epoch: UInt64) async {
    let image = client.image
    let settings = RebalanceSettings(image)
    let now = Loop.now / 1_000_000
    moves.noteEnded(image, now)
    let drains = image.shards.values.contains { $0.isDraining && image.tabletCounts[$0.id] != nil }
    let isScattered = hasScatteredGroups(image)
    if !settings.isAutomatic { watchedSince = nil }
    guard drains || settings.isAutomatic || isScattered else { return }
    if settings.isAutomatic { watchedSince = watchedSince ?? now }
    let isComplete = await measure(image)
    // One whose source is kept is over but for the operator's word.
    let room = settings.maximumMigrations - image.migrations.open.values.count { !$0.isPaused && $0.phase != .routed }
    guard room > 0 else { return }
    var options = RebalancePlanner.Options()
    options.sortsByClass = settings.isAutomatic && isComplete && image.missingCopies.isEmpty
    options.evensOut = options.sortsByClass && now - (watchedSince ?? now) >= Self.patienceMilliseconds
    options.maximumMoves = room
    guard drains || options.sortsByClass || isScattered else { return }
    let time = Loop.wallClockMicroseconds()
    var cluster = meter.cluster(image, timeMicroseconds: time)
    for place in cluster.tablets.indices where moves.isLeftAlone(cluster.tablets[place].id, now) {
      cluster.tablets[place].isFixed = true
    }
    let plan = RebalancePlanner.plan(cluster, options)
    if plan.unplaced != unplaced {
      unplaced = plan.unplaced
      if !unplaced.isEmpty {
        logger.warning(
          """
          no shard has room for \(unplaced.count) tablets of drained shards: add a shard, free space on the disks of the \
          others (kunlog shard list), or take the drain back
          """)
      }
    }
    if plan.full != full {
      full = plan.full
      for shard in full {
        logger.warning("shard \(shard) gets no tablets: it has no room for them (kunlog shard list)")
      }
    }
    var classifier = ShardClassifier(image, timeMicroseconds: time)
    for batch in plan.batches.prefix(room) {
      await ask(batch, batch.map { $0.reasonText(&classifier) }, image, epoch)
    }
  }

  private func hasScatteredGroups(_ image: Image) -> Bool {
    guard !image.tablesOfGroup.isEmpty else { return false }
    if let scattered, scattered.index == image.index { return scattered.isSo }
    let isSo = image.hasScatteredGroups
    scattered = (image.index, isSo)
    return isSo
  }

  /// Asks all leaders; answers whether all have said what they have.
  private func measure(_ image: Image) async -> Bool {
    let answers = image.shards.values.sorted { $0.id < $1.id }.map { shard in
      let task = Task { @LoopActor in
        await ShardUsage.ask(replicas: shard.replicas, timeoutMilliseconds: Self.callMilliseconds) { id in
          image.nodes[id].map(channel)
        }
      }
      return (shard.id, task)
    }
    var isComplete = true
    for (shard, task) in answers {
      if let usage = await task.value {
        meter.add(usage, of: shard, nowMilliseconds: Loop.now / 1_000_000)
      } else {
        isComplete = false
      }
    }
    return isComplete
  }

  /// Asks for moves of tablets that belong together.
  private func ask(_ moves: [RebalancePlan.Move], _ reasons: [String], _ image: Image, _ epoch: UInt64) async {
    guard let first = moves.first else { return }
    do throws(MetadataError) {
      let result = try await client.append(
        AppendRequest(
          principal: client.configuration.principal, managerEpoch: epoch,
          commands: zip(moves, reasons).map { move, reason in
            .migration(
              .plan(
                move.tablet, target: move.target, epoch: image.tablets[move.tablet]?.epoch, maximumRetries: nil,
                reason: reason))
          }))
      for case .migration(.planned(let plan)) in result.events {
        self.moves.planned(plan.id, for: plan.tabletID)
        plannedCount &+= 1
      }
    } catch {
      logger.warning("tablet \(first.tablet) is not moved to shard \(first.target): \(error)")
    }
  }
}

extension RebalancePlan.Move {
  /// For the history.
  fileprivate func reasonText(_ classifier: inout ShardClassifier) -> String {
    switch reason {
    case .drain: "shard \(source) is drained"
    case .even: "evens out shard \(source)"
    case .gather: "brings a table group together"
    case .shardClass: classifier.reason(for: tablet)
    }
  }
}
