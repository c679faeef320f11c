import EventLoop
import LogStore
import Logging
import Metadata
import MetadataLog
import RPC
import Replica
import SegmentedLog

/// Keeps the record tree's nodes in a file while records are applied, and makes proofs from them. The file's work is done by a thread
/// of its own; the loop only notes each record's hash.
@LoopActor
final class TreeKeeper {
  private static let flushRecords = 1024
  private static let flushMilliseconds = 50
  private static let rebuildAfterMilliseconds = 2_000
  private static let rebuildBatchBytes = 256 * 1024

  private let directory: String
  private let worker = WorkerThread(name: "metadata-tree", isBackground: true)
  private let logger = Logger(label: "metadata-history")
  private let file: TreeFile
  private var leaves: [TreeFile.Leaf] = []
  /// How many records the tree has before `leaves`.
  private var flushed: UInt64 = 0
  private var timer: LoopTimer?
  private var rebuildTimer: LoopTimer?
  private var isRebuilding = false
  /// Records before this number are not in the file.
  private var baseCount: UInt64 = 0
  private weak var replica: Replica<MetadataMachine>?

  /// - Parameter directory: of the replica; there must be one by the time that the first record comes.
  nonisolated init(directory: String) throws(LogStoreError) {
    self.directory = directory
    file = TreeFile(Self.fileName, on: try FileDisk(path: directory))
  }

  nonisolated static let fileName = "record-tree"

  /// The replica from which the tree can be made again.
  func begin(_ replica: Replica<MetadataMachine>) {
    self.replica = replica
    if flushed == 0, leaves.isEmpty { reset(to: RecordTree()) }
    wantRebuild()
  }

  func close() {
    timer?.cancel()
    rebuildTimer?.cancel()
    replica = nil
    flush()
    worker.shutdown()
  }

  // MARK: - Records

  /// The next record that was applied.
  func add(index: UInt64, hash: RecordHash) {
    leaves.append(TreeFile.Leaf(index: index, hash: hash))
    if leaves.count >= Self.flushRecords {
      flush()
    } else if timer == nil {
      timer = LoopTimer(afterMilliseconds: Self.flushMilliseconds) { [weak self] in self?.flush() }
    }
  }

  /// The state was replaced by one with this tree.
  func reset(to tree: RecordTree) {
    leaves = []
    flushed = tree.count
    let file = file
    worker.run(
      { () -> Result<UInt64, LogStoreError> in
        do throws(LogStoreError) {
          try file.reset(to: tree)
          return .success(file.base.count)
        } catch { return .failure(error) }
      },
      then: { [weak self] result in
        guard let self else { return }
        switch result {
        case .success(let base):
          self.baseCount = base
          self.wantRebuild()
        case .failure(let error): self.report(error)
        }
      })
  }

  private func flush() {
    timer?.cancel()
    timer = nil
    guard !leaves.isEmpty else { return }
    let taken = leaves
    leaves.removeAll(keepingCapacity: true)
    let start = flushed
    flushed += UInt64(taken.count)
    let file = file
    worker.run(
      { () -> LogStoreError? in
        do throws(LogStoreError) {
          // What does not follow is behind a write that failed: all is made again then.
          _ = try file.append(taken, at: start)
          return nil
        } catch { return error }
      },
      then: { [weak self] error in if let error { self?.report(error) } })
  }

  private func report(_ error: LogStoreError) {
    logger.error("the record tree's file is not kept up, it will be made again: \(error)")
    baseCount = .max
    wantRebuild()
  }

  // MARK: - Proofs

  /// Why there is no proof.
  enum ProofFailure: Error {
    case noRecord
    case file(TreeFile.Failure)
    case stopped
  }

  /// The head with so many records, which are at most those of the image.
  func head(count: UInt64, of image: Image) async throws(RPCError) -> LogHead {
    if count == image.tree.count, let head = image.head { return head }
    return try await prove(image) { (file) throws(TreeFile.Failure) in try Self.head(file, count, image) }
  }

  /// The number of a record and its path to the root of the tree with `count` records.
  func inclusion(
    of index: UInt64, count: UInt64, in image: Image
  ) async throws(RPCError) -> (leaf: UInt64, hash: RecordHash, path: [RecordHash], head: LogHead) {
    let found = try await prove(image) {
      (file) throws(TreeFile.Failure) -> (leaf: UInt64, hash: RecordHash, path: [RecordHash], head: LogHead)? in
      guard let place = try file.place(ofRecord: index), place < count else { return nil }
      let path = try TreeProof.inclusion(of: place, count: count) { (level, place) throws(TreeFile.Failure) in
        try file.node(level: level, place)
      }
      let head = try Self.head(file, count, image)
      let hash = try file.leaf(place).hash
      guard TreeProof.root(of: hash, leaf: place, count: count, path: path) == head.root else {
        throw .damaged(path: file.path, offset: 0)
      }
      return (place, hash, path, head)
    }
    guard let found else {
      throw RPCError(.invalidArgument, "index \(index) is no record of the first \(count) of the tree")
    }
    return found
  }

