import EventLoop
import Logging
import Metadata
import MetadataClient

/// Plans the copies that mirror tables lack, on shards that were added or are drained no longer, and the end of those on shards that are
/// drained, while this manager acts. What is missing or too much the log says; each change is a migration.
@LoopActor
final class MirrorKeeper {
  private struct Copy: Hashable {
    var tablet: TabletID
    var shard: ShardID
  }

  private let client: MetadataClient
  private let logger = Logger(label: "manager")
  private var moves = MoveBackoff<Copy>()

  init(client: MetadataClient) { self.client = client }

  /// One round.
  /// - Parameter epoch: in which this manager acts.
  func run(_ epoch: UInt64) async {
    let image = client.image
    let now = Loop.now / 1_000_000
    moves.noteEnded(image, now)
    moves.keep { image.tablets[$0.tablet] != nil }
    var seen: Set<TabletID> = []
    let changes =
      image.missingCopies.map { ($0.tablet, $0.shard, true) }
      + image.superfluousCopies.map { ($0.tablet, $0.shard, false) }
    for (tablet, shard, isMissing) in changes where image.migrations.open(of: tablet.id) == nil {
      // One copy of a table after another.
      guard !moves.isLeftAlone(Copy(tablet: tablet.id, shard: shard), now), seen.insert(tablet.id).inserted
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
        moves.planned(plan.id, for: Copy(tablet: tablet.id, shard: shard))
      }
    } catch {
      logger.warning("shard \(shard) \(adds ? "gets" : "drops") no copy of tablet \(tablet.id): \(error)")
    }
  }
}
