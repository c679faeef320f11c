import EventLoop
import Raft
import ReplicaCore
import SegmentedLog

/// Proposals, reads, and what the log holds.
extension Replica {
  /// Proposes an entry. `onAppended` is told its index at once, in the order of all proposals; `then` its output once it is
  /// committed and applied here, or why not. Only the leader takes proposals.
  package func propose(
    _ payload: [UInt8], onAppended: (@LoopActor (UInt64) -> Void)? = nil,
    then: @escaping @LoopActor (Result<Machine.Output, ReplicaError>) -> Void
  ) {
    guard log != nil else { return then(.failure(endedError)) }
    guard payload.count <= configuration.maximumEntryBytes else {
      return then(.failure(.tooLarge(sizeBytes: payload.count, limitBytes: configuration.maximumEntryBytes)))
    }
    let token = proposals.add(then)
    do throws(Refusal) {
      let index = try core.propose(payload, token: token, atMilliseconds: now)
      registerForEndOfTurn()
      statistics.proposals &+= 1
      onAppended?(index)
    } catch {
      proposals.take(token)(.failure(self.error(of: error)))
    }
  }

  /// Proposes an entry; returns its output once it is committed and applied here.
  package func propose(
    _ payload: [UInt8], onAppended: (@LoopActor (UInt64) -> Void)? = nil
  ) async throws(ReplicaError) -> Machine.Output {
    let result: Result<Machine.Output, ReplicaError> = await withCheckedContinuation { continuation in
      propose(payload, onAppended: onAppended) { continuation.resume(returning: $0) }
    }
    return try result.get()
  }

  /// Returns once this replica has applied all that was committed, anywhere in the group, when it was asked: a read of the
  /// state is linearizable then. Works on followers too; without leader it waits for one, up to the configured time.
  package func readIndex() async throws(ReplicaError) {
    let error: ReplicaError? = await withCheckedContinuation { continuation in
      readIndex { continuation.resume(returning: $0) }
    }
    if let error { throw error }
  }

  /// The same with a callback, which is given nil or why the read cannot be confirmed.
  package func readIndex(then: @escaping @LoopActor (ReplicaError?) -> Void) {
    guard log != nil else { return then(endedError) }
    handle(
      .read(waiters.add(then), deadlineMilliseconds: now + UInt64(configuration.readTimeoutMilliseconds)))
  }

  /// Applied entries from an index on, about as many as fit the limit; empty when none is applied from there on. Throws
  /// `compacted` when the first one is only in the snapshot.
  /// - Parameter readsArchive: entries that the log has dropped come from its archive, as far as that goes.
  package func entries(
    from index: UInt64, limitBytes: Int, readsArchive: Bool = false
  ) async throws(ReplicaError) -> [CommittedEntry] {
    var next = max(1, index)
    while next <= core.appliedIndex {
      guard let log else { throw endedError }
      let last = core.appliedIndex
      let entries: [Entry]
      do throws(LogStoreError) {
        let isArchived = readsArchive && next <= log.base.base.index
        entries =
          isArchived
          ? try await log.readArchived(from: next, through: last, limitBytes: limitBytes)
          : try await log.readEntries(from: next, through: last, limitBytes: limitBytes)
      } catch {
        switch error {
        case .compacted(let first): throw .compacted(firstIndex: first)
        case .closed: throw .stopped
        case .corrupt where next > log.base.base.index:
          // The next start accounts for it, and the others have what is lost; here it would be met for ever.
          fail(error.description)
          throw .failed(error.description)
        default: throw .failed(error.description)
        }
      }
      let commands = entries.filter { $0.kind == .command }
      if !commands.isEmpty {
        return commands.map { CommittedEntry(index: $0.index, term: $0.term, payload: $0.payload) }
      }
      next = entries[entries.count - 1].index + 1
    }
    return []
  }

  /// The first entry from which on `entries` can give all, where it may read the archive; `.max` once the replica has ended.
  package var historyFirstIndex: UInt64 { log?.historyFirstIndex ?? .max }

  var endedError: ReplicaError {
    if case .ended(let error) = state { return error }
    return .stopped
  }

  func error(of refusal: Refusal) -> ReplicaError {
    switch refusal {
    // While leadership is handed over nobody leads, soon another one.
    case .notLeader, .transferring: return notLeader
    case .overloaded: return .overloaded
    case .diskFull: return .diskFull(configuration.dataDirectory)
    case .membershipChangePending, .notCaughtUp, .membership: return .refused(refusal)
    }
  }

  func error(of failure: ReplicaCore.Failure) -> ReplicaError {
    switch failure {
    case .lostLeadership: return .lostLeadership
    case .overloaded: return .overloaded
    case .timedOut: return .timedOut
    case .stopped: return endedError
    }
  }
}
