import EventLoop
import Raft

/// Taking, sending and receiving snapshots.
extension Replica {
  /// Takes a snapshot now and lets the log begin later; the entry up to which it goes.
  @discardableResult
  package func takeSnapshot() async throws(ReplicaError) -> UInt64 {
    guard log != nil else { throw endedError }
    guard !isTakingSnapshot else { throw .overloaded }
    isTakingSnapshot = true
    defer { isTakingSnapshot = false }
    bytesSinceSnapshot = 0
    let path = snapshots.temporaryPath
    do {
      let index = try await machine.writeSnapshot(to: path)
      guard log != nil else { throw endedError }
      guard index > raft.snapshot.index, let metadata = raft.snapshotMetadata(at: index) else {
        await snapshots.discard(path)
        return raft.snapshot.index
      }
      try await snapshots.adopt(path, metadata: metadata)
      step(.snapshotTaken(metadata, compactThrough: index - min(index, configuration.keptEntries)))
      logger.info("took a snapshot at entry \(index)")
      return index
    } catch let error as ReplicaError {
      throw error
    } catch {
      logger.error("no snapshot was taken: \(error)")
      throw .failed("no snapshot was taken: \(error)")
    }
  }

  func sendSnapshot(to member: NodeID, term: UInt64) {
    guard let stored = snapshots.latest, stored.metadata.index >= raft.terms.baseIndex else {
      logger.error("member \(member) needs a snapshot, but there is none")
      return step(.snapshotSent(to: member, term: term, index: nil))
    }
    logger.info("sending the snapshot at entry \(stored.metadata.index) to member \(member)")
    let offer = SnapshotOffer(
      from: configuration.nodeID, term: term, metadata: stored.metadata, sizeBytes: stored.sizeBytes,
      checksum: stored.checksum)
    transport.sendSnapshot(offer, from: stored.path, to: member) { [weak self] isDone in
      self?.step(.snapshotSent(to: member, term: term, index: isDone ? stored.metadata.index : nil))
    }
  }

  package func beginSnapshot(_ offer: SnapshotOffer) async throws -> Int {
    guard log != nil else { throw endedError }
    guard offer.term >= raft.hardState.term else { throw notLeader }
    // What this replica has already need not be sent: the whole file is there, so to speak.
    if offer.metadata.index <= raft.commitIndex { return offer.sizeBytes }
    return try await snapshots.beginIncoming(offer)
  }

  package func receiveSnapshot(_ offer: SnapshotOffer, _ bytes: [UInt8], at offset: Int) async throws {
    guard log != nil else { throw endedError }
    try await snapshots.receive(offer, bytes, at: offset)
  }

  package func finishSnapshot(_ offer: SnapshotOffer) async throws {
    guard log != nil else { throw endedError }
    if offer.metadata.index > raft.commitIndex { try await snapshots.finishIncoming(offer) }
    step(.snapshotReceived(offer.metadata, from: offer.from, term: offer.term))
  }
}
