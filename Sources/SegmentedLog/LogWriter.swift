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
  /// The log had promised to reach so far; kept until it does.
  case promise(LogPosition)
}

/// What a batch has changed.
package struct BatchResult: Sendable {
  /// Where entries lie, in the order in which they were written.
  package var changes: [Change] = []
  /// Segments that were begun.
  package var opened: [(number: UInt64, file: any LogFile)] = []
  /// Segments that are gone.
  package var dropped: [UInt64] = []
  /// Whether `prepareSpare` has something to do.
  package var wantsSpare = false

  /// What became of the entries' places.
  package enum Change: Sendable {
    /// Entries were written there.
    case run(EntryRun)
    /// Those up to the index count no more.
    case compacted(through: UInt64)
    /// None counts any more.
    case reset
  }
}

/// Writes batches to the segments: one write, one synchronization each. Blocks; used by one thread at a time.
///
/// Invariants: when a batch begins, all before `endOffset` is durable; a segment is only dropped after the record that
/// makes it superfluous is durable.
package final class LogWriter {
  private let disk: any LogDisk
  private let configuration: LogConfiguration
  private var segments: [LiveSegment]
  private var spares: [String]
  // Spares that were segments, and so hold written blocks throughout.
  private var recycled: Set<String> = []
  private var hardState: HardState
  private var base: LogBase
  private var lastIndex: UInt64
  private var lastTerm: UInt64
  private var endOffset: Int
  // Up to where the last segment's file holds blocks that were written before.
  private var filledOffset: Int
  private var codec: RecordCodec
  private var buffer: [UInt8] = []
  private var nextSpare: UInt64

  /// Goes on where the recovered log ends.
  package init(disk: any LogDisk, configuration: LogConfiguration, recovered: RecoveredLog) {
    self.disk = disk
    self.configuration = configuration
    segments = recovered.segments
    spares = recovered.spares
    hardState = recovered.hardState
    base = recovered.base
    lastIndex = recovered.terms.lastIndex
    lastTerm = recovered.terms.lastTerm
    endOffset = recovered.endOffset
    filledOffset = recovered.endOffset
    codec = RecordCodec(identity: configuration.identity, segment: recovered.segments.last?.number ?? 0)
    nextSpare = (recovered.spares.compactMap { UInt64($0.dropFirst(LogFileName.sparePrefix.count)) }.max() ?? 0) + 1
  }

  /// Makes the writes durable, in their order.
  package func write(_ writes: [LogWrite]) throws(LogStoreError) -> BatchResult {
    var result = BatchResult()
    if segments.isEmpty { try beginSegment(minimumBytes: 0, &result) }
    var dropsSegments = false
    for write in writes {
      switch write {
      case .entries(let entries): try append(entries, &result)
      case .hardState(let state):
        try append(.hardState(state), &result)
        hardState = state
      case .compaction(let base):
        try append(.compaction(base), &result)
        self.base = base
        result.changes.append(.compacted(through: base.base.index))
        dropsSegments = true
      case .reset(let base):
        try append(.reset(base), &result)
        self.base = base
        (lastIndex, lastTerm) = (base.base.index, base.base.term)
        for position in segments.indices { segments[position].lastIndex = 0 }
        result.changes.append(.reset)
        dropsSegments = true
      case .promise(let position): try append(.promise(position), &result)
      }
    }
    try flush()
    if dropsSegments { try dropSegments(&result) }
    result.wantsSpare = wantsSpare
    return result
  }

  /// Shows at the next start that all before was durable: after a clean end nothing can pass for torn.
  package func close() throws(LogStoreError) {
    guard !segments.isEmpty else { return }
    var result = BatchResult()
    try append(.mark, &result)
    try flush()
  }

  /// Has the next segment's file ready once the last one is half full, so that no batch waits for its creation.
  package func prepareSpare() throws(LogStoreError) {
    guard wantsSpare else { return }
    let name = LogFileName.spare(nextSpare)
    nextSpare += 1
    try disk.create(name, sizeBytes: configuration.segmentBytes).synchronize()
    try disk.synchronizeDirectory()
    spares.append(name)
  }

  private var wantsSpare: Bool { spares.isEmpty && endOffset > configuration.segmentBytes / 2 }

  private func append(_ entries: [Entry], _ result: inout BatchResult) throws(LogStoreError) {
    guard let first = entries.first else { return }
    if first.index <= lastIndex {
      for position in segments.indices {
        segments[position].lastIndex = min(segments[position].lastIndex, first.index - 1)
      }
    }
    var run: EntryRun?
    for entry in entries {
      let length = RecordCodec.encodedLength(bodyLength: entry.payload.count)
      try makeRoom(length, &result)
      let offset = endOffset + buffer.count
      codec.encode(.entry(entry), batchOffset: endOffset, to: &buffer)
      let number = segments[segments.count - 1].number
      if run?.segment == number {
        run?.offsets.append(UInt32(offset))
        run?.endOffset = offset + length
      } else {
        if let run { result.changes.append(.run(run)) }
        run = EntryRun(
          firstIndex: entry.index, segment: number, offsets: [UInt32(offset)], endOffset: offset + length)
      }
      segments[segments.count - 1].lastIndex = entry.index
      (lastIndex, lastTerm) = (entry.index, entry.term)
    }
    if let run { result.changes.append(.run(run)) }
  }

  private func append(_ record: LogRecord, _ result: inout BatchResult) throws(LogStoreError) {
    var bytes: [UInt8] = []
    codec.encode(record, batchOffset: endOffset, to: &bytes)
    if endOffset + buffer.count + bytes.count > segments[segments.count - 1].sizeBytes {
      try makeRoom(bytes.count, &result)
      bytes = []
      codec.encode(record, batchOffset: endOffset, to: &bytes)
    }
    buffer += bytes
  }

  private func makeRoom(_ length: Int, _ result: inout BatchResult) throws(LogStoreError) {
    guard endOffset + buffer.count + length > segments[segments.count - 1].sizeBytes else { return }
    try flush()
    try beginSegment(minimumBytes: length, &result)
  }

  /// Writes what has gathered and waits until it is durable.
  private func flush() throws(LogStoreError) {
    guard !buffer.isEmpty, let segment = segments.last else { return }
    let end = endOffset + buffer.count
    if end > filledOffset {
      let fill = min(segment.sizeBytes, end + configuration.fillBytes)
      buffer.append(contentsOf: repeatElement(0, count: fill - end))
      filledOffset = fill
    }
    try segment.file.write(buffer, at: endOffset)
    try segment.file.synchronize()
    endOffset = end
    buffer.removeAll(keepingCapacity: buffer.capacity <= 4 * 1024 * 1024)
  }

  private func beginSegment(minimumBytes: Int, _ result: inout BatchResult) throws(LogStoreError) {
    let number = (segments.last?.number ?? 0) + 1
    let name = LogFileName.segment(number)
    let header = SegmentHeader(
      previousEndOffset: endOffset, hardState: hardState, base: base, lastIndex: lastIndex, lastTerm: lastTerm)
    codec = RecordCodec(identity: configuration.identity, segment: number)
    var bytes: [UInt8] = []
    codec.encode(.header(header), batchOffset: 0, to: &bytes)
    let needed = bytes.count + minimumBytes
    let file: any LogFile
    filledOffset = 0
    if needed <= configuration.segmentBytes, let spare = spares.popLast() {
      try disk.rename(spare, to: name)
      file = try disk.open(name)
      if recycled.remove(spare) != nil { filledOffset = configuration.segmentBytes }
    } else {
      file = try disk.create(name, sizeBytes: max(needed, configuration.segmentBytes))
    }
    try disk.synchronizeDirectory()
    segments.append(LiveSegment(number: number, file: file, sizeBytes: try file.sizeBytes, lastIndex: 0))
    result.opened.append((number, file))
    endOffset = 0
    buffer = bytes
  }

  /// Drops the oldest segments, in order, of which no entry counts any more.
  private func dropSegments(_ result: inout BatchResult) throws(LogStoreError) {
    while segments.count > 1, segments[0].lastIndex <= base.base.index {
      let segment = segments.removeFirst()
      let name = LogFileName.segment(segment.number)
      if spares.count < configuration.spareSegments, segment.sizeBytes == configuration.segmentBytes {
        let spare = LogFileName.spare(nextSpare)
        nextSpare += 1
        try disk.rename(name, to: spare)
        spares.append(spare)
        recycled.insert(spare)
      } else {
        try disk.remove(name)
      }
      // One by one, so that no crash can leave a gap between the segments.
      try disk.synchronizeDirectory()
      result.dropped.append(segment.number)
    }
  }
}
