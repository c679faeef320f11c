import SegmentedLog

/// Where entries lie in archived segments, so that not every read in the archive looks through a whole segment. Of those that were
/// used last, within a bound; of a segment that is archived while the process runs it is known without reading it.
struct ArchivedSegments {
  struct Known {
    var positions: EntryPositions
    /// nil until it is read.
    var file: (any LogFile)?
    fileprivate var entries: Int
    fileprivate var lastUse: UInt64
  }

  /// Four bytes for each entry.
  private static let maximumEntries = 4 * 1024 * 1024
  /// Each may hold a file open.
  private static let maximumSegments = 128

  private var known: [ArchivedSegment: Known] = [:]
  private var entries = 0
  private var uses: UInt64 = 0

  subscript(segment: ArchivedSegment) -> Known? {
    mutating get {
      guard known[segment] != nil else { return nil }
      uses += 1
      known[segment]?.lastUse = uses
      return known[segment]
    }
  }

  mutating func add(_ segment: ArchivedSegment, _ positions: EntryPositions, _ file: (any LogFile)?) {
    remove(segment)
    let count = positions.runs.reduce(0) { $0 + $1.offsets.count }
    uses += 1
    known[segment] = Known(positions: positions, file: file, entries: count, lastUse: uses)
    entries += count
    while known.count > 1, entries > Self.maximumEntries || known.count > Self.maximumSegments {
      guard let oldest = known.min(by: { $0.value.lastUse < $1.value.lastUse })?.key else { return }
      remove(oldest)
    }
  }

  mutating func remove(_ segment: ArchivedSegment) {
    guard let removed = known.removeValue(forKey: segment) else { return }
    entries -= removed.entries
  }

  /// What the log knows of segments that it is about to drop, where that is all of their entries.
  mutating func add(_ segments: [ArchivedSegment], from positions: EntryPositions) {
    for segment in segments {
      let runs = positions.runs.filter { $0.segment == segment.number && $0.lastIndex <= segment.lastIndex }
      guard let first = runs.first, first.firstIndex == segment.firstIndex, runs.last?.lastIndex == segment.lastIndex
      else { continue }
      var found = EntryPositions()
      for run in runs { found.append(run) }
      guard found.runs.count == 1 else { continue }
      add(segment, found, nil)
    }
  }
}
