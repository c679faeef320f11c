import EventLoop
import Metadata
import PostgresWire
import SQLPlan
import SQLTypes

/// What a statement that changes rows has done.
struct WriteOutcome {
  var affected = 0
  /// RETURNING.
  var rows: RowBatch?
}

/// A fragment with the rows that it runs for.
struct WriteFragment {
  var fragment: Fragment
  /// Values of ?1, ?2 … per run; none: one run without values.
  var rows: [[StoredValue]]
}

extension ComputeSession {
  /// Runs INSERT, UPDATE or DELETE. Nothing is sent where it would make the transaction write a second shard.
  ///
  /// - Parameter mayCommit: the statement is a transaction of its own.
  func write(
    _ analyzed: AnalyzedStatement, _ plan: WritePlan, _ parameters: [StoredValue], _ scope: StatementScope,
    mayCommit: Bool
  ) async throws(AttemptFailure) -> WriteOutcome {
    try failing { () throws(SQLError) in try self.checkWritable(analyzed.commandName) }
    let columnCount = analyzed.columns.count
    var fragments: [WriteFragment]
    switch plan {
    case .insert(let insert):
      let rows = try await insertRows(insert, parameters, scope)
      fragments = try await failingAsync { () throws(SQLError) in try await self.routed(insert, rows, parameters) }
    case .modify(let modify):
      fragments = try await failingAsync { () throws(SQLError) in
        var list: [WriteFragment] = []
        for fragment in modify.bind(parameters) {
          list.append(WriteFragment(fragment: fragment, rows: [try await self.evaluate(fragment.parameters)]))
        }
        return list
      }
    case .modifyByKey(let keyed):
      fragments = try await keyedFragments(keyed, parameters, scope)
    }
    // Without rows there is nothing to send.
    fragments.removeAll { $0.rows.isEmpty }
    return try await send(fragments, columnCount: columnCount, scope, mayCommit: mayCommit)
  }

  func checkWritable(_ command: String) throws(SQLError) {
    guard transaction?.isReadOnly == true else { return }
    throw SQLError(.readOnlySQLTransaction, "cannot execute \(command) in a read-only transaction")
  }

  // MARK: Rows

  /// The complete rows of an INSERT.
  private func insertRows(
    _ plan: InsertPlan, _ parameters: [StoredValue], _ scope: StatementScope
  ) async throws(AttemptFailure) -> [[StoredValue]] {
    switch plan.source {
    case .values(let rows):
      return try await failingAsync { () throws(SQLError) in
        try await self.completed(rows.map { row in row.map { $0.bound(parameters) } })
      }
    case .query(let query, let slots):
      let source = try await open(query, parameters, scope)
      return try await failingAsync { () throws(SQLError) in
        let batch = try await self.drain(source, query.columnCount, scope)
        return try await self.completed(
          (0..<batch.rowCount).map { row in
            let values = batch[row]
            return slots.map { $0.parameter(values, parameters) }
          })
      }
    case .rows:
      throw .failed(SQLError(.internalError, "rows of COPY outside of COPY"))
    }
  }

  /// Rows with all their values known.
  func completed(_ rows: [[PlanParameter]]) async throws(SQLError) -> [[StoredValue]] {
    let values = try await evaluate(rows.flatMap { $0 })
    var completed: [[StoredValue]] = []
    completed.reserveCapacity(rows.count)
    var start = 0
    for row in rows {
      completed.append(Array(values[start..<(start + row.count)]))
      start += row.count
    }
    return completed
  }

  /// Rows by tablet. The template's own values follow those of each row.
  func routed(
    _ plan: InsertPlan, _ rows: [[StoredValue]], _ parameters: [StoredValue]
  ) async throws(SQLError) -> [WriteFragment] {
    var fragments: [WriteFragment] = []
    for group in try plan.route(rows, parameters: parameters) {
      let common = try await evaluate(group.fragment.parameters)
      fragments.append(
        WriteFragment(
          fragment: group.fragment,
          rows: common.isEmpty ? group.rows.map { rows[$0] } : group.rows.map { rows[$0] + common }))
    }
    return fragments
  }

  // MARK: UPDATE and DELETE by key

  /// Finds the rows with a query, then changes them by key. What the query has seen must still be so when the rows are
  /// changed: the tablets are locked first. Where it is not known beforehand which shard they are on, a first run of the
  /// query tells.
  private func keyedFragments(
    _ plan: KeyedModifyPlan, _ parameters: [StoredValue], _ scope: StatementScope
  ) async throws(AttemptFailure) -> [WriteFragment] {
    var tablets = plan.relation.remaining(parameters)
    if Set(tablets.map(\.shardID)).count > 1 {
      let rows = try await keyedRows(plan, parameters, scope)
      tablets = tablets.filter { rows[$0.tabletID] != nil }
      try failing { () throws(SQLError) in try self.transaction?.checkWrite(to: tablets.map(\.shardID)) }
    }
    guard let shard = tablets.first?.shardID else { return [] }
    let locks = tablets.map { tablet in
      WriteFragment(
        fragment: Fragment(
          shardID: shard, tablets: [tablet], sql: "DELETE FROM \"t\(tablet.tabletID)\" WHERE 0", parameters: [],
          columnCount: 0, isWrite: true), rows: [[]])
    }
    _ = try await send(locks, columnCount: 0, scope, mayCommit: false)
    let rows = try await keyedRows(plan, parameters, scope)
    return try await failingAsync { () throws(SQLError) in
      var fragments: [WriteFragment] = []
      for tablet in rows.keys.sorted() {
        guard let fragment = plan.fragment(tabletID: tablet, parameters: parameters) else {
          throw SQLError(
            .serializationFailure, "a table moved while the statement ran", hint: "Repeat the transaction.")
        }
        let common = try await self.evaluate(fragment.parameters)
        fragments.append(WriteFragment(fragment: fragment, rows: (rows[tablet] ?? []).map { $0 + common }))
      }
      try self.transaction?.checkWrite(to: fragments.map(\.fragment.shardID))
      return fragments
    }
  }

