import EventLoop
import FoundationEssentials
import Metadata
import ProtocolStorage
import Replica
import SQLTypes
import StorageEngine
import StorageWire

// Transactions over several shards: what their coordinator asks of each, and what operators and deadlock detection ask.
extension StorageService {
  /// First phase. What has been prepared already is answered alike.
  func prepare(_ request: Kunlog_Storage_V1_PrepareRequest) async -> Kunlog_Storage_V1_PrepareResponse {
    let id = TransactionID(bytes: Array(request.transactionID))
    let preparation = ShardEntry.Preparation(
      id: GlobalTransactionID(wire: request.globalTransaction),
      participants: request.participants.map { ShardID(rawValue: $0) }.sorted(),
      timeMicroseconds: Loop.wallClockMicroseconds())
    guard preparation.participants.contains(configuration.shardID) else {
      return failure(SQLError(.protocolViolation, "shard \(configuration.shardID) is no participant"))
    }
    if let entry = transactions[id], entry.isBusy { await transactions.rested(entry) }
    guard machine.isLeader else { return .with { $0.notLeader = notLeader } }
    if let known = prepared[preparation.id] {
      guard known.transaction == id else {
        return failure(
          SQLError(
            .internalError, "the name \(preparation.id) is that of another prepared transaction",
            hint: "Start the compute node anew, so that it takes a new incarnation."))
      }
      return .with { $0.preparedIndex = known.index }
    }
    guard let entry = transactions[id] else { return await unknownToPrepare() }
    entry.isBusy = true
    return await prepare(entry, preparation)
  }

  private func prepare(
    _ entry: OpenTransactions.Entry, _ preparation: ShardEntry.Preparation
  ) async -> Kunlog_Storage_V1_PrepareResponse {
    defer { transactions.close(entry) }
    do {
      let changes = try await engine.changes(of: entry.id)
      guard !changes.isEmpty else {
        await engine.rollback(entry.id)
        return .with { $0.nothingWritten = true }
      }
      entry.isCommitting = true
      let body = ShardEntry.Body(
        members: [ShardEntry.Member(id: entry.id, affected: [])], changesets: changes, preparation: preparation)
      let index = try await log(entry.id, body)
      return .with { $0.preparedIndex = index }
    } catch let error as SQLError {
      await engine.rollback(entry.id)
      return failure(error)
    } catch {
      let failure = replicaFailure(error)
      return .with { response in
        switch failure.kind {
        case .notLeader(let other): response.notLeader = other
        case .failure(let reason): response.failure = reason
        default: break
        }
      }
    }
  }

  private func failure(_ error: SQLError) -> Kunlog_Storage_V1_PrepareResponse {
    .with { $0.failure = Failures.message(error) }
  }

  /// That holds only for who leads still.
  private func unknownToPrepare() async -> Kunlog_Storage_V1_PrepareResponse {
    guard await leadsStill() else { return .with { $0.notLeader = notLeader } }
    return .with { $0.unknownTransaction = true }
  }

  private func leadsStill() async -> Bool {
    do throws(ReplicaError) {
      try await replica.readIndex()
      return machine.isLeader
    } catch {
      return false
    }
  }

  /// Second phase. Answers once nothing of the transaction is left to do here.
  func finish(_ request: Kunlog_Storage_V1_FinishRequest) async -> Kunlog_Storage_V1_FinishResponse {
    let id = GlobalTransactionID(wire: request.globalTransaction)
    // A first phase that is still under way ends first.
    if let entry = transactions[TransactionID(bytes: Array(request.transactionID))] {
      if entry.isBusy { await transactions.rested(entry) }
      if !request.commit { await transactions.rollback(entry) }
    }
    guard machine.isLeader else { return .with { $0.notLeader = notLeader } }
    let leadership = machine.leadership
    if prepared[id] != nil {
      prepared.decided(id, request.commit ? .commit : .abort, index: request.decisionIndex)
      await prepared.waitUntilFinished(id)
      guard machine.isLeader, machine.leadership == leadership else { return .with { $0.notLeader = notLeader } }
      return .with { $0.finished = true }
    }
    guard await leadsStill() else { return .with { $0.notLeader = notLeader } }
    return .with { $0.finished = true }
  }

  /// Before a snapshot over several shards.
  func hold(_ name: [UInt8]) async -> Kunlog_Storage_V1_HoldResponse {
    guard !name.isEmpty, name.count <= 64 else {
      return .with {
        $0.failure = Failures.message(SQLError(.protocolViolation, "a hold needs a name of 1 to 64 bytes"))
      }
    }
    guard machine.isLeader else { return .with { $0.notLeader = notLeader } }
    do throws(ReplicaError) {
      let index = try await prepared.hold(name)
      return .with { $0.decisionIndex = index }
    } catch {
      return .with { $0.notLeader = notLeader }
    }
  }

  // MARK: Who holds what

  func list(onlyBlocking: Bool) async -> Kunlog_Storage_V1_TransactionsResponse {
    guard machine.isLeader else { return .with { $0.notLeader = notLeader } }
    // Waits are believed when they are seen twice; that something is not prepared is believed at once.
    if !onlyBlocking {
      guard await leadsStill() else { return .with { $0.notLeader = notLeader } }
    }
    let locks = engine.locks
    let blocking = locks.values.reduce(into: Set<TransactionID>()) { $0.formUnion($1.wait?.blockers ?? []) }
    let isNamed: (TransactionID) -> Bool = { id in
      !onlyBlocking || blocking.contains(id) || locks[id]?.wait != nil
    }
    let open = transactions.all.sorted { $0.openedAt < $1.openedAt }.filter { isNamed($0.id) }
    return .with { response in
      response.metadataIndex = reconciler.consumedIndex
      response.transactions = prepared.all.map { transaction in
        .with {
          $0 = message(transaction.transaction, locks[transaction.transaction])
          $0.globalTransaction = transaction.preparation.id.storageWire
          $0.participants = transaction.preparation.participants.map(\.rawValue)
          $0.ageMilliseconds = prepared.age(of: transaction.preparation.id)
        }
      }
      response.transactions += open.map { entry in
        .with {
          $0 = message(entry.id, locks[entry.id])
          $0.ageMilliseconds = (Loop.now - min(Loop.now, entry.openedAt)) / 1_000_000
        }
      }
      // Single writes that run as a batch have no name of a compute node's; they hold tablets all the same.
      let named = Set(open.map(\.id)).union(prepared.all.map(\.transaction))
      response.transactions += locks.keys.filter { !named.contains($0) && isNamed($0) }
        .sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }.map { message($0, locks[$0]) }
    }
  }

  private func message(_ id: TransactionID, _ locks: TransactionLocks?) -> Kunlog_Storage_V1_ShardTransaction {
    .with {
      $0.transactionID = Data(id.bytes)
      $0.lockedTablets = (locks?.held ?? []).map(\.rawValue).sorted()
      if let wait = locks?.wait {
        $0.awaitedTablet = wait.tablet.rawValue
        $0.waitsFor = wait.blockers.map { Data($0.bytes) }
        $0.waitMilliseconds = (Loop.now - min(Loop.now, wait.since)) / 1_000_000
      }
    }
  }
}
