import Raft

/// Something in a log's files that is not as it must be.
package struct LogFinding: Sendable, Equatable, CustomStringConvertible {
  /// The file.
  package var path: String
  /// Where in the file, in bytes.
  package var offset: Int
  /// The entry that is concerned; 0: none, or it is not known which.
  package var index: UInt64
  /// In words.
  package var what: String

  /// Makes a finding.
  package init(path: String, offset: Int, index: UInt64 = 0, what: String) {
    self.path = path
    self.offset = offset
    self.index = index
    self.what = what
  }

  package var description: String {
    "\(path), byte \(offset)\(index == 0 ? "" : ", record \(index)"): \(what)"
  }
}

/// Reads a whole log, its archive included, accounts for every byte of its files, and says which entries there are. Changes
/// nothing. First `scanNext` until there is no more, then `read` for the entries, run by run.
///
/// Every byte is either within a whole record, or zero: what is behind a segment's end, between records, and in files for later
/// segments. Files must not have been other segments before (`LogConfiguration.recyclesSegments`).
package struct LogInspection {
  /// Where the entries lie that count, oldest first.
  package private(set) var positions = EntryPositions()
  /// What is not as it must be.
  package private(set) var findings: [LogFinding] = []
  /// Entries after which the log began anew, by a snapshot from a leader: the history may have a gap before the next one.
  package private(set) var restarts: Set<UInt64> = []
  /// All files that are read, in bytes.
  package private(set) var totalBytes = 0
  /// Whose log it is.
  package let identity: LogIdentity

  private let disk: any LogDisk
  /// Somebody writes to the log meanwhile.
  private let isRunning: Bool
  private var segments: [(number: UInt64, name: String, archived: ArchivedSegment?)] = []
  private var next = 0
  private var state = StateFile.Found()
  private var lastArchived: UInt64 = 0
  private var names: [UInt64: String] = [:]

  /// Looks what there is; throws where it is no log.
  package init(disk: any LogDisk, isRunning: Bool) throws(LogStoreError) {
    self.disk = disk
    self.isRunning = isRunning
    identity = try LogIdentity(of: disk)
    let files = try disk.list()
    for archived in LogArchive(names: files).segments { segments.append((archived.number, archived.name, archived)) }
    for name in files {
      if let number = LogFileName.segmentNumber(name) { segments.append((number, name, nil)) }
    }
    segments.sort { $0.number < $1.number }
    for segment in segments {
      names[segment.number] = segment.name
      totalBytes += (try? disk.open(segment.name).sizeBytes) ?? 0
    }
    lastArchived = segments.compactMap(\.archived).map(\.lastIndex).max() ?? 0
    try inspectSmallFiles(files)
  }

  private func path(_ name: String) -> String { disk.path + "/" + name }

  private mutating func inspectSmallFiles(_ files: [String]) throws(LogStoreError) {
    if try disk.open(LogIdentity.fileName).readAll() != identity.encoded {
      findings.append(LogFinding(path: path(LogIdentity.fileName), offset: 0, what: "it is not what was written"))
    }
    if files.contains(StateFile.name) {
      let file = StateFile(file: try disk.open(StateFile.name))
      state = file.read(path: path(StateFile.name))
      // Torn while it is being written, it is whole a moment later.
      let damaged = file.damagedSlots(path: path(StateFile.name))
      if !isRunning || !file.damagedSlots(path: path(StateFile.name)).isEmpty {
        for offset in damaged {
          findings.append(
            LogFinding(
              path: path(StateFile.name), offset: offset,
              what: "this copy of term, vote and start of the log is not whole"))
        }
      }
    } else {
      findings.append(LogFinding(path: path(StateFile.name), offset: 0, what: "the file is missing"))
    }
    guard !isRunning else { return }
    for name in files where name.hasPrefix(LogFileName.sparePrefix) {
      let damaged = try disk.open(name).withContents { (bytes: UnsafeRawBufferPointer) throws(LogStoreError) in
        Self.firstNonzero(bytes, 0, bytes.count)
      }
      if let damaged {
        findings.append(LogFinding(path: path(name), offset: damaged, what: "a file for a later segment is not empty"))
      }
    }
  }

  // MARK: - Scanning

  /// Scans the next segment; how many bytes that were, nil when there is none left.
  package mutating func scanNext() throws(LogStoreError) -> Int? {
    guard next < segments.count else { return nil }
    let segment = segments[next]
    let isLast = next == segments.count - 1
    next += 1
    guard let file = try? disk.open(segment.name) else {
      if !isRunning { findings.append(LogFinding(path: path(segment.name), offset: 0, what: "it cannot be opened")) }
      return 0
    }
    let end = try knownEnd(after: segment.number)
    if let previous = segments.dropLast(segments.count - next + 1).last, !isRunning || segment.archived != nil,
      segment.archived == nil || previous.archived == nil, previous.number + 1 != segment.number
    {
      findings.append(
        LogFinding(
          path: path(LogFileName.segment(previous.number + 1)), offset: 0, what: "the segment is missing"))
    }
    return try file.withContents { (bytes: UnsafeRawBufferPointer) throws(LogStoreError) in
      scan(bytes, segment.number, segment.name, end: end, isLast: isLast)
      return bytes.count
    }
  }

  /// Where a segment ends, as the next one's header says it.
  private func knownEnd(after number: UInt64) throws(LogStoreError) -> Int? {
    guard let name = names[number + 1], let file = try? disk.open(name) else { return nil }
    return try RecordCodec(identity: identity, segment: number + 1).header(of: file)?.previousEndOffset
  }

  private mutating func scan(
    _ bytes: UnsafeRawBufferPointer, _ number: UInt64, _ name: String, end: Int?, isLast: Bool
  ) {
    let codec = RecordCodec(identity: identity, segment: number)
    var run = EntryRun(firstIndex: 0, segment: number, offsets: [], endOffset: 0)
    var offset = 0
    let bound = min(end ?? bytes.count, bytes.count)
    while offset < bound {
      guard let peek = codec.peek(bytes, at: offset) else {
        // Nothing follows, or damage.
        let later = codec.nextRecord(bytes, from: offset + 8, before: bound)
        guard end != nil || later != nil else { break }
        let holeEnd = later ?? bound
        if !(isLast && isRunning) {
          findings.append(
            LogFinding(
              path: path(name), offset: offset, index: run.offsets.isEmpty ? 0 : run.lastIndex + 1,
              what: "\(holeEnd - offset) bytes are no record, although something was written there"))
        }
        offset = holeEnd
        continue
      }
      if !peek.isPadded {
        findings.append(LogFinding(path: path(name), offset: peek.endOffset - 8, what: "padding is not zero"))
      }
      if offset == 0, peek.kind != .header {
        findings.append(LogFinding(path: path(name), offset: 0, what: "the segment does not begin with its header"))
      }
      take(peek, codec, bytes, offset, &run)
      offset = peek.endOffset
    }
    flush(&run)
    if offset == 0, !isRunning || !isLast {
      findings.append(LogFinding(path: path(name), offset: 0, what: "the segment's header is not whole"))
    }
    guard !(isLast && isRunning), let tail = Self.firstNonzero(bytes, offset, bytes.count) else { return }
    let isOpen = isLast && state.state?.closedAt == nil
    findings.append(
      LogFinding(
        path: path(name), offset: tail,
        what: isOpen
          ? "behind the last record something is written that is no record: damage, or torn when the process was killed"
          : "behind the end of the segment something is written"))
  }

  private mutating func take(
    _ peek: RecordCodec.Peek, _ codec: RecordCodec, _ bytes: UnsafeRawBufferPointer, _ offset: Int,
    _ run: inout EntryRun
  ) {
    switch peek.kind {
    case .entry:
      if run.offsets.isEmpty || peek.index != run.lastIndex + 1 {
        flush(&run)
        run.firstIndex = peek.index
      }
      run.offsets.append(UInt32(offset))
      run.endOffset = peek.endOffset
    case .header, .plain: break
    case .other:
      flush(&run)
      switch codec.decode(bytes, at: offset)?.record {
      case .promise(_, let keeping)?: positions.truncate(from: keeping.index + 1)
      case .reset(let base)?:
        positions.truncate(from: lastArchived + 1)
        restarts.insert(base.base.index)
      case nil:
        findings.append(LogFinding(path: disk.path, offset: offset, what: "a record is of no kind that there is"))
      default: break
      }
    }
  }

  private mutating func flush(_ run: inout EntryRun) {
    guard !run.offsets.isEmpty else { return }
    positions.append(run)
    run.offsets = []
  }

  /// The first byte that is not zero; nil where all are.
  private static func firstNonzero(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Int? {
    var offset = start
    while offset < end, offset % 8 != 0 {
      if bytes[offset] != 0 { return offset }
      offset += 1
    }
    while offset + 8 <= end, bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) == 0 { offset += 8 }
    while offset < end {
      if bytes[offset] != 0 { return offset }
      offset += 1
    }
    return nil
  }

  // MARK: - Reading

  /// Where an entry lies, for findings about it.
  package func place(of index: UInt64) -> (path: String, offset: Int)? {
    guard let extent = positions.extent(from: index, through: index, limitBytes: 1), let name = names[extent.segment]
    else { return nil }
    return (path(name), Int(extent.offsets[0]))
  }

  /// Gives a run's commands to a body, in order, until it returns false; the bytes are there only while it runs.
  package func read(
    _ run: EntryRun, _ body: (_ index: UInt64, _ term: UInt64, _ payload: [UInt8]) -> Bool
  ) throws(LogStoreError) {
    guard let file = try file(of: run) else {
      throw .missing(path: path(names[run.segment] ?? ""), what: "the segment was removed meanwhile")
    }
    let codec = RecordCodec(identity: identity, segment: run.segment)
    let name = path(names[run.segment] ?? "")
    try file.withContents { (bytes: UnsafeRawBufferPointer) throws(LogStoreError) in
      for offset in run.offsets {
        guard case .entry(let entry)? = codec.decode(bytes, at: Int(offset))?.record else {
          throw .corrupt(path: name, offset: Int(offset), what: "an entry is not whole")
        }
        if entry.kind == .command, !body(entry.index, entry.term, entry.payload) { return }
      }
    }
  }

  /// While the log runs its segments move to the archive.
  private func file(of run: EntryRun) throws(LogStoreError) -> (any LogFile)? {
    if let name = names[run.segment], let file = try? disk.open(name) { return file }
    guard isRunning else { return nil }
    let moved = LogArchive(names: try disk.list()).segments.first { $0.number == run.segment }
    return try moved.map { (segment) throws(LogStoreError) in try disk.open(segment.name) }
  }
}

extension RecordCodec {
  /// What a record is, without its contents.
  struct Peek {
    enum Kind {
      case header, entry
      /// Of those that say nothing about which entries there are.
      case plain
      case other
    }
    var kind: Kind
    var index: UInt64
    var endOffset: Int
    /// Whether what is between its end and the next record's start is zero.
    var isPadded: Bool
  }

  /// The record at an aligned offset, its checksum verified; nil when there is none that is whole.
  func peek(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Peek? {
    guard let length = checkedLength(bytes, at: offset) else { return nil }
    let index = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + 16, as: UInt64.self))
    let bodyEnd = offset + Self.headLength + length
    let end = offset + Self.encodedLength(bodyLength: length)
    var isPadded = end <= bytes.count
    for position in bodyEnd..<min(end, bytes.count) where bytes[position] != 0 { isPadded = false }
    return Peek(kind: Self.peekKind(bytes[offset + 12]), index: index, endOffset: end, isPadded: isPadded)
  }

  private static func peekKind(_ type: UInt8) -> Peek.Kind {
    switch type {
    case 1: .header
    case 2: .entry
    case 3, 6: .plain
    default: .other
    }
  }
}
