import EventLoop
import Metadata
import MetadataClient
import SQLTypes

/// What the execution of statements asks of the metadata log.
@LoopActor
package protocol MetadataAccess: AnyObject {
  /// The local image, kept up to date.
  var image: Image { get }

  /// The last record of the local image that concerns tables, tablets or their routes: what requests to shards carry.
  /// Records that only reserve values of sequences, or change nodes and roles, do not hold a shard up.
  var schemaIndex: UInt64 { get }

  /// Returns once the local image has reached the index.
  ///
  /// - Throws: 57P03 where that takes too long.
  func wait(for index: UInt64) async throws(SQLError)

  /// Appends commands as one record; returns its index and events once the local image contains it.
  ///
  /// - Throws: the decision's rejection; 08006 where the log cannot be reached; 08007 where the outcome is unknown.
  func append(_ request: AppendRequest) async throws(SQLError) -> (index: UInt64, events: [Event])

  /// Asks the log for the decision on a transaction over several shards; answers the one that stands and its record, which the local
  /// image may not contain yet. nil: it is past.
  func decide(
    _ id: GlobalTransactionID, _ outcome: TransactionOutcome, participants: [ShardID]
  ) async throws(MetadataError) -> (outcome: TransactionOutcome, index: UInt64)?

  /// Tells the log which decisions it may forget.
  func appendTransactions(_ commands: [Command]) async throws(MetadataError)
}
