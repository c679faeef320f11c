import Raft

/// Reads a log back: replays its records in order, tells a torn end from damage, and never drops what was durable.
///
/// What was torn was never acknowledged, and is cut. What was durable and is damaged does not stop the log: it starts with
/// the entries that are whole, and with the promise that it had made by acknowledging the rest (`Raft.Recovered.promised`).
/// Damaged bytes stay as they are; the loss is one more record at the log's end.
package struct LogRecovery {
  let disk: any LogDisk
  let configuration: LogConfiguration
  private var log: RecoveredLog
  private var replay = LogReplay()
  private var state = StateFile.Found()

  /// Will read the directory given. Creates what a new directory needs.
  package init(disk: any LogDisk, configuration: LogConfiguration) throws(LogStoreError) {
    self.disk = disk
    self.configuration = configuration
    let names = try disk.list()
    let hasState = names.contains(StateFile.name)
    let isNew = !names.contains(LogIdentity.fileName) && !names.contains { LogFileName.segmentNumber($0) != nil }
    let file: StateFile
    if hasState {
      file = StateFile(file: try disk.open(StateFile.name))
      state = file.read(path: disk.path + "/" + StateFile.name)
    } else {
      guard !isNew || configuration.mayBegin else { throw .noLog(path: disk.path) }
      file = try StateFile.create(on: disk)
      state.isDamaged = !isNew
    }
    let identity = try Self.identity(names, state, isNew: isNew, disk, configuration)
    let empty = SnapshotMetadata(index: 0, term: 0, configuration: configuration.initialMembers)
    log = RecoveredLog(
      identity: identity, base: LogBase(snapshot: empty, base: empty), terms: TermIndex(baseIndex: 0, baseTerm: 0),
      stateFile: file)
    log.stateWrites = state.writes
    log.spares = names.filter { $0.hasPrefix(LogFileName.sparePrefix) }
    log.archive = LogArchive(names: names)
  }

  /// Reads the directory.
  package mutating func run() throws(LogStoreError) -> RecoveredLog {
    var numbers = try disk.list().compactMap(LogFileName.segmentNumber).sorted()
    if let last = numbers.last, try setAsideUnbegun(last) { numbers.removeLast() }
    let last = max(numbers.last ?? 0, state.state?.lastSegment ?? 0)
    log.lastSegment = last
    guard last > 0 else {
      guard !state.isDamaged else {
        throw .missing(path: disk.path, what: "the segments and the state of the log are missing")
      }
      return log
    }
    let present = Set(numbers)
    // What came before the first one that is left was dropped, unless that is missing too: then its header is.
    if numbers.isEmpty { damaged(LogFileName.segment(last), 0..<configuration.segmentBytes * Int(last)) }
    for number in (numbers.first ?? last + 1)..<(last + 1) {
      if present.contains(number) {
        try replaySegment(number, hasNext: present.contains(number + 1), isLast: number == last)
      } else {
        log.endOffset = nil
        damaged(LogFileName.segment(number), 0..<configuration.segmentBytes)
      }
    }
    if let end = state.state?.closedAt {
      log.wasClosed = true
      let wasCertain = replay.uncertainBytes == 0
      let isWhole = replay.endsAt(end)
      // The next start must know it too.
      if !wasCertain || !isWhole { log.repairs = [.promise(end, keeping: end)] }
    }
    try conclude()
    return log
  }

  // MARK: - Whose log it is

  private static func identity(
    _ names: [String], _ state: StateFile.Found, isNew: Bool, _ disk: any LogDisk, _ configuration: LogConfiguration
  ) throws(LogStoreError) -> LogIdentity {
    let path = disk.path + "/" + LogIdentity.fileName
    var found: LogIdentity?
    var failure: LogStoreError?
    if names.contains(LogIdentity.fileName) {
      do throws(LogStoreError) {
        found = try LogIdentity(encoded: try disk.open(LogIdentity.fileName).readAll(), path: path)
      } catch { failure = error }
    } else if !isNew {
      failure = .missing(path: path, what: "the log's identity is missing")
    }
    if case .unsupportedVersion? = failure, let failure { throw failure }
    if found == nil, let copy = state.identity {
      try disk.replace(LogIdentity.fileName, with: copy.encoded)
      found = copy
    }
    if let found {
      if !configuration.mutants.contains(.takesForeignDisk) {
        try configuration.identity.check(found: found, path: disk.path)
      }
      return found
    }
    if let failure { throw failure }
    guard configuration.mayBegin else { throw .noLog(path: disk.path) }
    var made = configuration.identity
    made.disk = configuration.newDisk
    try disk.replace(LogIdentity.fileName, with: made.encoded)
    return made
  }

  // MARK: - Segments

  private func codec(_ number: UInt64) -> RecordCodec { RecordCodec(identity: log.identity, segment: number) }

  /// A last segment whose first batch never became durable does not count: the one before is still the last. True then.
  private mutating func setAsideUnbegun(_ number: UInt64) throws(LogStoreError) -> Bool {
    if let known = state.state, known.lastSegment >= number { return false }
    let name = LogFileName.segment(number)
    let file = try disk.open(name)
    let codec = codec(number)
    guard try codec.header(of: file) == nil else { return false }
    let later = try Self.withBytes(of: file) { (bytes: UnsafeRawBufferPointer) throws(LogStoreError) in
      codec.lastRecord(bytes, after: 0)
    }
    if let later {
      guard later.batchOffset == 0 else { return false }
      try Self.wipe(0..<later.endOffset, in: file)
    }
    let spare = LogFileName.spare(number)
    try disk.rename(name, to: spare)
    try disk.synchronizeDirectory()
    log.spares.append(spare)
    return true
  }

  private mutating func replaySegment(_ number: UInt64, hasNext: Bool, isLast: Bool) throws(LogStoreError) {
    let name = LogFileName.segment(number)
    let file = try disk.open(name)
    let codec = codec(number)
    var end = isLast ? SegmentScan.End.open : .sealed
    if hasNext {
      let next = number + 1
      let header = try self.codec(next).header(of: try disk.open(LogFileName.segment(next)))
      if let header { end = .known(header.previousEndOffset) }
    }
    let size = try file.sizeBytes
    log.segments.append(LiveSegment(number: number, file: file, sizeBytes: size))
    let scan = try Self.withBytes(of: file) { (bytes: UnsafeRawBufferPointer) throws(LogStoreError) in
      try SegmentScan(bytes, codec: codec, end: end) { (part: SegmentScan.Part) throws(LogStoreError) in
        take(part, name: name, segment: number)
      }
    }
    if let torn = scan.torn { try Self.wipe(torn, in: file) }
    if scan.endOffset == 0 { damaged(name, 0..<size) }
    log.previousEndOffset = scan.endOffset
    // Behind a header that is not whole nothing more is written.
    log.endOffset = try codec.header(of: file) == nil ? nil : scan.endOffset
  }

  private mutating func take(_ part: SegmentScan.Part, name: String, segment: UInt64) {
    switch part {
    case .hole(let offset, let end): damaged(name, offset..<end)
    case .record(let record, let offset, let end):
      if !replay.take(record, segment: segment, offset: offset, endOffset: end) { damaged(name, offset..<end) }
    }
  }

  private mutating func damaged(_ name: String, _ range: Range<Int>) {
    replay.hole(bytes: range.count)
    log.damages.append(
      LogDamage(path: disk.path + "/" + name, offset: range.lowerBound, lengthBytes: range.count))
  }

  private static func wipe(_ range: Range<Int>, in file: any LogFile) throws(LogStoreError) {
    try file.write([UInt8](repeating: 0, count: range.count), at: range.lowerBound)
    try file.synchronize()
  }

  /// A file's bytes; where blocks cannot be read they are zeros, hence damaged.
  private static func withBytes<Result>(
    of file: any LogFile, _ body: (UnsafeRawBufferPointer) throws(LogStoreError) -> Result
  ) throws(LogStoreError) -> Result {
    do throws(LogStoreError) { return try file.withContents(body) } catch {
      guard case .io(_, _, 5) = error else { throw error }
    }
    let block = 4096
    let size = try file.sizeBytes
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 8)
    defer { memory.deallocate() }
    memory.initializeMemory(as: UInt8.self, repeating: 0)
    for start in stride(from: 0, to: size, by: block) {
      _ = try? file.read(
        into: UnsafeMutableRawBufferPointer(rebasing: memory[start..<min(start + block, size)]), at: start)
    }
    return try body(UnsafeRawBufferPointer(memory))
  }

  // MARK: - What the log is

  private mutating func conclude() throws(LogStoreError) {
    try concludeHardState()
    guard let base = later(replay.base, state.state?.base) else {
      throw .missing(path: disk.path, what: "where the log begins is not known, the records that said so are damaged")
    }
    log.base = base
    log.promised = [replay.promised, state.state?.promised].compactMap { $0 }.max()
    let kept = decide(base)
    for run in kept.positions.runs {
      guard let slot = log.segments.firstIndex(where: { $0.number == run.segment }) else { continue }
      if log.segments[slot].firstIndex == 0 { log.segments[slot].firstIndex = run.firstIndex }
      log.segments[slot].lastIndex = run.lastIndex
    }
    let start = log.base.base
    log.terms = TermIndex(baseIndex: start.index, baseTerm: start.term)
    log.terms.append(contentsOf: kept.terms)
    log.positions = kept.positions
    log.positions.compact(through: start.index)
    log.configurations = kept.configurations.filter { $0.index > start.index }
    if let promised = log.promised, log.terms.lastPosition >= promised { log.promised = nil }
  }

  private mutating func concludeHardState() throws(LogStoreError) {
    log.hardState = replay.hardState
    if let known = state.state?.hardState,
      (known.term, known.vote == nil ? 0 : 1) > (log.hardState.term, log.hardState.vote == nil ? 0 : 1)
    {
      log.hardState = known
    }
    // Two places, of which one may be damaged. A member that may have forgotten its vote must not vote again.
    guard replay.isHardStateCertain || (!state.isDamaged && state.state != nil) else {
      throw .missing(path: disk.path, what: "term and vote are not known, both records of them are damaged")
    }
  }

  private func later(_ one: LogBase?, _ other: LogBase?) -> LogBase? {
    guard let one, let other else { return one ?? other }
    return (other.snapshot.index, other.base.index) > (one.snapshot.index, one.base.index) ? other : one
  }

  /// Which entries count, and what must be recorded of those that are lost.
  private mutating func decide(_ base: LogBase) -> LogReplay.Stretch {
    let snapshot = LogPosition(index: base.snapshot.index, term: base.snapshot.term)
    let end = replay.stretches.last ?? LogReplay.Stretch(base: snapshot, isKnown: true)
    if end.continues(base.base) {
      noteLostEnd(after: end)
      return end
    }
    if end.continues(base.snapshot) {
      // Only entries that the snapshot contains are missing.
      log.base = LogBase(snapshot: base.snapshot, base: base.snapshot)
      log.repairs.insert(.compaction(log.base), at: 0)
      noteLostEnd(after: end)
      return end
    }
    let promised = replay.uncertainBytes > 0 ? bound(after: end) : end.terms.lastPosition
    if let kept = replay.stretches.first(where: { $0.continues(base.base) && $0.continues(base.snapshot) }) {
      lost(after: kept, promised)
      return kept
    }
    log.base = LogBase(snapshot: base.snapshot, base: base.snapshot)
    log.repairs = [.reset(log.base)]
    let kept = LogReplay.Stretch(base: snapshot, isKnown: true)
    lost(after: kept, promised)
    return kept
  }

  /// Damage after the last entry may have held more of them.
  private mutating func noteLostEnd(after end: LogReplay.Stretch) {
    guard replay.uncertainBytes > 0 else { return }
    lost(after: end, bound(after: end))
  }

  private mutating func lost(after kept: LogReplay.Stretch, _ promised: LogPosition) {
    if configuration.mutants.contains(.takesDamageForTorn) { return }
    let all = [promised, log.promised].compactMap { $0 }.max() ?? promised
    log.promised = all
    var last = kept.terms.lastPosition
    if last.index == log.base.base.index { last.term = log.base.base.term }
    if all > last { log.loss = LogLoss(firstIndex: last.index + 1, promised: all) }
    log.repairs.append(.promise(all, keeping: last))
  }

  /// No log can have got further than this in so many bytes: every entry takes a record, of a term that was known.
  private func bound(after end: LogReplay.Stretch) -> LogPosition {
    LogPosition(
      index: end.terms.lastIndex + UInt64(replay.uncertainBytes / RecordCodec.headLength),
      term: max(log.hardState.term, end.terms.lastTerm))
  }
}
