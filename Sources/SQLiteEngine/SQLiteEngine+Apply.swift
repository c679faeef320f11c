import EventLoop
import Metadata
import SQLTypes
import StorageEngine
import TabletSQL

extension SQLiteEngine {
  /// A step of applying, on a worker.
  private enum Step: Sendable {
    /// Undoes what a transaction had executed in tablets of its own: all of it comes by its changes.
    case undo([TabletConnection])
    /// Makes a transaction that was executed here visible.
    case commit([TabletConnection], index: UInt64)
    /// Applies what another replica recorded.
    case changes(TabletConnection, [UInt8], index: UInt64, TabletGate)
  }

  package func apply(_ entries: [EngineEntry]) async throws(SQLError) {
    while true {
      do throws(SQLError) {
        try await applyAll(entries)
        return foundSpace()
      } catch {
        try await awaitSpace(for: entries, after: error)
      }
    }
  }

  private func applyAll(_ entries: [EngineEntry]) async throws(SQLError) {
    var place = 0
    while place < entries.count {
      if case .schema(let changes, let index) = entries[place] {
        for change in changes { try await apply(change, at: index) }
        highestIndex = max(highestIndex, index)
        place += 1
        continue
      }
      let end = entries[place...].firstIndex { if case .schema = $0 { true } else { false } } ?? entries.count
      try await applyRows(Array(entries[place..<end]))
      place = end
    }
  }

  // MARK: Rows

  /// Applies entries without schema changes, in one go.
  private func applyRows(_ entries: [EngineEntry]) async throws(SQLError) {
    var steps: [Step] = []
    var ended: [EngineTransaction] = []
    var undone: [TabletConnection] = []
    var appliers: [TabletID: TabletConnection] = [:]
    var indexes: [TabletID: UInt64] = [:]
    do throws(SQLError) {
      for entry in entries {
        switch entry {
        case .commit(let id, let changesets, let index):
          if let transaction = transactions[id], transaction.claimEnd() || resumed.contains(id) {
            ended.append(transaction)
            if !resumed.contains(id), !transaction.isAdopted, transaction.overlays.isEmpty {
              for tablet in transaction.writers.keys { indexes[tablet] = index }
              steps.append(.commit(transaction.writers.sorted { $0.key < $1.key }.map(\.value), index: index))
            } else {
              let own = transaction.writers.sorted { $0.key < $1.key }.map(\.value)
              if !own.isEmpty { steps.append(.undo(own)) }
              undone += own
              transaction.writers = [:]
              steps += try await self.steps(for: changesets, index, &appliers, &indexes)
            }
          } else {
            steps += try await self.steps(for: changesets, index, &appliers, &indexes)
          }
        case .changes(let changesets, let index):
          steps += try await self.steps(for: changesets, index, &appliers, &indexes)
        case .schema:
          preconditionFailure("schema changes are applied apart")
        }
      }
      await fixForSnapshots(indexes.keys)
      try await perform(steps)
    } catch {
      pool.close(Array(appliers.values) + undone)
      resumed.formUnion(ended.map(\.id))
      throw error
    }
    for (tablet, index) in indexes { tablets[tablet]?.appliedIndex = index }
    highestIndex = max(highestIndex, indexes.values.max() ?? 0)
    for connection in Array(appliers.values) + undone { pool.give(connection) }
    for transaction in ended {
      transactions[transaction.id] = nil
      free(transaction)
    }
  }

  private func steps(
    for changesets: [TabletChangeset], _ index: UInt64, _ appliers: inout [TabletID: TabletConnection],
    _ indexes: inout [TabletID: UInt64]
  ) async throws(SQLError) -> [Step] {
    var steps: [Step] = []
    for changeset in changesets {
      guard let summary = tablets[changeset.tabletID],
        max(summary.appliedIndex, indexes[changeset.tabletID] ?? 0) < index
      else { continue }
      let applier = try await applier(of: changeset.tabletID, &appliers)
      indexes[changeset.tabletID] = index
      steps.append(.changes(applier, changeset.bytes, index: index, tabletGate(of: changeset.tabletID)))
    }
    return steps
  }

  private func applier(
    of tablet: TabletID, _ appliers: inout [TabletID: TabletConnection]
  ) async throws(SQLError) -> TabletConnection {
    if let applier = appliers[tablet] { return applier }
    // A transaction that was executed here and lost its leadership is in the way of what the new leader did.
    if case .transaction(let id) = tabletLocks.exclusiveHolder(of: tablet), transactions[id]?.writers[tablet] != nil {
      await rollback(id)
    }
    do throws(EngineFailure) {
      let applier = try await pool.take(.applier, [tablet])
      appliers[tablet] = applier
      return applier
    } catch {
      throw error.error
    }
  }

  private func perform(_ steps: [Step]) async throws(SQLError) {
    guard !steps.isEmpty else { return }
    let gate = visibility
    let failure: EngineFailure? = await workers.run {
      var open: [TabletID: (applier: TabletConnection, index: UInt64, gate: TabletGate)] = [:]
      defer { for (_, _, gate) in open.values { gate.leave() } }
      do throws(EngineFailure) {
        for step in steps {
          switch step {
          case .undo(let connections): for connection in connections { connection.endTransaction("ROLLBACK") }
          case .changes(let applier, let bytes, let index, let tabletGate):
            if open[applier.tablet] == nil {
              tabletGate.enter()
              open[applier.tablet] = (applier, index, tabletGate)
              try applier.run("BEGIN IMMEDIATE")
            }
            open[applier.tablet]!.index = index
            try ChangeApplier(applier).apply(bytes)
          case .commit(let writers, let index):
            try Self.commit(writers, index, gate)
          }
        }
        for (applier, index, _) in open.values { try applier.setAppliedIndex(index) }
        try Self.commit(open.values.map(\.applier), gate)
        return nil
      } catch {
        for (applier, _, _) in open.values { applier.endTransaction("ROLLBACK") }
        return error
      }
    }
    if let failure { throw failure.error }
  }

