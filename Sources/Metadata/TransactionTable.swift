import HashTreeCollections

/// Decisions that not every participant is known to have carried out, and per coordinator which transactions are past: none of those
/// is ever decided again.
///
/// What is past is a watermark, below which everything is, and above it ranges of transactions that were resolved. The watermark
/// rises by itself where the ranges reach it, and by `settled`, where somebody knows that no participant will ask any more.
package struct TransactionTable: Sendable, Equatable {
  /// Open decisions of all coordinators.
  package static let maximumOpen = 65_536
  /// Of a coordinator: ranges above its watermark.
  package static let maximumRanges = 1_024

  package var open: TreeDictionary<GlobalTransactionID, OpenTransaction> = [:]
  package var coordinators: TreeDictionary<NodeID, CoordinatorHistory> = [:]

  package init() {}

  /// Whether it was resolved, or is before its coordinator's watermark: it cannot be decided any more unless it is open.
  package func isPast(_ id: GlobalTransactionID) -> Bool { coordinators[id.coordinator]?.isPast(id) ?? false }

  mutating func apply(_ event: TransactionEvent, at recordIndex: UInt64) {
    switch event {
    case .decided(let id, let outcome, let participants):
      guard open[id] == nil, !isPast(id) else { return }
      open[id] = OpenTransaction(outcome: outcome, participants: participants, index: recordIndex)
      coordinators[id.coordinator, default: CoordinatorHistory()].began(id.incarnation)
    case .resolved(let id):
      open[id] = nil
      coordinators[id.coordinator, default: CoordinatorHistory()].resolved(id)
    case .settled(let before): coordinators[before.coordinator, default: CoordinatorHistory()].settled(before)
    }
  }
}

/// What is past of a coordinator's transactions.
package struct CoordinatorHistory: Sendable, Hashable {
  /// Transactions of one incarnation that were resolved, first and last included.
  package struct Range: Sendable, Hashable {
    package var incarnation: UInt64
    package var first: UInt64
    package var last: UInt64
    package init(incarnation: UInt64, first: UInt64, last: UInt64) {
      self.incarnation = incarnation
      self.first = first
      self.last = last
    }
  }

  /// The highest incarnation that is known: earlier ones may only abort.
  package private(set) var incarnation: UInt64
  /// All before this one (by incarnation, then sequence) is past.
  package private(set) var settledIncarnation: UInt64
  package private(set) var settledSequence: UInt64
  /// Above that; ascending, and neither overlapping nor adjacent.
  package private(set) var ranges: [Range]

  package init(
    incarnation: UInt64 = 0, settledIncarnation: UInt64 = 0, settledSequence: UInt64 = 1, ranges: [Range] = []
  ) {
    self.incarnation = incarnation
    self.settledIncarnation = settledIncarnation
    self.settledSequence = settledSequence
    self.ranges = ranges
  }

  package func isPast(_ id: GlobalTransactionID) -> Bool {
    if isSettled(id.incarnation, id.sequence) { return true }
    let position = position(id)
    return position > 0 && contains(ranges[position - 1], id)
  }

  /// Whether one more resolved transaction would begin a range of its own.
  func beginsRange(_ id: GlobalTransactionID) -> Bool {
    var copy = self
    copy.resolved(id)
    return copy.ranges.count > ranges.count
  }

  mutating func began(_ incarnation: UInt64) { self.incarnation = max(self.incarnation, incarnation) }

  mutating func resolved(_ id: GlobalTransactionID) {
    guard !isPast(id) else { return }
    began(id.incarnation)
    let position = position(id)
    let joinsLeft =
      position > 0 && ranges[position - 1].incarnation == id.incarnation
      && ranges[position - 1].last == id.sequence &- 1
    let joinsRight =
      position < ranges.count && ranges[position].incarnation == id.incarnation
      && ranges[position].first == id.sequence &+ 1
    switch (joinsLeft, joinsRight) {
    case (true, true):
      ranges[position - 1].last = ranges[position].last
      ranges.remove(at: position)
    case (true, false): ranges[position - 1].last = id.sequence
    case (false, true): ranges[position].first = id.sequence
    case (false, false):
      ranges.insert(Range(incarnation: id.incarnation, first: id.sequence, last: id.sequence), at: position)
    }
    raise()
  }

  mutating func settled(_ before: GlobalTransactionID) {
    began(before.incarnation)
    guard (before.incarnation, before.sequence) > (settledIncarnation, settledSequence) else { return }
    settledIncarnation = before.incarnation
    settledSequence = before.sequence
    let settled = (settledIncarnation, settledSequence)
    ranges.removeAll { ($0.incarnation, $0.last) < settled }
    raise()
  }

  private func isSettled(_ incarnation: UInt64, _ sequence: UInt64) -> Bool {
    (incarnation, sequence) < (settledIncarnation, settledSequence)
  }

  /// Lets the watermark pass the first range where it reaches it.
  private mutating func raise() {
    guard let first = ranges.first, first.incarnation == settledIncarnation, first.first <= settledSequence,
      first.last < .max
    else { return }
    settledSequence = first.last + 1
    ranges.removeFirst()
  }

  /// How many ranges begin at or before it.
  private func position(_ id: GlobalTransactionID) -> Int {
    var (low, high) = (0, ranges.count)
    while low < high {
      let middle = (low + high) / 2
      if (ranges[middle].incarnation, ranges[middle].first) <= (id.incarnation, id.sequence) {
        low = middle + 1
      } else {
        high = middle
      }
    }
    return low
  }

  private func contains(_ range: Range, _ id: GlobalTransactionID) -> Bool {
    range.incarnation == id.incarnation && range.first <= id.sequence && id.sequence <= range.last
  }
}
