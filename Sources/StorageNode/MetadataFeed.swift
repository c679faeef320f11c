import EventLoop
import Metadata
import MetadataClient
import ReplicationGroup

/// What a storage node needs of the metadata log: the image as far as it is known here, and word of each change.
@LoopActor
package protocol MetadataFeed: AnyObject {
  /// The fold of all records that have arrived.
  var image: Image { get }
  /// Calls the body after each change of `image`, for as long as the feed lives.
  func observe(_ body: @escaping @LoopActor () -> Void)
  /// The same, with the tablets that the change may concern (`MetadataClient.Change.touchedTablets`); nil: any.
  func observeTablets(_ body: @escaping @LoopActor (Set<TabletID>?) -> Void)
  /// Asks the log to abort a transaction; answers the decision that stands, and the record that holds it. nil: the decision is past
  /// (it was resolved). Throws where the log has not answered.
  func decideAbort(
    _ id: GlobalTransactionID, participants: [ShardID]
  ) async throws -> (outcome: TransactionOutcome, index: UInt64)?
  /// Asks the log to end a cut that has lasted too long; what it has decided is read there.
  func expireCut(_ id: MigrationID, attempt: UInt32, reason: String) async throws
  /// Tells the log what has become of the shard's members; returns once `image` contains it.
  func record(_ commands: [Command]) async -> RecordingOutcome
}

/// The metadata as a client follows it.
@LoopActor
package final class FollowedMetadata: MetadataFeed {
  private let client: MetadataClient

  /// A feed of a client, which its owner starts and stops.
  package init(_ client: MetadataClient) { self.client = client }

  package var image: Image { client.image }

  package func observe(_ body: @escaping @LoopActor () -> Void) { client.observe { _ in body() } }

  package func observeTablets(_ body: @escaping @LoopActor (Set<TabletID>?) -> Void) {
    client.observe { body($0.touchedTablets) }
  }

  package func decideAbort(
    _ id: GlobalTransactionID, participants: [ShardID]
  ) async throws -> (outcome: TransactionOutcome, index: UInt64)? {
    try await client.decide(id, .abort, participants: participants)
  }

  package func expireCut(_ id: MigrationID, attempt: UInt32, reason: String) async throws {
    _ = try await client.append([.migration(.expireCut(id, attempt: attempt, reason: reason))])
  }

  package func record(_ commands: [Command]) async -> RecordingOutcome {
    do throws(MetadataError) {
      _ = try await client.append(commands)
      return .recorded
    } catch {
      switch error {
      case .rejected(let rejection): return .rejected(rejection.message)
      case .refused: return .rejected("\(error)")
      default: return .failed("\(error)")
      }
    }
  }
}
