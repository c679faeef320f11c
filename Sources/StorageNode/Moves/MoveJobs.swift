import EventLoop
import Metadata

/// What a step came to.
struct MoveStepResult: Equatable, Sendable {
  var shardIndex: UInt64 = 0
  var sourceIndex: UInt64 = 0
  var lengthBytes: UInt64 = 0
  var checksum: [UInt8] = []
  var rows: UInt64 = 0
  /// Of the shard's own log, where it follows another one's.
  var followerIndex: UInt64 = 0
  var logFrom: UInt64 = 0
  var nodeID: NodeID?
}

/// How far a step is.
@LoopActor
final class MoveProgress {
  var bytes: UInt64 = 0
  /// 0: not known.
  var totalBytes: UInt64 = 0
  var rows: UInt64 = 0
}

/// The steps that are under way at a node: asked for again, they are looked at, not begun anew. What one has come to is told once.
@LoopActor
final class MoveJobs {
  struct Key: Hashable {
    var migrationID: MigrationID
    var attempt: UInt32
    /// What is done, with its arguments.
    var step: String
  }
  final class Job {
    let progress = MoveProgress()
    fileprivate var result: Result<MoveStepResult, MoveFailure>?
    fileprivate let ended = WakeUp()
  }

  private var jobs: [Key: Job] = [:]

  var count: Int { jobs.values.count { $0.result == nil } }

  /// Begins the step, or looks at it; waits for its end a while. nil: it has not ended.
  func run(
    _ key: Key, waitMilliseconds: Int,
    _ body: @escaping @LoopActor (MoveProgress) async throws -> MoveStepResult
  ) async -> (result: Result<MoveStepResult, MoveFailure>?, progress: MoveProgress) {
    let job: Job
    if let known = jobs[key] {
      job = known
    } else {
      job = Job()
      jobs[key] = job
      LoopActor.start {
        do { job.result = .success(try await body(job.progress)) } catch { job.result = .failure(MoveFailure(error)) }
        job.ended.wake()
      }
    }
    if job.result == nil { await job.ended.wait(milliseconds: waitMilliseconds) }
    if job.result != nil, jobs[key] === job { jobs[key] = nil }
    return (job.result, job.progress)
  }

  /// What ended and was not asked for.
  func forget(except open: (MigrationID) -> Bool) {
    jobs = jobs.filter { $0.value.result == nil || open($0.key.migrationID) }
  }
}

/// Lets those go on who wait for something to happen.
@LoopActor
final class WakeUp {
  private var waiters: [Int: UnsafeContinuation<Void, Never>] = [:]
  private var counter = 0

  nonisolated init() {}

  func wake() {
    guard !waiters.isEmpty else { return }
    let waiting = waiters
    waiters = [:]
    for waiter in waiting.sorted(by: { $0.key < $1.key }) { waiter.value.resume() }
  }

  /// Returns at the next `wake`, or after a time.
  func wait(milliseconds: Int) async {
    counter += 1
    let number = counter
    let timer = LoopTimer(afterMilliseconds: milliseconds) { [weak self] in
      self?.waiters.removeValue(forKey: number)?.resume()
    }
    await withUnsafeContinuation { waiters[number] = $0 }
    timer.cancel()
  }
}
