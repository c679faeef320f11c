import Raft

/// Goes through a segment's bytes: what of them are whole records, what is damaged, and what a crash has torn.
///
/// A bad record is torn when nothing written later claims that it was durable; then it was never acknowledged, nor was
/// anything after it. Else it is damage.
struct SegmentScan {
  /// What a part of the segment is.
  enum Part {
    case record(LogRecord, offset: Int, endOffset: Int)
    case hole(offset: Int, endOffset: Int)
  }

  /// How a segment's end is known.
  enum End {
    /// The next segment's header names it: all before was durable.
    case known(Int)
    /// A later segment was begun, but does not say: all whole records were durable.
    case sealed
    /// It is the last one, and was begun.
    case open
  }

  /// Where the segment ends.
  private(set) var endOffset = 0
  /// Bytes after the end that may look like records later, and must be wiped.
  private(set) var torn: Range<Int>?

  /// Scans; parts come in the order of offsets.
  init(
    _ bytes: UnsafeRawBufferPointer, codec: RecordCodec, end: End, visit: (Part) throws(LogStoreError) -> Void
  ) throws(LogStoreError) {
    switch end {
    case .known(let known):
      endOffset = min(known, bytes.count)
      try scan(bytes, codec, from: 0, to: endOffset, visit)
      if known > bytes.count { try visit(.hole(offset: bytes.count, endOffset: known)) }
    case .sealed:
      endOffset = codec.lastRecord(bytes, after: 0)?.endOffset ?? 0
      try scan(bytes, codec, from: 0, to: endOffset, visit)
    case .open:
      let start = try whole(bytes, codec, from: 0, visit)
      endOffset = start
      guard let later = codec.lastRecord(bytes, after: start) else { return }
      if start == 0, later.batchOffset == 0 {
        // The segment was begun, which shows in another place only once its first batch is durable.
        endOffset = later.endOffset
        try scan(bytes, codec, from: 0, to: endOffset, visit)
        return
      }
      if later.batchOffset > start {
        try scan(bytes, codec, from: start, to: later.batchOffset, visit)
        endOffset = try whole(bytes, codec, from: later.batchOffset, visit)
      }
      if endOffset < later.endOffset { torn = endOffset..<later.endOffset }
    }
  }

  /// Visits whole records that follow each other; where they end.
  private func whole(
    _ bytes: UnsafeRawBufferPointer, _ codec: RecordCodec, from start: Int,
    _ visit: (Part) throws(LogStoreError) -> Void
  ) throws(LogStoreError) -> Int {
    var offset = start
    while let found = codec.decode(bytes, at: offset) {
      try visit(.record(found.record, offset: offset, endOffset: found.endOffset))
      offset = found.endOffset
    }
    return offset
  }

  /// Visits records and holes of a stretch that was durable.
  private func scan(
    _ bytes: UnsafeRawBufferPointer, _ codec: RecordCodec, from start: Int, to end: Int,
    _ visit: (Part) throws(LogStoreError) -> Void
  ) throws(LogStoreError) {
    var offset = start
    while offset < end {
      if let found = codec.decode(bytes, at: offset) {
        try visit(.record(found.record, offset: offset, endOffset: found.endOffset))
        offset = found.endOffset
      } else {
        let next = codec.nextRecord(bytes, from: offset + 8, before: end) ?? end
        try visit(.hole(offset: offset, endOffset: next))
        offset = next
      }
    }
  }
}
