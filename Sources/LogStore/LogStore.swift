import EventLoop
import Raft
import SegmentedLog

/// A group's durable log on this node: segments on disk, written by a thread of its own, recent entries in memory.
///
/// Writes gather while one synchronization is under way and leave together with the next one (group commit). They
/// become durable in the order in which they were given. After a failed write nothing more is written: what the disk
/// holds is unknown until the log is opened again. A full disk is no failure: what was given waits, and is written when
/// there is space again.
@LoopActor
package final class LogStore: TurnParticipant {
  /// Told, in order, that all writes up to a sequence number are durable.
  package var onWritten: (@LoopActor (UInt64) -> Void)?
  /// Told once when a write failed; the log takes nothing more.
  package var onFailure: (@LoopActor (LogStoreError) -> Void)?
  /// Told when the disk gets full, and when there is space again.
  package var onFull: (@LoopActor (Bool) -> Void)?
  /// Whether the disk has no space for more than what was given already.
  package private(set) var isFull = false
  /// Whose log it is, the directory's number included.
  package let identity: LogIdentity
  /// Places that were found damaged when the log was opened.
  package let damages: [LogDamage]
  /// What that has cost.
  package let loss: LogLoss?
  /// Segments that are kept although the log begins after them.
  package private(set) var archive: LogArchive
  /// Where the log begins.
  package private(set) var base: LogBase
  /// The last entry that was given to the log.
  package private(set) var last: LogPosition
  /// Its index.
  package var lastIndex: UInt64 { last.index }

  private let configuration: LogConfiguration
  private let disk: any LogDisk
  private let path: String
  private var lock: (any Sendable)?
  // The writer is used by jobs of this thread only, one at a time.
  private nonisolated(unsafe) let writer: LogWriter
  private let writerThread: WorkerThread
  private var readerThread: WorkerThread?
  private var files: [UInt64: any LogFile] = [:]
  private var positions: EntryPositions
  private var cache: RecentEntries
  // The last entry that lies in a segment, so that the cache may let go of it.
  private var positionedIndex: UInt64
  private var pending: [LogWrite] = []
  private var pendingSequence: UInt64 = 0
  private var isWriting = false
  private var isRegistered = false
  private var failure: LogStoreError?
  // The disk is full, and the writer has part of a batch that is not durable.
  private var isStuck = false
  private var spaceTimer: LoopTimer?
  private var archived = ArchivedSegments()
  /// Archived segments that were removed since the start.
  private var removedArchived: [ArchivedSegment] = []
  private var whenIdle: [@LoopActor () -> Void] = []
  private var measured = (archive: LogArchive(), bytes: 0, isMeasuring: false)

  private init(opened: OpenedLog, on disk: any LogDisk, configuration: LogConfiguration, thread: WorkerThread) {
    self.configuration = configuration
    self.disk = disk
    path = disk.path
    identity = opened.recovered.identity
    damages = opened.recovered.damages
    loss = opened.recovered.loss
    archive = opened.recovered.archive
    lock = opened.lock
    writer = opened.writer
    writerThread = thread
    base = opened.recovered.base
    last = opened.recovered.terms.lastPosition
    positionedIndex = last.index
    positions = opened.recovered.positions
    cache = RecentEntries(limitBytes: configuration.cacheBytes)
    for segment in opened.recovered.segments { files[segment.number] = segment.file }
  }

  // Made on the writer's thread and handed over once, by `open`.
  private struct Handed: @unchecked Sendable {
    var opened: OpenedLog
    var isFull: Bool
  }

  /// Opens a log, or begins one in an empty directory: the log, and what consensus has to know of it. What has no space for that
  /// (for a first segment, or for the note of a loss) waits: it begins anew each time, as after a crash.
  /// - Parameter onFull: told once that it waits, and for what.
  package static func open(
    _ configuration: LogConfiguration, on disk: any LogDisk, onFull: (@LoopActor (LogStoreError) -> Void)? = nil
  ) async throws(LogStoreError) -> (log: LogStore, recovered: Raft.Recovered) {
    let thread = WorkerThread(name: "log")
    var isTold = false
    while true {
      switch await attempt(configuration, on: disk, thread) {
      case .failure(let error) where error.isDiskFull:
        if !isTold { onFull?(error) }
        isTold = true
        try? await loopSleep(milliseconds: configuration.spaceCheckMilliseconds)
      case .failure(let error):
        thread.shutdown()
        throw error
      case .success(let handed):
        let log = LogStore(opened: handed.opened, on: disk, configuration: configuration, thread: thread)
        log.setFull(handed.isFull)
        return (log, handed.opened.recovered.forRaft)
      }
    }
  }

  private static func attempt(
    _ configuration: LogConfiguration, on disk: any LogDisk, _ thread: WorkerThread
  ) async -> Result<Handed, LogStoreError> {
    await withCheckedContinuation { continuation in
      thread.run(
        { () -> Result<Handed, LogStoreError> in
          do throws(LogStoreError) {
            let opened = try OpenedLog.open(configuration, on: disk)
            return .success(Handed(opened: opened, isFull: opened.writer.isFull))
          } catch { return .failure(error) }
        }, then: { continuation.resume(returning: $0) })
    }
  }

  /// Waits for what was given to be durable, and lets go of the directory.
  package func close() async {
    if isWriting || isRegistered {
      await withCheckedContinuation { continuation in whenIdle.append { continuation.resume() } }
    }
    let hasFailed = failure != nil
    failure = failure ?? .closed
    spaceTimer?.cancel()
    nonisolated(unsafe) let confined = writer
    await withCheckedContinuation { continuation in
      writerThread.run(
        { if !hasFailed { try? confined.close() } }, then: { (_: Void) in continuation.resume() })
    }
    writerThread.shutdown()
    readerThread?.shutdown()
    files = [:]
    lock = nil
  }

  // MARK: - Writing

  /// Takes a write; `onWritten` tells when it is durable. Sequence numbers rise.
  package func write(_ write: LogWrite, sequence: UInt64) {
    guard failure == nil else { return }
    switch write {
    case .entries(let entries):
      guard let first = entries.first, let last = entries.last else { break }
      if first.index <= lastIndex { cache.truncate(from: first.index) }
      for entry in entries { cache.append(entry) }
      positionedIndex = min(positionedIndex, first.index - 1)
      self.last = LogPosition(index: last.index, term: last.term)
    case .hardState: break
    case .compaction(let base): self.base = base
    case .promise(_, let keeping): self.last = keeping
    case .reset(let base):
      self.base = base
      cache.removeAll()
      last = LogPosition(index: base.base.index, term: base.base.term)
      positionedIndex = last.index
    }
    pending.append(write)
    pendingSequence = sequence
    // With the end of the turn, so that all that one turn brings is one batch.
    if !isWriting, !isRegistered, !isStuck {
      isRegistered = true
      Loop.callAtEndOfTurn(self)
    }
  }

  /// Makes durable that this log, as it is now, had promised to reach the position.
  package func writePromise(_ position: LogPosition, sequence: UInt64) {
    write(.promise(position, keeping: last), sequence: sequence)
  }

  /// Empties the log, which had promised to reach the position; returns once that is durable. Before any other write.
  package func beginAnew(after start: SnapshotMetadata, promising position: LogPosition) async throws(LogStoreError) {
    let failed: LogStoreError? = await withCheckedContinuation { continuation in
      onWritten = { _ in continuation.resume(returning: nil) }
      onFailure = { continuation.resume(returning: $0) }
      write(.reset(LogBase(snapshot: start, base: start)), sequence: 0)
      write(.promise(position, keeping: last), sequence: 0)
    }
    onWritten = nil
    onFailure = nil
    if let failed { throw failed }
  }

  /// Hands the gathered writes to the thread.
  package func endOfTurn() {
    isRegistered = false
    if !isWriting, !isStuck { beginBatch() }
  }

  private func beginBatch() {
    guard !pending.isEmpty || isStuck, failure == nil else {
      let waiting = whenIdle
      whenIdle = []
      for body in waiting { body() }
      return
    }
    isWriting = true
    let batch = pending
    let sequence = pendingSequence
    pending = []
    nonisolated(unsafe) let writer = writer
    writerThread.run(
      { () -> Result<BatchResult, LogStoreError> in
        do throws(LogStoreError) { return .success(try writer.write(batch)) } catch { return .failure(error) }
      }, then: { [self] in finishBatch($0, sequence: sequence) })
  }

  private func finishBatch(_ result: Result<BatchResult, LogStoreError>, sequence: UInt64) {
    isWriting = false
    switch result {
    case .failure(let error):
      failure = error
      pending = []
      beginBatch()
      onFailure?(error)
    case .success(let changes) where !changes.isComplete:
      isStuck = true
      setFull(true)
    case .success(let changes):
      isStuck = false
      take(changes)
      if changes.isFull { setFull(true) }
      // The next batch starts before anybody hears of this one: the disk does not wait for the state machine.
      beginBatch()
      onWritten?(sequence)
      if changes.wantsSpare {
        prepareSpare()
      }
    }
  }

  /// Creates the next segment's file. Errors but that of a full disk show again when the file is needed.
  private func prepareSpare() {
    nonisolated(unsafe) let writer = writer
    writerThread.run(
      { () -> Bool in
        try? writer.prepareSpare()
        return writer.isFull
      }, then: { [self] isFull in if isFull { setFull(true) } })
  }

  private func setFull(_ isFull: Bool) {
    guard failure == nil else { return }
    if isFull, spaceTimer?.isActive != true {
      spaceTimer = LoopTimer(afterMilliseconds: configuration.spaceCheckMilliseconds) { [weak self] in
        self?.checkSpace()
      }
    }
    guard isFull != self.isFull else { return }
    self.isFull = isFull
    onFull?(isFull)
  }

  /// Looks whether there is space again, and goes on with what waits for it.
  private func checkSpace() {
    guard failure == nil else { return }
    nonisolated(unsafe) let writer = writer
    writerThread.run(
      { () -> Result<Bool, LogStoreError> in
        do throws(LogStoreError) { return .success(try writer.recoverSpace()) } catch { return .failure(error) }
      },
      then: { [self] result in
        switch result {
        case .failure(let error):
          guard failure == nil else { return }
          failure = error
          onFailure?(error)
        case .success(let hasSpace):
          setFull(!hasSpace)
          if isStuck, !isWriting { beginBatch() }
        }
      })
  }

  private func take(_ changes: BatchResult) {
    if let archive = changes.archive {
      let known = Set(self.archive.segments)
      archived.add(archive.segments.filter { !known.contains($0) }, from: positions)
      self.archive = archive
      // The writer may not have heard of these when it said so.
      self.archive.merge([], without: removedArchived)
    }
    for opened in changes.opened { files[opened.number] = opened.file }
    for change in changes.changes {
      switch change {
      case .run(let run):
        positions.append(run)
        positionedIndex = run.lastIndex
      case .compacted(let index): positions.compact(through: index)
      case .truncated(let index): positions.truncate(from: index + 1)
      case .reset: positions.removeAll()
      }
    }
    // What is still to be written may replace what was just positioned.
    for write in pending {
      switch write {
      case .entries(let entries): positionedIndex = min(positionedIndex, (entries.first?.index ?? .max) - 1)
      case .reset: positionedIndex = base.base.index
      case .hardState, .compaction, .promise: break
      }
    }
    for number in changes.dropped { files[number] = nil }
    cache.trim(notAfter: positionedIndex)
  }

  // MARK: - Sizes

  /// Bytes of the files that hold the log, without those that are kept for later.
  package var sizeBytes: Int { files.values.reduce(0) { sum, file in sum + ((try? file.sizeBytes) ?? 0) } }

  /// Bytes of the archive, as they were when this was asked last: measured by another thread, as the archive may be slow.
  package var archiveBytes: Int {
    if measured.archive != archive, !measured.isMeasuring {
      measured.isMeasuring = true
      let (archive, disk) = (archive, disk)
      reader().run(
        {
          archive.segments.reduce(0) { sum, segment in
            sum + ((try? disk.open(segment.name).sizeBytes) ?? 0)
          }
        },
        then: { [self] bytes in measured = (archive, bytes, false) })
    }
    return measured.bytes
  }

  // MARK: - Reading

  /// Entries from memory: at least one and as many as fit the limit; nil when the first one is only on disk, or beyond
  /// the end.
  package func recentEntries(from first: UInt64, through last: UInt64, limitBytes: Int) -> [Entry]? {
    first > base.base.index ? cache.slice(from: first, through: min(last, lastIndex), limitBytes: limitBytes) : nil
  }

  /// Entries from memory or from disk: at least one, as many as fit the limit and lie together.
  package func readEntries(
    from first: UInt64, through last: UInt64, limitBytes: Int,
    then: @escaping @LoopActor (Result<[Entry], LogStoreError>) -> Void
  ) {
    if let error = failure { return then(.failure(error)) }
    guard first > base.base.index else { return then(.failure(.compacted(firstIndex: base.base.index + 1))) }
    if let entries = recentEntries(from: first, through: last, limitBytes: limitBytes) {
      return then(.success(entries))
    }
    guard
      let extent = positions.extent(
        from: first, through: min(last, positionedIndex), limitBytes: limitBytes),
      let file = files[extent.segment]
    else { return then(.failure(.beyondEnd(lastIndex: lastIndex))) }
    let (identity, path) = (identity, path)
    reader().run(
      { () -> Result<[Entry], LogStoreError> in
        do throws(LogStoreError) {
          return .success(try extent.read(from: file, identity: identity, directory: path))
        } catch { return .failure(error) }
      },
      then: { [self] result in
        // The segment may have been dropped, and its file reused, while it was read.
        if case .failure = result, first <= base.base.index {
          then(.failure(.compacted(firstIndex: base.base.index + 1)))
        } else {
          then(result)
        }
      })
  }

  private func reader() -> WorkerThread {
    if let readerThread { return readerThread }
    let started = WorkerThread(name: "log-read")
    readerThread = started
    return started
  }

  /// The same, to be waited for.
  package func readEntries(
    from first: UInt64, through last: UInt64, limitBytes: Int
  ) async throws(LogStoreError) -> [Entry] {
    let result: Result<[Entry], LogStoreError> = await withCheckedContinuation { continuation in
      readEntries(from: first, through: last, limitBytes: limitBytes) { continuation.resume(returning: $0) }
    }
    return try result.get()
  }

  /// Entries that the log has dropped and the archive holds: at least one, as many as fit the limit and lie together.
  /// `compacted` where they are not archived.
  package func readArchived(
    from first: UInt64, through last: UInt64, limitBytes: Int
  ) async throws(LogStoreError) -> [Entry] {
    if let error = failure { throw error }
    let reader = reader()
    let (identity, path) = (identity, path)
    guard let segment = archive.segment(holding: first) else {
      // Dropped, but its segment holds later entries that are not.
      if let extent = positions.extent(from: first, through: min(last, positionedIndex), limitBytes: limitBytes),
        let file = files[extent.segment]
      {
        return try await Self.run(on: reader) { () throws(LogStoreError) in
          try extent.read(from: file, identity: identity, directory: path)
        }.get()
      }
      let next = archive.segments.first { $0.firstIndex > first }?.firstIndex ?? positions.runs.first?.firstIndex
      throw .compacted(firstIndex: min(next ?? .max, base.base.index + 1))
    }
    let known = try await positions(of: segment, on: reader)
    guard
      let extent = known.positions.extent(from: first, through: min(last, segment.lastIndex), limitBytes: limitBytes)
    else { throw .beyondEnd(lastIndex: segment.lastIndex) }
    return try await Self.run(on: reader) { () throws(LogStoreError) in
      try extent.read(from: known.file, identity: identity, directory: path + "/" + ArchivedSegment.directory)
    }.get()
  }

  private func positions(
    of segment: ArchivedSegment, on reader: WorkerThread
  ) async throws(LogStoreError) -> (positions: EntryPositions, file: any LogFile) {
    let known = archived[segment]
    if let known, let file = known.file { return (known.positions, file) }
    let (disk, identity, path) = (disk, identity, path)
    let found = known?.positions
    let loaded = try await Self.run(on: reader) { () throws(LogStoreError) -> (EntryPositions, any LogFile) in
      let file = try disk.open(segment.name)
      if let found { return (found, file) }
      return (try segment.positions(in: file, identity: identity, directory: path), file)
    }.get()
    // It may be gone meanwhile: that this one read has it open is good enough.
    if archive.segments.contains(segment) { archived.add(segment, loaded.0, loaded.1) }
    return (loaded.0, loaded.1)
  }

  /// The first entry from which on all are at hand, in the archive or in the log.
  package var historyFirstIndex: UInt64 {
    var first = min(base.base.index + 1, positions.runs.first?.firstIndex ?? .max)
    for segment in archive.segments.reversed() {
      guard segment.lastIndex + 1 >= first else { break }
      first = min(first, segment.firstIndex)
    }
    return first
  }

  /// What the segments of the log hold: the first and the last entry, bytes, files.
  package var contents: (firstIndex: UInt64, lastIndex: UInt64, bytes: Int, files: Int) {
    var bytes = 0
    for file in files.values { bytes += (try? file.sizeBytes) ?? 0 }
    return (base.base.index + 1, lastIndex, bytes, files.count)
  }

  /// Takes up archived segments that were found, and forgets those that were removed.
  package func archiveChanged(found: [ArchivedSegment], removed: [ArchivedSegment]) {
    archive.merge(found, without: removed)
    removedArchived += removed
    for segment in removed { archived.remove(segment) }
    nonisolated(unsafe) let writer = writer
    writerThread.post { writer.archiveChanged(found: found, removed: removed) }
  }

  private static func run<Value: Sendable>(
    on thread: WorkerThread, _ body: @escaping @Sendable () throws(LogStoreError) -> Value
  ) async -> Result<Value, LogStoreError> {
    await withCheckedContinuation { continuation in
      let isTaken = thread.run(
        { () -> Result<Value, LogStoreError> in
          do throws(LogStoreError) { return .success(try body()) } catch { return .failure(error) }
        }, then: { continuation.resume(returning: $0) })
      if !isTaken { continuation.resume(returning: .failure(.closed)) }
    }
  }

  /// Up to which entry the log may go after a snapshot, so that about as many bytes before it stay; 0: nothing need go.
  package func droppable(before snapshot: UInt64, keptBytes: Int) -> UInt64 {
    var bytes = 0
    for run in positions.runs.reversed() where run.firstIndex <= snapshot {
      bytes += run.endOffset - Int(run.offsets[0])
      if bytes > keptBytes { return min(snapshot, run.firstIndex - 1) }
    }
    return 0
  }
}
