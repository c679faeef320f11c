import Coordination
import EventLoop
import Logging
import Metadata
import MetadataClient
import Metrics
import SQLTypes

/// Commits transactions that wrote several shards: runs the effects of `CommitCoordinator`, one machine per transaction.
///
/// The client is answered with the log's decision; the shards are told afterwards, and whoever reads what they hold of the
/// transaction waits there until they have carried it out.
@LoopActor
final class TransactionCoordinator {
  /// How long the log is asked for a decision whose answer was lost.
  private static let decisionPatienceMilliseconds = 60_000
  /// Decisions that all have carried out are forgotten so many at a time, or after so long.
  private static let resolveBatch = 256
  private static let resolveMilliseconds = 100

  private let shards: any ShardAccess
  private let metadata: any MetadataAccess
  private let logger = Logger(label: "compute")
  private var ledger: CommitLedger
  private var isResolving = false
  let statistics = CoordinatorStatistics()

  init(nodeID: NodeID, startMicroseconds: Int64, shards: any ShardAccess, metadata: any MetadataAccess) {
    ledger = CommitLedger(node: nodeID, startMicroseconds: UInt64(max(1, startMicroseconds)))
    self.shards = shards
    self.metadata = metadata
  }

  /// Commits what a transaction wrote on the shards; returns once the log holds the decision.
  ///
  /// - Parameter failure: words what a shard says that cannot commit.
  func commit(
    _ transactionID: [UInt8], on written: Set<ShardID>, failure: (ShardFailure, ShardID) -> SQLError
  ) async throws(SQLError) {
    guard metadata.image.featureLevel >= FeatureLevel.coordination else {
      for shard in written { shards.rollback(transactionID, on: shard) }
      throw SQLError(
        .featureNotSupported,
        "a transaction may write one shard only, as the cluster is at feature level "
          + "\(metadata.image.featureLevel)",
        hint: "Once all nodes run this version: kunlog cluster upgrade")
    }
    let run = CommitRun(ledger.next(metadata.image.transactions), transactionID, written, self)
    switch await run.outcome() {
    case .committed: return
    case .refused(let shard):
      throw failure(run.reasons[shard] ?? .transactionLost, shard)
    case .aborted:
      throw SQLError(
        .serializationFailure, "the transaction was rolled back because its commit took too long",
        detail: "A shard had waited for the decision, and the metadata log has decided to abort.",
        hint: "Repeat the transaction.")
    case nil:
      throw SQLError(
        SQLState(rawValue: "08007"), "it is unknown whether the transaction was committed",
        detail: "The metadata log could not be reached while it decided transaction \(run.id).",
        hint: "Look whether its changes are there before you repeat it.")
    }
  }

  // MARK: The end of decisions

  /// All participants have carried the decision out: the log may forget it.
  fileprivate func resolve(_ id: GlobalTransactionID) {
    ledger.finish(id)
    guard !isResolving else { return }
    isResolving = true
    LoopActor.start { await self.resolveAll() }
  }

  fileprivate func unused(_ id: GlobalTransactionID) { ledger.giveUp(id) }

  private func resolveAll() async {
    defer { isResolving = false }
    while ledger.finishedCount > 0 {
      if ledger.finishedCount < Self.resolveBatch { try? await loopSleep(milliseconds: Self.resolveMilliseconds) }
      let (ids, commands) = ledger.takeResolutions(Self.resolveBatch, metadata.image.transactions)
      do {
        try await metadata.appendTransactions(commands.map { .transaction($0) })
      } catch {
        ledger.failed(ids)
        logger.warning("\(ids.count) transactions are not resolved yet: \(error)")
      }
    }
  }

  // MARK: One transaction

  /// One commit at work.
  @LoopActor
  private final class CommitRun {
    let id: GlobalTransactionID
    private let transactionID: [UInt8]
    private let participants: [ShardID]
    private let owner: TransactionCoordinator
    private var machine: CommitCoordinator
    private var pending: [CommitCoordinator.Effect]
    private var answer: CommitCoordinator.Answer?
    private var hasAnswer = false
    private var waiter: UnsafeContinuation<CommitCoordinator.Answer?, Never>?
    private let startedAt = Loop.now
    /// Why shards did not prepare.
    private(set) var reasons: [ShardID: ShardFailure] = [:]

    init(
      _ id: GlobalTransactionID, _ transactionID: [UInt8], _ shards: Set<ShardID>, _ owner: TransactionCoordinator
    ) {
      self.id = id
      self.transactionID = transactionID
      self.owner = owner
      participants = shards.sorted()
      (machine, pending) = CommitCoordinator.begin(id, shards: shards)
    }

