import EventLoop
import Metadata
import PostgresWire
import SQLPlan
import SQLTree
import SQLTypes

/// Why one attempt at a statement ended without a result.
enum AttemptFailure: Error {
  case failed(SQLError)
  /// A route has moved on: plan again once the image has reached the index. Nothing was done.
  case replan(atLeast: UInt64)
  /// A shard had moved past the snapshot that was to be read. Nothing was done.
  case snapshotLost
}

extension ComputeSession {
  /// Attempts at a statement whose routes keep moving.
  private static let maximumAttempts = 20

  /// Runs SELECT, INSERT, UPDATE or DELETE, again where a tablet has moved meanwhile.
  func runPlanned(
    _ command: PreparedCommand, _ tree: Statement, _ parameters: [StoredValue], _ scope: StatementScope,
    endsTransaction: Bool
  ) async throws(SQLError) -> StatementResult {
    try await withReplanning(scope) { () throws(AttemptFailure) in
      try await self.takeClusterSnapshot(scope)
      let (analyzed, parameters) = try await self.failingAsync { () throws(SQLError) in
        let current = try await self.current(command, tree, parameters)
        try self.checkAccess(current.analyzed.dependencies)
        return current
      }
      switch analyzed.plan {
      case .query(let plan):
        if let locks = plan.locks { try await self.lockRows(locks, parameters, scope) }
        let source = try await self.open(plan, parameters, scope)
        return .rows(
          self.rows(analyzed.columns.map(\.resultColumn), source, scope) { analyzed.tag($0) })
      case .write(let plan):
        let outcome = try await self.write(
          analyzed, plan, parameters, scope, mayCommit: endsTransaction && self.transaction?.isBlock != true)
        guard let rows = outcome.rows else { return .command(tag: analyzed.tag(outcome.affected)) }
        let affected = outcome.affected
        return .rows(
          self.rows(analyzed.columns.map(\.resultColumn), StaticSource(rows), scope) { _ in analyzed.tag(affected) })
      }
    }
  }

  /// FOR UPDATE: what the query reads then is the newest, and stays so until the transaction's end.
  func lockRows(
    _ locks: RowLocks, _ parameters: [StoredValue], _ scope: StatementScope
  ) async throws(AttemptFailure) {
    try failing { () throws(SQLError) in try self.checkWritable("SELECT \(locks.clause)") }
    let tablets = Set(locks.relations.flatMap { $0.remaining(parameters) }).sorted { $0.tabletID < $1.tabletID }
    guard !tablets.isEmpty else { return }
    do {
      try await lock(tablets, scope, isNoWait: locks.isNoWait)
    } catch {
      guard locks.isNoWait, case .failed(let failure) = error, failure.sqlState == .lockNotAvailable else {
        throw error
      }
      let name = locks.relations.first?.name ?? ""
      throw .failed(SQLError(.lockNotAvailable, "could not obtain lock on row in relation \"\(name)\""))
    }
  }

  /// Repeats an attempt for as long as routes move on.
  func withReplanning<Result>(
    _ scope: StatementScope, _ attempt: () async throws(AttemptFailure) -> Result
  ) async throws(SQLError) -> Result {
    for _ in 1...Self.maximumAttempts {
      do {
        try scope.check()
      }
      do {
        return try await attempt()
      } catch {
        switch error {
        case .failed(let error): throw error
        case .replan(let index): try await services.metadata.wait(for: index)
        case .snapshotLost: break
        }
      }
    }
    throw SQLError(
      .serializationFailure, "the tables of the statement keep moving", hint: "Repeat the statement.")
  }

  /// Work that fails with what the client sees.
  func failing<Result>(_ body: () throws(SQLError) -> Result) throws(AttemptFailure) -> Result {
    do {
      return try body()
    } catch {
      throw .failed(error)
    }
  }

  /// The same, asynchronous.
  func failingAsync<Result>(_ body: () async throws(SQLError) -> Result) async throws(AttemptFailure) -> Result {
    do {
      return try await body()
    } catch {
      throw .failed(error)
    }
  }

