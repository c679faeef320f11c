import EventLoop
import FoundationEssentials
import Metadata
import ProtocolStorage
import RPC
import Replica
import SQLTypes
import StorageEngine

/// One call of Execute.
@LoopActor
final class ExecuteCall {
  /// How a call ends other than well.
  enum Stop: Error {
    case failure(Kunlog_Storage_V1_SQLFailure)
    case notLeader
    case staleRoute(TabletID, requiredIndex: UInt64)
    /// Nobody listens any more.
    case gone
  }

  /// Rows are sent when so many bytes have gathered, and at the end.
  private static let messageBytes = 32 << 10

  let service: StorageService
  let request: Kunlog_Storage_V1_ExecuteRequest
  private let writer: RPCWriter<Kunlog_Storage_V1_ExecuteResponse>
  let context: RPCContext
  private let id: TransactionID
  private let session: EngineSession
  private var pending = Kunlog_Storage_V1_ExecuteResponse()
  private var pendingBytes = 0
  /// Rows are on their way: nobody can begin the request anew unseen.
  private var hasSentRows = false
  /// How it ended, once it has.
  private(set) var result = ExecuteStatistics.Result.ok

  init(
    service: StorageService, request: Kunlog_Storage_V1_ExecuteRequest,
    writer: RPCWriter<Kunlog_Storage_V1_ExecuteResponse>, context: RPCContext
  ) {
    self.service = service
    self.request = request
    self.writer = writer
    self.context = context
    id = TransactionID(bytes: Array(request.transactionID))
    session = EngineSession(
      transactionTime: request.session.transactionTimeMicroseconds,
      statementTime: request.session.statementTimeMicroseconds, timeZone: request.session.timeZone,
      user: request.session.user, database: request.session.database)
  }

  func run() async {
    let hold = Array(request.snapshot.hold)
    defer { if !hold.isEmpty { service.prepared.release(hold) } }
    let leadership = service.machine.leadership
    do throws(Stop) {
      try validate()
      try await catchUp()
      if id.bytes.isEmpty {
        try await runReadsAlone()
      } else if isSingleWrite {
        try await runSingleWrite()
      } else {
        try await runInTransaction()
      }
    } catch {
      switch error {
      // What fails after the leadership is lost failed because of that, or would have: the next leader begins it anew.
      case .notLeader,
        .failure where !service.isLeading(leadership) && !request.continues && !hasSentRows:
        result = .notLeader
        pending.notLeader = service.notLeader
      case .failure(let failure):
        result = .failed
        pending.failure = failure
      case .staleRoute where answerFromMemory():
        // A retry: the first try was carried out before the tablet moved.
        break
      case .staleRoute(let tablet, let index):
        result = .staleRoute
        pending.staleRoute.tabletID = tablet.rawValue
        pending.staleRoute.requiredMetadataIndex = index
      case .gone:
        result = .gone
        return
      }
    }
    try? await writer.send(pending)
  }

  // MARK: Before

  private func validate() throws(Stop) {
    guard id.bytes.count <= 64 else { throw protocolViolation("the transaction's name is longer than 64 bytes") }
    let writes = request.fragments.contains(where: \.isWrite)
    guard !writes || !id.bytes.isEmpty else { throw protocolViolation("a write needs a transaction's name") }
    guard request.savepoints.count <= 1 << 12 else { throw protocolViolation("too many savepoints are open") }
    for fragment in request.fragments {
      guard !fragment.tablets.isEmpty else { throw protocolViolation("a fragment must name its tablets") }
      guard fragment.parameterRows <= 1 << 20, fragment.parameterColumns <= 1 << 16, fragment.resultColumns <= 1 << 16
      else { throw protocolViolation("a fragment has too many parameters or columns") }
    }
    guard service.machine.isLeader else { throw .notLeader }
  }

  private func protocolViolation(_ text: String) -> Stop {
    .failure(Failures.message(SQLError(.protocolViolation, text)))
  }

  /// The shard first reaches the metadata that the request was planned at; then its routes must still hold.
  private func catchUp() async throws(Stop) {
    let patience = min(context.remainingMilliseconds ?? .max, StorageService.patienceMilliseconds)
    // Nor does it serve by metadata that are older than its tablets.
    let index = max(request.metadataIndex, request.snapshot.decisionIndex, service.machine.state.metadataIndex)
    if service.reconciler.consumedIndex < index {
      switch await service.reconciler.catchUp(to: index, timeoutMilliseconds: patience) {
      case .done: break
      case .notLeader: throw .notLeader
      case .timedOut:
        throw .failure(
          Failures.message(
            SQLError(
              .cannotConnectNow,
              "shard \(service.configuration.shardID) has not caught up with the metadata at \(index)"))
        )
      }
    }
    try checkRoutes()
    try await passFences()
  }

