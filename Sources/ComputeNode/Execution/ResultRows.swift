import EventLoop
import PostgresWire
import SQLTypes

/// A result as the client's session fetches it: batches of the size that it asks for.
@LoopActor
final class ResultRows: RowSource {
  let columns: [ResultColumn]
  private let source: any BatchSource
  private let tag: @Sendable (Int) -> String
  private var pending: RowBatch?
  private var offset = 0
  private var isOver = false
  /// Called once, when the last row was given, the rest was refused, or fetching failed.
  private var whenOver: (@LoopActor () -> Void)?
  private let scope: StatementScope

  init(
    columns: [ResultColumn], source: any BatchSource, scope: StatementScope, tag: @escaping @Sendable (Int) -> String,
    whenOver: @escaping @LoopActor () -> Void
  ) {
    self.columns = columns
    self.source = source
    self.scope = scope
    self.tag = tag
    self.whenOver = whenOver
  }

  func nextBatch(maximumRows: Int) async throws(SQLError) -> RowBatch? {
    guard !isOver else { return nil }
    do {
      try scope.check()
      if pending == nil {
        pending = try await source.next()
        offset = 0
      }
    } catch {
      end()
      // What a stopped statement fails with is a consequence: the reason is the scope's.
      throw scope.failure ?? error
    }
    guard let batch = pending else {
      end()
      return nil
    }
    let count = min(max(1, maximumRows), batch.rowCount - offset)
    let rows = batch.slice(offset, count)
    offset += count
    if offset == batch.rowCount { pending = nil }
    return rows
  }

  func commandTag(rowCount: Int) -> String { tag(rowCount) }

  func close() {
    guard !isOver else { return }
    source.close()
    end()
  }

  private func end() {
    isOver = true
    pending = nil
    scope.finish()
    whenOver?()
    whenOver = nil
  }
}
