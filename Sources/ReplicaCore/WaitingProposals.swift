/// Proposals that wait to be applied, in order of their indexes.
struct WaitingProposals: Sendable {
  private struct Item: Sendable {
    var index: UInt64
    var term: UInt64
    var token: UInt64
  }
  private var items: [Item] = []
  // Answered ones at the head, dropped together.
  private var done = 0

  var isEmpty: Bool { done == items.count }

  mutating func append(index: UInt64, term: UInt64, token: UInt64) {
    items.append(Item(index: index, term: term, token: token))
  }

  /// Answers those that are applied.
  mutating func applied(through index: UInt64, _ actions: inout [ReplicaCore.Action]) {
    while done < items.count, items[done].index <= index {
      actions.append(.proposalApplied(items[done].token, index: items[done].index))
      done += 1
    }
    if done == items.count {
      items.removeAll(keepingCapacity: done <= 1024)
      done = 0
    } else if done > 256, done > items.count / 2 {
      items.removeFirst(done)
      done = 0
    }
  }

  /// Gives up those that are not known to be the committed entry at their place.
  mutating func fail(
    _ failure: ReplicaCore.Failure, _ actions: inout [ReplicaCore.Action],
    except isCommitted: (_ index: UInt64, _ term: UInt64) -> Bool
  ) {
    var staying: [Item] = []
    for item in items[done...] {
      if isCommitted(item.index, item.term) {
        staying.append(item)
      } else {
        actions.append(.proposalFailed(item.token, failure))
      }
    }
    items = staying
    done = 0
  }
}