  /// The path that proves that the tree with `second` records continues the one with `first`.
  func consistency(
    from first: UInt64, to second: UInt64, in image: Image
  ) async throws(RPCError) -> (first: LogHead, second: LogHead, path: [RecordHash]) {
    try await prove(image) { (file) throws(TreeFile.Failure) in
      let heads = (try Self.head(file, first, image), try Self.head(file, second, image))
      return (heads.0, heads.1, try Self.path(file, first, second))
    }
  }

  private func prove<Value: Sendable>(
    _ image: Image, _ body: @escaping @Sendable (TreeFile) throws(TreeFile.Failure) -> Value
  ) async throws(RPCError) -> Value {
    flush()
    let file = file
    do {
      return try await worker.run { try body(file) }
    } catch let failure as TreeFile.Failure {
      switch failure {
      case .missing:
        throw RPCError(
          .outOfRange,
          "this meta node came to the group later, and has no proofs for so early records (only from number \(baseCount) on): "
            + "ask another one")
      case .damaged, .disk:
        logger.error("the record tree cannot be used, it will be made again: \(failure)")
        baseCount = .max
        wantRebuild()
        throw RPCError(.unavailable, "the record tree of this meta node is being made again: \(failure)")
      }
    } catch { throw RPCError(.unavailable, "this meta node is ending") }
  }

  /// The head with so many records, found to be the beginning of the image's tree.
  private nonisolated static func head(
    _ file: TreeFile, _ count: UInt64, _ image: Image
  ) throws(TreeFile.Failure) -> LogHead {
    if count == image.tree.count, let head = image.head { return head }
    let root = try file.root(count: count)
    let last = try file.leaf(count - 1)
    guard
      TreeProof.isConsistent(
        (count, root), (image.tree.count, image.tree.root), path: try path(file, count, image.tree.count))
    else { throw .damaged(path: file.path, offset: 0) }
    return LogHead(
      clusterID: image.clusterID ?? ClusterID(rawValue: []), count: count, recordIndex: last.index,
      chainHash: last.hash, root: root, firstIndex: image.tree.firstIndex)
  }

  private nonisolated static func path(
    _ file: TreeFile, _ first: UInt64, _ second: UInt64
  ) throws(TreeFile.Failure) -> [RecordHash] {
    try TreeProof.consistency(from: first, to: second) { (level, place) throws(TreeFile.Failure) in
      try file.node(level: level, place)
    }
  }

  /// The first record for which there are proofs here; 0 where there is none.
  func firstProvableIndex() async -> UInt64 {
    flush()
    let file = file
    return (try? await worker.run { file.tree.count > file.base.count ? try file.leaf(file.base.count).index : 0 }) ?? 0
  }

  // MARK: - Making it again

  private func wantRebuild() {
    guard baseCount > 0, rebuildTimer == nil, !isRebuilding, replica != nil else { return }
    rebuildTimer = LoopTimer(afterMilliseconds: Self.rebuildAfterMilliseconds) { [weak self] in
      guard let self else { return }
      self.rebuildTimer = nil
      LoopActor.start { await self.rebuild() }
    }
  }

  /// Makes the whole file again from the records, where the archive and the log have all of them; else after the present.
  private func rebuild() async {
    guard let replica, !isRebuilding else { return }
    let tree = replica.machine.image.tree
    guard tree.count > 0 else { return }
    guard replica.historyFirstIndex <= tree.firstIndex else {
      // Not everything, but what comes from now on.
      if baseCount == .max { reset(to: tree) }
      return
    }
    isRebuilding = true
    defer { isRebuilding = false }
    do {
      let fresh = TreeFile(Self.fileName + ".new", on: try FileDisk(path: directory))
      try await worker.run { try fresh.begin(after: RecordTree()) }
      var count: UInt64 = 0
      var next = tree.firstIndex
      while count < replica.machine.image.tree.count {
        let entries = try await replica.entries(from: next, limitBytes: Self.rebuildBatchBytes, readsArchive: true)
        guard let last = entries.last else { break }
        let start = count
        count = try await worker.run {
          let leaves = entries.map {
            TreeFile.Leaf(
              index: $0.index, hash: RecordHash.of(index: $0.index, term: $0.term, body: $0.payload))
          }
          _ = try fresh.append(leaves, at: start)
          return fresh.tree.count
        }
        next = last.index + 1
      }
      let image = replica.machine.image
      let path = file.path
      guard count == image.tree.count else { return wantRebuild() }
      // From here on in one turn: no record comes between.
      flush()
      let file = file
      flushed = count
      worker.run(
        { () -> String? in
          guard fresh.tree.peaks == image.tree.peaks else { return "the records do not lead to the image's tree" }
          do {
            try FileSystem.rename(fresh.path, path)
            try file.reset(to: image.tree)
            return nil
          } catch { return "\(error)" }
        },
        then: { [weak self] problem in
          if let problem {
            self?.logger.error("the record tree was not made again: \(problem)")
          } else {
            self?.baseCount = 0
          }
        })
      logger.info("the record tree was made again from \(count) records")
    } catch {
      logger.error("the record tree was not made again: \(error)")
      wantRebuild()
    }
  }
}
