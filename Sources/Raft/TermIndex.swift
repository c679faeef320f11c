/// A stretch of the log whose entries have one term.
package struct TermRun: Sendable, Equatable {
  /// Index of the stretch's first entry.
  package var firstIndex: UInt64
  /// The term of all its entries.
  package var term: UInt64

  /// Makes a run.
  package init(firstIndex: UInt64, term: UInt64) {
    self.firstIndex = firstIndex
    self.term = term
  }
}

/// The term of every entry, in as much memory as there were changes of leader.
///
/// Invariants: `runs` is never empty; its first run begins at `baseIndex`; indexes and terms rise from run to run; the
/// last run ends at `lastIndex`.
package struct TermIndex: Sendable, Equatable {
  /// The runs, oldest first.
  package private(set) var runs: [TermRun]
  /// The last entry that is in the log.
  package private(set) var lastIndex: UInt64

  /// An empty log that continues after the entry given.
  package init(baseIndex: UInt64, baseTerm: UInt64) {
    runs = [TermRun(firstIndex: baseIndex, term: baseTerm)]
    lastIndex = baseIndex
  }

  /// The entry before the first that the log holds: compacted, but its term is known.
  package var baseIndex: UInt64 { runs[0].firstIndex }

  /// The term of the last entry.
  package var lastTerm: UInt64 { runs[runs.count - 1].term }

  /// The term of an entry; nil when it is compacted or not there yet.
  package func term(at index: UInt64) -> UInt64? {
    guard index >= baseIndex, index <= lastIndex else { return nil }
    return runs[runPosition(of: index)].term
  }

  /// Adds the next entry.
  package mutating func append(index: UInt64, term: UInt64) {
    precondition(index == lastIndex + 1 && term >= lastTerm, "an entry must follow the last one")
    if term != lastTerm { runs.append(TermRun(firstIndex: index, term: term)) }
    lastIndex = index
  }

  /// Adds the entries of another index that follow this one's last.
  package mutating func append(contentsOf other: TermIndex) {
    guard other.lastIndex > lastIndex else { return }
    precondition(other.baseIndex <= lastIndex, "entries must follow the last one")
    let next = lastIndex + 1
    for (position, run) in other.runs.enumerated() {
      let end = position + 1 < other.runs.count ? other.runs[position + 1].firstIndex - 1 : other.lastIndex
      // The base is no entry.
      let first = max(position == 0 ? run.firstIndex + 1 : run.firstIndex, next)
      guard first <= end else { continue }
      precondition(run.term >= lastTerm, "terms do not fall")
      if run.term != lastTerm { runs.append(TermRun(firstIndex: first, term: run.term)) }
      lastIndex = end
    }
  }

  /// Removes the entry and all after it.
  package mutating func truncate(from index: UInt64) {
    precondition(index > baseIndex, "a compacted entry cannot be removed")
    guard index <= lastIndex else { return }
    while let last = runs.last, last.firstIndex >= index { runs.removeLast() }
    lastIndex = index - 1
  }

  /// Forgets all before the entry, which becomes the base.
  package mutating func compact(through index: UInt64) {
    guard index > baseIndex, let term = term(at: index) else { return }
    runs.removeFirst(runPosition(of: index))
    runs[0] = TermRun(firstIndex: index, term: term)
  }

  /// The last entry at or before the index whose term is not above the one given (or the base): where two logs that
  /// differ may at best agree (section 5.3, the back-off that skips whole terms).
  package func lastIndex(notAbove term: UInt64, atOrBefore index: UInt64) -> UInt64 {
    var candidate = min(index, lastIndex)
    guard candidate > baseIndex else { return baseIndex }
    var position = runPosition(of: candidate)
    while position > 0, runs[position].term > term {
      candidate = runs[position].firstIndex - 1
      position -= 1
    }
    return runs[position].term > term ? baseIndex : candidate
  }

  private func runPosition(of index: UInt64) -> Int {
    var low = 0
    var high = runs.count - 1
    while low < high {
      let middle = (low + high + 1) / 2
      if runs[middle].firstIndex <= index { low = middle } else { high = middle - 1 }
    }
    return low
  }
}