  func checkRoutes() throws(Stop) {
    let image = service.feed.image
    for reference in request.fragments.lazy.flatMap(\.tablets) {
      let tablet = TabletID(rawValue: reference.tabletID)
      guard let route = image.tablets[tablet], route.isHeld(by: service.configuration.shardID),
        route.epoch <= reference.epoch
      else { throw .staleRoute(tablet, requiredIndex: image.index) }
      guard let summary = service.engine.tablets[tablet] else {
        // Dropped or created at this moment: the metadata that says so is on its way into the shard.
        throw .staleRoute(tablet, requiredIndex: image.index)
      }
      guard summary.refusals.isEmpty else { throw unusable(summary, route, image) }
    }
    for reference in request.snapshot.tablets {
      let tablet = TabletID(rawValue: reference.tabletID)
      guard let route = image.tablets[tablet], route.epoch <= reference.epoch else {
        throw .staleRoute(tablet, requiredIndex: image.index)
      }
    }
  }

  private func unusable(_ summary: TabletSummary, _ route: TabletDefinition, _ image: Image) -> Stop {
    let table = image.tables[route.tableID]?.name ?? "\(route.tableID)"
    let error = summary.refusal(of: table) { image.indexes[$0]?.name }
    return .failure(Failures.message(error ?? SQLError(.internalError, "table \"\(table)\" cannot be used")))
  }

  // MARK: A read alone

  private func runReadsAlone() async throws(Stop) {
    try await confirmLeadership()
    let id = service.readID()
    do throws(SQLError) {
      try service.engine.begin(
        id,
        options: TransactionOptions(isReadOnly: true, isRepeatableRead: request.repeatableRead || request.hasSnapshot))
    } catch {
      throw .failure(Failures.message(error))
    }
    let engine = service.engine
    context.onCancel { Task { await engine.rollback(id) } }
    do throws(Stop) {
      _ = try await runFragments(id)
    } catch {
      await engine.rollback(id)
      throw error
    }
    await engine.rollback(id)
  }

  // MARK: A write alone

  /// The quick path: one text on one tablet, committed at once. Where others hold rows of the tablet it would wait for all of them:
  /// then it locks its own rows, as they do.
  private var isSingleWrite: Bool {
    guard request.commit, !request.continues, request.fragments.count == 1, let fragment = request.fragments.first
    else { return false }
    guard fragment.isWrite, fragment.tablets.count == 1, !request.readOnly, service.transactions[id] == nil else {
      return false
    }
    // A retry goes the way of the first try.
    return fragment.locking == .tablet || service.writesAtWork.contains(id)
      || !service.engine.hasLockedRows(
        TabletID(rawValue: fragment.tablets[0].tabletID), besides: service.briefTransactions)
  }

  private func runSingleWrite() async throws(Stop) {
    while service.writesAtWork.contains(id) {
      // The first try of the same request: its outcome is the answer.
      try? await loopSleep(milliseconds: 5)
      if context.isCancelled { throw .gone }
    }
    if answerFromMemory() { return }
    service.writesAtWork.insert(id)
    defer { service.writesAtWork.remove(id) }
    let fragment = engineFragment(request.fragments[0])
    let outcome = await service.batcher.submit(
      EngineStatement(fragment: fragment, session: session), on: fragment.tablets[0], id: id,
      lockTimeoutMilliseconds: Int(request.lockTimeoutMilliseconds), isCancelled: { [context] in context.isCancelled })
    switch outcome {
    case .committed(let outcome, let index):
      for rows in outcome.rows { guard await send(rows, fragment: 0) else { throw .gone } }
      add(done: 0, affected: outcome.affected)
      pending.committed.committedIndex = index
    case .failed(let failure):
      try await replanWhereMoved(failure)
      throw .failure(Failures.message(failure, fragment: 0))
    case .tooLarge: try await runInTransaction()
    case .replica(let error): throw stop(error)
    case .abandoned: throw .gone
    }
  }

  /// Answers a retry of a request that has been committed already; false where there is none.
  private func answerFromMemory() -> Bool {
    guard request.commit, !request.continues, let done = service.machine.state.recent[id] else { return false }
    guard request.fragments.allSatisfy({ $0.resultColumns == 0 }) else {
      pending.failure = Failures.message(
        SQLError(
          .statementCompletionUnknown, "the statement is committed, but its rows were lost with the shard's leader"))
      return true
    }
    for (place, affected) in done.affected.enumerated() { add(done: place, affected: affected) }
    pending.committed.committedIndex = done.index
    return true
  }

