import Raft
import SegmentedLog

/// A node's log: what `LogStore` is to a real process, without a thread. The format, the recovery and the writer are the real
/// ones; writes gather while a batch is under way and leave together with the next one.
struct NodeLog {
  private(set) var writer: LogWriter
  let configuration: LogConfiguration
  private let identity: LogIdentity
  private(set) var base: LogBase
  private(set) var last: LogPosition
  var lastIndex: UInt64 { last.index }
  private var files: [(number: UInt64, file: any LogFile)]
  private var positions: EntryPositions
  private var cache: RecentEntries
  private var positionedIndex: UInt64
  /// Writes that a crash may leave in part: those that were begun, and those that wait.
  var unfinished: [LogWrite] { (batch?.writes ?? []) + (stuck?.writes ?? []) + pending }
  private(set) var pending: [LogWrite] = []
  private(set) var pendingSequence: UInt64 = 0
  // The disk is full: the writer has part of a batch that is not durable.
  private var stuck: (writes: [LogWrite], sequence: UInt64)?
  private var isStuck = false
  /// What the disk works at; nil: nothing.
  private(set) var batch: Batch?

  /// Writes under way.
  struct Batch {
    var writes: [LogWrite]
    var sequence: UInt64
    var result: BatchResult
  }

  init(opened: OpenedLog, configuration: LogConfiguration) {
    self.configuration = configuration
    identity = opened.recovered.identity
    writer = opened.writer
    base = opened.recovered.base
    last = opened.recovered.terms.lastPosition
    positionedIndex = opened.recovered.terms.lastIndex
    positions = opened.recovered.positions
    cache = RecentEntries(limitBytes: configuration.cacheBytes)
    files = opened.recovered.segments.map { ($0.number, $0.file) }
  }

  /// Takes a write.
  mutating func write(_ write: LogWrite, sequence: UInt64) {
    switch write {
    case .entries(let entries):
      guard let first = entries.first, let last = entries.last else { break }
      if first.index <= lastIndex { cache.truncate(from: first.index) }
      for entry in entries { cache.append(entry) }
      positionedIndex = min(positionedIndex, first.index - 1)
      self.last = LogPosition(index: last.index, term: last.term)
    case .promise(_, let keeping): last = keeping
    case .compaction(let base): self.base = base
    case .reset(let base):
      self.base = base
      cache.removeAll()
      last = LogPosition(index: base.base.index, term: base.base.term)
      positionedIndex = last.index
    case .hardState: break
    }
    pending.append(write)
    pendingSequence = sequence
  }

  /// Makes durable that this log, as it is now, had promised to reach the position.
  mutating func writePromise(_ position: LogPosition, sequence: UInt64) {
    write(.promise(position, keeping: last), sequence: sequence)
  }

  /// Whether a batch can begin.
  var wantsBatch: Bool { batch == nil && !isStuck && (!pending.isEmpty || stuck != nil) }

  /// There is space again.
  mutating func unstick() { isStuck = false }

  /// Hands what has gathered to the disk, which is done with it at `finishBatch`. False where the disk is full: it goes on
  /// after `unstick`.
  mutating func beginBatch() throws(LogStoreError) -> Bool {
    let result = try writer.write(pending)
    let writes = (stuck?.writes ?? []) + pending
    let sequence = pending.isEmpty ? stuck?.sequence ?? pendingSequence : pendingSequence
    pending = []
    guard result.isComplete else {
      stuck = (writes, sequence)
      isStuck = true
      return false
    }
    stuck = nil
    batch = Batch(writes: writes, sequence: sequence, result: result)
    return true
  }

  /// The batch is durable; what was in it.
  mutating func finishBatch() -> Batch? {
    guard let done = batch else { return nil }
    batch = nil
    for opened in done.result.opened { files.append(opened) }
    for change in done.result.changes {
      switch change {
      case .run(let run):
        positions.append(run)
        positionedIndex = run.firstIndex + UInt64(run.offsets.count) - 1
      case .compacted(let index): positions.compact(through: index)
      case .truncated(let index): positions.truncate(from: index + 1)
      case .reset: positions.removeAll()
      }
    }
    for write in pending {
      switch write {
      case .entries(let entries): positionedIndex = min(positionedIndex, (entries.first?.index ?? .max) - 1)
      case .reset: positionedIndex = base.base.index
      default: break
      }
    }
    for number in done.result.dropped { files.removeAll { $0.number == number } }
    cache.trim(notAfter: positionedIndex)
    return done
  }

  /// Entries from memory or from the disk: at least one, as many as fit the limit and lie together; none when the log does not
  /// hold the first one.
  func entries(
    from first: UInt64, through last: UInt64, limitBytes: Int, directory: String
  ) throws(LogStoreError) -> [Entry] {
    guard first > base.base.index else { return [] }
    if let entries = cache.slice(from: first, through: min(last, lastIndex), limitBytes: limitBytes) { return entries }
    guard let run = positions.extent(from: first, through: min(last, positionedIndex), limitBytes: limitBytes),
      let file = files.first(where: { $0.number == run.segment })?.file
    else { return [] }
    return try run.read(from: file, identity: identity, directory: directory)
  }
}
