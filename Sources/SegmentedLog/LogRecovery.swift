import Raft

/// What was found in a log's directory.
package struct RecoveredLog: Sendable {
  /// Term and vote.
  package var hardState = HardState()
  /// Up to where the log had promised to reach, while it does not.
  package var promised: LogPosition?
  /// Where the log begins, and its latest snapshot.
  package var base: LogBase
  /// The term of every entry.
  package var terms: TermIndex
  /// The configurations after the base, in order.
  package var configurations: [(index: UInt64, configuration: Configuration)] = []
  /// Where the entries lie.
  package var positions = EntryPositions()
  /// The segments, oldest first.
  package var segments: [LiveSegment] = []
  /// Files for later segments.
  package var spares: [String] = []
  /// Where the next batch goes in the last segment.
  package var endOffset = 0

  /// What consensus has to know of it.
  package var forRaft: Raft.Recovered {
    Raft.Recovered(
      hardState: hardState, snapshot: base.snapshot, terms: terms, baseConfiguration: base.base.configuration,
      configurations: configurations, commitIndex: base.snapshot.index, promised: promised)
  }
}

/// A segment in use.
package struct LiveSegment: Sendable {
  /// Its number; each is one above that of the segment before.
  package var number: UInt64
  /// Its file.
  package var file: any LogFile
  /// The file's length.
  package var sizeBytes: Int
  /// The greatest index of an entry in it that still counts; 0 when there is none.
  package var lastIndex: UInt64
}