    /// Begins, and waits for what the client is answered; nil: it could not be learnt.
    func outcome() async -> CommitCoordinator.Answer? {
      for effect in pending { run(effect) }
      if hasAnswer { return answer }
      return await withUnsafeContinuation { waiter = $0 }
    }

    private func step(_ input: CommitCoordinator.Input) {
      for effect in machine.step(input) { run(effect) }
    }

    private func tell(_ answer: CommitCoordinator.Answer?) {
      guard !hasAnswer else { return }
      hasAnswer = true
      self.answer = answer
      owner.statistics.ended(answer, startedAt: startedAt)
      waiter?.resume(returning: answer)
      waiter = nil
    }

    private func run(_ effect: CommitCoordinator.Effect) {
      switch effect {
      case .prepare(let shard): LoopActor.start { await self.prepare(shard) }
      case .decide(let outcome, let participants): LoopActor.start { await self.decide(outcome, participants) }
      case .answer(let answer): tell(answer)
      case .finish(let shard, let outcome, let index):
        LoopActor.start { await self.finish(shard, outcome, index) }
      case .resolve: owner.resolve(id)
      case .unused: owner.unused(id)
      }
    }

    private func prepare(_ shard: ShardID) async {
      do throws(ShardFailure) {
        let hasWritten = try await owner.shards.prepare(
          transactionID, as: id, participants: participants, on: shard)
        step(hasWritten ? .prepared(shard) : .wroteNothing(shard))
      } catch {
        reasons[shard] = error
        switch error {
        case .statement, .transactionLost, .unavailable, .staleRoute: step(.refused(shard, certainly: true))
        case .interrupted, .cancelled: step(.refused(shard, certainly: false))
        }
      }
    }

    /// Asks until the log answers: what was asked may have been recorded although its answer was lost, and nobody but the log
    /// knows which decision was the first.
    private func decide(_ outcome: TransactionOutcome, _ participants: [ShardID]) async {
      let deadline = Loop.now + UInt64(TransactionCoordinator.decisionPatienceMilliseconds) * 1_000_000
      var wanted = outcome
      while true {
        do throws(MetadataError) {
          guard let decision = try await owner.metadata.decide(id, wanted, participants: participants) else {
            return tell(nil)
          }
          return step(.decided(decision.outcome, index: decision.index))
        } catch {
          switch error {
          case .outcomeUnknown, .timedOut, .malformed, .overloaded, .unavailable: break
          case .rejected, .refused, .compacted, .inFuture, .outdated, .stopped:
            owner.logger.error("transaction \(id) was not decided: \(error)")
            if case .rejected = error, wanted == .commit {
              wanted = .abort
              continue
            }
            return tell(nil)
          }
          guard Loop.now < deadline else { return tell(nil) }
          try? await loopSleep(milliseconds: 50)
        }
      }
    }

    private func finish(_ shard: ShardID, _ outcome: TransactionOutcome, _ index: UInt64) async {
      do throws(ShardFailure) {
        try await owner.shards.finish(transactionID, as: id, outcome, decisionIndex: index, on: shard)
        step(.finished(shard))
      } catch {
        owner.logger.warning("shard \(shard) was not told that transaction \(id) ended (\(outcome)): \(error)")
      }
    }
  }
}

/// How commits over several shards ended.
@LoopActor
final class CoordinatorStatistics {
  private(set) var committed: UInt64 = 0
  private(set) var aborted: UInt64 = 0
  private(set) var unknown: UInt64 = 0
  private(set) var latency = Histogram()

  nonisolated init() {}

  func ended(_ answer: CommitCoordinator.Answer?, startedAt: UInt64) {
    switch answer {
    case .committed:
      committed &+= 1
      latency.record(Loop.now - min(Loop.now, startedAt))
    case .refused, .aborted: aborted &+= 1
    case nil: unknown &+= 1
    }
  }

  func add(to set: inout MetricSet) {
    let text = "Commits of transactions that wrote several shards, by how they ended."
    set.counter("kunlog_compute_distributed_commits_total", text, committed, ("result", "committed"))
    set.counter("kunlog_compute_distributed_commits_total", text, aborted, ("result", "aborted"))
    set.counter("kunlog_compute_distributed_commits_total", text, unknown, ("result", "unknown"))
    set.histogram(
      "kunlog_compute_distributed_commit_seconds",
      "From COMMIT to the metadata log's decision, of transactions that wrote several shards.", latency)
  }
}
