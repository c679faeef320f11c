import EventLoop

/// Proposals that wait to be applied, in order of their indexes.
@LoopActor
struct ProposalQueue<Output: Sendable> {
  typealias Completion = @LoopActor (Result<Output, ReplicaError>) -> Void

  private struct Item {
    var index: UInt64
    var term: UInt64
    var then: Completion
  }
  private var items: [Item] = []
  // Completed ones at the head, dropped together.
  private var done = 0

  nonisolated init() {}

  var isEmpty: Bool { done == items.count }

  mutating func append(index: UInt64, term: UInt64, then: @escaping Completion) {
    items.append(Item(index: index, term: term, then: then))
  }

  /// The completion of the proposal that the applied entry answers; nil when nobody here waits for it. Those before it,
  /// and one whose place another leader's entry has taken, are returned as lost.
  mutating func take(index: UInt64, term: UInt64, lost: inout [Completion]) -> Completion? {
    while done < items.count, items[done].index <= index {
      let item = items[done]
      done += 1
      if item.index == index, item.term == term {
        compactIfWorthwhile()
        return item.then
      }
      lost.append(item.then)
    }
    return nil
  }

  private mutating func compactIfWorthwhile() {
    if done == items.count {
      items.removeAll(keepingCapacity: done <= 1024)
      done = 0
    } else if done > 256, done > items.count / 2 {
      items.removeFirst(done)
      done = 0
    }
  }

  /// Gives up those with an index above the one given. Their completions are to be called by the caller, when the queue
  /// is no longer in use: they may propose again.
  mutating func removeAll(after index: UInt64 = 0) -> [Completion] {
    var removed: [Completion] = []
    while done < items.count, let last = items.last, last.index > index {
      removed.append(last.then)
      items.removeLast()
    }
    return removed.reversed()
  }
}
