import EventLoop
import LogStore
import Raft
import SegmentedLog

/// Entries that are being read from the log, or have been.
@LoopActor
final class EntryRead {
  typealias Completion = @LoopActor (Result<[Entry], LogStoreError>) -> Void

  /// The first one.
  let from: UInt64
  private var result: Result<[Entry], LogStoreError>?
  private var then: Completion?

  /// Begins to read.
  init(_ log: LogStore, from: UInt64, through: UInt64, limitBytes: Int) {
    self.from = from
    log.readEntries(from: from, through: through, limitBytes: limitBytes) { [self] in finish($0) }
  }

  /// Calls back once they are read, at once where they are. To be asked once.
  func whenDone(_ then: @escaping Completion) {
    if let result { return then(result) }
    self.then = then
  }

  private func finish(_ result: Result<[Entry], LogStoreError>) {
    self.result = result
    then?(result)
    then = nil
  }
}