  /// The values for the template, by tablet.
  private func keyedRows(
    _ plan: KeyedModifyPlan, _ parameters: [StoredValue], _ scope: StatementScope
  ) async throws(AttemptFailure) -> [TabletID: [[StoredValue]]] {
    let source = try await open(plan.query, parameters, scope)
    return try await failingAsync { () throws(SQLError) in
      let batch = try await self.drain(source, plan.query.columnCount, scope)
      var rows: [TabletID: [[StoredValue]]] = [:]
      for index in 0..<batch.rowCount {
        let row = batch[index]
        guard let tablet = row.first?.integerValue else { continue }
        rows[TabletID(rawValue: UInt64(tablet)), default: []].append(Array(row.dropFirst()))
      }
      return rows
    }
  }

  // MARK: Sending

  /// Bytes of values that one request carries.
  private static let requestBytes = 1 << 20
  /// More rows of RETURNING are not asked for together with the commit: they must fit before it is final.
  private static let returningRowsWithCommit = 1000

  /// Sends writing fragments to their shard.
  func send(
    _ fragments: [WriteFragment], columnCount: Int, _ scope: StatementScope, mayCommit: Bool
  ) async throws(AttemptFailure) -> WriteOutcome {
    var outcome = WriteOutcome(affected: 0, rows: columnCount > 0 ? RowBatch(columnCount: columnCount) : nil)
    guard let shard = fragments.first?.fragment.shardID, let transaction else { return outcome }
    try failing { () throws(SQLError) in try transaction.checkWrite(to: fragments.map(\.fragment.shardID)) }
    let requests = chunked(fragments)
    let boundedRows =
      columnCount == 0
      || fragments.allSatisfy { $0.fragment.sql.hasPrefix("INSERT") }
        && fragments.reduce(0) { $0 + $1.rows.count } <= Self.returningRowsWithCommit
    let commits = mayCommit && requests.count == 1 && transaction.joined.isEmpty && boundedRows
    for (index, chunk) in requests.enumerated() {
      var request = ShardRequest(
        shardID: shard, metadataIndex: services.metadata.schemaIndex,
        transactionID: commits ? services.names.next() : transaction.id,
        isContinuation: transaction.knows(shard), fragments: chunk.fragments, commits: commits, session: shardSession,
        lockTimeoutMilliseconds: settings.milliseconds("lock_timeout"))
      request.isRepeatableRead = transaction.isRepeatableRead
      request.savepoints = transaction.savepoints.map(\.number)
      if !commits { transaction.wrote(shard) }
      try await run(request, chunk, isFirst: index == 0, &outcome, scope)
    }
    return outcome
  }

  /// A request's fragments, and for the errors the rows that each was made from.
  struct WriteChunk {
    var fragments: [ShardFragment] = []
    var sources: [(fragment: WriteFragment, firstRow: Int)] = []
    var bytes = 0
  }

  private func chunked(_ fragments: [WriteFragment]) -> [WriteChunk] {
    var chunks: [WriteChunk] = []
    var current = WriteChunk()
    for source in fragments {
      var row = 0
      while row < source.rows.count {
        let first = row
        var parameters: [UInt8] = []
        while row < source.rows.count, row == first || current.bytes + parameters.count < Self.requestBytes {
          RowCodec.append(source.rows[row], to: &parameters)
          row += 1
        }
        current.bytes += parameters.count
        current.fragments.append(
          ShardFragment(
            tablets: source.fragment.tablets.map { ShardFragment.Tablet(id: $0.tabletID, epoch: $0.epoch) },
            sql: source.fragment.sql, parameters: parameters, parameterColumns: source.rows[first].count,
            parameterRows: row - first, isWrite: true, resultColumns: source.fragment.columnCount))
        current.sources.append((source, first))
        if current.bytes >= Self.requestBytes {
          chunks.append(current)
          current = WriteChunk()
        }
      }
    }
    if !current.fragments.isEmpty { chunks.append(current) }
    return chunks
  }

  /// Runs one request to its end and adds up what it did.
  private func run(
    _ request: ShardRequest, _ chunk: WriteChunk, isFirst: Bool, _ outcome: inout WriteOutcome, _ scope: StatementScope
  ) async throws(AttemptFailure) {
    let reader = ShardReader(
      request, shards: services.shards, scope: scope, errors: ConstraintErrors(image: image))
    var finished = 0
    do {
      while let answer = try await reader.nextAnswer() {
        switch answer {
        case .rows(let fragment, let rowCount, let values):
          try collect(ShardReader.Rows(fragment: fragment, rowCount: rowCount, values: values), &outcome, reader)
        case .done(_, let affected):
          outcome.affected += affected
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
    case .staleRoute(let index) where isFirst: throw .replan(atLeast: index)
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

extension InsertSlot {
  /// The value for a row of the source.
  func parameter(_ row: ArraySlice<StoredValue>, _ parameters: [StoredValue]) -> PlanParameter {
    switch self {
    case .source(let column): .constant(row[row.startIndex + column])
    case .value(let parameter): parameter.bound(parameters)
    }
  }
}
