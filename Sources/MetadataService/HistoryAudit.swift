import EventLoop
import LogStore
import Metadata
import MetadataLog
import MetadataWire
import ProtocolMetadata
import Replica
import SegmentedLog
import Synchronization

/// Reads everything that a meta node keeps of the history and checks it: checksums and every other byte of log and archive, the chain
/// from record to record, that snapshots and images are the folds of the records before them, and the record tree. Changes nothing.
/// Blocks: for a worker's thread, or a command.
package final class HistoryAudit: Sendable {
  /// How far it has come.
  package struct Progress: Sendable, Equatable {
    package var bytesDone = 0
    package var bytesTotal = 0
    package var records: UInt64 = 0
  }

  /// What was found of the history.
  package struct Result: Sendable, Equatable {
    /// The first entry that is kept.
    package var firstIndex: UInt64 = 0
    /// The last record that was followed; 0: none.
    package var lastIndex: UInt64 = 0
    package var lastHash = RecordHash.zero
    /// The head after it; nil where the fold is not known, or below `FeatureLevel.recordTree`.
    package var head: LogHead?
    /// Of the state after it; nil where the fold is not known.
    package var imageDigest: [UInt8]?
    package var records: UInt64 = 0
    package var bytes = 0
    package var findings = 0
    /// Snapshots and images that were compared with the fold.
    package var comparedSnapshots = 0
    /// The hashes of the last records, for comparison with other replicas.
    package var recentHashes: [UInt64: RecordHash] = [:]
    /// What is known to be committed by the log itself.
    package var committedIndex: UInt64 = 0
  }

  /// It was asked to end.
  struct Cancelled: Error {}

  private static let recentCount = 65_536
  private static let progressRecords: UInt64 = 4096

  private let dataDirectory: String
  private let archiveDirectory: String?
  private let isRunning: Bool
  private let through: UInt64
  private let onFinding: @Sendable (LogFinding) -> Void
  private let onProgress: @Sendable (Progress) -> Void
  private let isCancelled = Atomic<Bool>(false)

  /// - Parameters:
  ///   - dataDirectory: the node's own, with `metadata` in it.
  ///   - archiveDirectory: where the archive lies, if not within.
  ///   - isRunning: a process has it open and writes to it.
  ///   - through: the last entry that is looked at.
  package init(
    dataDirectory: String, archiveDirectory: String? = nil, isRunning: Bool, through: UInt64 = .max,
    onFinding: @escaping @Sendable (LogFinding) -> Void, onProgress: @escaping @Sendable (Progress) -> Void
  ) {
    self.dataDirectory = dataDirectory
    self.archiveDirectory = archiveDirectory
    self.isRunning = isRunning
    self.through = through
    self.onFinding = onFinding
    self.onProgress = onProgress
  }

  /// Lets `run` end early.
  package func cancel() { isCancelled.store(true, ordering: .relaxed) }

  /// - Throws: where there is no log, or it is in use by a process although it was to be stopped.
  package func run() throws -> Result {
    let disk = try FileDisk(existing: dataDirectory + "/metadata/log", archive: archiveDirectory)
    let lock = isRunning ? nil : try disk.lock()
    var work = Work(try LogInspection(disk: disk, isRunning: isRunning))
    work.progress.bytesTotal = 2 * work.inspection.totalBytes
    while let bytes = try work.inspection.scanNext() {
      work.progress.bytesDone += bytes
      work.result.bytes += bytes
      try report(&work)
    }
    loadKept(&work)
    try follow(&work)
    finish(&work)
    withExtendedLifetime(lock) {}
    return work.result
  }

  /// A state in a file.
  private struct Kept {
    var index: UInt64
    var path: String
    /// Where it may be followed from.
    var isReadable: Bool
  }

  private struct Work {
    var inspection: LogInspection
    var verifier = HistoryVerifier()
    var kept: [Kept] = []
    var nextKept = 0
    var reported = 0
    var result = Result()
    var progress = Progress()
    var recent: [(UInt64, RecordHash)] = []

    init(_ inspection: LogInspection) { self.inspection = inspection }
  }

  private func report(_ work: inout Work) throws {
    while work.reported < work.inspection.findings.count {
      find(work.inspection.findings[work.reported], &work)
      work.reported += 1
    }
    onProgress(work.progress)
    if isCancelled.load(ordering: .relaxed) { throw Cancelled() }
  }

  private func find(_ finding: LogFinding, _ work: inout Work) {
    work.result.findings += 1
    onFinding(finding)
  }

  // MARK: - States that are kept

  private func loadKept(_ work: inout Work) {
    let directory = dataDirectory + "/metadata"
    do {
      for snapshot in try SnapshotFiles.inspect(directory + "/snapshots") {
        // While it runs, a snapshot may be written or removed in this moment.
        if isRunning, !FileSystem.exists(snapshot.path) { continue }
        if let problem = snapshot.problem {
          find(LogFinding(path: snapshot.path, offset: 0, index: snapshot.index, what: problem), &work)
        }
        work.kept.append(
          Kept(index: snapshot.index, path: snapshot.path, isReadable: snapshot.problem == nil))
        work.result.committedIndex = max(work.result.committedIndex, snapshot.index)
      }
    } catch { find(LogFinding(path: directory + "/snapshots", offset: 0, what: "\(error)"), &work) }
    for folder in [directory + "/log/archive", archiveDirectory].compactMap({ $0 }) {
      for name in ((try? FileSystem.list(folder)) ?? []).sorted() {
        guard let image = ImageArchive.Kept(name: name, sizeBytes: 0) else { continue }
        work.kept.append(Kept(index: image.index, path: folder + "/" + name, isReadable: true))
      }
    }
    work.kept.sort { ($0.index, $0.path) < ($1.index, $1.path) }
  }

  /// The state in a file; nil, and a finding, where it is damaged.
  private func load(_ kept: Kept, _ work: inout Work) -> Image? {
    guard kept.isReadable else { return nil }
    do {
      let image = try ImageFile.read(kept.path)
      if image.index == kept.index { return image }
      find(
        LogFinding(
          path: kept.path, offset: 0, index: kept.index,
          what: "it is the state after record \(image.index), not \(kept.index)"),
        &work)
    } catch let error as FileError where error.number == 2 && isRunning {
      return nil
    } catch let error as ImageFile.Damaged {
      find(LogFinding(path: kept.path, offset: 0, index: kept.index, what: "it is damaged: \(error.reason)"), &work)
    } catch { find(LogFinding(path: kept.path, offset: 0, index: kept.index, what: "\(error)"), &work) }
    return nil
  }

  /// Compares the states up to an index.
  private func compareKept(before index: UInt64, _ work: inout Work, firstEntry: UInt64) {
    while work.nextKept < work.kept.count, work.kept[work.nextKept].index < index {
      let kept = work.kept[work.nextKept]
      work.nextKept += 1
      guard let image = load(kept, &work) else { continue }
      // Older ones lead to no record that is kept: only their own checksums count.
      guard kept.index + 1 >= firstEntry else { continue }
      if let difference = work.verifier.compare(image) {
        find(LogFinding(path: kept.path, offset: 0, index: kept.index, what: difference), &work)
      }
      work.result.comparedSnapshots += 1
    }
  }

  // MARK: - Records

  private func follow(_ work: inout Work) throws {
    let runs = work.inspection.positions.runs
    let first = runs.first?.firstIndex ?? 0
    work.result.firstIndex = first
    if first == 1 { work.verifier = HistoryVerifier(after: Image()) }
    let entries = runs.reduce(0) { $0 + $1.offsets.count }
    let scanned = work.progress.bytesDone
    var previous: EntryRun?
    var done = 0
    for run in runs where run.firstIndex <= through {
      if let previous, run.firstIndex != previous.lastIndex + 1 {
        gap(from: previous.lastIndex + 1, run.firstIndex, &work)
      }
      previous = run
      try read(run, &work, firstEntry: first)
      done += run.offsets.count
      work.progress.bytesDone = scanned + Int(Double(scanned) * Double(done) / Double(max(1, entries)))
      try report(&work)
    }
    compareKept(before: through == .max ? .max : through + 1, &work, firstEntry: first)
    // What is left belongs to records that are not looked at: its checksums count all the same.
    while work.nextKept < work.kept.count {
      _ = load(work.kept[work.nextKept], &work)
      work.nextKept += 1
    }
  }

  private func read(_ run: EntryRun, _ work: inout Work, firstEntry: UInt64) throws {
    let inspection = work.inspection
    let through = through
    var nextKept = work.nextKept < work.kept.count ? work.kept[work.nextKept].index : .max
    try inspection.read(run) { index, term, payload in
      guard index <= through else { return false }
      if nextKept < index {
        compareKept(before: index, &work, firstEntry: firstEntry)
        nextKept = work.nextKept < work.kept.count ? work.kept[work.nextKept].index : .max
      }
      do throws(HistoryVerifier.Problem) { try work.verifier.add(index: index, term: term, body: payload) } catch {
        let place = inspection.place(of: index)
        find(
          LogFinding(path: place?.path ?? "", offset: place?.offset ?? 0, index: index, what: error.description), &work)
      }
      if let last = work.verifier.last { work.recent.append(last) }
      if work.recent.count >= 2 * Self.recentCount { work.recent.removeFirst(Self.recentCount) }
      work.progress.records += 1
      if work.progress.records % Self.progressRecords == 0 { onProgress(work.progress) }
      return !isCancelled.load(ordering: .relaxed)
    }
  }

  private func gap(from first: UInt64, _ next: UInt64, _ work: inout Work) {
    if work.inspection.restarts.contains(next - 1) {
      // The log began anew after a leader's snapshot.
      work.verifier = HistoryVerifier()
      return
    }
    work.verifier.gap()
    find(
      LogFinding(
        path: dataDirectory + "/metadata/log", offset: 0, index: first,
        what: "entries \(first) to \(next - 1) are in no segment of log or archive"), &work)
  }

  // MARK: - The end

  private func finish(_ work: inout Work) {
    work.result.records = work.verifier.count
    if let last = work.verifier.last { (work.result.lastIndex, work.result.lastHash) = last }
    work.result.recentHashes = Dictionary(work.recent.suffix(Self.recentCount), uniquingKeysWith: { $1 })
    work.progress.bytesDone = work.progress.bytesTotal
    onProgress(work.progress)
    guard let image = work.verifier.image else { return }
    work.result.head = image.head
    work.result.imageDigest = Self.digest(image)
    guard image.tree.count > 0, let disk = try? FileDisk(existing: dataDirectory + "/metadata") else { return }
    do {
      for finding in try TreeFile(TreeKeeper.fileName, on: disk).inspect(image.tree, indexes: work.verifier.treeIndexes)
      {
        find(finding, &work)
      }
    } catch { find(LogFinding(path: disk.path, offset: 0, what: "\(error)"), &work) }
  }

  /// SHA-256 of an image's parts: what its last part says.
  static func digest(_ image: Image) -> [UInt8]? {
    guard let last = try? ImageEncoder.parts(of: image).last,
      let part = try? Kunlog_Metadata_V1_ImagePart(serializedBytes: last)
    else { return nil }
    return [UInt8](part.end.checksum)
  }
}
