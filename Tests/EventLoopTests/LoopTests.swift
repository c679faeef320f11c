import EventLoop
import Glibc
import Testing

@Suite("The loop: its actor, timers and workers")
struct LoopTests {
  @Test("Everything isolated to the loop runs on one thread, whichever task it comes from")
  func oneThread() async {
    var threads: Set<UInt> = []
    for _ in 0..<10 {
      threads.insert(await Task.detached { @LoopActor in UInt(pthread_self()) }.value)
    }
    #expect(threads.count == 1)
    #expect(!LoopActor.isCurrent)
  }

  @Test("Bodies posted from one thread run in order, and a callback may assume the isolation")
  @LoopActor
  func postsInOrder() async {
    let log = Log<Int>()
    await withCheckedContinuation { continuation in
      for number in 1...5 {
        LoopActor.post {
          LoopActor.assumeIsolated { log.entries.append(number) }
          if number == 5 { continuation.resume() }
        }
      }
    }
    #expect(log.entries == [1, 2, 3, 4, 5])
  }

  @Test("Timers fire by deadline, equal ones in the order of their creation, cancelled ones not at all")
  @LoopActor
  func timers() async throws {
    let log = Log<String>()
    LoopTimer(afterMilliseconds: 30) { log.entries.append("30") }
    LoopTimer(afterMilliseconds: 10) { log.entries.append("10 first") }
    let cancelled = LoopTimer(afterMilliseconds: 15) { log.entries.append("cancelled") }
    LoopTimer(afterMilliseconds: 20) { log.entries.append("20") }
    LoopTimer(afterMilliseconds: 0) { log.entries.append("0") }
    cancelled.cancel()
    try await loopSleep(milliseconds: 60)
    #expect(log.entries == ["0", "10 first", "20", "30"])
    #expect(!cancelled.isActive)
  }

  @Test("A repeating timer fires until it is cancelled")
  @LoopActor
  func repeatingTimer() async throws {
    let log = Log<Int>()
    await withCheckedContinuation { continuation in
      let holder = Log<LoopTimer>()
      holder.entries.append(
        LoopTimer(afterMilliseconds: 1, repeatMilliseconds: 1) {
          log.entries.append(log.entries.count)
          guard log.entries.count == 3 else { return }
          holder.entries[0].cancel()
          continuation.resume()
        })
    }
    try await loopSleep(milliseconds: 10)
    #expect(log.entries == [0, 1, 2])
  }

  @Test("A cancelled sleep ends at once with CancellationError")
  func cancelledSleep() async {
    let task = Task { try await loopSleep(milliseconds: 60_000) }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }

  @Test("A worker does its work in order, on a thread that is not the loop's, and refuses work after its end")
  func worker() async throws {
    let worker = WorkerThread(name: "test")
    #expect(try await worker.run { LoopActor.isCurrent } == false)
    let sum = await withCheckedContinuation { continuation in
      worker.run({ 20 + 22 }, then: { continuation.resume(returning: $0) })
    }
    #expect(sum == 42)
    worker.shutdown()
    await #expect(throws: WorkerStopped.self) { try await worker.run { 1 } }
  }

  @Test("A confined value is made, used and released on its worker's thread")
  func confined() async throws {
    final class Counter {
      var value = 0
    }
    let worker = WorkerThread(name: "confined")
    let counter = ThreadConfined(on: worker) { Counter() }
    for _ in 0..<3 { try await counter.run { $0.value += 1 } }
    #expect(try await counter.run { $0.value } == 3)

    let broken = ThreadConfined<Counter>(on: worker) { throw FileError("open", "/nowhere", number: ENOENT) }
    await #expect(throws: FileError("open", "/nowhere", number: ENOENT)) { try await broken.run { $0.value } }
  }
}

/// Something that closures on the loop append to.
@LoopActor
final class Log<Entry> {
  var entries: [Entry] = []
}
