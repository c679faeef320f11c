import EventLoop
import Raft
import ReplicaCore

/// Outputs of the entries that were just applied, until those who wait for them have them.
struct AppliedBatch<Output> {
  var commands: [CommittedEntry] = []
  var outputs: [Output] = []
  private var position = 0

  init() {}

  init(_ commands: [CommittedEntry], _ outputs: [Output]) {
    self.commands = commands
    self.outputs = outputs
  }

  /// The output of the command at an index; asked for in the order of indexes.
  mutating func output(of index: UInt64) -> Output {
    while commands[position].index < index { position += 1 }
    precondition(commands[position].index == index, "a proposal that was applied is a command of the batch")
    return outputs[position]
  }
}

/// Bringing committed entries to the state machine, one batch at a time.
extension Replica {
  func apply(from: UInt64, through: UInt64) {
    guard let log else { return }
    isApplying = true
    let limitBytes = configuration.applyBatchBytes
    // What was read ahead was committed then, hence is what the log holds now.
    let read = ahead.flatMap { $0.from == from ? $0 : nil }
    ahead = nil
    (read ?? EntryRead(log, from: from, through: through, limitBytes: limitBytes)).whenDone { [weak self] result in
      guard let self else { return }
      switch result {
      case .success(let entries):
        if let last = entries.last?.index, last < through, let log = self.log {
          // The next batch is read while this one is applied.
          self.ahead = EntryRead(log, from: last + 1, through: through, limitBytes: limitBytes)
        }
        LoopActor.start { await self.apply(entries) }
      case .failure where read != nil: self.apply(from: from, through: through)
      case .failure(let error):
        // A snapshot that arrived while the entries were read takes their place.
        if !self.core.hasSnapshotToRestore, self.log != nil { self.fail(error.description) }
        self.rest(.applied(through: from - 1, sizeBytes: 0))
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
    let last = entries[entries.count - 1].index
    do {
      let outputs = commands.isEmpty ? [] : try await machine.apply(commands)
      if outputs.count == commands.count {
        applied = AppliedBatch(commands, outputs)
      } else {
        fail("the state machine returned \(outputs.count) outputs for \(commands.count) entries")
      }
    } catch {
      fail("the state machine cannot apply entries \(entries[0].index) to \(last): \(error)")
    }
    core.latestSnapshotBytes = snapshots.latest?.sizeBytes ?? 0
    rest(.applied(through: last, sizeBytes: size))
  }

  func restore(_ metadata: SnapshotMetadata) {
    isApplying = true
    Task { @LoopActor in
      if let stored = self.snapshots.stored(at: metadata.index) {
        do {
          try await self.machine.restoreSnapshot(from: stored.path, index: metadata.index)
          self.logger.info("restored the snapshot at entry \(metadata.index)")
        } catch {
          self.fail("the snapshot at entry \(metadata.index) cannot be restored: \(error)")
        }
      } else {
        self.fail("the snapshot at entry \(metadata.index) is missing in \(self.snapshots.directory)")
      }
      self.rest(.snapshotRestored(metadata))
    }
  }

  /// The state machine is at rest; the core says what it does next, unless the replica has ended.
  private func rest(_ event: ReplicaCore.Event) {
    isApplying = false
    guard log == nil else { return handle(event) }
    let waiting = whenApplierRests
    whenApplierRests = []
    for body in waiting { body() }
  }
}
