import EventLoop
import Metadata
import Replica
import SQLTypes
import StorageEngine

/// Writes that are a transaction of their own and wait for the same tablet run together: one SQLite transaction, one entry of
/// the log. Each succeeds or fails for itself.
@LoopActor
final class WriteBatcher {
  /// What a write comes to.
  enum Outcome {
    /// Committed at the index; 0 where it changed nothing.
    case committed(EngineOutcome, index: UInt64)
    case failed(EngineFailure)
    /// Too many rows to hold, or it was with one that writes too much: it has to run by itself.
    case tooLarge
    case replica(ReplicaError)
    /// Nobody waits for it any more; it was not run.
    case abandoned
  }

  private final class Item {
    let id: TransactionID
    let statement: EngineStatement
    let lockTimeoutMilliseconds: Int
    let submittedAt = Loop.now
    let isCancelled: @LoopActor () -> Bool
    private var continuation: UnsafeContinuation<Outcome, Never>?
    init(
      id: TransactionID, statement: EngineStatement, lockTimeoutMilliseconds: Int,
      isCancelled: @escaping @LoopActor () -> Bool, continuation: UnsafeContinuation<Outcome, Never>
    ) {
      self.id = id
      self.statement = statement
      self.lockTimeoutMilliseconds = lockTimeoutMilliseconds
      self.isCancelled = isCancelled
      self.continuation = continuation
    }
    @LoopActor func finish(_ outcome: Outcome) {
      continuation?.resume(returning: outcome)
      continuation = nil
    }
    /// Milliseconds that it may still wait for the lock; nil: without limit.
    @LoopActor var remainingMilliseconds: Int? {
      guard lockTimeoutMilliseconds > 0 else { return nil }
      return max(0, lockTimeoutMilliseconds - Int((Loop.now - submittedAt) / 1_000_000))
    }
  }

  /// Limits of one batch.
  private static let maximumItems = 256
  private static let maximumParameterBytes = 1 << 20

  private let engine: any StorageEngine
  private let commit:
    @LoopActor (TransactionID, [ShardEntry.Member], [TabletChangeset]) async throws(ReplicaError) -> UInt64
  private let confirm: @LoopActor () async throws(ReplicaError) -> Void
  private var queues: [TabletID: [Item]] = [:]
  private var counter: UInt64 = 0

  /// - Parameters:
  ///   - commit: logs an open transaction's changes; answers once they are applied.
  ///   - confirm: answers once this replica is known to lead still.
  init(
    engine: any StorageEngine,
    commit:
      @escaping @LoopActor (TransactionID, [ShardEntry.Member], [TabletChangeset]) async throws(ReplicaError) ->
      UInt64,
    confirm: @escaping @LoopActor () async throws(ReplicaError) -> Void
  ) {
    self.engine = engine
    self.commit = commit
    self.confirm = confirm
  }

  /// Runs and commits the write, alone or with others.
  func submit(
    _ statement: EngineStatement, on tablet: TabletID, id: TransactionID, lockTimeoutMilliseconds: Int,
    isCancelled: @escaping @LoopActor () -> Bool
  ) async -> Outcome {
    await withUnsafeContinuation { continuation in
      let item = Item(
        id: id, statement: statement, lockTimeoutMilliseconds: lockTimeoutMilliseconds, isCancelled: isCancelled,
        continuation: continuation)
      if queues[tablet] != nil {
        queues[tablet]!.append(item)
      } else {
        queues[tablet] = [item]
        LoopActor.start { await self.drain(tablet) }
      }
    }
  }

  private func drain(_ tablet: TabletID) async {
    while let batch = takeBatch(tablet) {
      guard !batch.isEmpty else { continue }
      await run(batch, tablet)
    }
  }

  /// The next writes; nil, and the queue is gone, where there is none.
  private func takeBatch(_ tablet: TabletID) -> [Item]? {
    guard let queue = queues[tablet], !queue.isEmpty else {
      queues[tablet] = nil
      return nil
    }
    var bytes = 0
    var count = 0
    for item in queue {
      bytes += item.statement.fragment.parameters.count
      if count > 0, count == Self.maximumItems || bytes > Self.maximumParameterBytes { break }
      count += 1
    }
    queues[tablet]!.removeFirst(count)
    return queue[..<count].filter { item in
      guard item.isCancelled() else { return true }
      item.finish(.abandoned)
      return false
    }
  }

  private func run(_ batch: [Item], _ tablet: TabletID) async {
    counter += 1
    let id = TransactionID(bytes: Array("batch \(counter)".utf8))
    let timeout = batch.compactMap(\.remainingMilliseconds).min().map { max(1, $0) } ?? 0
    let results: [Result<EngineOutcome, EngineFailure>]
    do throws(SQLError) {
      results = try await engine.run(
        batch.map(\.statement), on: tablet, in: id, lockTimeoutMilliseconds: timeout)
    } catch {
      retryOrFail(batch, tablet, error)
      return
    }
    var succeeded: [(item: Item, outcome: EngineOutcome)] = []
    for (item, result) in zip(batch, results) {
      switch result {
      case .success(let outcome): succeeded.append((item, outcome))
      case .failure(let failure) where failure.error.sqlState == .programLimitExceeded: item.finish(.tooLarge)
      case .failure(let failure): item.finish(.failed(failure))
      }
    }
    do {
      let changes = try await engine.changes(of: id)
      let index: UInt64
      if changes.isEmpty {
        await engine.rollback(id)
        // That nothing matched must be as true as a read would have to be.
        if !succeeded.isEmpty { try await confirm() }
        index = 0
      } else {
        let members = succeeded.map { ShardEntry.Member(id: $0.item.id, affected: [$0.outcome.affected]) }
        index = try await commit(id, members, changes)
      }
      for (item, outcome) in succeeded { item.finish(.committed(outcome, index: index)) }
    } catch let error as ReplicaError {
      for (item, _) in succeeded { item.finish(.replica(error)) }
    } catch let error as SQLError {
      await engine.rollback(id)
      for (item, _) in succeeded { item.finish(.failed(EngineFailure(error: error, tabletID: tablet))) }
    } catch {
      let failure = EngineFailure(error: SQLError(.internalError, "\(error)"), tabletID: tablet)
      for (item, _) in succeeded { item.finish(.failed(failure)) }
    }
  }

  /// A wait for the lock that was too long for some is tried again for the others.
  private func retryOrFail(_ batch: [Item], _ tablet: TabletID, _ error: SQLError) {
    if error.sqlState == .programLimitExceeded, batch.count > 1 {
      // One of them writes too much: alone, the others succeed.
      for item in batch { item.finish(.tooLarge) }
      return
    }
    var again: [Item] = []
    for item in batch {
      if error.sqlState == .lockNotAvailable, item.remainingMilliseconds != 0 {
        again.append(item)
      } else {
        item.finish(.failed(EngineFailure(error: error, tabletID: tablet)))
      }
    }
    queues[tablet, default: []].insert(contentsOf: again, at: 0)
  }
}
