import EventLoop
import Metadata
import SQLTypes
import StorageEngine

extension SQLiteEngine {
  /// What one batch of rows holds at most, about.
  private nonisolated static let batchBytes = 64 << 10

  package func begin(_ id: TransactionID, options: TransactionOptions) throws(SQLError) {
    guard transactions[id] == nil else {
      throw SQLError(.activeSQLTransaction, "the transaction has begun already")
    }
    transactions[id] = EngineTransaction(id: id, options: options)
  }

  package func execute(
    _ fragment: EngineFragment, in id: TransactionID, session: EngineSession,
    rows: @escaping @LoopActor (EncodedRows) async -> Bool
  ) async throws(EngineFailure) -> UInt64 {
    let transaction: EngineTransaction
    do throws(SQLError) {
      transaction = try known(id)
      try transaction.enter()
    } catch {
      throw EngineFailure(error: error)
    }
    defer { transaction.leave() }
    for tablet in fragment.tablets { try checkUsable(tablet) }
    if fragment.isWrite {
      return try await write(fragment, transaction, session, rows)
    }
    return try await read(fragment, transaction, session, rows)
  }

  package func run(
    _ statements: [EngineStatement], on tablet: TabletID, in id: TransactionID, lockTimeoutMilliseconds: Int
  ) async throws(SQLError) -> [Result<EngineOutcome, EngineFailure>] {
    try begin(id, options: TransactionOptions(lockTimeoutMilliseconds: lockTimeoutMilliseconds))
    let transaction = transactions[id]!
    do throws(EngineFailure) {
      try transaction.enterOrFail()
      defer { transaction.leave() }
      try checkUsable(tablet)
      let connection = try await writer(of: tablet, transaction)
      let outcomes: [Result<EngineOutcome, EngineFailure>] = await job(transaction, connection) {
        StatementBatch.run(statements, on: connection)
      }
      if let doom = transaction.doom { throw EngineFailure(error: doom) }
      guard connection.isInTransaction else {
        // Nothing could begin, or a disk that is full took the whole transaction with it.
        let first = outcomes.lazy.compactMap { if case .failure(let failure) = $0 { failure } else { nil } }.first
        throw first ?? EngineFailure(error: SQLError(.internalError, "the tablet lost its transaction"))
      }
      return outcomes
    } catch {
      await rollback(id)
      throw error.error
    }
  }

  package func changes(of id: TransactionID) async throws(SQLError) -> [TabletChangeset] {
    let transaction = try known(id)
    if let doom = transaction.doom { throw doom }
    // They are handed out once.
    guard !transaction.isSealed else {
      throw SQLError(.invalidTransactionState, "the transaction is being committed")
    }
    var changed = transaction.writers.compactMap { tablet, connection in
      let bytes = connection.recorder?.takeChangeset() ?? []
      return bytes.isEmpty ? nil : TabletChangeset(tabletID: tablet, bytes: bytes)
    }
    changed += transaction.overlays.compactMap { tablet, overlay in
      overlay.isEmpty ? nil : TabletChangeset(tabletID: tablet, bytes: overlay.changes)
    }
    guard changed.reduce(0, { $0 + $1.bytes.count }) <= maximumTransactionBytes else {
      let error = SQLError.transactionTooLarge(maximumBytes: maximumTransactionBytes)
      transaction.doom = error
      throw error
    }
    transaction.isSealed = !changed.isEmpty
    return changed.sorted { $0.tabletID < $1.tabletID }
  }

  package func adopt(_ id: TransactionID, _ changesets: [TabletChangeset]) async {
    let transaction = EngineTransaction(id: id, options: TransactionOptions())
    transaction.isSealed = true
    transaction.isAdopted = true
    transactions[id] = transaction
    for changeset in changesets.sorted(by: { $0.tabletID < $1.tabletID }) {
      await adopt(changeset, transaction)
      transaction.locked.insert(changeset.tabletID)
    }
  }

  package var locks: [TransactionID: TransactionLocks] { tabletLocks.all }

  package func rollback(_ id: TransactionID) async {
    endReasons[id] = nil
    guard let transaction = transactions[id] else { return }
    await undo(
      transaction, SQLError(.transactionRollback, "the transaction was rolled back while a statement was running"))
  }

  package func rollbackAll() async {
    let error = SQLError(
      .serializationFailure, "the shard changed its leader while the transaction was open",
      hint: "Retry the transaction.")
    let all = Array(transactions.values)
    endReasons = [:]
    for transaction in all { doom(transaction, error) }
    for transaction in all { await undo(transaction, error) }
  }

