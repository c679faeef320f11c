/// Who waits for whom, over all shards: finds the deadlocks that no shard sees alone.
///
/// Shards are asked one after another, so that a circle may be put together from waits that never were at the same time. It is
/// believed when the same waits are reported twice in a row.
package struct WaitGraph<Transaction: Hashable & Comparable & Sendable>: Sendable, Equatable {
  /// A wait: the place distinguishes it from an earlier wait for the same.
  package struct Wait: Hashable, Sendable {
    package var waiter: Transaction
    package var blocker: Transaction
    /// A tablet.
    package var resource: UInt64
    package init(waiter: Transaction, blocker: Transaction, resource: UInt64) {
      self.waiter = waiter
      self.blocker = blocker
      self.resource = resource
    }
  }

  private var waits: Set<Wait>

  package init(_ waits: some Sequence<Wait>) { self.waits = Set(waits) }

  /// Those waits that the other report has too.
  package func confirmed(by other: WaitGraph) -> WaitGraph { WaitGraph(waits.intersection(other.waits)) }

  /// One transaction of each circle, the last by order, hence the youngest where names rise: whoever looks at the same waits
  /// finds the same ones.
  package func victims() -> Set<Transaction> {
    var blockers: [Transaction: Set<Transaction>] = [:]
    for wait in waits { blockers[wait.waiter, default: []].insert(wait.blocker) }
    var victims: Set<Transaction> = []
    while let circle = Self.circle(blockers), let last = circle.max() {
      victims.insert(last)
      blockers[last] = nil
    }
    return victims
  }

  /// The transactions of a circle; nil: there is none.
  private static func circle(_ blockers: [Transaction: Set<Transaction>]) -> [Transaction]? {
    var done: Set<Transaction> = []
    for start in blockers.keys.sorted() where !done.contains(start) {
      var path: [(transaction: Transaction, rest: [Transaction])] = [(start, blockers[start, default: []].sorted())]
      var onPath: Set<Transaction> = [start]
      while var top = path.popLast() {
        guard let next = top.rest.popLast() else {
          onPath.remove(top.transaction)
          done.insert(top.transaction)
          continue
        }
        path.append(top)
        if onPath.contains(next) {
          return Array(path.map(\.transaction).drop { $0 != next })
        }
        guard !done.contains(next) else { continue }
        onPath.insert(next)
        path.append((next, blockers[next, default: []].sorted()))
      }
    }
    return nil
  }
}

extension WaitGraph<TransactionName> {
  /// The waits that shards have reported. Single writes that run as a batch hold one tablet each, and their names are a shard's
  /// own: they are left out.
  package init(reports: some Sequence<ShardTransactions>) {
    self.init(
      reports.flatMap(\.transactions).filter(\.name.isComputeNodes).flatMap { transaction in
        (transaction.wait?.blockers ?? []).filter(\.isComputeNodes).map {
          Wait(waiter: transaction.name, blocker: $0, resource: transaction.wait!.tablet.rawValue)
        }
      })
  }
}