/// Reads a log back: replays its records in order, tells a torn end from damage, and never drops what was durable.
package struct LogRecovery {
  let disk: any LogDisk
  let configuration: LogConfiguration
  private var log: RecoveredLog
  // Until a record of the oldest segment says where the log begins, its header's last entry stands in for that.
  private var isBaseProvisional = false

  /// Will read the directory given.
  package init(disk: any LogDisk, configuration: LogConfiguration) {
    self.disk = disk
    self.configuration = configuration
    let empty = SnapshotMetadata(index: 0, term: 0, configuration: configuration.initialMembers)
    log = RecoveredLog(
      base: LogBase(snapshot: empty, base: empty), terms: TermIndex(baseIndex: 0, baseTerm: 0))
  }

  /// Reads the directory. A directory without log stays as it is; the result has no segments then.
  package mutating func run() throws(LogStoreError) -> RecoveredLog {
    let names = try disk.list()
    try checkIdentity(names)
    log.spares = names.filter { $0.hasPrefix(LogFileName.sparePrefix) }
    var numbers = names.compactMap(LogFileName.segmentNumber).sorted()
    for (number, next) in zip(numbers, numbers.dropFirst()) where next != number + 1 {
      throw .missing(path: disk.path, what: "the segments between \(number) and \(next) are missing")
    }
    if let last = numbers.last, try setAsideUnbegun(last) { numbers.removeLast() }
    for number in numbers { try replaySegment(number, isLast: number == numbers.last) }
    try finish()
    return log
  }

  private func checkIdentity(_ names: [String]) throws(LogStoreError) {
    let path = disk.path + "/" + LogIdentity.fileName
    if names.contains(LogIdentity.fileName) {
      let found = try LogIdentity(encoded: try disk.open(LogIdentity.fileName).readAll(), path: path)
      try configuration.identity.check(found: found, path: disk.path)
    } else if names.contains(where: { LogFileName.segmentNumber($0) != nil }) {
      throw .missing(path: path, what: "the log's identity is missing")
    } else {
      try disk.replace(LogIdentity.fileName, with: configuration.identity.encoded)
    }
  }

  private mutating func replaySegment(_ number: UInt64, isLast: Bool) throws(LogStoreError) {
    let name = LogFileName.segment(number)
    let file = try disk.open(name)
    let codec = RecordCodec(identity: configuration.identity, segment: number)
    let path = disk.path + "/" + name
    let previousEnd = log.endOffset
    log.segments.append(LiveSegment(number: number, file: file, sizeBytes: try file.sizeBytes, lastIndex: 0))
    let end = try file.withContents { (bytes: UnsafeRawBufferPointer) throws(LogStoreError) -> Int in
      let end = try replay(bytes, codec: codec, path: path, previousEnd: previousEnd)
      try checkTail(bytes, codec: codec, path: path, end: end, isLast: isLast, file: file)
      return end
    }
    guard end > 0 else { throw .corrupt(path: path, offset: 0, what: "the segment's header is missing") }
    log.endOffset = end
  }

  /// A last segment whose first batch never became durable does not count: the one before is still the last. True then.
  private mutating func setAsideUnbegun(_ number: UInt64) throws(LogStoreError) -> Bool {
    let name = LogFileName.segment(number)
    let file = try disk.open(name)
    let codec = RecordCodec(identity: configuration.identity, segment: number)
    let isBegun = try file.withContents { (bytes: UnsafeRawBufferPointer) throws(LogStoreError) -> Bool in
      if codec.decode(bytes, at: 0) != nil { return true }
      try checkTail(bytes, codec: codec, path: disk.path + "/" + name, end: 0, isLast: true, file: file)
      return false
    }
    guard !isBegun else { return false }
    let spare = LogFileName.spare(number)
    try disk.rename(name, to: spare)
    try disk.synchronizeDirectory()
    log.spares.append(spare)
    return true
  }

  /// Replays the whole records of a segment; where they end.
  private mutating func replay(
    _ bytes: UnsafeRawBufferPointer, codec: RecordCodec, path: String, previousEnd: Int
  ) throws(LogStoreError) -> Int {
    var offset = 0
    while let found = codec.decode(bytes, at: offset) {
      if case .header(let header) = found.record {
        guard offset == 0 else { throw .corrupt(path: path, offset: offset, what: "a segment begins within another") }
        if log.segments.count > 1 {
          guard header.previousEndOffset == previousEnd else {
            let before = LogFileName.segment(log.segments[log.segments.count - 2].number)
            throw .corrupt(
              path: disk.path + "/" + before, offset: previousEnd,
              what: "the record there is not whole, but all up to byte \(header.previousEndOffset) was durable")
          }
        } else {
          begin(with: header)
        }
      } else {
        guard offset > 0 else { throw .corrupt(path: path, offset: 0, what: "the segment's header is missing") }
        try apply(found.record, offset: offset, endOffset: found.endOffset, path: path)
      }
      offset = found.endOffset
    }
    return offset
  }

  private mutating func begin(with header: SegmentHeader) {
    log.hardState = header.hardState
    log.base = header.base
    isBaseProvisional = header.lastIndex > header.base.base.index
    log.terms =
      isBaseProvisional
      ? TermIndex(baseIndex: header.lastIndex, baseTerm: header.lastTerm)
      : TermIndex(baseIndex: header.base.base.index, baseTerm: header.base.base.term)
  }

  private mutating func apply(
    _ record: LogRecord, offset: Int, endOffset: Int, path: String
  ) throws(LogStoreError) {
    switch record {
    case .header, .mark: break
    case .hardState(let state): log.hardState = state
    case .promise(let position): log.promised = position
    case .entry(let entry): try apply(entry, offset: offset, endOffset: endOffset, path: path)
    case .compaction(let base): log.base = base
    case .reset(let base):
      log.base = base
      isBaseProvisional = false
      log.terms = TermIndex(baseIndex: base.base.index, baseTerm: base.base.term)
      log.configurations = []
      log.positions.removeAll()
      for position in log.segments.indices { log.segments[position].lastIndex = 0 }
    }
  }

  private mutating func apply(
    _ entry: Entry, offset: Int, endOffset: Int, path: String
  ) throws(LogStoreError) {
    if isBaseProvisional, entry.index <= log.terms.baseIndex {
      // Replaces entries of segments that are gone; those were dropped because the log begins after them.
      log.terms = TermIndex(baseIndex: entry.index - 1, baseTerm: 0)
    } else if entry.index <= log.terms.lastIndex, entry.index > log.terms.baseIndex {
      log.terms.truncate(from: entry.index)
      for position in log.segments.indices {
        log.segments[position].lastIndex = min(log.segments[position].lastIndex, entry.index - 1)
      }
    }
    log.configurations.removeAll { $0.index >= entry.index }
    guard entry.index == log.terms.lastIndex + 1, entry.term >= log.terms.lastTerm else {
      throw .corrupt(
        path: path, offset: offset,
        what: "entry \(entry.index) of term \(entry.term) follows entry \(log.terms.lastIndex) of "
          + "term \(log.terms.lastTerm)")
    }
    log.terms.append(index: entry.index, term: entry.term)
    let current = log.segments.count - 1
    log.segments[current].lastIndex = entry.index
    log.positions.append(
      index: entry.index, segment: log.segments[current].number, offset: UInt32(offset), endOffset: endOffset)
    if entry.kind == .configuration {
      guard let members = Configuration(encoded: entry.payload) else {
        throw .corrupt(path: path, offset: offset, what: "entry \(entry.index) holds no members")
      }
      log.configurations.append((entry.index, members))
    }
  }

  /// What follows the last whole record may be a torn batch; then nothing in it was acknowledged, and it is wiped, lest
  /// parts of it come back behind what is written next. Anything else is damage.
  private func checkTail(
    _ bytes: UnsafeRawBufferPointer, codec: RecordCodec, path: String, end: Int, isLast: Bool, file: any LogFile
  ) throws(LogStoreError) {
    // Of a segment that is not the last one, the next header knows the end.
    guard isLast, let later = codec.lastRecord(bytes, after: end) else { return }
    guard later.batchOffset <= end else {
      throw .corrupt(
        path: path, offset: end,
        what: "the record there is not whole, but all up to byte \(later.batchOffset) was durable")
    }
    try file.write([UInt8](repeating: 0, count: later.endOffset - end), at: end)
    try file.synchronize()
  }

  private mutating func finish() throws(LogStoreError) {
    if let promised = log.promised, log.terms.lastPosition >= promised { log.promised = nil }
    guard !log.segments.isEmpty else { return }
    let base = log.base.base
    guard log.terms.baseIndex <= base.index, base.index <= log.terms.lastIndex else {
      throw .missing(
        path: disk.path,
        what: "the log begins at entry \(base.index + 1), but entries \(log.terms.baseIndex + 1) to "
          + "\(log.terms.lastIndex) are there")
    }
    if let term = log.terms.term(at: base.index), term != base.term, term != 0 {
      throw .missing(path: disk.path, what: "entry \(base.index) has term \(term), not \(base.term)")
    }
    log.terms.compact(through: base.index)
    log.positions.compact(through: base.index)
    log.configurations.removeAll { $0.index <= base.index }
  }
}