  package func lockExclusive(_ tablets: [TabletID], graceMilliseconds: Int) async {
    for tablet in tablets.sorted() {
      let timer = LoopTimer(afterMilliseconds: graceMilliseconds, repeatMilliseconds: max(1, graceMilliseconds)) {
        [weak self] in
        guard let self else { return }
        let error = SQLError(
          .serializationFailure, "the transaction held a table that a concurrent statement defines anew",
          hint: "Retry the transaction.")
        for case .transaction(let id) in tabletLocks.holders(of: tablet) {
          end(id, error)
        }
      }
      // Schema changes come one after another and wait for nothing else, so that this wait always ends.
      try? await tabletLocks.acquire(tablet, for: .schemaChange, timeoutMilliseconds: 0)
      timer.cancel()
    }
  }

  package func releaseExclusive(_ tablets: [TabletID]) {
    for tablet in tablets { tabletLocks.release(tablet, by: .schemaChange) }
  }

  /// Ends a transaction for a reason, unless its changes are on their way to the log.
  func end(_ id: TransactionID, _ error: SQLError) {
    guard let transaction = transactions[id], !transaction.isSealed else { return }
    endReasons[id] = error
    doom(transaction, error)
    Task { await self.undo(transaction, error) }
  }

  // MARK: Writing

  private func write(
    _ fragment: EngineFragment, _ transaction: EngineTransaction, _ session: EngineSession,
    _ rows: @escaping @LoopActor (EncodedRows) async -> Bool
  ) async throws(EngineFailure) -> UInt64 {
    guard let target = fragment.tablets.first else {
      throw EngineFailure(error: SQLError(.protocolViolation, "a fragment that writes must name the tablet"))
    }
    guard !transaction.options.isReadOnly else {
      throw EngineFailure(
        error: SQLError(.readOnlySQLTransaction, "cannot execute a statement that writes in a read-only transaction"))
    }
    let others = fragment.tablets.dropFirst().filter { $0 != target }
    for other in others where transaction.hasWritten(other) { throw severalWritten() }
    if others.isEmpty, let affected = try await writeRows(fragment, transaction, session, rows) { return affected }
    let connection = try await writer(of: target, transaction)
    let directory = directory
    let savepoints = transaction.savepoints
    return try await stream(fragment, transaction, connection, session, rows) { () throws(EngineFailure) in
      if !connection.isInTransaction { try connection.run("BEGIN IMMEDIATE") }
      try connection.setSavepoints(savepoints)
      try connection.attach(Array(others), path: { directory.tabletPath($0) })
    }
  }

  /// The connection that writes the tablet, which is locked for the transaction alone.
  func writer(
    of tablet: TabletID, _ transaction: EngineTransaction
  ) async throws(EngineFailure) -> TabletConnection {
    if let writer = transaction.writers[tablet] { return writer }
    try await lock(tablet, .exclusive, transaction)
    do throws(EngineFailure) {
      guard let summary = tablets[tablet] else { throw missing(tablet) }
      let isStale =
        transaction.snapshotIndexes[tablet].map { $0 != summary.appliedIndex }
        ?? transaction.snapshotIndex.map { $0 < summary.appliedIndex } ?? false
      guard !isStale else {
        throw EngineFailure(
          error: SQLError(.serializationFailure, "could not serialize access due to concurrent update"),
          tabletID: tablet)
      }
      if transaction.options.isRepeatableRead, transaction.snapshotIndex == nil {
        transaction.snapshotIndex = highestIndex
      }
      let connection = try await pool.take(.writer, [tablet])
      try await carryOver(tablet, to: connection, transaction)
      transaction.writers[tablet] = connection
      return connection
    } catch {
      if !transaction.hasWritten(tablet) { unlock(tablet, transaction) }
      throw error
    }
  }

  /// Takes a tablet's lock for the transaction.
  func lock(
    _ tablet: TabletID, _ mode: TabletLocks.Mode, _ transaction: EngineTransaction
  ) async throws(EngineFailure) {
    do throws(SQLError) {
      try await tabletLocks.acquire(
        tablet, mode, for: .transaction(transaction.id),
        timeoutMilliseconds: transaction.options.lockTimeoutMilliseconds)
    } catch {
      throw EngineFailure(error: error, tabletID: tablet)
    }
    transaction.locked.insert(tablet)
    guard let doom = transaction.doom else { return }
    if !transaction.hasWritten(tablet) { unlock(tablet, transaction) }
    throw EngineFailure(error: doom)
  }

