/// What a commit costs while all is well: a protocol that is right but slow must fail as well.
struct CostChecker {
  var messages: UInt64 = 0
  var synchronizations: UInt64 = 0
  private var isMeasuring = false
  private var messagesAtStart: UInt64 = 0
  private var synchronizationsAtStart: UInt64 = 0
  private var measuredMessages: UInt64 = 0
  private var measuredSynchronizations: UInt64 = 0
  private var commits: UInt64 = 0
  /// Latencies of appends while measuring, in microseconds.
  private(set) var latencies: [UInt32] = []
  // Those of the present window.
  private var windowStart = 0

  mutating func begin() {
    isMeasuring = true
    messagesAtStart = messages
    synchronizationsAtStart = synchronizations
    windowStart = latencies.count
  }

  mutating func end() {
    guard isMeasuring else { return }
    isMeasuring = false
    measuredMessages += messages - messagesAtStart
    measuredSynchronizations += synchronizations - synchronizationsAtStart
    commits += UInt64(latencies.count - windowStart)
  }

  mutating func acknowledged(latency: UInt64) {
    if isMeasuring { latencies.append(UInt32(min(latency, UInt64(UInt32.max)))) }
  }

  /// The slowest of the present window but one in a hundred, in microseconds.
  var window99: UInt64 {
    let window = latencies[windowStart...].sorted()
    return window.isEmpty ? 0 : UInt64(window[window.count * 99 / 100])
  }

  var windowCommits: Int { latencies.count - windowStart }
  var windowMessages: UInt64 { messages - messagesAtStart }
  var windowSynchronizations: UInt64 { synchronizations - synchronizationsAtStart }

  func report(_ result: inout RunResult) {
    let sorted = latencies.sorted()
    guard !sorted.isEmpty, commits > 0 else { return }
    result.calmLatency50 = UInt64(sorted[sorted.count / 2])
    result.calmLatency99 = UInt64(sorted[sorted.count * 99 / 100])
    result.calmMessagesPerThousandCommits = measuredMessages * 1_000 / commits
    result.calmSynchronizationsPerThousandCommits = measuredSynchronizations * 1_000 / commits
  }
}

/// Whether commits go on once a quorum is well again.
struct LivenessChecker {
  private(set) var calmSince: UInt64 = 0
  private var lastAcknowledged: UInt64 = 0
  /// What everybody must have by the end of the calm.
  private(set) var entryGoal: UInt64 = 0
  private(set) var recordGoal = 0

  mutating func noteGoal(entries: UInt64, records: Int) {
    entryGoal = entries
    recordGoal = records
  }

  mutating func calmBegan(at time: UInt64) { calmSince = time }
  mutating func acknowledged(at time: UInt64) { lastAcknowledged = time }

  /// Whether an append was acknowledged in this calm.
  var isAlive: Bool { lastAcknowledged > calmSince }
}
