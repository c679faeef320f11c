import Raft

/// Where a log begins, and what describes its snapshot. Part of every segment's first record, so that the oldest segment
/// that is left says all that its predecessors said.
package struct LogBase: Sendable, Equatable {
  /// The latest snapshot.
  package var snapshot: SnapshotMetadata
  /// The entry before the first that is kept, at or before the snapshot, and the members in force at it.
  package var base: SnapshotMetadata

  /// Makes a base.
  package init(snapshot: SnapshotMetadata, base: SnapshotMetadata) {
    self.snapshot = snapshot
    self.base = base
  }

  func encode(to writer: inout ByteWriter) {
    for metadata in [snapshot, base] {
      writer.integer(metadata.index)
      writer.integer(metadata.term)
      writer.bytes(metadata.configuration.encoded())
    }
  }

  init?(from reader: inout ByteReader) {
    var parts: [SnapshotMetadata] = []
    for _ in 0..<2 {
      guard let index = reader.integer(UInt64.self), let term = reader.integer(UInt64.self),
        let members = reader.bytes(), let configuration = Configuration(encoded: members)
      else { return nil }
      parts.append(SnapshotMetadata(index: index, term: term, configuration: configuration))
    }
    self.init(snapshot: parts[0], base: parts[1])
  }
}

/// The first record of a segment.
package struct SegmentHeader: Sendable, Equatable {
  /// Where the segment before ends; all before that offset was durable when this one was begun.
  package var previousEndOffset: Int
  /// Term and vote at that time.
  package var hardState: HardState
  /// Up to where the log had promised to reach, while it did not.
  package var promised: LogPosition?
  /// Start and snapshot at that time.
  package var base: LogBase
  /// The last entry at that time.
  package var last: LogPosition

  var encoded: [UInt8] {
    var writer = ByteWriter()
    writer.integer(UInt64(previousEndOffset))
    writer.integer(hardState.term)
    writer.integer(hardState.vote ?? 0)
    writer.integer(last.index)
    writer.integer(last.term)
    writer.integer(promised?.index ?? 0)
    writer.integer(promised?.term ?? 0)
    base.encode(to: &writer)
    return writer.result
  }

  init(
    previousEndOffset: Int, hardState: HardState, promised: LogPosition?, base: LogBase, last: LogPosition
  ) {
    self.previousEndOffset = previousEndOffset
    self.hardState = hardState
    self.promised = promised
    self.base = base
    self.last = last
  }

  init?(encoded: [UInt8]) {
    var reader = ByteReader(encoded[...])
    guard let end = reader.integer(UInt64.self), let term = reader.integer(UInt64.self),
      let vote = reader.integer(UInt64.self), let lastIndex = reader.integer(UInt64.self),
      let lastTerm = reader.integer(UInt64.self), let promisedIndex = reader.integer(UInt64.self),
      let promisedTerm = reader.integer(UInt64.self), let base = LogBase(from: &reader), reader.isAtEnd
    else { return nil }
    self.init(
      previousEndOffset: Int(truncatingIfNeeded: end), hardState: HardState(term: term, vote: vote == 0 ? nil : vote),
      promised: promisedIndex == 0 ? nil : LogPosition(index: promisedIndex, term: promisedTerm), base: base,
      last: LogPosition(index: lastIndex, term: lastTerm))
  }
}

/// What one record says.
package enum LogRecord: Sendable, Equatable {
  /// First in its segment.
  case header(SegmentHeader)
  /// An entry; it replaces all entries from its index on.
  case entry(Entry)
  /// Term and vote from here on.
  case hardState(HardState)
  /// The log begins later.
  case compaction(LogBase)
  /// A snapshot from a leader replaced everything: no entry is left.
  case reset(LogBase)
  /// The log ended there; shows that all before was durable.
  case mark(LogPosition)
  /// The log ends at `keeping`: what came after it was lost to damage, or does not follow it. It had promised to reach the
  /// position.
  case promise(LogPosition, keeping: LogPosition)
}