  /// Without GRANT, a role reads and writes what it owns, through its views too; a superuser everything.
  func checkAccess(_ dependencies: PlanDependencies) throws(SQLError) {
    guard !isSuperuser else { return }
    let viewOwners = Set(dependencies.views.values.map(\.ownerID))
    for view in dependencies.views.values where view.ownerID != roleID {
      throw SQLError(.insufficientPrivilege, "permission denied for view \(view.name)")
    }
    for id in dependencies.tables.keys.sorted() {
      guard let table = image.tables[id], table.ownerID != roleID, !viewOwners.contains(table.ownerID) else { continue }
      throw SQLError(.insufficientPrivilege, "permission denied for table \(table.name)")
    }
  }

  // MARK: Reading

  /// Which copies of mirror tables the session's next query reads.
  var copyChoice: CopyChoice {
    guard let transaction else { return .nearest(0) }
    // Copies on several shards are of several moments, unless the shards were asked at one.
    if transaction.isRepeatableRead, transaction.isBlock, !transaction.hasClusterSnapshot { return .first }
    return .nearest(Int(truncatingIfNeeded: transaction.number >> 10))
  }

  /// Starts a query; its rows come through the source.
  ///
  /// - Parameter copies: of mirror tables, which are read; nil: those that serve best.
  func open(
    _ plan: QueryPlan, _ parameters: [StoredValue], _ scope: StatementScope, copies: CopyChoice? = nil
  ) async throws(AttemptFailure) -> any BatchSource {
    try await failingAsync { () throws(SQLError) in try await self.checkRowCounts(plan.rowCounts, parameters) }
    switch plan.bind(parameters, reading: copies ?? copyChoice) {
    case .pushdown(let fragment):
      return try await read([fragment], columnCount: plan.columnCount, scope)
    case .merge(let fragments, let merge): return try await self.merge(fragments, merge, scope)
    case .local(let inputs, let sql, let values):
      return try await runLocally(inputs, sql, values, columnCount: plan.columnCount, scope)
    }
  }

  private func checkRowCounts(_ checks: [RowCountCheck], _ parameters: [StoredValue]) async throws(SQLError) {
    for check in checks {
      let value = try await evaluate([check.value.bound(parameters)])[0]
      guard let count = value.integerValue, count < 0 else { continue }
      switch check.clause {
      case .limit: throw SQLError(.invalidRowCountInLimitClause, "LIMIT must not be negative")
      case .offset: throw SQLError(.invalidRowCountInResultOffsetClause, "OFFSET must not be negative")
      }
    }
  }

  /// The rows of fragments in any order: one request per shard.
  private func read(
    _ fragments: [Fragment], columnCount: Int, _ scope: StatementScope
  ) async throws(AttemptFailure) -> any BatchSource {
    let readers = try await readers(grouped(fragments), scope)
    if readers.contains(where: { !$0.request.transactionID.isEmpty }) {
      return try await failingAsync { () throws(SQLError) in
        StaticSource(try await self.drain(FragmentSource(readers, columnCount: columnCount), columnCount, scope))
      }
    }
    return FragmentSource(readers, columnCount: columnCount)
  }

  private func merge(
    _ fragments: [Fragment], _ plan: MergePlan, _ scope: StatementScope
  ) async throws(AttemptFailure) -> any BatchSource {
    let bounds = try await failingAsync { () throws(SQLError) in
      try await self.evaluate([plan.offset ?? .constant(.null), plan.limit ?? .constant(.null)])
    }
    let offset = bounds[0].integerValue ?? 0
    let limit = bounds[1].integerValue ?? .max
    let columnCount = plan.template.columnCount
    guard !plan.order.isEmpty else {
      let source = try await read(fragments, columnCount: columnCount, scope)
      return offset > 0 || limit < .max ? LimitSource(source, offset: offset, remaining: limit) : source
    }
    // A transaction runs one request after another at a shard: its fragments cannot be read side by side.
    // Nor can those that share a snapshot over several shards.
    let isJoined = fragments.contains { transaction?.mustJoin($0.shardID) == true }
    guard isJoined || needsSnapshot(fragments.map(\.shardID)) else {
      let readers = try await readers(fragments.map { [$0] }, scope)
      return MergeSource(
        readers, columnCount: columnCount, visibleColumns: plan.visibleColumns, offset: offset, remaining: limit,
        isOrderedBefore: { plan.isOrderedBefore($0, $1) })
    }
    let readers = try await readers(grouped(fragments), scope)
    return try await failingAsync { () throws(SQLError) in
      var rows: [[StoredValue]] = []
      let all = try await self.drain(FragmentSource(readers, columnCount: columnCount), columnCount, scope)
      for row in 0..<all.rowCount { rows.append(Array(all[row])) }
      rows.sort { plan.isOrderedBefore($0, $1) }
      let kept = rows.dropFirst(Int(clamping: offset)).prefix(Int(clamping: limit))
      return StaticSource(
        RowBatch(columnCount: plan.visibleColumns, rows: kept.map { Array($0.prefix(plan.visibleColumns)) }))
    }
  }

