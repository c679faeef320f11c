import EventLoop
import LogStore
import Raft
import ReplicaCore
import SegmentedLog

/// Bringing the state up to the log at start.
extension Replica {
  /// Restores the log's snapshot where that is needed; the last entry that the state contains. `recovered` is changed where
  /// the snapshot is lost.
  func restore(_ recovered: inout Raft.Recovered, _ log: LogStore) async throws(ReplicaStartError) -> UInt64 {
    do { try await snapshots.open() } catch { throw .other("\(error)") }
    let appliedIndex = machine.appliedIndex
    switch StartDecision(recovered: recovered, appliedIndex: appliedIndex, stored: snapshots.all) {
    case .ready: return appliedIndex
    case .stateAheadOfLog(let applied, let last): throw .stateAheadOfLog(appliedIndex: applied, lastIndex: last)
    case .snapshotMissing(let index): return try await beginAnew(without: index, &recovered, log)
    case .restore(let metadata):
      guard let stored = snapshots.stored(at: metadata.index) else {
        return try await beginAnew(without: metadata.index, &recovered, log)
      }
      do {
        try await machine.restoreSnapshot(from: stored.path, index: metadata.index)
      } catch { throw .other("the snapshot at entry \(metadata.index) cannot be restored: \(error)") }
      return metadata.index
    }
  }

  /// The snapshot that the log begins after is missing or damaged: without it the entries that follow are of no use here. The
  /// others have the state, so the log begins anew, with the promise of all that it held; a leader sends a snapshot.
  private func beginAnew(
    without index: UInt64, _ recovered: inout Raft.Recovered, _ log: LogStore
  ) async throws(ReplicaStartError) -> UInt64 {
    let members = recovered.configurations.last?.configuration ?? recovered.baseConfiguration
    // A group of one has nobody who could help: nothing is thrown away.
    guard members.voters.contains(where: { $0 != configuration.nodeID }) else {
      throw .snapshotMissing(index: index, directory: snapshots.directory)
    }
    let snapshot = LogPosition(index: recovered.snapshot.index, term: recovered.snapshot.term)
    let promised = max(recovered.terms.lastPosition, snapshot, recovered.promised ?? snapshot)
    logger.critical(
      """
      the snapshot at entry \(index) is missing or damaged in \(snapshots.directory): this member begins without state, and \
      waits for a leader that has all entries to \(promised.index) (of term \(promised.term))
      """)
    let start = SnapshotMetadata(index: 0, term: 0, configuration: members)
    do throws(LogStoreError) { try await log.beginAnew(after: start, promising: promised) } catch { throw .log(error) }
    recovered.snapshot = start
    recovered.terms = TermIndex(baseIndex: 0, baseTerm: 0)
    recovered.baseConfiguration = members
    recovered.configurations = []
    recovered.commitIndex = 0
    recovered.promised = promised
    return machine.appliedIndex
  }
}
