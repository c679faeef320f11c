import Testing

@testable import Simulator

@Suite("Linearizability of recorded histories")
struct HistoryTests {
  private func append(
    _ id: UInt64, _ from: UInt64, _ to: UInt64, _ outcome: LogOperation.Outcome
  ) -> LogOperation {
    LogOperation(
      client: 1, kind: .append(id: id), invokedMicroseconds: from, completedMicroseconds: to, outcome: outcome)
  }

  private func read(_ from: UInt64, _ to: UInt64, _ index: UInt64) -> LogOperation {
    LogOperation(
      client: 2, kind: .read, invokedMicroseconds: from, completedMicroseconds: to, outcome: .index(index))
  }

  @Test("Overlapping appends may take either order, and a read between may see one of them")
  func accepts() {
    let history = [
      append(1, 0, 10, .index(5)), append(2, 5, 20, .index(4)), append(3, 6, 9, .refused),
      append(4, 7, 0, .unknown), read(11, 30, 5), read(8, 12, 4),
    ]
    #expect(LogHistory.check(history) == nil)
    #expect(LogHistory.check(history, log: [(4, 2), (5, 1), (9, 4)]) == nil)
  }

  @Test("A read that misses an acknowledged append is stale")
  func staleRead() {
    let history = [append(1, 0, 10, .index(5)), read(11, 12, 4)]
    #expect(LogHistory.check(history) == .staleRead(client: 2, index: 4, knownIndex: 5))
  }

  @Test("A read that misses what an earlier read saw is stale, though the append was never answered")
  func readsGoBack() {
    let history = [append(1, 0, 0, .unknown), read(2, 3, 7), read(4, 5, 6)]
    #expect(LogHistory.check(history) == .staleRead(client: 2, index: 6, knownIndex: 7))
  }

  @Test("An append cannot take a place before one that was acknowledged before it was asked")
  func past() {
    let history = [append(1, 0, 10, .index(5)), append(2, 11, 12, .index(4))]
    #expect(LogHistory.check(history) == .appendedInThePast(client: 1, id: 2, index: 4, knownIndex: 5))
  }

  @Test("The log must hold what was acknowledged, once, and nothing that was refused")
  func log() {
    #expect(LogHistory.check([append(1, 0, 9, .index(5))], log: []) == .lost(id: 1, index: 5, found: nil))
    #expect(
      LogHistory.check([append(1, 0, 9, .index(5))], log: [(5, 1), (8, 1)]) == .twice(id: 1, first: 5, second: 8))
    #expect(LogHistory.check([append(1, 0, 9, .refused)], log: [(5, 1)]) == .refusedButThere(id: 1, index: 5))
    #expect(LogHistory.check([], log: [(5, 1)]) == .unasked(id: 1, index: 5))
    #expect(
      LogHistory.check([append(1, 0, 9, .index(5)), append(2, 0, 9, .index(5))])
        == .sameIndex(index: 5, first: 1, second: 2))
  }

  private func operation(
    _ client: UInt64, _ kind: RegisterOperation.Kind, _ from: UInt64, _ to: UInt64?
  ) -> RegisterOperation {
    RegisterOperation(client: client, kind: kind, invokedMicroseconds: from, completedMicroseconds: to)
  }

  @Test("A register's overlapping writes may take effect in either order")
  func registerAccepts() {
    #expect(RegisterHistory.isLinearizable([]) == true)
    let history = [
      operation(1, .write(1), 0, 10), operation(2, .write(2), 5, 15), operation(3, .read(2), 6, 7),
      operation(3, .read(1), 8, 20), operation(4, .compareAndSet(expected: 1, value: 3, succeeded: true), 16, 18),
      operation(4, .compareAndSet(expected: 1, value: 4, succeeded: false), 21, 22),
    ]
    #expect(RegisterHistory.isLinearizable(history) == true)
  }

  @Test("A register's write without answer may take effect late, or never, but not come and go")
  func registerUnknown() {
    let lost = operation(1, .write(1), 0, nil)
    #expect(RegisterHistory.isLinearizable([lost, operation(2, .read(0), 5, 6), operation(2, .read(1), 7, 8)]) == true)
    #expect(RegisterHistory.isLinearizable([lost, operation(2, .read(0), 5, 6)]) == true)
    #expect(
      RegisterHistory.isLinearizable([lost, operation(2, .read(1), 5, 6), operation(2, .read(0), 7, 8)]) == false)
  }

  @Test("Two winners of one comparison, and a read of an overwritten value, are found")
  func registerRejects() {
    #expect(
      RegisterHistory.isLinearizable([
        operation(1, .compareAndSet(expected: 0, value: 1, succeeded: true), 0, 10),
        operation(2, .compareAndSet(expected: 0, value: 2, succeeded: true), 0, 10),
      ]) == false)
    #expect(
      RegisterHistory.isLinearizable([
        operation(1, .write(1), 0, 1), operation(1, .write(2), 2, 3), operation(2, .read(1), 4, 5),
      ]) == false)
  }

  @Test("A long register history is checked without a search that grows with it")
  func registerLong() {
    var history: [RegisterOperation] = []
    for step in UInt64(0)..<3_000 {
      history.append(operation(step % 5, .write(step + 1), step * 10, step * 10 + 15))
    }
    #expect(RegisterHistory.isLinearizable(history) == true)
    history.append(operation(9, .read(17), 40_000, 40_001))
    #expect(RegisterHistory.isLinearizable(history, limit: 100_000) == false)
  }
}