  // MARK: In a transaction

  private func runInTransaction() async throws(Stop) {
    if !request.continues, let first = service.transactions[id], first.isBusy, request.commit {
      // The first try of the same request: its outcome is the answer.
      await service.transactions.rested(first)
    }
    if answerFromMemory() { return }
    let entry = try await openTransaction()
    entry.isBusy = true
    if request.commit, !request.continues { service.briefTransactions.insert(id) }
    defer { service.briefTransactions.remove(id) }
    let transactions = service.transactions
    context.onCancel { Task { await transactions.rollback(entry) } }
    do throws(Stop) {
      if request.fragments.contains(where: { !$0.isWrite }) { try await confirmLeadership() }
      try await applySavepoints()
      let affected = try await runFragments(id)
      guard request.commit else {
        transactions.rest(entry)
        return
      }
      pending.committed = await service.commit(entry, affected: affected)
      if case .notLeader = pending.committed.kind { throw .notLeader }
      if case .failure(let failure) = pending.committed.kind { throw .failure(failure) }
    } catch {
      pending.clearCommitted()
      var isUnbegun = false
      if case .staleRoute = error { isUnbegun = !request.continues }
      if request.commit || isUnbegun {
        // Whoever plans anew begins anew.
        await transactions.rollback(entry)
        transactions.close(entry)
      } else {
        transactions.rest(entry)
      }
      throw error
    }
  }

  private func applySavepoints() async throws(Stop) {
    do throws(EngineFailure) {
      if request.rollbackToSavepoint > 0 {
        try await service.engine.rollback(id, toSavepoint: request.rollbackToSavepoint)
      }
      do throws(SQLError) {
        try service.engine.setSavepoints(request.savepoints, in: id)
      } catch {
        throw EngineFailure(error: error)
      }
    } catch {
      throw .failure(Failures.message(error, fragment: 0))
    }
  }

  private func openTransaction() async throws(Stop) -> OpenTransactions.Entry {
    if let entry = service.transactions[id] {
      guard !entry.isBusy else {
        throw .failure(
          Failures.message(SQLError(.objectInUse, "another request of this transaction has not ended")))
      }
      if request.continues {
        entry.heard(on: context.connectionProbe)
        return entry
      }
      // The answer to the same first request was lost on its way: it must not run twice.
      await service.transactions.rollback(entry)
    }
    guard !request.continues else {
      throw .failure(
        Failures.message(
          SQLError(
            .serializationFailure,
            "the transaction is not known to shard \(service.configuration.shardID) any more",
            detail: "Its leader has changed, or nothing was heard of the transaction for too long.",
            hint: "Retry the transaction."), isTransactionLost: true))
    }
    do throws(SQLError) {
      return try service.transactions.open(
        id,
        options: TransactionOptions(
          isReadOnly: request.readOnly, isRepeatableRead: request.repeatableRead,
          lockTimeoutMilliseconds: Int(request.lockTimeoutMilliseconds)), isConnected: context.connectionProbe)
    } catch {
      throw .failure(Failures.message(error))
    }
  }

  // MARK: Fragments

  /// Runs the request's fragments in order; answers the number of rows that each has changed.
  private func runFragments(_ id: TransactionID) async throws(Stop) -> [UInt64] {
    var all: [UInt64] = []
    if request.hasSnapshot {
      try await takeSnapshot(id)
    } else {
      await service.prepared.settle(readTablets)
    }
    if context.isCancelled { throw .gone }
    guard service.machine.isLeader else { throw .notLeader }
    // While it waited a tablet may have moved.
    try checkRoutes()
    for (place, fragment) in request.fragments.enumerated() {
      do throws(EngineFailure) {
        var affected = try await execute(fragment, place, id)
        if affected == 0, Self.isKeyed(fragment), await service.prepared.settle(Self.written(fragment)) {
          // The row that it did not find may be one that has been committed, and is not carried out here yet.
          affected = try await execute(fragment, place, id)
        }
        all.append(affected)
        add(done: place, affected: affected)
      } catch {
        if context.isCancelled { throw .gone }
        if !service.machine.isLeader { throw .notLeader }
        // A first request that is given up leaves nothing here.
        if all.isEmpty || request.commit || !request.continues { try await replanWhereMoved(error) }
        throw .failure(Failures.message(error.forClients, fragment: place))
      }
    }
    return all
  }

