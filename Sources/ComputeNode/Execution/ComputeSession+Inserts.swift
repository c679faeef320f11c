import EventLoop
import PostgresWire
import SQLPlan
import SQLTypes

/// INSERT. Rows are completed, routed and sent some at a time, so that no turn of the loop is long and the rows of a query are
/// never all in memory.
extension ComputeSession {
  /// Rows that are worked on in one turn of the loop.
  static let sliceRows = 2000

  func insert(
    _ plan: InsertPlan, _ parameters: [StoredValue], columnCount: Int, _ scope: StatementScope, mayCommit: Bool
  ) async throws(AttemptFailure) -> WriteOutcome {
    try await lockMirror(plan, scope)
    switch plan.source {
    case .values(let rows):
      return try await insert(rows, plan, parameters, columnCount: columnCount, scope, mayCommit: mayCommit)
    case .query(let query, let slots):
      return try await insert(query, slots, plan, parameters, columnCount: columnCount, scope, mayCommit: mayCommit)
    case .rows:
      throw .failed(SQLError(.internalError, "rows of COPY outside of COPY"))
    }
  }

  /// Writers of a mirror table come one after another: where all its copies are written, each does at all of them what it does at
  /// the first.
  func lockMirror(_ plan: InsertPlan, _ scope: StatementScope) async throws(AttemptFailure) {
    // It has no partitions.
    guard let only = plan.router.tree.leaves.first, !only.copies.isEmpty else { return }
    try await lock([only], scope)
  }

  /// VALUES: nothing is sent before it is known where all rows go.
  private func insert(
    _ rows: [[PlanParameter]], _ plan: InsertPlan, _ parameters: [StoredValue], columnCount: Int,
    _ scope: StatementScope, mayCommit: Bool
  ) async throws(AttemptFailure) -> WriteOutcome {
    let slices = try await failingAsync { () throws(SQLError) in
      var slices: [[WriteFragment]] = []
      var arbiter = InsertArbiter(plan)
      for start in stride(from: 0, to: rows.count, by: Self.sliceRows) {
        if start > 0 { await self.nextTurn() }
        try scope.check()
        let slice = rows[start..<min(start + Self.sliceRows, rows.count)]
        let values = try await self.completed(slice.map { row in row.map { $0.bound(parameters) } })
        try arbiter.check(values)
        slices.append(try await self.routed(plan, values, parameters))
      }
      return slices
    }
    var outcome = WriteOutcome(columnCount: columnCount)
    for (place, fragments) in slices.enumerated() {
      try await send(
        fragments, &outcome, scope, mayCommit: mayCommit && slices.count == 1, isFirst: place == 0)
    }
    return outcome
  }

  /// A query: its rows are sent while more of them come. (A query of what this transaction writes is read to its end first,
  /// by `open`.)
  private func insert(
    _ query: QueryPlan, _ slots: [InsertSlot], _ plan: InsertPlan, _ parameters: [StoredValue], columnCount: Int,
    _ scope: StatementScope, mayCommit: Bool
  ) async throws(AttemptFailure) -> WriteOutcome {
    let source = try await open(query, parameters, scope)
    defer { source.close() }
    let slices = RowSlices(source, scope)
    var outcome = WriteOutcome(columnCount: columnCount)
    var arbiter = InsertArbiter(plan)
    var isFirst = true
    var present = try await failingAsync { () throws(SQLError) in try await slices.next() }
    while let batch = present {
      present = try await failingAsync { () throws(SQLError) in try await slices.next() }
      let fragments = try await failingAsync { () throws(SQLError) in
        let values = try await self.completed(
          batch.map { row in slots.map { $0.parameter(row, parameters) } })
        try arbiter.check(values)
        return try await self.routed(plan, values, parameters)
      }
      try await send(
        fragments, &outcome, scope, mayCommit: mayCommit && present == nil, isFirst: isFirst)
      isFirst = false
    }
    return outcome
  }

  /// Lets the loop do what else waits.
  func nextTurn() async { try? await loopSleep(milliseconds: 0) }

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
    var common: [StoredValue] = []
    for group in try plan.route(rows, parameters: parameters) {
      // Copies get the values of the first one, which precedes them.
      if !group.fragment.isCopy { common = try await evaluate(group.fragment.parameters) }
      fragments.append(
        WriteFragment(
          fragment: group.fragment,
          rows: common.isEmpty ? group.rows.map { rows[$0] } : group.rows.map { rows[$0] + common }))
    }
    return fragments
  }
}

/// The rows of a source, as many at a time as are worked on in one turn of the loop.
@LoopActor
private final class RowSlices {
  private let source: any BatchSource
  private let scope: StatementScope
  private var hasEnded = false

  init(_ source: any BatchSource, _ scope: StatementScope) {
    self.source = source
    self.scope = scope
  }

  /// nil after the last.
  func next() async throws(SQLError) -> [ArraySlice<StoredValue>]? {
    var rows: [ArraySlice<StoredValue>] = []
    while !hasEnded, rows.count < ComputeSession.sliceRows {
      guard let batch = try await source.next() else {
        hasEnded = true
        break
      }
      try scope.check()
      for row in 0..<batch.rowCount { rows.append(batch[row]) }
    }
    return rows.isEmpty ? nil : rows
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
