import CLibUV
import Glibc
import Synchronization

/// The thread that runs libuv's loop, as the serial executor of `LoopActor`.
///
/// A turn: libuv calls back (sockets, timers, children), then, just before it would sleep, the prepare handle runs the jobs
/// of the inbox, then the participants of the turn's end. So a job that is enqueued on the loop's own thread costs no
/// system call, and all that one turn writes to a connection leaves as one write.
///
/// Unchecked: `loop` and its handles are touched by the initializer before the thread exists and by that thread afterwards,
/// but for `uv_async_send`, which any thread may call; the inbox has a lock; the rest is isolated to `LoopActor`.
final class LoopExecutor: SerialExecutor, @unchecked Sendable {
  static let shared = LoopExecutor()

  enum Item {
    case job(UnownedJob)
    /// Of a task that `LoopActor.start` has started.
    case task(UnownedJob)
    case body(@LoopActor @Sendable () -> Void)
  }

  private struct Inbox {
    var items: [Item] = []
    /// Whether the loop has been woken for what the inbox holds.
    var isAwake = false
  }

  /// Rounds of jobs in one turn, so that jobs that enqueue jobs cannot starve the sockets.
  private static let maximumRounds = 8

  let loop: UnsafeMutablePointer<uv_loop_t>
  private let wakeup: UnsafeMutablePointer<uv_async_t>
  private let beforeSleep: UnsafeMutablePointer<uv_prepare_t>
  private let stayAwake: UnsafeMutablePointer<uv_idle_t>
  private let inbox = Mutex(Inbox())
  private let thread: pthread_t

  @LoopActor var producers: [any TurnParticipant] = []
  @LoopActor var transmitters: [any TurnParticipant] = []
  @LoopActor var turns: UInt64 = 0
  /// Spare storage of the inbox: the two arrays take turns, so that a busy loop does not allocate.
  @LoopActor private var spare: [Item] = []

  private init() {
    // A peer that goes away must be an error of the write, not the end of the process.
    signal(SIGPIPE, SIG_IGN)
    loop = .allocate(capacity: 1)
    wakeup = .allocate(capacity: 1)
    beforeSleep = .allocate(capacity: 1)
    stayAwake = .allocate(capacity: 1)
    var status = uv_loop_init(loop)
    precondition(status == 0, "uv_loop_init: \(uvMessage(status))")
    status = uv_async_init(loop, wakeup) { _ in }
    precondition(status == 0, "uv_async_init: \(uvMessage(status))")
    uv_prepare_init(loop, beforeSleep)
    uv_prepare_start(beforeSleep) { _ in
      LoopActor.assumeIsolated { LoopExecutor.shared.endOfTurn() }
    }
    uv_idle_init(loop, stayAwake)

    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    // Statements are analyzed on the loop, by recursion over trees that clients write, up to 500 levels deep: 20 to 60 KB
    // per level in an unoptimized build. What is not touched takes no memory.
    pthread_attr_setstacksize(&attributes, 64 << 20)
    var created = pthread_t()
    let failure = pthread_create(
      &created, &attributes, { _ in LoopExecutor.threadBody() }, UnsafeMutableRawPointer(loop))
    precondition(failure == 0, "cannot start the event loop's thread: \(String(cString: strerror(failure)))")
    pthread_attr_destroy(&attributes)
    thread = created
  }

  private static func threadBody() -> UnsafeMutableRawPointer? {
    kunlog_thread_set_name("kunlog-loop")
    // `shared` waits here until its initializer, which made this thread, has returned.
    uv_run(LoopExecutor.shared.loop, UV_RUN_DEFAULT)
    return nil
  }

  var isCurrentThread: Bool { pthread_equal(pthread_self(), thread) != 0 }

  // MARK: SerialExecutor

  func enqueue(_ job: consuming ExecutorJob) {
    enqueue(.job(UnownedJob(job)))
  }

  func asUnownedSerialExecutor() -> UnownedSerialExecutor {
    UnownedSerialExecutor(complexEquality: self)
  }

  func isSameExclusiveExecutionContext(other: LoopExecutor) -> Bool { other === self }

