import EventLoop
import Metadata
import PostgresWire
import SQLPlan
import SQLTypes

extension ComputeSession {
  /// Runs INSERT, UPDATE or DELETE.
  ///
  /// - Parameter mayCommit: the statement is a transaction of its own.
  func write(
    _ analyzed: AnalyzedStatement, _ plan: WritePlan, _ parameters: [StoredValue], _ scope: StatementScope,
    mayCommit: Bool
  ) async throws(AttemptFailure) -> WriteOutcome {
    try failing { () throws(SQLError) in try self.checkWritable(analyzed.commandName) }
    let columnCount = analyzed.columns.count
    var fragments: [WriteFragment]
    var isFirst = true
    switch plan {
    case .insert(let insert):
      return try await self.insert(insert, parameters, columnCount: columnCount, scope, mayCommit: mayCommit)
    case .modify(let modify):
      fragments = try await failingAsync { () throws(SQLError) in
        var list: [WriteFragment] = []
        for fragment in modify.bind(parameters) {
          list.append(WriteFragment(fragment: fragment, rows: [try await self.evaluate(fragment.parameters)]))
        }
        return list
      }
    case .modifyByKey(let keyed):
      let changes = try await keyedChanges(keyed, parameters, scope)
      try await remove(changes.removals, scope)
      fragments = changes.fragments
      isFirst = changes.removals.isEmpty
    }
    // Without rows there is nothing to send.
    fragments.removeAll { $0.rows.isEmpty }
    var outcome = WriteOutcome(columnCount: columnCount)
    try await send(fragments, &outcome, scope, mayCommit: mayCommit, isFirst: isFirst)
    return outcome
  }

  func checkWritable(_ command: String) throws(SQLError) {
    guard transaction?.isReadOnly == true else { return }
    throw SQLError(.readOnlySQLTransaction, "cannot execute \(command) in a read-only transaction")
  }

  // MARK: UPDATE and DELETE by key

  /// Finds the rows with a query, then changes them by key. What the query has seen must still be so when the rows are
  /// changed: the tablets are locked first.
  private func keyedChanges(
    _ plan: KeyedModifyPlan, _ parameters: [StoredValue], _ scope: StatementScope
  ) async throws(AttemptFailure) -> KeyedChanges {
    let tablets = plan.relation.remaining(parameters)
    guard !tablets.isEmpty else { return KeyedChanges() }
    try await lock(tablets, scope)
    let rows = try await keyedRows(plan, parameters, scope)
    return try await failingAsync { () throws(SQLError) in try await self.changes(plan, rows, parameters) }
  }

  /// Takes the write locks of tablets until the transaction's end.
  ///
  /// - Parameter isNoWait: fails with 55P03 rather than wait.
  func lock(
    _ tablets: [TabletTarget], _ scope: StatementScope, isNoWait: Bool = false
  ) async throws(AttemptFailure) {
    let fragments = tablets.map { tablet in
      WriteFragment(
        fragment: Fragment(
          shardID: tablet.shardID, tablets: [tablet], sql: "DELETE FROM \"t\(tablet.tabletID)\" WHERE 0",
          parameters: [],
          columnCount: 0, isWrite: true), rows: [[]], locksTablet: true)
    }
    var outcome = WriteOutcome(columnCount: 0)
    try await send(fragments, &outcome, scope, mayCommit: false, lockTimeoutMilliseconds: isNoWait ? 1 : nil)
  }

  /// What becomes of the rows that were found, by tablet.
  private func changes(
    _ plan: KeyedModifyPlan, _ rows: [TabletID: [[StoredValue]]], _ parameters: [StoredValue]
  ) async throws(SQLError) -> KeyedChanges {
    let moved = SQLError(
      .serializationFailure, "a table moved while the statement ran", hint: "Repeat the transaction.")
    var changes = KeyedChanges()
    var arriving: [TabletTarget: [[StoredValue]]] = [:]
    for tablet in rows.keys.sorted() {
      guard let fragment = plan.fragment(tabletID: tablet, parameters: parameters) else { throw moved }
      var (staying, leaving): ([[StoredValue]], [[StoredValue]]) = ([], [])
      for (index, row) in (rows[tablet] ?? []).enumerated() {
        if index % Self.sliceRows == Self.sliceRows - 1 { await nextTurn() }
        if let target = try plan.destination(of: row, from: tablet) {
          leaving.append(row)
          arriving[target, default: []].append(row)
        } else {
          staying.append(row)
        }
      }
      let change = try await with(fragment, staying)
      changes.fragments += fragment.forAllCopies.map { WriteFragment(fragment: $0, rows: change.rows) }
      if !leaving.isEmpty, let removal = plan.removal(tabletID: tablet, parameters: parameters) {
        changes.removals.append(try await with(removal, leaving))
      }
    }
    for target in arriving.keys.sorted(by: { $0.tabletID < $1.tabletID }) {
      guard let arrival = plan.arrival(target, parameters: parameters) else { continue }
      changes.fragments.append(try await with(arrival, arriving[target] ?? []))
    }
    return changes
  }

