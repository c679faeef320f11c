import ArgumentParser
import EventLoop
import Glibc

/// `kunlog bench meta load`: so many operations outstanding, or so many per second, at the leader; one line of JSON.
struct BenchLoad: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "load", abstract: "Load the leader; print what it did.")

  enum Operation: String, ExpressibleByArgument, CaseIterable {
    case append, read, ping
  }

  @OptionGroup var target: BenchTarget

  @Option(name: .long, help: "append, read (linearizable) or ping (the least request).")
  var operation = Operation.append

  @Option(name: .long, help: "Operations that wait for their answers at any time.")
  var outstanding = 1

  @Option(
    name: .long, help: "Operations per second, offered whether or not the earlier ones were answered; 0: no pacing.")
  var rate = 0

  @Option(name: .long, help: "Bytes of a value.")
  var valueBytes = 256

  @Option(name: .long, help: "Events of one append, which stand or fall together (Kunlog).")
  var events = 1

  @Flag(name: .long, help: "Append on one stream instead of by a call for each (Kunlog).")
  var stream = false

  @Option(name: .long, help: "Operations to carry out, however long they take; 0: as many as the time allows.")
  var total = 0

  @Option(name: .long, help: "Seconds that are measured.")
  var seconds = 5.0

  @Option(name: .long, help: "Seconds before that.")
  var warmup = 1.0

  @Option(name: .long, parsing: .singleValue, help: "A server's process, whose processor time counts. Repeat.")
  var process: [Int32] = []

  func validate() throws {
    guard (1...100_000).contains(outstanding), (0...10_000_000).contains(rate), total >= 0,
      (8...1_000_000).contains(valueBytes),
      (1...10_000).contains(events),
      (0.1...3600).contains(seconds), (0...600).contains(warmup)
    else {
      throw ValidationError("--outstanding, --rate, --value-bytes, --events, --seconds or --warmup is out of range.")
    }
  }

  @LoopActor
  func run() async throws {
    let (members, leader) = try await target.membersAndLeader()
    defer { for member in members { member.close() } }
    try await members[leader].prepare()
    let run = LoadRun(self, members[leader])
    try printJSON(await run.report())
  }
}

/// One measurement.
@LoopActor
private final class LoadRun {
  /// A run with more failures than this has nothing to say.
  private static let maximumFailures = 10_000

  private let options: BenchLoad
  private let member: any BenchMember
  private var latencies = LatencyRecorder()
  private var isMeasuring = false
  private var isOver = false
  private var completed = 0
  private var failed = 0
  private var firstFailure: String?
  private var started = 0
  private var outstanding = 0
  private var maximumOutstanding = 0
  private var waiter: CheckedContinuation<Void, Never>?
  private var pacer: LoopTimer?
  private var pacedUntil: UInt64 = 0
  private var freeWriters: [Int] = []

  init(_ options: BenchLoad, _ member: any BenchMember) {
    self.options = options
    self.member = member
  }

  struct Report: Encodable {
    var operation: String
    var outstanding: Int
    var offeredRate: Int
    var seconds: Double
    var completed: Int
    var failed: Int
    var failure: String?
    var perSecond: Double
    var latencyMicroseconds: LatencyRecorder.Summary
    var serverSeconds: Double
    var clientSeconds: Double
    /// The most that waited at once: with a rate, what has piled up.
    var maximumOutstanding: Int

    enum CodingKeys: String, CodingKey {
      case operation, outstanding, seconds, completed, failed, failure
      case offeredRate = "offered_rate"
      case perSecond = "per_second"
      case latencyMicroseconds = "latency_microseconds"
      case serverSeconds = "server_seconds"
      case clientSeconds = "client_seconds"
      case maximumOutstanding = "maximum_outstanding"
    }
  }

  func report() async throws -> Report {
    begin()
    if options.total == 0 { try await loopSleep(milliseconds: Int(options.warmup * 1000)) }
    let serverBefore = ProcessTimes.seconds(options.process)
    let clientBefore = ProcessTimes.own()
    let start = Loop.now
    isMeasuring = true
    if options.total > 0 {
      while completed + failed < options.total { try await loopSleep(milliseconds: 1) }
    } else {
      try await loopSleep(milliseconds: Int(options.seconds * 1000))
    }
    isMeasuring = false
    let seconds = Double(Loop.now - start) / 1e9
    let server = ProcessTimes.seconds(options.process) - serverBefore
    let client = ProcessTimes.own() - clientBefore
    isOver = true
    pacer?.cancel()
    if outstanding > 0 { await withCheckedContinuation { waiter = $0 } }
    return Report(
      operation: options.operation.rawValue, outstanding: options.outstanding, offeredRate: options.rate,
      seconds: seconds, completed: completed, failed: failed, failure: firstFailure,
      perSecond: Double(completed) / seconds, latencyMicroseconds: latencies.summary(), serverSeconds: server,
      clientSeconds: client, maximumOutstanding: maximumOutstanding)
  }

  private func begin() {
    guard options.rate > 0 else {
      for writer in 0..<options.outstanding { start(writer, due: nil) }
      return
    }
    pacedUntil = Loop.now
    pacer = LoopTimer(afterMilliseconds: 1, repeatMilliseconds: 1) { [self] in pace() }
  }

  /// Starts what is due. An operation's latency counts from when it was due, not from when there was time for it.
  private func pace() {
    let interval = UInt64(1_000_000_000 / options.rate)
    while pacedUntil <= Loop.now {
      start(freeWriters.popLast() ?? outstanding, due: pacedUntil)
      pacedUntil += interval
    }
  }

  private func start(_ writer: Int, due: UInt64?) {
    guard options.total == 0 || started < options.total else { return }
    started += 1
    outstanding += 1
    maximumOutstanding = max(maximumOutstanding, outstanding)
    let begun = due ?? Loop.now
    let counts = isMeasuring
    let ended: @LoopActor (BenchOutcome) -> Void = { [self] in end(writer, begun: begun, counts: counts, $0) }
    switch options.operation {
    case .append:
      let append = BenchAppend(
        writer: writer, valueBytes: options.valueBytes, events: options.events, isStreamed: options.stream)
      member.append(append, then: ended)
    case .read: member.read(then: ended)
    case .ping: member.ping(then: ended)
    }
  }

  private func end(_ writer: Int, begun: UInt64, counts: Bool, _ outcome: BenchOutcome) {
    outstanding -= 1
    switch outcome {
    case .done:
      if isMeasuring { completed += 1 }
      if counts { latencies.add(Loop.now - begun) }
    case .refused(let reason):
      failed += 1
      if firstFailure == nil { firstFailure = reason }
    }
    if isOver || failed > Self.maximumFailures {
      if outstanding == 0 {
        waiter?.resume()
        waiter = nil
      }
    } else if options.rate == 0 {
      start(writer, due: nil)
    } else {
      freeWriters.append(writer)
    }
  }
}