  /// Gives a tablet's lock back, before the transaction's end: it has changed nothing there.
  func unlock(_ tablet: TabletID, _ transaction: EngineTransaction) {
    transaction.locked.remove(tablet)
    transaction.overlays[tablet] = nil
    tabletLocks.release(tablet, by: .transaction(transaction.id))
  }

  // MARK: Reading

  private func read(
    _ fragment: EngineFragment, _ transaction: EngineTransaction, _ session: EngineSession,
    _ rows: @escaping @LoopActor (EncodedRows) async -> Bool
  ) async throws(EngineFailure) -> UInt64 {
    // Without a tablet there is nothing to read: any will do, and there may be none.
    guard !fragment.tablets.isEmpty else {
      throw EngineFailure(error: SQLError(.protocolViolation, "a fragment must name the tablets that it reads"))
    }
    // A statement that names a tablet twice, such as a self-join, still reads one.
    let held = unique(fragment.tablets).filter { transaction.writers[$0] != nil || transaction.hasWritten($0) }
    let written = held.filter { transaction.hasWritten($0) }
    guard written.count <= 1 else { throw severalWritten() }
    // What is locked only is as others see it.
    if let own = written.first ?? held.first {
      return try await readOwnWrites(fragment, own, transaction, session, rows)
    }
    if transaction.options.isRepeatableRead {
      return try await readSnapshot(fragment, transaction, session, rows)
    }
    let names = unique(fragment.tablets)
    let connection = try await pool.take(.reader, names)
    let gate = visibility
    let result: Result<UInt64, EngineFailure>
    do throws(EngineFailure) {
      let count = try await stream(fragment, transaction, connection, session, rows) { () throws(EngineFailure) in
        guard names.count > 1 else { return }
        let snapshot: Result<Void, EngineFailure> = gate.pass {
          do throws(EngineFailure) { try connection.beginSnapshot(); return .success(()) } catch {
            return .failure(error)
          }
        }
        try snapshot.get()
      }
      result = .success(count)
    } catch {
      result = .failure(error)
    }
    if names.count > 1 {
      await workers.run { if connection.isInTransaction { try? connection.run("COMMIT") } }
    }
    pool.give(connection)
    return try result.get()
  }

  /// A tablet that the transaction wrote is read where it was written, with the others beside it.
  private func readOwnWrites(
    _ fragment: EngineFragment, _ own: TabletID, _ transaction: EngineTransaction, _ session: EngineSession,
    _ rows: @escaping @LoopActor (EncodedRows) async -> Bool
  ) async throws(EngineFailure) -> UInt64 {
    let others = fragment.tablets.filter { $0 != own }
    if transaction.options.isRepeatableRead, !others.isEmpty {
      throw EngineFailure(
        error: SQLError(
          .featureNotSupported,
          "a repeatable read transaction cannot join a table that it has written with another one"))
    }
    if transaction.writers[own] == nil,
      let count = try await readBesideOthers(fragment, own, others, transaction, session, rows)
    {
      return count
    }
    let connection = try await writer(of: own, transaction)
    let directory = directory
    return try await stream(fragment, transaction, connection, session, rows) { () throws(EngineFailure) in
      try connection.attach(others, path: { directory.tabletPath($0) })
    }
  }

  /// REPEATABLE READ: a connection keeps the snapshots of the tablets that are read together.
  private func readSnapshot(
    _ fragment: EngineFragment, _ transaction: EngineTransaction, _ session: EngineSession,
    _ rows: @escaping @LoopActor (EncodedRows) async -> Bool
  ) async throws(EngineFailure) -> UInt64 {
    let names = unique(fragment.tablets)
    try await fixSnapshots([names], transaction)
    return try await stream(fragment, transaction, transaction.snapshots[names]!, session, rows) {}
  }

  package func fixSnapshots(of id: TransactionID, tablets: [[TabletID]]) async throws(EngineFailure) {
    let transaction: EngineTransaction
    do throws(SQLError) {
      transaction = try known(id)
      try transaction.enter()
    } catch {
      throw EngineFailure(error: error)
    }
    defer { transaction.leave() }
    for group in tablets { for tablet in group { try checkUsable(tablet) } }
    try await fixSnapshots(tablets.map(unique), transaction)
  }