  /// On a worker: all of a transaction's tablets at once, for those who look at several.
  private nonisolated static func commit(
    _ writers: [TabletConnection], _ index: UInt64, _ gate: VisibilityGate
  ) throws(EngineFailure) {
    for writer in writers {
      writer.recorder?.reset()
      try writer.setAppliedIndex(index)
    }
    defer { for writer in writers { writer.endTransaction("ROLLBACK") } }
    try commit(writers, gate)
  }

  private nonisolated static func commit(
    _ connections: [TabletConnection], _ gate: VisibilityGate
  ) throws(EngineFailure) {
    guard connections.count > 1 else {
      try connections.first?.run("COMMIT")
      return
    }
    let result: Result<Void, EngineFailure> = gate.pass {
      do throws(EngineFailure) {
        for connection in connections { try connection.run("COMMIT") }
        return .success(())
      } catch {
        return .failure(error)
      }
    }
    try result.get()
  }

  // MARK: Schema

  private func apply(_ change: TabletChange, at index: UInt64) async throws(SQLError) {
    let id = change.tabletID
    let summary = tablets[id]
    // An index may be unique.
    rowLocking[id] = nil
    if let summary, summary.appliedIndex >= index { return }
    await fixForSnapshots([id])
    let directory = directory
    switch change {
    case .create(_, let table, let indexes, let generation):
      pool.retire(id)
      let maker = maker
      tablets[id] = try await work { () throws(EngineFailure) in
        try maker.create(id, table, indexes: indexes, generation: generation, index: index)
      }
    case .drop:
      guard summary != nil else { return }
      tablets[id] = nil
      pool.retire(id)
      let remover = remover
      try await work { () throws(EngineFailure) in
        try Self.files { () throws(FileError) in try remover.remove(directory.tabletFiles(id)) }
      }
    case .createIndex(_, let table, let definition):
      guard summary != nil else { return }
      let refusal = try await alter(id, at: index) { (connection) throws(EngineFailure) in
        try TabletFile.createIndex(connection, id, table, definition)
      }
      tablets[id]?.indexes.insert(definition.id)
      tablets[id]?.refusals[.index(definition.id)] = refusal
    case .dropIndex(_, let definition):
      guard summary != nil else { return }
      let name = TabletSchema.quoted(TabletSchema.indexName(definition))
      try await alter(id, at: index) { (connection) throws(EngineFailure) in
        try connection.run("DROP INDEX IF EXISTS \(name)")
        try connection.forgetRefusal(of: .index(definition))
      }
      tablets[id]?.indexes.remove(definition)
      tablets[id]?.refusals[.index(definition)] = nil
    case .clear(_, let generation):
      guard let summary else { return }
      let table = TabletSchema.quoted(TabletSchema.tableName(id))
      try await alter(id, at: index) { (connection) throws(EngineFailure) in
        if summary.refusals[.table] == nil { try connection.run("DELETE FROM \(table)") }
        try connection.integer("UPDATE _kunlog_tablet SET generation = ?1", Int64(generation))
      }
      tablets[id]?.generation = generation
    }
  }

  /// Changes a tablet that exists, as of an entry.
  private func alter<T: Sendable>(
    _ id: TabletID, at index: UInt64, _ body: @escaping @Sendable (TabletConnection) throws(EngineFailure) -> T
  ) async throws(SQLError) -> T {
    let path = directory.tabletPath(id)
    let result = try await work { () throws(EngineFailure) in
      let connection = try TabletConnection(path: path, tablet: id, purpose: .applier)
      defer { connection.close() }
      try connection.run("BEGIN IMMEDIATE")
      let result = try body(connection)
      try connection.setAppliedIndex(index)
      try connection.run("COMMIT")
      return result
    }
    tablets[id]?.appliedIndex = index
    return result
  }

  private func work<T: Sendable>(
    _ body: @escaping @Sendable () throws(EngineFailure) -> T
  ) async throws(SQLError) -> T {
    let result: Result<T, EngineFailure> = await workers.run {
      do throws(EngineFailure) { return .success(try body()) } catch { return .failure(error) }
    }
    do throws(EngineFailure) { return try result.get() } catch { throw error.error }
  }

  private nonisolated static func files(_ body: () throws(FileError) -> Void) throws(EngineFailure) {
    do throws(FileError) { try body() } catch { throw EngineFailure(error: SQLError(error)) }
  }
}

extension TabletFile {
  /// Makes an index. Where rows contradict its uniqueness it is made without, as every replica does alike: whoever
  /// records a unique index in the metadata has made sure before that the rows allow it. One that SQLite refuses is noted.
  ///
  /// - Returns: why it was refused.
  static func createIndex(
    _ connection: TabletConnection, _ id: TabletID, _ table: TableDefinition, _ definition: IndexDefinition
  ) throws(EngineFailure) -> String? {
    var definition = definition
    while true {
      let trial = [TabletSchema.indexStatement(id, table, definition), TabletSchema.trialStatement(id)]
      guard let refusal = try connection.attempt(trial) else { return nil }
      if refusal.constraint != nil, definition.isUnique {
        definition.isUnique = false
        continue
      }
      try connection.note(refusal.error.message, .index(definition.id))
      return refusal.error.message
    }
  }
}
