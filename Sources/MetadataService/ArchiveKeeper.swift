import EventLoop
import Glibc
import Logging
import MetadataLog
import Replica
import SegmentedLog

/// Keeps the archive: what the log drops lies in its own folder `archive` first, so that no append waits for another disk; from there
/// it moves to the folder that was configured, where there is one. What is too old or too much goes, the oldest first.
///
/// A folder that is full or gone costs nothing: what it has not taken stays where it is, and moves when it takes it.
@LoopActor
final class ArchiveKeeper {
  /// What is archived, and how long.
  struct Configuration: Sendable {
    /// The log's own folder.
    var local: String
    /// Where it is to lie; nil: in the log's own folder.
    var folder: String?
    /// Whose archive it is, for the folder: two nodes must not share one.
    var owner: String
    /// Most bytes; nil: all are kept.
    var maximumBytes: Int?
    /// How long something is kept after it was archived; nil: for ever.
    var maximumAgeSeconds: Int?
    /// Most bytes that wait for the folder; nil: as many as the disk has room for.
    var maximumBacklogBytes: Int?
  }

  /// Files of an archive.
  struct Contents: Sendable, Equatable {
    var bytes = 0
    var files = 0
    /// Of segments: the first and the last entry; 0: none.
    var firstIndex: UInt64 = 0
    var lastIndex: UInt64 = 0
  }

  fileprivate struct File: Sendable {
    var name: String
    var directory: String
    var bytes: Int
    /// When it was archived, in seconds since 1970.
    var time: Int
    var segment: ArchivedSegment?
    /// The entry by which it is old or new.
    var index: UInt64
  }

  private struct Outcome: Sendable {
    var all = Contents()
    var backlog = Contents()
    var segments: [ArchivedSegment] = []
    var removed: [ArchivedSegment] = []
    var moved = 0
    var problem: String?
    var warning: String?
  }

  private static let tickMilliseconds = 2_000

  let configuration: Configuration
  private let worker = WorkerThread(name: "metadata-archive", isBackground: true)
  private let logger = Logger(label: "metadata-archive")
  private weak var replica: Replica<MetadataMachine>?
  private var timer: LoopTimer?
  private var isBusy = false
  /// Everything, wherever it lies.
  private(set) var contents = Contents()
  /// What waits for the folder.
  private(set) var backlog = Contents()
  /// Why the folder does not take it, and since when (microseconds since 1970-01-01 UTC).
  private(set) var problem: (text: String, sinceMicroseconds: Int64)?

  init(_ configuration: Configuration) { self.configuration = configuration }

  func begin(_ replica: Replica<MetadataMachine>) {
    self.replica = replica
    timer = LoopTimer(afterMilliseconds: 100, repeatMilliseconds: Self.tickMilliseconds) { [weak self] in self?.tick() }
  }

  func close() {
    timer?.cancel()
    timer = nil
    worker.shutdown()
  }

  private func tick() {
    guard !isBusy else { return }
    isBusy = true
    let configuration = configuration
    worker.run({ Self.keep(configuration) }, then: { [weak self] in self?.take($0) })
  }

  private func take(_ outcome: Outcome) {
    isBusy = false
    contents = outcome.all
    backlog = outcome.backlog
    if let text = outcome.problem {
      if problem?.text != text {
        logger.error(
          """
          the archive's folder \(configuration.folder ?? "") takes nothing: \(text). \(outcome.backlog.files) files \
          (\(outcome.backlog.bytes) bytes) wait in \(configuration.local); nothing is lost, they move when it does
          """)
      }
      problem = (text, problem?.sinceMicroseconds ?? Loop.wallClockMicroseconds())
    } else if problem != nil {
      logger.notice("the archive's folder \(configuration.folder ?? "") takes files again")
      problem = nil
    }
    if let warning = outcome.warning { logger.critical("\(warning)") }
    guard let replica else { return }
    replica.archiveChanged(found: outcome.segments, removed: outcome.removed)
    // What is in a folder that cannot be read is not gone.
    if problem == nil { replica.machine.images?.prune(before: replica.historyFirstIndex) }
  }

  // MARK: - On the thread