  /// Fragments by shard, shards in order.
  func grouped(_ fragments: [Fragment]) -> [[Fragment]] {
    let byShard = Dictionary(grouping: fragments, by: \.shardID)
    return byShard.keys.sorted().compactMap { byShard[$0] }
  }

  /// Sends a request for each group, and waits until each has begun to answer.
  private func readers(
    _ groups: [[Fragment]], _ scope: StatementScope
  ) async throws(AttemptFailure) -> [ShardReader] {
    let shards = groups.map { $0[0].shardID }
    guard needsSnapshot(shards) else { return try await readers(groups, scope, snapshot: nil) }
    try failing { () throws(SQLError) in try self.checkSnapshot() }
    return try await services.snapshots.take(shards) { (point) async throws(AttemptFailure) in
      var point = point
      point.tablets = groups.joined().flatMap(\.tablets).map {
        ShardFragment.Tablet(id: $0.tabletID, epoch: $0.epoch)
      }
      return try await self.readers(groups, scope, snapshot: point)
    }
  }

  /// Fragments of a snapshot that is to be had no more: `AttemptFailure.snapshotLost`.
  private func readers(
    _ groups: [[Fragment]], _ scope: StatementScope, snapshot: SnapshotPoint?
  ) async throws(AttemptFailure) -> [ShardReader] {
    var readers: [ShardReader] = []
    do {
      for group in groups {
        let fragments = try await failingAsync { () throws(SQLError) in
          var encoded: [ShardFragment] = []
          for fragment in group { encoded.append(try await self.encoded(fragment)) }
          return encoded
        }
        try checkNotMoved(fragments)
        var request = request(group[0].shardID, fragments)
        request.snapshot = snapshot
        readers.append(
          ShardReader(request, shards: services.shards, scope: scope, errors: ConstraintErrors(image: image)))
      }
      for reader in readers {
        try await prime(reader)
        transaction?.used(reader.request.fragments)
      }
      return readers
    } catch {
      for reader in readers { reader.close() }
      throw error
    }
  }

  /// A tablet that has moved since a REPEATABLE READ transaction used it is of a later moment where it is now.
  func checkNotMoved(_ fragments: [ShardFragment]) throws(AttemptFailure) {
    guard transaction?.hasMoved(fragments) == true else { return }
    throw .failed(
      SQLError(
        .serializationFailure, "could not serialize access: a table has moved to another shard since it was read",
        hint: "Retry the transaction."))
  }

  private func prime(_ reader: ShardReader) async throws(AttemptFailure) {
    do {
      try await reader.prime()
    } catch {
      switch error {
      case .staleRoute(let index):
        if !reader.request.transactionID.isEmpty, !reader.request.isContinuation {
          transaction?.leave(reader.request.shardID)
        }
        throw .replan(atLeast: index)
      case .transactionLost where reader.request.snapshot != nil: throw .snapshotLost
      default: throw .failed(reader.sqlError(error))
      }
    }
  }

  /// A read of a shard: within the transaction where that must be.
  private func request(_ shard: ShardID, _ fragments: [ShardFragment]) -> ShardRequest {
    var request = ShardRequest(
      shardID: shard, metadataIndex: services.metadata.schemaIndex, fragments: fragments, isReadOnly: true,
      session: shardSession, lockTimeoutMilliseconds: settings.milliseconds("lock_timeout"))
    if let transaction, transaction.mustJoin(shard) {
      request.transactionID = transaction.id
      request.isContinuation = transaction.knows(shard)
      request.isRepeatableRead = transaction.isRepeatableRead
      request.isReadOnly = transaction.isReadOnly
      transaction.join(shard)
    }
    return request
  }

  private func encoded(_ fragment: Fragment) async throws(SQLError) -> ShardFragment {
    let values = try await evaluate(fragment.parameters)
    return ShardFragment(
      tablets: fragment.tablets.map { ShardFragment.Tablet(id: $0.tabletID, epoch: $0.epoch) }, sql: fragment.sql,
      parameters: RowCodec.encode(values), parameterColumns: values.count, parameterRows: values.isEmpty ? 0 : 1,
      isWrite: fragment.isWrite, resultColumns: fragment.columnCount)
  }

