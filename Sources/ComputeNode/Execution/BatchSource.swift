import EventLoop
import PostgresWire
import SQLTypes

/// Rows as they come, in batches of any size.
@LoopActor
protocol BatchSource: AnyObject {
  /// The next rows, at least one; nil after the last.
  func next() async throws(SQLError) -> RowBatch?
  /// The rest is not wanted.
  func close()
}

/// Rows that are all there.
@LoopActor
final class StaticSource: BatchSource {
  private var batch: RowBatch?

  init(_ batch: RowBatch) { self.batch = batch.rowCount > 0 ? batch : nil }

  func next() async throws(SQLError) -> RowBatch? {
    defer { batch = nil }
    return batch
  }

  func close() { batch = nil }
}

/// The rows of fragments that may come in any order: one request per shard, side by side, read one after another (the
/// shards ahead wait, as the transport's window bounds what they send).
@LoopActor
final class FragmentSource: BatchSource {
  private let readers: [ShardReader]
  private let columnCount: Int
  private var current = 0

  init(_ readers: [ShardReader], columnCount: Int) {
    self.readers = readers
    self.columnCount = columnCount
  }

  func next() async throws(SQLError) -> RowBatch? {
    while current < readers.count {
      if let rows = try await readers[current].next() {
        return try rows.batch(columnCount: columnCount)
      }
      current += 1
    }
    return nil
  }

  func close() {
    for reader in readers { reader.close() }
  }
}

/// The rows of sorted fragments, merged in their order, cut to LIMIT and OFFSET.
@LoopActor
final class MergeSource: BatchSource {
  private struct Input {
    let reader: ShardReader
    var batch: RowBatch
    var row = 0
    var current: [StoredValue] { Array(batch[row]) }
  }

  private static let batchRows = 256

  private var inputs: [Input] = []
  private let readers: [ShardReader]
  private let columnCount: Int
  private let visibleColumns: Int
  private let isOrderedBefore: @Sendable ([StoredValue], [StoredValue]) -> Bool
  private var offset: Int64
  private var remaining: Int64
  private var isStarted = false

  /// - Parameters:
  ///   - remaining: rows to give at most, from `offset` on.
  ///   - readers: one per fragment.
  init(
    _ readers: [ShardReader], columnCount: Int, visibleColumns: Int, offset: Int64, remaining: Int64,
    isOrderedBefore: @escaping @Sendable ([StoredValue], [StoredValue]) -> Bool
  ) {
    self.readers = readers
    self.columnCount = columnCount
    self.visibleColumns = visibleColumns
    self.offset = offset
    self.remaining = remaining
    self.isOrderedBefore = isOrderedBefore
  }

  func next() async throws(SQLError) -> RowBatch? {
    if !isStarted {
      isStarted = true
      for reader in readers {
        guard let rows = try await reader.next() else { continue }
        inputs.append(Input(reader: reader, batch: try rows.batch(columnCount: columnCount)))
      }
    }
    var output = RowBatch(columnCount: visibleColumns)
    while output.rowCount < Self.batchRows, remaining > 0, !inputs.isEmpty {
      let first = firstInput()
      if offset > 0 {
        offset -= 1
      } else {
        output.append(inputs[first].batch[inputs[first].row].prefix(visibleColumns))
        remaining -= 1
      }
      try await advance(first)
    }
    if output.rowCount == 0 {
      close()
      return nil
    }
    return output
  }

  /// The input whose row is next; the earlier one among equals, so that the order is stable.
  private func firstInput() -> Int {
    var best = 0
    for index in inputs.indices.dropFirst() where isOrderedBefore(inputs[index].current, inputs[best].current) {
      best = index
    }
    return best
  }

  private func advance(_ index: Int) async throws(SQLError) {
    inputs[index].row += 1
    guard inputs[index].row == inputs[index].batch.rowCount else { return }
    if let rows = try await inputs[index].reader.next() {
      inputs[index].batch = try rows.batch(columnCount: columnCount)
      inputs[index].row = 0
    } else {
      inputs.remove(at: index)
    }
  }

  func close() {
    inputs = []
    for reader in readers { reader.close() }
  }
}

/// Cuts another source to LIMIT and OFFSET.
@LoopActor
final class LimitSource: BatchSource {
  private let source: any BatchSource
  private var offset: Int64
  private var remaining: Int64

  init(_ source: any BatchSource, offset: Int64, remaining: Int64) {
    self.source = source
    self.offset = offset
    self.remaining = remaining
  }

  func next() async throws(SQLError) -> RowBatch? {
    while remaining > 0, let batch = try await source.next() {
      let skipped = Int(min(offset, Int64(batch.rowCount)))
      offset -= Int64(skipped)
      let taken = Int(min(remaining, Int64(batch.rowCount - skipped)))
      guard taken > 0 else { continue }
      remaining -= Int64(taken)
      return batch.slice(skipped, taken)
    }
    source.close()
    return nil
  }

  func close() { source.close() }
}

/// The rows of a query that runs in the compute node's SQLite.
@LoopActor
final class LocalSource: BatchSource {
  private let run: any LocalRun
  private let columnCount: Int

  init(_ run: any LocalRun, columnCount: Int) {
    self.run = run
    self.columnCount = columnCount
  }

  func next() async throws(SQLError) -> RowBatch? {
    guard let rows = try await run.next(maximumRows: 512) else {
      run.close()
      return nil
    }
    return RowBatch(columnCount: columnCount, rowCount: rows.rowCount, values: rows.values)
  }

  func close() { run.close() }
}

extension RowBatch {
  /// Some of the rows.
  func slice(_ start: Int, _ count: Int) -> RowBatch {
    if start == 0, count == rowCount { return self }
    return RowBatch(
      columnCount: columnCount, rowCount: count,
      values: Array(values[(start * columnCount)..<((start + count) * columnCount)]))
  }
}
