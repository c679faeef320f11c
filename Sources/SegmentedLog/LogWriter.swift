import Raft

/// Writes batches to the segments: one write, one synchronization each. Blocks; used by one thread at a time.
///
/// Invariants: when a batch begins, all before `endOffset` is durable; a segment is only dropped after the record that
/// makes it superfluous is durable; what `LogState` holds is durable in both places before a batch is complete.
package final class LogWriter {
  private let disk: any LogDisk
  private let configuration: LogConfiguration
  private let identity: LogIdentity
  private let stateFile: StateFile
  private var stateWrites: UInt64
  private var isStateStale = false

  private var segments: [LiveSegment]
  private var lastSegment: UInt64
  private var needsSegment: Bool
  private var spares: [String]
  // Spares that were segments, and so hold written blocks throughout.
  private var recycled: Set<String> = []
  private var nextSpare: UInt64
  private var archive: LogArchive

  private var hardState: HardState
  private var promised: LogPosition?
  private var base: LogBase
  private var last: LogPosition
  private var endOffset: Int
  // Up to where the last segment's file holds blocks that were written before.
  private var filledOffset: Int
  private var codec: RecordCodec
  private var buffer: [UInt8] = []

  // What a full disk has kept from being written: the rest of a batch, and what its first part has changed.
  private var unwritten: [LogWrite] = []
  private var entriesDone = 0
  private var held: BatchResult?
  private var hasReserve = false
  /// Whether the disk has no space for more than what is under way. Ends with `recoverSpace`.
  package private(set) var isFull = false

  /// Goes on where the recovered log ends.
  package init(disk: any LogDisk, configuration: LogConfiguration, recovered: RecoveredLog) {
    self.disk = disk
    self.configuration = configuration
    identity = recovered.identity
    stateFile = recovered.stateFile
    stateWrites = recovered.stateWrites
    isStateStale = recovered.wasClosed
    segments = recovered.segments
    lastSegment = recovered.lastSegment
    needsSegment = recovered.endOffset == nil
    spares = recovered.spares
    nextSpare = (recovered.spares.compactMap { UInt64($0.dropFirst(LogFileName.sparePrefix.count)) }.max() ?? 0) + 1
    archive = recovered.archive
    hardState = recovered.hardState
    promised = recovered.promised
    base = recovered.base
    last = recovered.terms.lastPosition
    endOffset = recovered.endOffset ?? recovered.previousEndOffset
    filledOffset = endOffset
    codec = RecordCodec(identity: recovered.identity, segment: recovered.segments.last?.number ?? 0)
  }

  /// Makes the writes durable, in their order, after what an earlier call had to leave because the disk was full.
  package func write(_ writes: [LogWrite]) throws(LogStoreError) -> BatchResult {
    unwritten += writes
    var result = held ?? BatchResult()
    held = nil
    do throws(LogStoreError) {
      try finishBatch(&result)
      result.wantsSpare = wantsSpare && !isFull
      result.isFull = isFull
      return result
    } catch {
      guard error.isDiskFull else { throw error }
      isFull = true
      held = result
      var incomplete = BatchResult()
      incomplete.isComplete = false
      incomplete.isFull = true
      return incomplete
    }
  }

  private func finishBatch(_ result: inout BatchResult) throws(LogStoreError) {
    if !buffer.isEmpty { try flush() }
    if needsSegment { try beginSegment(minimumBytes: 0, &result) }
    var dropsSegments = false
    while let write = unwritten.first {
      switch write {
      case .entries(let entries): try append(entries, &result)
      case .hardState(let state):
        try append(.hardState(state), &result)
        hardState = state
        isStateStale = true
      case .compaction(let base):
        try append(.compaction(base), &result)
        self.base = base
        result.changes.append(.compacted(through: base.base.index))
        (dropsSegments, isStateStale) = (true, true)
      case .reset(let base):
        try append(.reset(base), &result)
        self.base = base
        last = LogPosition(index: base.base.index, term: base.base.term)
        truncateSegments(after: 0)
        result.changes.append(.reset)
        (dropsSegments, isStateStale) = (true, true)
      case .promise(let position, let keeping):
        try append(.promise(position, keeping: keeping), &result)
        promised = position
        last = keeping
        truncateSegments(after: keeping.index)
        result.changes.append(.truncated(after: keeping.index))
        isStateStale = true
      }
      unwritten.removeFirst()
    }
    if dropsSegments, configuration.mutants.contains(.dropsSegmentsEarly) { try dropSegments(&result) }
    try flush()
    if isStateStale { try writeState() }
    if dropsSegments { try dropSegments(&result) }
  }

  /// Shows at the next start that all before was durable: after a clean end nothing can pass for torn.
  package func close() throws(LogStoreError) {
    guard !segments.isEmpty, !isFull, !needsSegment else { return }
    var result = BatchResult()
    try append(.mark(last), &result)
    try flush()
    try writeState(closedAt: last)
  }

  /// Takes note, durably, that the log is in use again.
  package func begin() throws(LogStoreError) {
    if isStateStale { try writeState() }
    try prepareReserve()
  }

  // MARK: - Records

  private func append(_ entries: [Entry], _ result: inout BatchResult) throws(LogStoreError) {
    if entriesDone == 0, let first = entries.first, first.index <= last.index {
      truncateSegments(after: first.index - 1)
    }
    while entriesDone < entries.count {
      let entry = entries[entriesDone]
      let length = RecordCodec.encodedLength(bodyLength: entry.payload.count)
      try makeRoom(length, &result)
      let offset = endOffset + buffer.count
      codec.encode(.entry(entry), batchOffset: endOffset, to: &buffer)
      let slot = segments.count - 1
      result.add(
        index: entry.index, segment: segments[slot].number, offset: offset, endOffset: offset + length)
      if segments[slot].firstIndex == 0 { segments[slot].firstIndex = entry.index }
      segments[slot].lastIndex = entry.index
      last = LogPosition(index: entry.index, term: entry.term)
      entriesDone += 1
    }
    entriesDone = 0
    if let promised, last >= promised { self.promised = nil }
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

  private func truncateSegments(after index: UInt64) {
    for slot in segments.indices where segments[slot].lastIndex > index {
      segments[slot].lastIndex = index
      if segments[slot].firstIndex > index { (segments[slot].firstIndex, segments[slot].lastIndex) = (0, 0) }
    }
  }

  private func makeRoom(_ length: Int, _ result: inout BatchResult) throws(LogStoreError) {
    guard endOffset + buffer.count + length > segments[segments.count - 1].sizeBytes else { return }
    try flush()
    try beginSegment(minimumBytes: length, &result)
  }

  /// Writes what has gathered and waits until it is durable.
  private func flush() throws(LogStoreError) {
    guard !buffer.isEmpty, let segment = segments.last else { return }
    let length = buffer.count
    let end = endOffset + length
    let fill = end > filledOffset ? min(segment.sizeBytes, end + configuration.fillBytes) : end
    // An array, not repeatElement: without optimization that costs 200 ms per megabyte, an election timeout.
    buffer += [UInt8](repeating: 0, count: fill - end)
    do throws(LogStoreError) { try segment.file.write(buffer, at: endOffset) } catch {
      // A full disk will be tried again.
      buffer.removeLast(buffer.count - length)
      throw error
    }
    filledOffset = max(filledOffset, fill)
    if !configuration.mutants.contains(.skipsSynchronization) { try segment.file.synchronize() }
    endOffset = end
    buffer.removeAll(keepingCapacity: buffer.capacity <= 4 * 1024 * 1024)
  }

  private func writeState(closedAt: LogPosition? = nil) throws(LogStoreError) {
    stateWrites += 1
    let state = LogState(
      lastSegment: lastSegment, hardState: hardState, base: base, promised: promised, closedAt: closedAt)
    try stateFile.write(state, identity: identity, number: stateWrites)
    isStateStale = false
  }

  // MARK: - Segments

  private func beginSegment(minimumBytes: Int, _ result: inout BatchResult) throws(LogStoreError) {
    let number = lastSegment + 1
    let header = SegmentHeader(
      previousEndOffset: endOffset, hardState: hardState, promised: promised, base: base, last: last)
    let next = RecordCodec(identity: identity, segment: number)
    var bytes: [UInt8] = []
    next.encode(.header(header), batchOffset: 0, to: &bytes)
    let (file, filled) = try segmentFile(LogFileName.segment(number), neededBytes: bytes.count + minimumBytes)
    try disk.synchronizeDirectory()
    segments.append(LiveSegment(number: number, file: file, sizeBytes: try file.sizeBytes))
    result.opened.append((number, file))
    (lastSegment, needsSegment, isStateStale) = (number, false, true)
    (codec, endOffset, filledOffset, buffer) = (next, 0, filled, bytes)
  }

  /// A file for a segment, and up to where its blocks were written before.
  private func segmentFile(
    _ name: String, neededBytes: Int
  ) throws(LogStoreError) -> (file: any LogFile, filledOffset: Int) {
    if neededBytes <= configuration.segmentBytes, let spare = spares.popLast() {
      try disk.rename(spare, to: name)
      return (try disk.open(name), recycled.remove(spare) == nil ? 0 : configuration.segmentBytes)
    }
    do throws(LogStoreError) {
      return (try disk.create(name, sizeBytes: max(neededBytes, configuration.segmentBytes)), 0)
    } catch {
      guard error.isDiskFull else { throw error }
    }
    // A smaller one, in the space that was set aside for this.
    isFull = true
    if hasReserve {
      try disk.remove(LogFileName.reserve)
      try disk.synchronizeDirectory()
      hasReserve = false
    }
    return (try disk.create(name, sizeBytes: max(neededBytes, configuration.reserveBytes / 2)), 0)
  }

  /// Drops the oldest segments, in order, of which no entry counts any more.
  private func dropSegments(_ result: inout BatchResult) throws(LogStoreError) {
    while segments.count > 1, segments[0].lastIndex <= base.base.index {
      let segment = segments.removeFirst()
      let name = LogFileName.segment(segment.number)
      if configuration.archive != .none, segment.lastIndex > 0 {
        let archived = ArchivedSegment(
          firstIndex: segment.firstIndex, lastIndex: segment.lastIndex, number: segment.number)
        try disk.rename(name, to: archived.name)
        archive.append(archived)
        result.archive = archive
      } else if configuration.recyclesSegments, spares.count < configuration.spareSegments,
        segment.sizeBytes == configuration.segmentBytes
      {
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
    try trimArchive(&result)
  }

  private func trimArchive(_ result: inout BatchResult) throws(LogStoreError) {
    guard case .bytes(let limit) = configuration.archive, result.archive != nil else { return }
    var total = 0
    for segment in archive.segments { total += try disk.open(segment.name).sizeBytes }
    while total > limit, let oldest = archive.segments.first {
      total -= try disk.open(oldest.name).sizeBytes
      try disk.remove(oldest.name)
      _ = archive.removeFirst()
    }
    result.archive = archive
  }

  /// Takes note that archived segments are elsewhere, or gone.
  package func archiveChanged(found: [ArchivedSegment], removed: [ArchivedSegment]) {
    archive.merge(found, without: removed)
  }

  // MARK: - Space

  /// Has the next segment's file ready once the last one is half full, so that no batch waits for its creation. A disk that
  /// is full then shows (`isFull`) while there is still room for what is under way.
  package func prepareSpare() throws(LogStoreError) {
    guard wantsSpare else { return }
    let name = LogFileName.spare(nextSpare)
    do throws(LogStoreError) {
      try disk.create(name, sizeBytes: configuration.segmentBytes).synchronize()
      try disk.synchronizeDirectory()
    } catch {
      guard error.isDiskFull else { throw error }
      isFull = true
      return
    }
    nextSpare += 1
    spares.append(name)
  }

  /// Whether the next segment's file should be there by now.
  package var wantsSpare: Bool { spares.isEmpty && endOffset > configuration.segmentBytes / 2 }

  /// Sets space aside for a full disk. Where there is none the disk is full already.
  private func prepareReserve() throws(LogStoreError) {
    guard configuration.reserveBytes > 0, !hasReserve else { return }
    do throws(LogStoreError) {
      if try disk.list().contains(LogFileName.reserve) {
        guard try disk.open(LogFileName.reserve).sizeBytes != configuration.reserveBytes else {
          hasReserve = true
          return
        }
        try disk.remove(LogFileName.reserve)
      }
      try disk.create(LogFileName.reserve, sizeBytes: configuration.reserveBytes).synchronize()
      try disk.synchronizeDirectory()
      hasReserve = true
    } catch {
      guard error.isDiskFull else { throw error }
      isFull = true
    }
  }

  /// After the disk was full: whether there is space again for a segment and for the reserve. To be tried now and then.
  package func recoverSpace() throws(LogStoreError) -> Bool {
    guard isFull else { return true }
    if configuration.mutants.contains(.neverForgivesFullDisk) { return false }
    isFull = false
    if spares.isEmpty {
      let name = LogFileName.spare(nextSpare)
      do throws(LogStoreError) {
        try disk.create(name, sizeBytes: configuration.segmentBytes).synchronize()
        nextSpare += 1
        spares.append(name)
      } catch {
        guard error.isDiskFull else { throw error }
        isFull = true
        return false
      }
    }
    try prepareReserve()
    return !isFull
  }
}
