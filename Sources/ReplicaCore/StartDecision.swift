import Raft

/// What a replica has to do before it can start, from what its log, its state and its snapshots hold.
package enum StartDecision: Sendable, Equatable {
  /// The state fits the log, which replays the rest.
  case ready
  /// Restore the snapshot first, then start with its index as the applied one.
  case restore(SnapshotMetadata)
  /// The state contains entries that the log lacks: the two are not from the same directory or time.
  case stateAheadOfLog(appliedIndex: UInt64, lastIndex: UInt64)
  /// The log begins after a snapshot that is not there.
  case snapshotMissing(index: UInt64)

  /// Decides. `appliedIndex` is what the durable state contains, `stored` are the snapshots in safe keeping, oldest first.
  package init(recovered: Raft.Recovered, appliedIndex: UInt64, stored: [SnapshotMetadata]) {
    let base = recovered.snapshot
    let lastIndex = recovered.terms.lastIndex
    // Of a log that damage has made shorter, the state may contain entries that were lost: the leader brings them again.
    let reach = max(lastIndex, base.index, recovered.promised?.index ?? 0)
    guard appliedIndex <= reach else {
      self = .stateAheadOfLog(appliedIndex: appliedIndex, lastIndex: lastIndex)
      return
    }
    // A state that begins from nothing is sooner there by the snapshot; one that is merely behind replays the log.
    guard appliedIndex < recovered.terms.baseIndex || (appliedIndex == 0 && base.index > 0) else {
      self = .ready
      return
    }
    // A snapshot newer than the log knows (the process ended in between) serves as well, if the log reaches it. One that
    // came from a leader and is ahead of the log does not: the process ended before the log was reset to it.
    if let newest = stored.last(where: { $0.index >= base.index && $0.index <= reach }) {
      self = .restore(newest)
    } else {
      self = .snapshotMissing(index: base.index)
    }
  }
}
