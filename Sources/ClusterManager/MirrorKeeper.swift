import EventLoop
import Logging
import Metadata
import MetadataClient

/// Plans the copies that mirror tables lack, on shards that were added or are drained no longer, and the end of those on shards that are
/// drained, while this manager acts. What is missing or too much the log says; each change is a migration.
@LoopActor
final class MirrorKeeper {
  /// A copy that failed is left alone for so long, and for twice as long after each further failure.
  private static let backoffMilliseconds: UInt64 = 5_000

  private struct Copy: Hashable {
    var tablet: TabletID
    var shard: ShardID
  }

  private let client: MetadataClient
  private let logger = Logger(label: "manager")
  private var planned: [MigrationID: Copy] = [:]
  private var failures: [Copy: (count: UInt64, until: UInt64)] = [:]

  init(client: MetadataClient) { self.client = client }

  /// One round.
  /// - Parameter epoch: in which this manager acts.
  func run(_ epoch: UInt64) async {
    let image = client.image
    let now = Loop.now / 1_000_000
    noteEnded(image, now)
    var seen: Set<TabletID> = []
    let changes =
      image.missingCopies.map { ($0.tablet, $0.shard, true) }
      + image.superfluousCopies.map { ($0.tablet, $0.shard, false) }
    for (tablet, shard, isMissing) in changes where image.migrations.open(of: tablet.id) == nil {
      // One copy of a table after another.
      guard failures[Copy(tablet: tablet.id, shard: shard)].map({ $0.until <= now }) ?? true,
        seen.insert(tablet.id).inserted
      else { continue }
      await ask(tablet, shard, adds: isMissing, epoch)
    }
  }

  private func ask(_ tablet: TabletDefinition, _ shard: ShardID, adds: Bool, _ epoch: UInt64) async {
    var options = MigrationOptions.standard
    options.addsCopy = adds
    options.dropsCopy = !adds
    do throws(MetadataError) {
      let result = try await client.append(
        AppendRequest(
          principal: client.configuration.principal, managerEpoch: epoch,
          commands: [
            .migration(
              .plan(
                tablet.id, target: shard, epoch: tablet.epoch, maximumRetries: nil,
                reason: adds ? "shard \(shard) lacks a copy of the mirror table" : "shard \(shard) is drained",
                options: options))
          ]))
      for case .migration(.planned(let plan)) in result.events {
        planned[plan.id] = Copy(tablet: tablet.id, shard: shard)
      }
    } catch {
      logger.warning("shard \(shard) \(adds ? "gets" : "drops") no copy of tablet \(tablet.id): \(error)")
    }
  }

  private func noteEnded(_ image: Image, _ now: UInt64) {
    for (id, copy) in planned.sorted(by: { $0.key < $1.key }) where image.migrations.open[id] == nil {
      planned[id] = nil
      guard image.migrations.ended[id]?.outcome != .completed else {
        failures[copy] = nil
        continue
      }
      let count = (failures[copy]?.count ?? 0) + 1
      failures[copy] = (count, now + Self.backoffMilliseconds << min(count - 1, 6))
    }
    failures = failures.filter { image.tablets[$0.key.tablet] != nil }
  }
}