  private func execute(
    _ fragment: Kunlog_Storage_V1_Fragment, _ place: Int, _ id: TransactionID
  ) async throws(EngineFailure) -> UInt64 {
    try await service.engine.execute(engineFragment(fragment), in: id, session: session) { rows in
      await self.send(rows, fragment: place)
    }
  }

  /// Takes the snapshot that fits with those of other shards, and lets transactions end again.
  private func takeSnapshot(_ id: TransactionID) async throws(Stop) {
    let hold = Array(request.snapshot.hold)
    guard await service.prepared.reach(request.snapshot.decisionIndex, under: hold) else {
      throw .failure(
        Failures.message(
          SQLError(.serializationFailure, "the snapshot is not to be had any more", hint: "Retry the statement."),
          isTransactionLost: true))
    }
    do throws(EngineFailure) {
      try await service.engine.fixSnapshots(
        of: id, tablets: request.fragments.map { $0.tablets.map { TabletID(rawValue: $0.tabletID) } })
    } catch {
      if !service.machine.isLeader { throw .notLeader }
      throw .failure(Failures.message(error, fragment: 0))
    }
    service.prepared.release(hold)
  }

  /// What the request reads. The tablet that a fragment writes it waits for by the tablet's lock, or by that of the row whose key it
  /// gives; one that looks for the rows to change reads the tablet too.
  private var readTablets: [TabletID] {
    request.fragments.flatMap { fragment in
      let waitsByLock = fragment.isWrite && (fragment.locking == .tablet || Self.isKeyed(fragment))
      return (waitsByLock ? fragment.tablets.dropFirst() : fragment.tablets[...]).map {
        TabletID(rawValue: $0.tabletID)
      }
    }
  }

  /// It touches one row at most, and which is known from its key.
  private static func isKeyed(_ fragment: Kunlog_Storage_V1_Fragment) -> Bool {
    fragment.isWrite && fragment.locking == .keyedRows && fragment.parameterRows <= 1
  }

  private static func written(_ fragment: Kunlog_Storage_V1_Fragment) -> [TabletID] {
    fragment.tablets.prefix(1).map { TabletID(rawValue: $0.tabletID) }
  }

  private func engineFragment(_ fragment: Kunlog_Storage_V1_Fragment) -> EngineFragment {
    EngineFragment(
      tablets: fragment.tablets.map { TabletID(rawValue: $0.tabletID) }, sql: fragment.sql,
      parameters: Array(fragment.parameters), parameterColumns: Int(fragment.parameterColumns),
      parameterRows: Int(fragment.parameterRows), isWrite: fragment.isWrite,
      locksRows: fragment.locking == .rows || fragment.locking == .keyedRows, resultColumns: Int(fragment.resultColumns)
    )
  }

  /// What is read must not be older than what another leader has committed.
  private func confirmLeadership() async throws(Stop) {
    do throws(ReplicaError) {
      try await service.replica.readIndex()
    } catch {
      throw stop(error)
    }
    guard service.machine.isLeader else { throw .notLeader }
  }

  private func stop(_ error: ReplicaError) -> Stop {
    switch error {
    case .notLeader, .lostLeadership, .stopped, .timedOut: .notLeader
    case .diskFull: .failure(Failures.message(SQLError(.diskFull, "\(error)")))
    case .overloaded:
      .failure(Failures.message(SQLError(.insufficientResources, "the shard has too much to do")))
    default: .failure(Failures.message(SQLError(.internalError, "the shard cannot serve: \(error)")))
    }
  }

  // MARK: Answers

  private func add(done fragment: Int, affected: UInt64) {
    pending.done.append(
      .with {
        $0.fragment = UInt32(fragment)
        $0.affected = affected
      })
  }

  /// Adds rows to the answer; waits where the client is slow. False where nobody wants them any more.
  private func send(_ rows: EncodedRows, fragment: Int) async -> Bool {
    pending.rows.append(
      .with {
        $0.fragment = UInt32(fragment)
        $0.rowCount = UInt32(rows.count)
        $0.values = Data(rows.bytes)
      })
    pendingBytes += rows.bytes.count
    guard pendingBytes >= Self.messageBytes else { return true }
    let message = pending
    hasSentRows = true
    pending = Kunlog_Storage_V1_ExecuteResponse()
    pendingBytes = 0
    do throws(RPCError) {
      try await writer.send(message)
      return true
    } catch {
      return false
    }
  }
}