  func checkIsolated() {
    precondition(isCurrentThread, "not on the event loop's thread")
  }

  func isIsolatingCurrentContext() -> Bool? { isCurrentThread }

  // MARK: The inbox

  /// Adds to the inbox. The loop's own thread looks into it before it sleeps; any other thread must wake it, once.
  func enqueue(_ item: consuming Item) {
    let isOwnThread = isCurrentThread
    let item = item
    let mustWake = inbox.withLock { inbox in
      inbox.items.append(item)
      guard !isOwnThread, !inbox.isAwake else { return false }
      inbox.isAwake = true
      return true
    }
    if mustWake { uv_async_send(wakeup) }
  }

  /// Takes all items, leaving the spare array in their place.
  @LoopActor private func takeItems() -> [Item] {
    var taken = spare
    spare = []
    inbox.withLock { inbox in
      swap(&inbox.items, &taken)
      inbox.isAwake = false
    }
    return taken
  }

  @LoopActor private func endOfTurn() {
    turns &+= 1
    var rounds = 0
    while true {
      var items = takeItems()
      let isIdle = items.isEmpty && producers.isEmpty
      for item in items {
        switch item {
        case .job(let job): job.runSynchronously(on: asUnownedSerialExecutor())
        case .task(let job):
          job.runSynchronously(
            isolatedTo: asUnownedSerialExecutor(), taskExecutor: LoopTaskExecutor.shared.asUnownedTaskExecutor())
        case .body(let body): body()
        }
      }
      items.removeAll(keepingCapacity: items.capacity <= 4096)
      spare = items
      let called = Self.take(&producers)
      Self.call(called)
      Self.reuse(called, for: &producers)
      rounds += 1
      if isIdle || rounds == Self.maximumRounds { break }
    }
    let called = Self.take(&transmitters)
    Self.call(called)
    Self.reuse(called, for: &transmitters)
    // What the last calls enqueued must not wait for the next event of a socket.
    let hasMore = !producers.isEmpty || !transmitters.isEmpty || inbox.withLock { !$0.items.isEmpty }
    if hasMore {
      uv_idle_start(stayAwake) { _ in }
    } else {
      uv_idle_stop(stayAwake)
    }
  }

  /// Takes a list, leaving an empty one: those called may register again, so the list must not be held meanwhile.
  @LoopActor private static func take(_ list: inout [any TurnParticipant]) -> [any TurnParticipant] {
    var taken: [any TurnParticipant] = []
    swap(&list, &taken)
    return taken
  }

  @LoopActor private static func call(_ taken: [any TurnParticipant]) {
    for participant in taken { participant.endOfTurn() }
  }

  /// Gives a called list's storage back, where nothing was registered meanwhile.
  @LoopActor private static func reuse(_ taken: consuming [any TurnParticipant], for list: inout [any TurnParticipant])
  {
    guard list.isEmpty, taken.capacity > 0 else { return }
    taken.removeAll(keepingCapacity: taken.capacity <= 4096)
    swap(&list, &taken)
  }
}

/// Keeps the tasks that `LoopActor.start` starts on the loop's thread.
///
/// Apart from `LoopExecutor`, because their jobs have to run under both executors and all others' under the loop's alone: the
/// runtime takes a job that runs under another task executor than its own for one that has to switch, at every call.
final class LoopTaskExecutor: TaskExecutor {
  static let shared = LoopTaskExecutor()

  func enqueue(_ job: consuming ExecutorJob) {
    LoopExecutor.shared.enqueue(.task(UnownedJob(job)))
  }
}

/// libuv's text for a negative status.
func uvMessage(_ status: Int32) -> String {
  status < 0 ? String(cString: uv_strerror(status)) : "success"
}

/// Calls the body with the owner that a handle's `data` points to, on the loop.
@inline(__always)
func onLoop<Owner: AnyObject & Sendable>(
  _ data: UnsafeMutableRawPointer?, _ type: Owner.Type, _ body: @LoopActor (Owner) -> Void
) {
  guard let data else { return }
  let owner = Unmanaged<Owner>.fromOpaque(data).takeUnretainedValue()
  LoopActor.assumeIsolated { body(owner) }
}
