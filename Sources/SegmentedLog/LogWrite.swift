import Raft

/// What is to be written to a log.
package enum LogWrite: Sendable {
  /// Entries that replace all from the first one's index on.
  case entries([Entry])
  /// Term and vote.
  case hardState(HardState)
  /// The log begins later; whole segments before that go.
  case compaction(LogBase)
  /// A snapshot from a leader replaces everything.
  case reset(LogBase)
  /// The log had promised to reach the position; that is kept until it does. It ends at `keeping`.
  case promise(LogPosition, keeping: LogPosition)
}

/// What a batch has changed.
package struct BatchResult: Sendable {
  /// Where entries lie, in the order in which they were written.
  package var changes: [Change] = []
  /// Segments that were begun.
  package var opened: [(number: UInt64, file: any LogFile)] = []
  /// Segments that are gone.
  package var dropped: [UInt64] = []
  /// The archive, where it changed.
  package var archive: LogArchive?
  /// Whether `prepareSpare` has something to do.
  package var wantsSpare = false
  /// Whether the disk has no space for more than what is under way.
  package var isFull = false
  /// Whether all of the batch is durable. If not, the disk is full: the writer keeps the rest, and goes on with it when it
  /// is called again. Nothing of the batch may be reported before that.
  package var isComplete = true

  /// What became of the entries' places.
  package enum Change: Sendable {
    /// Entries were written there.
    case run(EntryRun)
    /// Those up to the index count no more.
    case compacted(through: UInt64)
    /// Those after the index count no more.
    case truncated(after: UInt64)
    /// None counts any more.
    case reset
  }

  mutating func add(index: UInt64, segment: UInt64, offset: Int, endOffset: Int) {
    if case .run(var run)? = changes.last, run.segment == segment, run.lastIndex + 1 == index {
      // Taken out while it grows, so that its offsets are not copied.
      changes[changes.count - 1] = .reset
      run.offsets.append(UInt32(offset))
      run.endOffset = endOffset
      changes[changes.count - 1] = .run(run)
    } else {
      changes.append(
        .run(EntryRun(firstIndex: index, segment: segment, offsets: [UInt32(offset)], endOffset: endOffset)))
    }
  }
}