  private nonisolated static func keep(_ configuration: Configuration) -> Outcome {
    var outcome = Outcome()
    var local = files(configuration.local) ?? []
    var distant: [File] = []
    if let folder = configuration.folder {
      if let other = foreignOwner(folder, configuration.owner) {
        outcome.problem = "it is the archive of \(other): give each node a folder of its own"
      } else if let found = files(folder) {
        distant = found
      } else {
        outcome.problem = FileError("open", folder).description
      }
      while outcome.problem == nil, let file = local.first {
        do {
          distant.append(try move(file, to: folder))
          local.removeFirst()
          outcome.moved += 1
        } catch { outcome.problem = "\(error)" }
      }
    }
    if let most = configuration.maximumBacklogBytes, configuration.folder != nil {
      let bytes = local.reduce(0) { $0 + $1.bytes }
      if bytes > most {
        outcome.warning =
          "\(bytes) bytes wait for the archive's folder, more than the \(most) that may: the oldest go, and are lost for audits"
        remove(&local, over: most, &outcome)
      }
    }
    var all = (local + distant).sorted { ($0.index, $0.name) < ($1.index, $1.name) }
    if let most = configuration.maximumBytes { remove(&all, over: most, &outcome) }
    if let age = configuration.maximumAgeSeconds {
      let limit = time(nil) - age
      while let oldest = all.first, oldest.time < limit { remove(&all, &outcome) }
    }
    let gone = Set(outcome.removed)
    outcome.all = contents(all)
    outcome.backlog = contents(configuration.folder == nil ? [] : local.filter { FileSystem.exists($0.path) })
    outcome.segments = all.compactMap(\.segment).filter { !gone.contains($0) }
    return outcome
  }

  private nonisolated static func remove(_ files: inout [File], over most: Int, _ outcome: inout Outcome) {
    var bytes = files.reduce(0) { $0 + $1.bytes }
    while bytes > most, let oldest = files.first {
      bytes -= oldest.bytes
      remove(&files, &outcome)
    }
  }

  private nonisolated static func remove(_ files: inout [File], _ outcome: inout Outcome) {
    let file = files.removeFirst()
    try? FileSystem.remove(file.path)
    if let segment = file.segment { outcome.removed.append(segment) }
  }

  private nonisolated static func contents(_ files: [File]) -> Contents {
    let segments = files.compactMap(\.segment)
    return Contents(
      bytes: files.reduce(0) { $0 + $1.bytes }, files: files.count,
      firstIndex: segments.map(\.firstIndex).min() ?? 0, lastIndex: segments.map(\.lastIndex).max() ?? 0)
  }

  /// Whose the folder is, if not the owner's. An empty one becomes the owner's.
  private nonisolated static func foreignOwner(_ folder: String, _ owner: String) -> String? {
    let path = folder + "/archive-of"
    guard let text = try? FileSystem.readText(path) else {
      if FileSystem.isDirectory(folder), !FileSystem.exists(path) {
        try? FileSystem.atomicReplace(path, Array((owner + "\n").utf8))
      }
      return nil
    }
    let found = text.filter { !$0.isNewline }
    return found == owner ? nil : found
  }

  /// An archive's files, the oldest first; nil where the folder is gone.
  private nonisolated static func files(_ directory: String) -> [File]? {
    guard let names = try? FileSystem.list(directory) else { return nil }
    var found: [File] = []
    for name in names {
      let path = directory + "/" + name
      if name.hasSuffix(".part") { try? FileSystem.remove(path) }
      let segment = ArchivedSegment(name: ArchivedSegment.directory + "/" + name)
      let image = ImageArchive.Kept(name: name, sizeBytes: 0)
      var status = stat()
      guard segment != nil || image != nil, stat(path, &status) == 0 else { continue }
      found.append(
        File(
          name: name, directory: directory, bytes: Int(status.st_size), time: status.st_mtim.tv_sec, segment: segment,
          index: segment?.lastIndex ?? image?.index ?? 0))
    }
    return found.sorted { ($0.index, $0.name) < ($1.index, $1.name) }
  }

  /// Copies a file, durably, and removes the original once the copy has been read back.
  private nonisolated static func move(_ file: File, to folder: String) throws -> File {
    let bytes = try FileSystem.read(file.path)
    let (part, path) = (folder + "/" + file.name + ".part", folder + "/" + file.name)
    do {
      var rest: [UInt8]? = bytes
      try FileSystem.write(part, syncedEveryBytes: 4 << 20) {
        defer { rest = nil }
        return rest
      }
      guard try FileSystem.read(part) == bytes else { throw FileError("read back", part, number: EIO) }
      try FileSystem.rename(part, path)
    } catch {
      // A disk that is full needs every byte.
      try? FileSystem.remove(part)
      throw error
    }
    try FileSystem.remove(file.path)
    var moved = file
    moved.directory = folder
    moved.time = time(nil)
    return moved
  }
}

extension ArchiveKeeper.File {
  fileprivate var path: String { directory + "/" + name }
}