  /// All rows of a source, within `work_mem`.
  func drain(
    _ source: any BatchSource, _ columnCount: Int, _ scope: StatementScope
  ) async throws(SQLError) -> RowBatch {
    let limit = settings.bytes("work_mem")
    var rowCount = 0
    var bytes = 0
    var values: [StoredValue] = []
    while let batch = try await source.next() {
      try scope.check()
      rowCount += batch.rowCount
      bytes += batch.values.reduce(0) { $0 + $1.memoryBytes }
      guard bytes <= limit else {
        source.close()
        throw Self.outOfWorkMemory(settings.known("work_mem"))
      }
      values.append(contentsOf: batch.values)
    }
    return RowBatch(columnCount: columnCount, rowCount: rowCount, values: values)
  }

  static func outOfWorkMemory(_ limit: String) -> SQLError {
    SQLError(
      .outOfMemory, "the statement needs more memory on the compute node than work_mem allows",
      detail: "The limit is \(limit).",
      hint: "Add conditions that leave fewer rows, or raise work_mem for the session.")
  }

  // MARK: The compute node's SQLite

  private func runLocally(
    _ inputs: [BoundInput], _ sql: String, _ parameters: [PlanParameter], columnCount: Int, _ scope: StatementScope
  ) async throws(AttemptFailure) -> any BatchSource {
    var fragments: [(input: Int, fragment: Fragment)] = []
    for (index, input) in inputs.enumerated() {
      if case .fragments(let list) = input.source { fragments += list.map { (index, $0) } }
    }
    let byShard = Dictionary(grouping: fragments, by: \.fragment.shardID)
    let groups = byShard.keys.sorted().compactMap { byShard[$0] }
    let readers = try await readers(groups.map { $0.map(\.fragment) }, scope)
    let run = services.local.open(context: localContext, limitBytes: settings.bytes("work_mem"))
    let handler = scope.onStop { run.interrupt() }
    do {
      return try await failingAsync { () throws(SQLError) in
        let values = try await self.evaluate(parameters)
        for input in inputs {
          try await run.create(input.createSQL, table: input.table)
          if case .virtual(let relation, let columns) = input.source {
            try await self.load(relation, columns, into: input.table, run)
          }
        }
        for (reader, group) in zip(readers, groups) {
          while let rows = try await reader.next() {
            try scope.check()
            let input = inputs[group[rows.fragment].input]
            try await run.load(
              input.table, columnCount: input.columnCount, rowCount: rows.rowCount, values: rows.values)
          }
        }
        try await run.query(sql, values: values, columnCount: columnCount)
        return LocalSource(run, columnCount: columnCount)
      }
    } catch {
      scope.forget(handler)
      run.close()
      for reader in readers { reader.close() }
      throw error
    }
  }

  /// The rows of a relation of the system catalog, or of the schema `kunlog`.
  private func load(
    _ relation: VirtualRelation, _ columns: [Int], into table: String, _ run: any LocalRun
  ) async throws(SQLError) {
    let pieces: [(rowCount: Int, values: [UInt8])]
    if let rows = await runningRows(of: relation) {
      pieces = Self.pieces(rows.map { row in columns.map { row[$0] } })
    } else {
      // Of a large catalog this takes a while.
      let (image, info) = (image, info)
      pieces = try await run.compute { Self.pieces(relation.rows(image, info, columns)) }
    }
    for piece in pieces {
      try await run.load(table, columnCount: columns.count, rowCount: piece.rowCount, values: piece.values)
    }
  }

  /// Rows as they are loaded, some thousand at a time.
  private nonisolated static func pieces(_ rows: [[StoredValue]]) -> [(rowCount: Int, values: [UInt8])] {
    stride(from: 0, to: rows.count, by: 1000).map { start in
      let end = min(start + 1000, rows.count)
      var encoded: [UInt8] = []
      for row in rows[start..<end] {
        for value in row { RowCodec.append(value, to: &encoded) }
      }
      return (end - start, encoded)
    }
  }
}

extension StoredValue {
  /// About what it takes in memory.
  var memoryBytes: Int {
    switch self {
    case .null, .integer, .real: 16
    case .text(let text): 16 + text.utf8.count
    case .blob(let bytes): 48 + bytes.count
    }
  }
}
