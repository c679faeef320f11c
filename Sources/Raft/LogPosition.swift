/// Where a log ends, in the order in which logs are compared: by term, then by index (Raft paper, section 5.4.1).
package struct LogPosition: Sendable, Hashable, Comparable {
  /// Index of the last entry.
  package var index: UInt64
  /// Its term.
  package var term: UInt64

  /// Makes a position.
  package init(index: UInt64, term: UInt64) {
    self.index = index
    self.term = term
  }

  package static func < (left: LogPosition, right: LogPosition) -> Bool {
    (left.term, left.index) < (right.term, right.index)
  }
}

extension TermIndex {
  /// Where the log ends.
  package var lastPosition: LogPosition { LogPosition(index: lastIndex, term: lastTerm) }
}