  /// A fragment for rows, each followed by the values that the fragment itself needs.
  private func with(_ fragment: Fragment, _ rows: [[StoredValue]]) async throws(SQLError) -> WriteFragment {
    let common = try await evaluate(fragment.parameters)
    return WriteFragment(fragment: fragment, rows: common.isEmpty ? rows : rows.map { $0 + common })
  }

  /// Takes rows out of their tablets that are about to be put into others: they count once, there.
  private func remove(_ fragments: [WriteFragment], _ scope: StatementScope) async throws(AttemptFailure) {
    guard !fragments.isEmpty else { return }
    let gone = try await send(fragments, columnCount: 0, scope, mayCommit: false)
    guard gone.affected == fragments.reduce(0, { $0 + $1.rows.count }) else {
      throw .failed(
        SQLError(.serializationFailure, "could not serialize access due to concurrent update"))
    }
  }

  /// The values for the template, by tablet.
  private func keyedRows(
    _ plan: KeyedModifyPlan, _ parameters: [StoredValue], _ scope: StatementScope
  ) async throws(AttemptFailure) -> [TabletID: [[StoredValue]]] {
    let isMirror = plan.relation.tablets.first?.copies.isEmpty == false
    let source = try await open(plan.query, parameters, scope, copies: isMirror ? .first : nil)
    return try await failingAsync { () throws(SQLError) in
      let batch = try await self.drain(source, plan.query.columnCount, scope)
      var rows: [TabletID: [[StoredValue]]] = [:]
      for index in 0..<batch.rowCount {
        if index % Self.sliceRows == Self.sliceRows - 1 { await self.nextTurn() }
        let row = batch[index]
        guard let tablet = row.first?.integerValue else { continue }
        rows[TabletID(rawValue: UInt64(tablet)), default: []].append(Array(row.dropFirst()))
      }
      return rows
    }
  }

  // MARK: Sending

  /// More rows of RETURNING are not asked for together with the commit: they must fit before it is final.
  private static let returningRowsWithCommit = 1000

  /// Sends writing fragments to their shards.
  func send(
    _ fragments: [WriteFragment], columnCount: Int, _ scope: StatementScope, mayCommit: Bool
  ) async throws(AttemptFailure) -> WriteOutcome {
    var outcome = WriteOutcome(columnCount: columnCount)
    try await send(fragments, &outcome, scope, mayCommit: mayCommit)
    return outcome
  }

  /// Sends writing fragments to their shards, one after another (always in the same order, so that two statements do not wait
  /// for each other), and adds up what they do.
  ///
  /// - Parameters:
  ///   - isFirst: nothing of the statement has been sent yet: where a tablet has moved, it can be planned anew.
  ///   - lockTimeoutMilliseconds: nil: the session's.
  func send(
    _ fragments: [WriteFragment], _ outcome: inout WriteOutcome, _ scope: StatementScope, mayCommit: Bool,
    isFirst: Bool = true, lockTimeoutMilliseconds: Int? = nil
  ) async throws(AttemptFailure) {
    let byShard = Dictionary(grouping: fragments, by: \.fragment.shardID)
    var isFirst = isFirst
    for shard in byShard.keys.sorted() {
      try await send(
        byShard[shard]!, to: shard, &outcome, scope, mayCommit: mayCommit && byShard.count == 1, isFirst: isFirst,
        lockTimeoutMilliseconds ?? settings.milliseconds("lock_timeout"))
      isFirst = false
    }
    try failing { () throws(SQLError) in try outcome.checkCopies() }
  }

  private func send(
    _ fragments: [WriteFragment], to shard: ShardID, _ outcome: inout WriteOutcome, _ scope: StatementScope,
    mayCommit: Bool, isFirst: Bool, _ lockTimeoutMilliseconds: Int
  ) async throws(AttemptFailure) {
    guard let transaction else { return }
    let boundedRows =
      outcome.rows == nil
      || fragments.allSatisfy { $0.fragment.sql.hasPrefix("INSERT") }
        && fragments.reduce(0) { $0 + $1.rows.count } <= Self.returningRowsWithCommit
    var chunks = WriteChunks(fragments)
    var isFirst = isFirst
    var present = chunks.next()
    while let chunk = present {
      present = chunks.next()
      try checkNotMoved(chunk.fragments)
      let commits = mayCommit && isFirst && present == nil && transaction.joined.isEmpty && boundedRows
      var request = ShardRequest(
        shardID: shard, metadataIndex: services.metadata.schemaIndex,
        transactionID: commits ? services.names.next() : transaction.id,
        isContinuation: transaction.knows(shard), fragments: chunk.fragments, commits: commits, session: shardSession,
        lockTimeoutMilliseconds: lockTimeoutMilliseconds)
      request.isRepeatableRead = transaction.isRepeatableRead
      request.savepoints = transaction.savepoints.map(\.number)
      if !commits { transaction.wrote(shard) }
      try await run(request, chunk, isFirst: isFirst, &outcome, scope)
      transaction.used(chunk.fragments)
      isFirst = false
    }
  }

