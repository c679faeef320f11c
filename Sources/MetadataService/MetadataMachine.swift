import EventLoop
import Metadata
import MetadataLog
import Replica

/// The state that the meta nodes replicate (`MetadataState`), as a replica drives it.
///
/// It is in memory; a restart begins with the replica's snapshot and the log after it.
@LoopActor
final class MetadataMachine: StateMachine {
  /// What a record has become once it is applied.
  struct Applied: Sendable {
    let index: UInt64
  }

  private(set) var state: MetadataState
  /// Called when the image or the leadership has changed.
  var onChange: (@LoopActor () -> Void)?
  /// Told of each record that is applied; nil: nobody keeps the tree's nodes.
  var tree: TreeKeeper?
  /// Told after each batch of them; nil: no images are kept along the archive.
  var images: ImageArchive?
  /// Keeps what the log drops; nil: nobody does.
  var archive: ArchiveKeeper?
  private let worker = WorkerThread(name: "metadata-snapshot", isBackground: true)
  private let decoder = WorkerThread(name: "metadata-decode")
  /// Entries from which on it pays to decode them on two threads.
  private static let sharedBatch = 512

  var image: Image { state.image }

  /// The state is in memory only: all of it comes from the replica's snapshot and log.
  var appliedIndex: UInt64 { 0 }

  /// - Parameter recentBytes: how many bytes of records are kept in memory for subscribers that keep up.
  nonisolated init(recentBytes: Int) { state = MetadataState(recentBytes: recentBytes) }

  func apply(_ entries: [CommittedEntry]) async throws -> [Applied] {
    var position = 0
    if entries.count >= Self.sharedBatch, !state.isLeading {
      // After a restart, or far behind: another thread decodes what comes last meanwhile.
      let split = entries.count / 3
      let rest = DecodedEntries(Array(entries[split...]), on: decoder)
      try fold(entries[..<split])
      for (entry, record) in zip(entries[split...], try await rest.records()) {
        try state.apply(record, body: entry.payload)
        noteLeaf()
      }
      position = entries.count
    }
    try fold(entries[position...])
    images?.applied(state.image, sizeBytes: entries.reduce(0) { $0 + $1.payload.count })
    changed()
    return entries.map { Applied(index: $0.index) }
  }

  private func fold(_ entries: ArraySlice<CommittedEntry>) throws {
    for entry in entries {
      try state.apply(index: entry.index, term: entry.term, body: entry.payload)
      noteLeaf()
    }
  }

  private func noteLeaf() {
    guard state.image.tree.count > 0 else { return }
    tree?.add(index: state.image.index, hash: state.image.hash)
  }

  /// Decides a request; see `MetadataState.decide`.
  func decide(_ request: AppendRequest) -> AppendVerdict {
    state.decide(request, timeMicroseconds: Loop.wallClockMicroseconds())
  }

  /// Tells where a proposal stands.
  func appended(_ proposal: AppendProposal, at index: UInt64) { state.appended(proposal, at: index) }

  func leadershipChanged(isLeader: Bool, term: UInt64) {
    state.leadershipChanged(isLeader: isLeader, term: term)
    changed()
  }

  func writeSnapshot(to path: String) async throws -> UInt64 {
    let image = image
    try await worker.run { try ImageFile.write(image, to: path) }
    return image.index
  }

  func restoreSnapshot(from path: String, index: UInt64) async throws {
    try state.restore(try await worker.run { try ImageFile.read(path) })
    tree?.reset(to: state.image.tree)
    changed()
  }

  /// What is under way, and keeps its history in the log, the oldest first.
  var holds: [CompactionHold] { image.compactionHolds }

  var heldIndex: UInt64? { image.oldestHeldIndex }

  func close() {
    worker.shutdown()
    decoder.shutdown()
  }

  private func changed() { onChange?() }
}

/// Entries that are being decoded on a worker's thread.
@LoopActor
private final class DecodedEntries {
  private var result: Result<[Record], any Error>?
  private var continuation: UnsafeContinuation<Void, Never>?

  init(_ entries: [CommittedEntry], on worker: WorkerThread) {
    let isTaken = worker.run(
      {
        Result<[Record], any Error> {
          try entries.map { try MetadataState.decode(index: $0.index, term: $0.term, body: $0.payload) }
        }
      }, then: { [self] in finish($0) })
    if !isTaken { result = .failure(CancellationError()) }
  }

  func records() async throws -> [Record] {
    if result == nil { await withUnsafeContinuation { continuation = $0 } }
    return try result?.get() ?? []
  }

  private func finish(_ result: Result<[Record], any Error>) {
    self.result = result
    continuation?.resume()
    continuation = nil
  }
}
