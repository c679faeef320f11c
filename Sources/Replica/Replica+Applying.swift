import EventLoop
import Raft

/// Bringing committed entries to the state machine, one batch at a time.
extension Replica {
  /// Starts the next batch, or the restoration of a snapshot, unless one is under way.
  func applyNext() {
    guard !isApplying, let log else { return }
    if let metadata = snapshotToRestore {
      isApplying = true
      Task { @LoopActor in await self.restoreSnapshot(metadata) }
      return
    }
    guard appliedIndex < applyTarget else { return }
    isApplying = true
    log.readEntries(from: appliedIndex + 1, through: applyTarget, limitBytes: configuration.applyBatchBytes) {
      [weak self] result in
      guard let self else { return }
      switch result {
      case .success(let entries): LoopActor.start { await self.apply(entries) }
      case .failure(let error):
        // A snapshot that arrived while the entries were read takes their place.
        if self.snapshotToRestore == nil, self.log != nil { self.fail(error.description) }
        self.rest()
      }
    }
  }

  private func apply(_ entries: [Entry]) async {
    var commands: [CommittedEntry] = []
    commands.reserveCapacity(entries.count)
    var size = 0
    for entry in entries {
      size += entry.sizeBytes
      guard entry.kind == .command else { continue }
      commands.append(CommittedEntry(index: entry.index, term: entry.term, payload: entry.payload))
    }
    do {
      let outputs = commands.isEmpty ? [] : try await machine.apply(commands)
      guard outputs.count == commands.count else {
        fail("the state machine returned \(outputs.count) outputs for \(commands.count) entries")
        return rest()
      }
      appliedIndex = entries[entries.count - 1].index
      bytesSinceSnapshot += size
      for (command, output) in zip(commands, outputs) { complete(command, with: output) }
    } catch {
      fail(
        "the state machine cannot apply entries \(appliedIndex + 1) to \(entries[entries.count - 1].index): \(error)")
      return rest()
    }
    afterApplying()
    rest()
  }

  private func complete(_ command: CommittedEntry, with output: Machine.Output) {
    guard !proposals.isEmpty else { return }
    var lost: [ProposalQueue<Machine.Output>.Completion] = []
    let then = proposals.take(index: command.index, term: command.term, lost: &lost)
    for then in lost { then(.failure(.lostLeadership)) }
    then?(.success(output))
  }

  private func restoreSnapshot(_ metadata: SnapshotMetadata) async {
    guard let stored = snapshots.stored(at: metadata.index) else {
      fail("the snapshot at entry \(metadata.index) is missing in \(snapshots.directory)")
      return rest()
    }
    do {
      try await machine.restoreSnapshot(from: stored.path, index: metadata.index)
    } catch {
      fail("the snapshot at entry \(metadata.index) cannot be restored: \(error)")
      return rest()
    }
    if snapshotToRestore == metadata { snapshotToRestore = nil }
    appliedIndex = metadata.index
    bytesSinceSnapshot = 0
    logger.info("restored the snapshot at entry \(metadata.index)")
    // Whatever waited for entries that the snapshot has swallowed cannot get their outputs any more.
    var lost: [ProposalQueue<Machine.Output>.Completion] = []
    _ = proposals.take(index: metadata.index, term: 0, lost: &lost)
    for then in lost { then(.failure(.lostLeadership)) }
    afterApplying()
    rest()
  }

  private func afterApplying() {
    guard log != nil else { return }
    for then in reads.applied(appliedIndex) { then(nil) }
    establishLeadership()
    if bytesSinceSnapshot >= configuration.snapshotLogBytes, !isTakingSnapshot {
      Task { @LoopActor in _ = try? await self.takeSnapshot() }
    }
  }

  private func rest() {
    isApplying = false
    if log == nil {
      let waiting = whenApplierRests
      whenApplierRests = []
      for body in waiting { body() }
    }
    applyNext()
  }
}
