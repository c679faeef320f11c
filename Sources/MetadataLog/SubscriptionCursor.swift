import Metadata

/// A subscriber's place in the log: what it is to be sent next. It never holds more than one batch that was read for it; what
/// the subscriber has not taken stays in the log.
///
/// Invariant: all records up to `position` have been handed out or filtered, each once, in order, or are within an image that
/// was handed out.
package struct SubscriptionCursor: Sendable {
  /// Where a subscription begins and what it leaves out.
  package struct Request: Sendable {
    /// Records after this index; 0: from the beginning.
    package var afterIndex: UInt64 = 0
    /// Begin with the image where the records after `afterIndex` are not all at hand.
    package var allowsImage = false
    /// Begin with the image in any case.
    package var wantsImage = false
    /// End after the records that this replica has applied when the subscription begins.
    package var endsAtPresent = false
    /// For audits: records that the log has dropped come from the archive; where that does not reach back far enough, the
    /// subscription begins with the oldest record that there is.
    package var readsArchive = false
    package var filter = SubscriptionFilter()
    package init() {}
  }

  /// What the one who drives the cursor has to do.
  package enum Step: Sendable {
    /// Send these, then ask again. May be empty: all that there was has been filtered.
    case records([RecentRecords.Element])
    /// Send the image, then ask again.
    case image(Image)
    /// Send the index: all up to it has been delivered.
    case bookmark(UInt64)
    /// Read applied entries from this index on (from the archive too, where the request says so), tell `logRead` or
    /// `logCompacted`, then ask again.
    case readLog(from: UInt64)
    /// The subscriber is at the present: ask again after the next change, or when a bookmark is due.
    case wait
    /// The subscriber is ahead of this replica. Ask again after the next change; after some seconds it is of no use.
    case behind
    /// End the stream: its records have been compacted, and the image was not wanted.
    case compacted(firstIndex: UInt64)
    /// End the stream: it was to end here.
    case finished
  }

  /// How many records one step hands out at most, whatever the credit.
  package static let batchRecords = 64
  /// Up to where the subscriber has been served.
  package private(set) var position: UInt64

  private let request: Request
  private var isStarted = false
  private var end: UInt64?
  /// Read from the log, not yet handed out: those from `nextPending` on.
  private var pending: [RecentRecords.Element] = []
  private var nextPending = 0
  /// The first record that the log still has, where it does not have the one after `position`.
  private var compactedTo: UInt64?

  package init(_ request: Request) {
    self.request = request
    position = request.afterIndex
  }

  /// - Parameters:
  ///   - credit: how many records the subscriber takes now. 0: nothing but `wait`, `behind`, or an end.
  ///   - isBookmarkDue: nothing has been sent for so long that the subscriber is to be told how far it is.
  package mutating func next(_ state: MetadataState, credit: Int, isBookmarkDue: Bool) -> Step {
    if !isStarted, let step = start(state) { return step }
    if let end, position >= end { return .finished }
    if credit == 0, state.mutants.contains(.buffersForSlow),
      (pending.last?.record.index ?? position) < state.image.index
    {
      return .readLog(from: (pending.last?.record.index ?? position) + 1)
    }
    guard credit > 0 else { return .wait }
    if state.mutants.contains(.starvesBehind), state.image.index > position + 100 { return .wait }
    if let compactedTo { return jump(state, compactedTo) }
    if nextPending < pending.count { return handOutPending(min(credit, Self.batchRecords)) }
    if position < state.image.index {
      if let recent = state.recent.records(after: position, count: min(credit, Self.batchRecords)) {
        return handOut(recent, state.mutants)
      }
      // Before a log that has to be read, so that it comes even where all of the log is filtered.
      if isBookmarkDue { return bookmark(state.mutants) }
      return .readLog(from: position + 1)
    }
    return isBookmarkDue ? bookmark(state.mutants) : .wait
  }

  /// How many records were read for the subscriber and not handed out: at most what one reading gave.
  package var pendingCount: Int { pending.count - nextPending }

  /// Bytes of these.
  package var pendingBytes: Int { pending[nextPending...].reduce(0) { $0 + $1.sizeBytes } }

  /// What `readLog` asked for: applied entries in order, none where none is applied there yet.
  /// - Parameter image: the present one; by it the filter finds to which tables objects belong.
  package mutating func logRead(
    _ entries: [(index: UInt64, term: UInt64, body: [UInt8])], _ image: Image
  ) throws(ApplyError) {
    var elements: [RecentRecords.Element] = []
    elements.reserveCapacity(entries.count)
    // Without the mistake of reading ahead there is nothing left when the log is read.
    elements += pending[nextPending...]
    for entry in entries where entry.index > max(position, elements.last?.record.index ?? 0) {
      let record = try MetadataState.decode(index: entry.index, term: entry.term, body: entry.body)
      elements.append(RecentRecords.Element(record: record, body: entry.body, before: image))
    }
    pending = elements
    nextPending = 0
  }

  /// The log begins at this index, after the one that was asked for.
  package mutating func logCompacted(firstIndex: UInt64) { compactedTo = firstIndex }

  /// Forgets what was read for a subscriber that does not take it: it is read again.
  package mutating func dropPending() {
    pending = []
    nextPending = 0
  }

  /// Where the subscriber stands, if it is to be sent what everybody with its filter is at that place: nothing was read for it
  /// alone, and it is not to end somewhere. nil: see `next`.
  package var sharedPosition: UInt64? {
    isStarted && end == nil && compactedTo == nil && nextPending == pending.count ? position : nil
  }

  /// The subscriber, at its `sharedPosition`, was sent a run that begins there.
  package mutating func advance(over run: RecordRun) {
    assert(sharedPosition != nil && run.position > position, "the run is not what comes next")
    position = run.position
  }

  private mutating func start(_ state: MetadataState) -> Step? {
    if request.wantsImage {
      isStarted = true
      return image(state)
    }
    guard state.image.index >= position else { return .behind }
    isStarted = true
    if request.endsAtPresent { end = state.image.index }
    return nil
  }

  private mutating func image(_ state: MetadataState) -> Step {
    if request.endsAtPresent, end == nil { end = state.image.index }
    position = state.image.index
    pending = []
    nextPending = 0
    return .image(state.image)
  }

  private mutating func jump(_ state: MetadataState, _ firstIndex: UInt64) -> Step {
    compactedTo = nil
    if request.readsArchive || state.mutants.contains(.skipsCompactedRecords) {
      position = firstIndex - 1
      return .records([])
    }
    return request.allowsImage ? image(state) : .compacted(firstIndex: firstIndex)
  }

  private mutating func handOutPending(_ count: Int) -> Step {
    let slice = pending[nextPending..<min(nextPending + count, pending.count)]
    nextPending = slice.endIndex
    if nextPending == pending.count {
      pending = []
      nextPending = 0
    }
    return handOut(slice, [])
  }

  private mutating func handOut(_ elements: ArraySlice<RecentRecords.Element>, _ mutants: MetadataMutants) -> Step {
    var wanted: [RecentRecords.Element] = []
    wanted.reserveCapacity(elements.count)
    for element in elements {
      if let end, element.index > end {
        position = end
        return .records(wanted)
      }
      if request.filter.passes(element.families, element.subjects) { wanted.append(element) }
      position = element.index
    }
    if mutants.contains(.repeatsBatchEnds), elements.count == Self.batchRecords, let last = elements.last {
      position = last.previousIndex
    }
    return .records(wanted)
  }

  private func bookmark(_ mutants: MetadataMutants) -> Step {
    .bookmark(mutants.contains(.bookmarksAhead) ? position + 1 : position)
  }
}
