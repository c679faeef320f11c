import EventLoop
import Metadata
import PostgresWire
import SQLTypes

/// The answers to one request to a shard, with failures as clients see them.
///
/// `prime` fetches the first answer, where a stale route or a missing leader shows before any row is given away.
@LoopActor
final class ShardReader {
  /// Rows of one fragment, encoded.
  struct Rows {
    var fragment: Int
    var rowCount: Int
    var values: [UInt8]

    func batch(columnCount: Int) throws(SQLError) -> RowBatch {
      guard columnCount > 0 else { return RowBatch(columnCount: 0, rowCount: rowCount, values: []) }
      do {
        let decoded = try RowCodec.decode(values)
        guard decoded.count == rowCount * columnCount else { throw RowCodecError.incompleteRow }
        return RowBatch(columnCount: columnCount, rowCount: rowCount, values: decoded)
      } catch {
        throw SQLError(.dataCorrupted, "rows of a shard cannot be read: \(error)")
      }
    }
  }

  let request: ShardRequest
  private let call: any ShardCall
  private let scope: StatementScope
  private let errors: ConstraintErrors
  private var pending: [ShardAnswer] = []
  private var handler = 0
  private var isOver = false
  /// Rows changed, by fragment, as far as reported.
  private(set) var affected: [Int: Int] = [:]
  private(set) var isCommitted = false

  init(_ request: ShardRequest, shards: any ShardAccess, scope: StatementScope, errors: ConstraintErrors) {
    self.request = request
    self.scope = scope
    self.errors = errors
    call = shards.execute(request)
    handler = scope.onStop { [weak self] in self?.call.cancel() }
  }

  /// Waits for the first answer.
  func prime() async throws(ShardFailure) {
    guard pending.isEmpty, !isOver else { return }
    if let answer = try await take() { pending.append(answer) }
  }

  /// The next rows; nil after the last answer.
  func next() async throws(SQLError) -> Rows? {
    do {
      while let answer = try await answer() {
        switch answer {
        case .rows(let fragment, let rowCount, let values):
          return Rows(fragment: fragment, rowCount: rowCount, values: values)
        case .done(let fragment, let count): affected[fragment, default: 0] += count
        case .committed: isCommitted = true
        }
      }
      return nil
    } catch {
      throw sqlError(error)
    }
  }

  /// The same, for those who handle failures themselves.
  func nextAnswer() async throws(ShardFailure) -> ShardAnswer? { try await answer() }

  private func answer() async throws(ShardFailure) -> ShardAnswer? {
    if !pending.isEmpty { return pending.removeFirst() }
    return isOver ? nil : try await take()
  }

  private func take() async throws(ShardFailure) -> ShardAnswer? {
    do {
      let answer = try await call.next()
      if answer == nil { end() }
      return answer
    } catch {
      end()
      throw error
    }
  }

  private func end() {
    isOver = true
    scope.forget(handler)
  }

  /// The rest is not wanted.
  func close() {
    guard !isOver else { return }
    end()
    call.cancel()
  }

  /// The failure as the client sees it.
  func sqlError(_ failure: ShardFailure) -> SQLError {
    if let reason = scope.failure { return reason }
    return errors.sqlError(failure, request: request)
  }
}
