import EventLoop
import Raft
import SegmentedLog

/// A group's durable log on this node: segments on disk, written by a thread of its own, recent entries in memory.
///
/// Writes gather while one synchronization is under way and leave together with the next one (group commit). They
/// become durable in the order in which they were given. After a failed write nothing more is written: what the disk
/// holds is unknown until the log is opened again.
@LoopActor
package final class LogStore: TurnParticipant {
  /// Told, in order, that all writes up to a sequence number are durable.
  package var onWritten: (@LoopActor (UInt64) -> Void)?
  /// Told once when a write failed; the log takes nothing more.
  package var onFailure: (@LoopActor (LogStoreError) -> Void)?
  /// Where the log begins.
  package private(set) var base: LogBase
  /// The last entry that was given to the log.
  package private(set) var lastIndex: UInt64

  private let configuration: LogConfiguration
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
  private var whenIdle: [@LoopActor () -> Void] = []

  private init(opened: OpenedLog, path: String, configuration: LogConfiguration, thread: WorkerThread) {
    self.configuration = configuration
    self.path = path
    lock = opened.lock
    writer = opened.writer
    writerThread = thread
    base = opened.recovered.base
    lastIndex = opened.recovered.terms.lastIndex
    positionedIndex = lastIndex
    positions = opened.recovered.positions
    cache = RecentEntries(limitBytes: configuration.cacheBytes)
    for segment in opened.recovered.segments { files[segment.number] = segment.file }
  }

  // Made on the writer's thread and handed over once, by `open`.
  private struct Handed: @unchecked Sendable {
    var opened: OpenedLog
  }

  /// Opens a log, or begins one in an empty directory: the log, and what consensus has to know of it.
  package static func open(
    _ configuration: LogConfiguration, on disk: any LogDisk
  ) async throws(LogStoreError) -> (log: LogStore, recovered: Raft.Recovered) {
    let thread = WorkerThread(name: "log")
    let opening: Result<Handed, LogStoreError> = await withCheckedContinuation { continuation in
      thread.run(
        { () -> Result<Handed, LogStoreError> in
          do throws(LogStoreError) {
            return .success(Handed(opened: try OpenedLog.open(configuration, on: disk)))
          } catch { return .failure(error) }
        }, then: { continuation.resume(returning: $0) })
    }
    switch opening {
    case .failure(let error):
      thread.shutdown()
      throw error
    case .success(let handed):
      let log = LogStore(opened: handed.opened, path: disk.path, configuration: configuration, thread: thread)
      return (log, handed.opened.recovered.forRaft)
    }
  }

  /// Waits for what was given to be durable, and lets go of the directory.
  package func close() async {
    if isWriting || isRegistered {
      await withCheckedContinuation { continuation in whenIdle.append { continuation.resume() } }
    }
    let hasFailed = failure != nil
    failure = failure ?? .closed
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
      lastIndex = last.index
    case .hardState, .promise: break
    case .compaction(let base): self.base = base
    case .reset(let base):
      self.base = base
      cache.removeAll()
      lastIndex = base.base.index
      positionedIndex = lastIndex
    }
    pending.append(write)
    pendingSequence = sequence
    // With the end of the turn, so that all that one turn brings is one batch.
    if !isWriting, !isRegistered {
      isRegistered = true
      Loop.callAtEndOfTurn(self)
    }
  }

  /// Hands the gathered writes to the thread.
  package func endOfTurn() {
    isRegistered = false
    if !isWriting { beginBatch() }
  }

  private func beginBatch() {
    guard !pending.isEmpty, failure == nil else {
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
    case .success(let changes):
      take(changes)
      // The next batch starts before anybody hears of this one: the disk does not wait for the state machine.
      beginBatch()
      onWritten?(sequence)
      if changes.wantsSpare {
        nonisolated(unsafe) let writer = writer
        // A full disk shows when the space is needed; until then nothing is lost.
        writerThread.post { try? writer.prepareSpare() }
      }
    }
  }

  private func take(_ changes: BatchResult) {
    for opened in changes.opened { files[opened.number] = opened.file }
    for change in changes.changes {
      switch change {
      case .run(let run):
        positions.append(run)
        positionedIndex = run.lastIndex
      case .compacted(let index): positions.compact(through: index)
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
    let reader = readerThread ?? WorkerThread(name: "log-read")
    readerThread = reader
    let (identity, path) = (configuration.identity, path)
    reader.run(
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
}
