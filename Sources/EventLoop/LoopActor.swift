import CLibUV
import Glibc

/// The isolation of everything that runs on the process's one event loop. The loop's thread starts at first use.
@globalActor
package actor LoopActor {
  /// The only instance.
  package static let shared = LoopActor()

  /// The event loop runs the jobs of this actor, between the callbacks of its handles.
  nonisolated package var unownedExecutor: UnownedSerialExecutor {
    LoopExecutor.shared.asUnownedSerialExecutor()
  }

  /// Whether the caller runs on the loop's thread.
  nonisolated package static var isCurrent: Bool { LoopExecutor.shared.isCurrentThread }

  /// Runs the body with the actor's isolation, for callbacks from C that are known to arrive on the loop's thread.
  /// A call from any other thread is a mistake of ours and traps.
  nonisolated package static func assumeIsolated<T>(_ body: @LoopActor () throws -> T) rethrows -> T {
    precondition(isCurrent, "not on the event loop's thread")
    return try withoutActuallyEscaping(body) { (isolated: @escaping @LoopActor () throws -> T) throws -> T in
      // The two types differ only in the isolation, which was just checked.
      let plain = unsafeBitCast(isolated, to: (() throws -> T).self)
      return try plain()
    }
  }

  /// Runs the body on the loop, soon, without the cost of a task. Callable from any thread; bodies run in order.
  nonisolated package static func post(_ body: @escaping @LoopActor @Sendable () -> Void) {
    LoopExecutor.shared.enqueue(.body(body))
  }

  /// Starts a flow of several steps on the loop, as `Task` does; for all that runs often.
  ///
  /// The runtime resumes whatever waits for a continuation through the task's executor, and lets it switch to its actor's from
  /// there. For a plain task that is the global pool: two changes of threads for every wait. A task that is started here
  /// stays on the loop's thread.
  @discardableResult
  nonisolated package static func start<Success: Sendable>(
    _ operation: @escaping @LoopActor @Sendable () async -> Success
  ) -> Task<Success, Never> {
    // Not isolated itself: its first job then comes by way of the task's executor too.
    Task(executorPreference: LoopTaskExecutor.shared) { await operation() }
  }
}

/// Something that gathers work during a turn of the loop and does it once, at the turn's end.
package protocol TurnParticipant: AnyObject {
  /// Called once per turn in which it was registered.
  @LoopActor func endOfTurn()
}

/// Clocks of the loop, and the end of its turns.
package enum Loop {
  /// Monotonic clock, in nanoseconds since an arbitrary point.
  nonisolated package static var now: UInt64 { uv_hrtime() }

  /// Wall clock, in microseconds since 1970-01-01 UTC. May jump: never for timeouts.
  nonisolated package static func wallClockMicroseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
  }

  /// Turns of the loop since it started.
  @LoopActor package static var turns: UInt64 { LoopExecutor.shared.turns }

  /// Calls the participant at the end of this turn, before connections send what was written to them.
  @LoopActor package static func callAtEndOfTurn(_ participant: any TurnParticipant) {
    LoopExecutor.shared.producers.append(participant)
  }

  /// Calls the connection at the end of this turn, after all that may still write to it.
  @LoopActor static func transmitAtEndOfTurn(_ participant: any TurnParticipant) {
    LoopExecutor.shared.transmitters.append(participant)
  }
}
