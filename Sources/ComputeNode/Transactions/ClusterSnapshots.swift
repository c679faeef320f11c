import EventLoop
import Metadata
import SQLTypes

/// Snapshots over several shards that never hold half of a transaction (`kunlog.snapshot = 'cluster'`).
///
/// The end of transactions is held back on each shard for a moment, one shard after another in a fixed order. The highest
/// decision that any of them has carried out is the snapshot's: each shard carries out what it lacks up to there, takes its
/// snapshot, and lets transactions end again. Transactions whose commit a client was told before are in it, because a shard first
/// lets those end that are prepared.
@LoopActor
final class ClusterSnapshots {
  private let shards: any ShardAccess
  private let names: TransactionNames
  /// One at a time: two would hold up each other.
  private let gate = SerialGate()

  init(shards: any ShardAccess, names: TransactionNames) {
    self.shards = shards
    self.names = names
  }

  /// Holds the shards and calls the body, which has the snapshots taken at all of them before it returns.
  func take<Result>(
    _ shardIDs: [ShardID], _ body: (SnapshotPoint) async throws(AttemptFailure) -> Result
  ) async throws(AttemptFailure) -> Result {
    await gate.enter()
    defer { gate.leave() }
    let name = names.next()
    var index: UInt64 = 0
    for shard in Set(shardIDs).sorted() {
      do throws(ShardFailure) {
        index = max(index, try await shards.hold(name, on: shard))
      } catch {
        switch error {
        case .statement(let error, _): throw .failed(error)
        case .unavailable(let reason), .interrupted(let reason):
          throw .failed(
            SQLError(
              .connectionFailure, "shard \(shard) cannot be reached", detail: reason, hint: "Repeat the statement."))
        case .transactionLost, .staleRoute: throw .snapshotLost
        case .cancelled: throw .failed(SQLError(.queryCanceled, "canceling statement due to user request"))
        }
      }
    }
    return try await body(SnapshotPoint(hold: name, decisionIndex: index))
  }
}

extension ComputeSession {
  private var wantsClusterSnapshots: Bool { settings.known("kunlog.snapshot") == "cluster" }

  /// Whether a read of the shards is to see one moment of all of them, which it does not by itself.
  func needsSnapshot(_ shards: [ShardID]) -> Bool {
    guard wantsClusterSnapshots, transaction?.hasClusterSnapshot != true else { return false }
    return Set(shards).count > 1
  }

  /// What a transaction has written it reads where it was written, beside what others have committed since.
  func checkSnapshot() throws(SQLError) {
    guard let transaction, !transaction.joined.isEmpty else { return }
    throw SQLError(
      .featureNotSupported,
      "a transaction that has written cannot read several shards as of one moment",
      detail: "kunlog.snapshot is 'cluster'.",
      hint: "Read before it writes, use REPEATABLE READ, or SET LOCAL kunlog.snapshot = 'shard'.")
  }

  /// The first statement of a REPEATABLE READ block fixes the moment that all of its statements see, on all shards.
  func takeClusterSnapshot(_ scope: StatementScope) async throws(AttemptFailure) {
    guard let transaction, transaction.isBlock, transaction.isRepeatableRead, !transaction.hasClusterSnapshot,
      transaction.joined.isEmpty, wantsClusterSnapshots
    else { return }
    let all = image.shards.values.filter { !$0.replicas.isEmpty }.map(\.id).sorted()
    try await services.snapshots.take(all) { (point) async throws(AttemptFailure) in
      for shard in all {
        var request = ShardRequest(
          shardID: shard, metadataIndex: services.metadata.schemaIndex, transactionID: transaction.id, fragments: [],
          isReadOnly: transaction.isReadOnly, isRepeatableRead: true, session: shardSession)
        request.snapshot = point
        transaction.join(shard)
        let reader = ShardReader(
          request, shards: services.shards, scope: scope, errors: ConstraintErrors(image: image))
        do throws(ShardFailure) {
          while try await reader.nextAnswer() != nil {}
        } catch {
          rollback(transaction)
          transaction.startAnew(id: services.names.next())
          if case .transactionLost = error { throw .snapshotLost }
          throw .failed(reader.sqlError(error))
        }
      }
    }
    transaction.hasClusterSnapshot = true
  }
}
