/// Consecutive entries that lie in one segment, in order.
package struct EntryRun: Sendable, Equatable {
  /// Index of the first.
  package var firstIndex: UInt64
  /// The segment's number.
  package var segment: UInt64
  /// Where each entry's record begins, in bytes.
  package var offsets: [UInt32]
  /// Where the last one's record ends.
  package var endOffset: Int

  /// Index of the last.
  package var lastIndex: UInt64 { firstIndex + UInt64(offsets.count) - 1 }
}

/// Where every entry lies: four bytes for each.
package struct EntryPositions: Sendable, Equatable {
  /// Without gap or overlap, in order of indexes.
  package private(set) var runs: [EntryRun] = []

  /// Nothing yet.
  package init() {}

  /// Adds entries, which replace all from the first one's index on.
  package mutating func append(_ run: EntryRun) {
    truncate(from: run.firstIndex)
    if let last = runs.last, last.segment == run.segment, last.lastIndex + 1 == run.firstIndex {
      runs[runs.count - 1].offsets += run.offsets
      runs[runs.count - 1].endOffset = run.endOffset
    } else {
      runs.append(run)
    }
  }

  /// Adds one entry, which replaces all from its index on.
  package mutating func append(index: UInt64, segment: UInt64, offset: UInt32, endOffset: Int) {
    truncate(from: index)
    if let last = runs.last, last.segment == segment, last.lastIndex + 1 == index {
      runs[runs.count - 1].offsets.append(offset)
      runs[runs.count - 1].endOffset = endOffset
    } else {
      runs.append(EntryRun(firstIndex: index, segment: segment, offsets: [offset], endOffset: endOffset))
    }
  }

  /// Forgets the entry and all after it.
  package mutating func truncate(from index: UInt64) {
    while let last = runs.last, last.firstIndex >= index { runs.removeLast() }
    guard let last = runs.last, last.lastIndex >= index else { return }
    let kept = Int(index - last.firstIndex)
    runs[runs.count - 1].endOffset = Int(last.offsets[kept])
    runs[runs.count - 1].offsets.removeLast(last.offsets.count - kept)
  }

  /// Forgets entries up to the index, whole runs at a time.
  package mutating func compact(through index: UInt64) {
    var done = 0
    while done < runs.count, runs[done].lastIndex <= index { done += 1 }
    runs.removeFirst(done)
  }

  /// Forgets everything.
  package mutating func removeAll() { runs.removeAll() }

  /// Entries from an index on that lie in one segment and within a limit of bytes, at least one; nil when there is none.
  package func extent(from index: UInt64, through last: UInt64, limitBytes: Int) -> EntryRun? {
    var low = 0
    var high = runs.count
    while low < high {
      let middle = (low + high) / 2
      if runs[middle].lastIndex < index { low = middle + 1 } else { high = middle }
    }
    guard low < runs.count, runs[low].firstIndex <= index, index <= last else { return nil }
    let run = runs[low]
    let start = Int(index - run.firstIndex)
    let bound = Int(min(last, run.lastIndex) - run.firstIndex) + 1
    var end = start + 1
    while end < bound, Self.end(of: end, in: run) - Int(run.offsets[start]) <= limitBytes { end += 1 }
    return EntryRun(
      firstIndex: index, segment: run.segment, offsets: Array(run.offsets[start..<end]),
      endOffset: Self.end(of: end - 1, in: run))
  }

  private static func end(of position: Int, in run: EntryRun) -> Int {
    position + 1 < run.offsets.count ? Int(run.offsets[position + 1]) : run.endOffset
  }
}
