import EventLoop
import Raft
import ReplicaCore
import SegmentedLog

/// Taking, sending and receiving snapshots.
extension Replica {
  /// Takes a snapshot now and lets the log begin later; the entry up to which it goes.
  @discardableResult
  package func takeSnapshot() async throws(ReplicaError) -> UInt64 {
    guard log != nil else { throw endedError }
    guard core.beginSnapshot() else { throw .overloaded }
    return try await finishTakingSnapshot()
  }

  /// Takes the snapshot for which the core has given the right; tells it the end in any case.
  func finishTakingSnapshot() async throws(ReplicaError) -> UInt64 {
    let path = snapshots.temporaryPath
    let start = Loop.now
    do {
      let index = try await machine.writeSnapshot(to: path)
      guard log != nil else { throw endedError }
      // One who was not told of any members so far has nothing that a log could go on from.
      guard index > core.raft.snapshot.index, let metadata = core.raft.snapshotMetadata(at: index),
        !metadata.configuration.members.isEmpty
      else {
        await snapshots.discard(path)
        handle(.snapshotTaken(nil))
        return core.raft.snapshot.index
      }
      try await snapshots.adopt(path, metadata: metadata)
      let droppable = log?.droppable(before: index, keptBytes: configuration.keptBytes) ?? 0
      core.heldIndex = heldIndex(before: index)
      handle(.snapshotTaken(metadata, droppable: droppable))
      statistics.snapshotTaken(since: start)
      logger.info(
        "took a snapshot at entry \(index)",
        metadata: [
          "index": .stringConvertible(index), "bytes": .stringConvertible(snapshots.latest?.sizeBytes ?? 0),
          "milliseconds": .stringConvertible((Loop.now - start) / 1_000_000),
        ])
      return index
    } catch {
      statistics.snapshotFailed()
      handle(.snapshotTaken(nil))
      // A disk that is full needs every byte.
      await snapshots.discard(path)
      if let error = error as? ReplicaError { throw error }
      logger.error("no snapshot was taken: \(error)")
      throw .failed("no snapshot was taken: \(error)")
    }
  }

  /// The first entry that compaction must not drop; `.max`: none.
  private func heldIndex(before snapshot: UInt64) -> UInt64 {
    guard let held = machine.heldIndex, let log else {
      isHoldOverruled = false
      return .max
    }
    let bound = log.droppable(before: snapshot, keptBytes: configuration.heldBytes)
    isHoldOverruled = bound >= held
    guard isHoldOverruled else { return held }
    logger.error(
      """
      entries from \(held) on are still needed by what is under way, but they are more than \(configuration.heldBytes) bytes: \
      the log is compacted up to entry \(bound) all the same
      """)
    return bound + 1
  }

  /// What the log itself holds.
  package var logContents: (firstIndex: UInt64, lastIndex: UInt64, bytes: Int, files: Int) {
    log?.contents ?? (0, 0, 0, 0)
  }

  /// Takes up archived segments that were found, and forgets those that were removed.
  package func archiveChanged(found: [ArchivedSegment], removed: [ArchivedSegment]) {
    log?.archiveChanged(found: found, removed: removed)
  }

  /// The snapshots that are kept, oldest first. A file may be gone by the time that it is opened.
  package var snapshotFiles: [(index: UInt64, path: String, sizeBytes: Int)] {
    snapshots.stored.map { ($0.metadata.index, $0.path, $0.sizeBytes) }
  }

  func sendSnapshot(to member: NodeID, term: UInt64) {
    guard let stored = snapshots.latest, stored.metadata.index >= core.raft.terms.baseIndex else {
      logger.error("member \(member) needs a snapshot, but there is none")
      return handle(.snapshotSent(to: member, term: term, index: nil))
    }
    logger.info("sending the snapshot at entry \(stored.metadata.index) to member \(member)")
    let offer = SnapshotOffer(
      from: configuration.nodeID, term: term, metadata: stored.metadata, sizeBytes: stored.sizeBytes,
      checksum: stored.checksum)
    transport.sendSnapshot(offer, from: stored.path, to: member) { [weak self] isDone in
      self?.handle(.snapshotSent(to: member, term: term, index: isDone ? stored.metadata.index : nil))
    }
  }

  package func beginSnapshot(_ offer: SnapshotOffer) async throws -> Int {
    guard log != nil else { throw endedError }
    guard let isWanted = core.wantsSnapshot(at: offer.metadata.index, term: offer.term) else { throw notLeader }
    // What this replica has already need not be sent: the whole file is there, so to speak.
    guard isWanted else { return offer.sizeBytes }
    return try await snapshots.beginIncoming(offer)
  }

  package func receiveSnapshot(_ offer: SnapshotOffer, _ bytes: [UInt8], at offset: Int) async throws {
    guard log != nil else { throw endedError }
    try await snapshots.receive(offer, bytes, at: offset)
  }

  package func finishSnapshot(_ offer: SnapshotOffer) async throws {
    guard log != nil else { throw endedError }
    if core.wantsSnapshot(at: offer.metadata.index, term: offer.term) == true {
      try await snapshots.finishIncoming(offer)
    }
    handle(.snapshotReceived(offer.metadata, from: offer.from, term: offer.term))
  }
}
