import SQLTypes

/// What an extreme is sought among: a value in stored form with its order.
protocol ExtremeKey {
  init(_ arguments: SQLiteArguments) throws(SQLError)
  var stored: StoredValue { get }
  func compare(_ other: Self) -> Int
}

struct NumericKey: ExtremeKey {
  let value: NumericValue

  init(_ arguments: SQLiteArguments) throws(SQLError) { value = try arguments.numeric(0) }

  var stored: StoredValue { .numeric(value) }

  func compare(_ other: NumericKey) -> Int { value.compare(other.value) }
}

struct IntervalKey: ExtremeKey {
  let value: IntervalValue

  init(_ arguments: SQLiteArguments) throws(SQLError) { value = try arguments.interval(0) }

  var stored: StoredValue { .interval(value) }

  func compare(_ other: IntervalKey) -> Int { value.compare(other.value) }
}

/// `min` and `max`: the values that can still become the extreme as a window frame moves, best first.
final class Extreme<Key: ExtremeKey>: AggregateState {
  private let makeKey: (SQLiteArguments) throws(SQLError) -> Key
  private let keepsGreatest: Bool
  private var candidates: [(number: Int, key: Key)] = []
  private var head = 0
  private var entered = 0
  private var left = 0

  init(_ makeKey: @escaping (SQLiteArguments) throws(SQLError) -> Key, keepsGreatest: Bool) {
    self.makeKey = makeKey
    self.keepsGreatest = keepsGreatest
  }

  func step(_ arguments: SQLiteArguments) throws(SQLError) {
    if arguments.isNull(0) { return }
    let key = try makeKey(arguments)
    while candidates.count > head, let last = candidates.last {
      let order = key.compare(last.key)
      guard keepsGreatest ? order > 0 : order < 0 else { break }
      candidates.removeLast()
    }
    candidates.append((entered, key))
    entered += 1
  }

  func inverse(_ arguments: SQLiteArguments) {
    if arguments.isNull(0) { return }
    if head < candidates.count, candidates[head].number == left { head += 1 }
    left += 1
    if head > 64, head * 2 > candidates.count {
      candidates.removeFirst(head)
      head = 0
    }
  }

  func value() -> StoredValue { head < candidates.count ? candidates[head].key.stored : .null }
}