  /// Takes the snapshots that the transaction lacks, all at one moment. 40001 where a tablet has changed since its first one.
  private func fixSnapshots(_ groups: [[TabletID]], _ transaction: EngineTransaction) async throws(EngineFailure) {
    let index = transaction.snapshotIndex ?? highestIndex
    var connections: [(names: [TabletID], connection: TabletConnection)] = []
    for names in Set(groups) where transaction.snapshots[names] == nil {
      let connection = try await pool.take(.reader, names)
      connections.append((names, connection))
      transaction.snapshots[names] = connection
    }
    guard !connections.isEmpty else {
      transaction.snapshotIndex = index
      return
    }
    let (gate, taken) = (visibility, connections.map(\.connection))
    let result: Result<[[TabletID: UInt64]], EngineFailure> = await job(transaction, taken[0]) {
      gate.pass {
        do throws(EngineFailure) {
          var all: [[TabletID: UInt64]] = []
          for connection in taken { all.append(try connection.beginSnapshot()) }
          return .success(all)
        } catch {
          return .failure(error)
        }
      }
    }
    do throws(EngineFailure) {
      try check(result.get(), index, transaction)
    } catch {
      // Those that began end with the transaction, which is of no use any more.
      if transaction.doom == nil { transaction.doom = error.error }
      throw error
    }
  }

  private func check(
    _ found: [[TabletID: UInt64]], _ index: UInt64, _ transaction: EngineTransaction
  ) throws(EngineFailure) {
    if transaction.snapshotIndex == nil {
      // An entry that was being applied at that moment may be part of it.
      transaction.snapshotIndex = max(index, found.flatMap(\.values).max() ?? 0)
    }
    for (tablet, contained) in found.joined() {
      let isSame =
        transaction.snapshotIndexes[tablet].map { $0 == contained } ?? (contained <= transaction.snapshotIndex!)
      guard isSame else {
        throw EngineFailure(
          error: SQLError(
            .serializationFailure, "could not serialize access due to concurrent update",
            detail: "A table that the transaction had not read before has changed since its first read.",
            hint: "Retry the transaction."), tabletID: tablet)
      }
      transaction.snapshotIndexes[tablet] = contained
    }
  }

  // MARK: Running

  /// Runs the fragment batch by batch; between the batches the worker is free for others.
  private func stream(
    _ fragment: EngineFragment, _ transaction: EngineTransaction, _ connection: TabletConnection,
    _ session: EngineSession, _ rows: @escaping @LoopActor (EncodedRows) async -> Bool,
    prepare: @escaping @Sendable () throws(EngineFailure) -> Void
  ) async throws(EngineFailure) -> UInt64 {
    var cursor: FragmentCursor?
    while true {
      let present = cursor
      let step: Result<(FragmentCursor, EncodedRows), EngineFailure> = await job(transaction, connection) {
        do throws(EngineFailure) {
          connection.setSession(session)
          if present == nil { try prepare() }
          let cursor = present ?? FragmentCursor(fragment, on: connection)
          return .success((cursor, try cursor.next(limitBytes: Self.batchBytes)))
        } catch {
          return .failure(error)
        }
      }
      let batch: EncodedRows
      switch step {
      case .success(let (running, rows)):
        cursor = running
        batch = rows
      case .failure(let failure):
        if fragment.isWrite, !connection.isInTransaction { transaction.doom = failure.error }
        throw transaction.doom.map { EngineFailure(error: $0) } ?? failure
      }
      let isWanted = batch.count == 0 ? true : await rows(batch)
      if cursor!.isDone { return cursor!.affected }
      if !isWanted || transaction.doom != nil || Task.isCancelled {
        let abandoned = cursor!
        await workers.run { abandoned.abandon() }
        throw EngineFailure(
          error: transaction.doom ?? SQLError(.queryCanceled, "canceling statement due to user request"))
      }
    }
  }

  /// Work with a transaction's connection, on a worker. A cancelled task, or the transaction's end, interrupts it.
  func job<T: Sendable>(
    _ transaction: EngineTransaction, _ connection: TabletConnection, _ work: @escaping @Sendable () -> T
  ) async -> T {
    transaction.running = connection
    defer { transaction.running = nil }
    return await withTaskCancellationHandler {
      await workers.run(work)
    } onCancel: {
      connection.interrupt()
    }
  }

  // MARK: Ending