  /// Runs one request to its end and adds up what it did.
  private func run(
    _ request: ShardRequest, _ chunk: WriteChunk, isFirst: Bool, _ outcome: inout WriteOutcome, _ scope: StatementScope
  ) async throws(AttemptFailure) {
    let reader = ShardReader(
      request, shards: services.shards, scope: scope, errors: ConstraintErrors(image: image))
    // What commits at once holds nothing while it waits.
    let watched = request.commits ? nil : services.deadlocks.begin(request.transactionID, scope)
    defer { if let watched { services.deadlocks.end(watched) } }
    var finished = 0
    do {
      while let answer = try await reader.nextAnswer() {
        switch answer {
        case .rows(let fragment, let rowCount, let values):
          guard !chunk.sources[fragment].fragment.fragment.isCopy else { continue }
          try collect(ShardReader.Rows(fragment: fragment, rowCount: rowCount, values: values), &outcome, reader)
        case .done(let fragment, let affected):
          outcome.add(affected, by: chunk.sources[fragment].fragment.fragment)
          finished += 1
        case .committed: return
        }
      }
      // Nothing but the commit's confirmation says that it happened.
      if request.commits { throw ShardFailure.interrupted("the answer ended early") }
    } catch let failure as ShardFailure {
      try await failed(
        failure, request, chunk, reader, isFirst: isFirst, isComplete: finished == chunk.fragments.count)
    } catch {
      reader.close()
      throw .failed(error as? SQLError ?? SQLError(.internalError, "\(error)"))
    }
  }

  private func collect(
    _ rows: ShardReader.Rows, _ outcome: inout WriteOutcome, _ reader: ShardReader
  ) throws(SQLError) {
    guard var all = outcome.rows else { return }
    outcome.rows = nil
    let batch = try rows.batch(columnCount: all.columnCount)
    for row in 0..<batch.rowCount { all.append(batch[row]) }
    outcome.rows = all
    guard all.values.count * 16 <= settings.bytes("work_mem") else {
      throw Self.outOfWorkMemory(settings.known("work_mem"))
    }
  }

  /// Sorts out what a failure means: done after all, to be planned again, or an error.
  private func failed(
    _ failure: ShardFailure, _ request: ShardRequest, _ chunk: WriteChunk, _ reader: ShardReader, isFirst: Bool,
    isComplete: Bool
  ) async throws(AttemptFailure) {
    switch failure {
    case .staleRoute(let index) where isFirst:
      if !request.commits, !request.isContinuation { transaction?.leave(request.shardID) }
      throw .replan(atLeast: index)
    case .staleRoute(let index) where transaction?.mayBeginAnew == true:
      if let transaction {
        rollback(transaction)
        transaction.startAnew(id: services.names.next())
      }
      throw .replan(atLeast: index)
    case .interrupted where request.commits, .cancelled where request.commits:
      do {
        try await services.shards.commit(request.transactionID, on: request.shardID)
      } catch {
        if case .cancelled = failure, case .transactionLost = error { throw .failed(reader.sqlError(failure)) }
        throw .failed(commitError(failure, shard: request.shardID))
      }
      guard isComplete else {
        throw .failed(
          SQLError(
            SQLState(rawValue: "08007"), "the statement was committed, but its result was lost",
            detail: "The connection to shard \(request.shardID) broke."))
      }
    case .statement(let error, let violation):
      if request.commits { services.shards.rollback(request.transactionID, on: request.shardID) }
      throw .failed(explained(error, violation, request, chunk, reader))
    default:
      if request.commits { services.shards.rollback(request.transactionID, on: request.shardID) }
      throw .failed(reader.sqlError(failure))
    }
  }

  /// A constraint's violation with the row that violates it, as far as the shard told it or it was to be inserted.
  private func explained(
    _ error: SQLError, _ violation: ConstraintViolation?, _ request: ShardRequest, _ chunk: WriteChunk,
    _ reader: ShardReader
  ) -> SQLError {
    var worded = reader.sqlError(.statement(error, violation))
    guard let violation, let tablet = image.tablets[violation.tabletID], let table = image.tables[tablet.tableID] else {
      return worded
    }
    var row = violation.failingRow
    if row.isEmpty, chunk.sources.indices.contains(violation.fragment) {
      let (source, firstRow) = chunk.sources[violation.fragment]
      let index = firstRow + violation.parameterRow
      if source.fragment.sql.hasPrefix("INSERT"), source.rows.indices.contains(index) { row = source.rows[index] }
    }
    let detail = ViolationDetail(table: table, image: image, context: conversionContext)
      .text(violation.kind, constraint: worded.constraint, row)
    if let detail { worded.detail = detail }
    return worded
  }
}