  /// Makes sure that nothing goes on for the transaction: what waits or runs fails soon.
  private func doom(_ transaction: EngineTransaction, _ error: SQLError) {
    if transaction.doom == nil { transaction.doom = error }
    tabletLocks.cancel(.transaction(transaction.id), error: error)
    transaction.running?.interrupt()
  }

  private func undo(_ transaction: EngineTransaction, _ error: SQLError) async {
    doom(transaction, error)
    guard await transaction.beginEnd() else { return }
    await transaction.left()
    transactions[transaction.id] = nil
    let connections = Array(transaction.writers.values) + Array(transaction.snapshots.values)
    if !connections.isEmpty {
      await workers.run {
        for connection in connections { connection.endTransaction("ROLLBACK") }
      }
    }
    free(transaction)
  }

  /// Gives back what an ended transaction held.
  func free(_ transaction: EngineTransaction) {
    for connection in transaction.writers.values { pool.give(connection) }
    for snapshot in transaction.snapshots.values { pool.give(snapshot) }
    for tablet in transaction.locked.sorted() {
      tabletLocks.release(tablet, by: .transaction(transaction.id))
    }
    transaction.writers = [:]
    transaction.overlays = [:]
    transaction.locked = []
    transaction.snapshots = [:]
    transaction.finishEnd()
  }

  func known(_ id: TransactionID) throws(SQLError) -> EngineTransaction {
    guard let transaction = transactions[id] else {
      throw endReasons[id] ?? SQLError(.noActiveSQLTransaction, "the transaction is not known to the shard")
    }
    return transaction
  }

  private func unique(_ tablets: [TabletID]) -> [TabletID] { Array(Set(tablets)).sorted() }

  private func checkUsable(_ tablet: TabletID) throws(EngineFailure) {
    guard let summary = tablets[tablet] else { throw missing(tablet) }
    guard !summary.refusals.isEmpty, let error = summary.refusal(of: "tablet \(tablet)", index: { _ in nil }) else {
      return
    }
    throw EngineFailure(error: error, tabletID: tablet)
  }

  func missing(_ tablet: TabletID) -> EngineFailure {
    EngineFailure(
      error: SQLError(.undefinedTable, "tablet \(tablet) does not exist on this shard"), tabletID: tablet)
  }

  private func severalWritten() -> EngineFailure {
    EngineFailure(
      error: SQLError(
        .featureNotSupported, "a statement cannot read several tablets that its transaction has written",
        hint: "Commit first, or read the tables one by one."))
  }
}

extension EngineTransaction {
  fileprivate func enterOrFail() throws(EngineFailure) {
    do throws(SQLError) { try enter() } catch { throw EngineFailure(error: error) }
  }
}

extension TabletConnection {
  /// Ends a transaction, where one is open, and makes the connection ready for the next user.
  func endTransaction(_ sql: String) {
    if isInTransaction { try? run(sql) }
    forgetSavepoints()
    recorder?.reset()
    detachAll()
  }
}

/// Statements that run one after another in one transaction, each undone alone where it fails.
enum StatementBatch {
  /// On a worker.
  static func run(
    _ statements: [EngineStatement], on connection: TabletConnection
  ) -> [Result<EngineOutcome, EngineFailure>] {
    do throws(EngineFailure) {
      if !connection.isInTransaction { try connection.run("BEGIN IMMEDIATE") }
    } catch {
      return statements.map { _ in .failure(error) }
    }
    return statements.map { statement in
      do throws(EngineFailure) { return .success(try run(statement, on: connection)) } catch { return .failure(error) }
    }
  }

  private static func run(
    _ statement: EngineStatement, on connection: TabletConnection
  ) throws(EngineFailure) -> EngineOutcome {
    guard connection.isInTransaction else {
      throw EngineFailure(error: SQLError(.internalError, "the tablet lost its transaction"))
    }
    connection.setSession(statement.session)
    let cursor = FragmentCursor(statement.fragment, on: connection)
    var batches: [EncodedRows] = []
    var size = 0
    while !cursor.isDone {
      let rows = try cursor.next(limitBytes: 64 << 10)
      if rows.count > 0 { batches.append(rows) }
      size += rows.bytes.count
      if size > EngineStatement.maximumRowBytes {
        cursor.abandon()
        throw EngineFailure(error: SQLError(.programLimitExceeded, "the rows that the statement returns are too many"))
      }
    }
    return EngineOutcome(affected: cursor.affected, rows: batches)
  }
}
