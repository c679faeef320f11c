import ArgumentParser
import EventLoop
import RPC

/// `kunlog bench watch`: many subscribers at one server while records are appended; one line of JSON.
struct BenchWatch: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "watch", abstract: "Subscribe many times while records are appended; print how far behind they are.")

  @OptionGroup var target: BenchTarget

  @Option(name: .long, help: "Subscriptions that read.")
  var count = 1000

  @Option(name: .long, help: "Connections that they share.")
  var connections = 100

  @Option(name: .long, help: "Subscriptions that never read, each on a connection of its own.")
  var stalled = 0

  @Option(name: .long, help: "Records appended per second; 0: none, the subscribers are idle.")
  var rate = 1000

  @Option(name: .long, help: "Bytes of a record's value.")
  var valueBytes = 100

  @Option(name: .long, help: "Seconds that are measured.")
  var seconds = 8.0

  @Option(name: .long, help: "Seconds of appending before that.")
  var warmup = 2.0

  @Option(name: .long, help: "The server's process, whose processor time and memory are measured.")
  var process: Int32

  func validate() throws {
    guard (1...100_000).contains(count), (1...count).contains(connections), (0...1000).contains(stalled),
      (0...100_000).contains(rate), (8...1_000_000).contains(valueBytes), (0.1...3600).contains(seconds),
      (0...600).contains(warmup)
    else {
      throw ValidationError(
        "--count, --connections, --stalled, --rate, --value-bytes, --seconds or --warmup is out of range.")
    }
  }

  @LoopActor
  func run() async throws {
    let (members, leader) = try await target.membersAndLeader()
    defer { for member in members { member.close() } }
    try await members[leader].prepare()
    let endpoint = try Endpoint.list(target.endpoints)[leader]
    let run = WatchRun(self, members[leader]) { [target] in
      RPCChannel(host: endpoint.host, port: endpoint.port, tls: target.tls)
    }
    try printJSON(try await run.report())
  }
}

/// One measurement.
@LoopActor
private final class WatchRun {
  struct Report: Encodable {
    var subscribers: Int
    var connections: Int
    var stalled: Int
    var appended: Int
    var failedAppends: Int
    var expected: Int
    var delivered: Int
    var messages: Int
    var receivedBytes: Int
    var failedSubscriptions: Int
    var failure: String?
    /// From when a record was due to be appended until a subscriber had it.
    var lagMicroseconds: LatencyRecorder.Summary
    var appendMicroseconds: LatencyRecorder.Summary
    var seconds: Double
    var serverSeconds: Double
    var clientSeconds: Double
    var memoryBeforeBytes: Int
    var memoryIdleBytes: Int
    var memoryActiveBytes: Int

    enum CodingKeys: String, CodingKey {
      case subscribers, connections, stalled, appended, expected, delivered, messages, failure, seconds
      case failedAppends = "failed_appends"
      case receivedBytes = "received_bytes"
      case failedSubscriptions = "failed_subscriptions"
      case lagMicroseconds = "lag_microseconds"
      case appendMicroseconds = "append_microseconds"
      case serverSeconds = "server_seconds"
      case clientSeconds = "client_seconds"
      case memoryBeforeBytes = "memory_before_bytes"
      case memoryIdleBytes = "memory_idle_bytes"
      case memoryActiveBytes = "memory_active_bytes"
    }
  }

  private let options: BenchWatch
  private let member: any BenchMember
  private let connect: @LoopActor () -> RPCChannel
  private let target: WatchTarget
  private let path: ArraySlice<UInt64>
  private var channels: [RPCChannel] = []
  private var kept: [AnyObject] = []
  private var calls: [RPCCall] = []
  private var failures: [String] = []
  private var lags = LatencyHistogram()
  private var appends = LatencyHistogram()
  /// When record n was due.
  private var due: [UInt64] = []
  private var isMeasuring = false
  private var measuredFrom = 0
  private var appended = 0
  private var failedAppends = 0
  private var outstanding = 0
  private var delivered = 0
  private var messages = 0
  private var receivedBytes = 0
  private var nextDue: UInt64 = 0

  init(_ options: BenchWatch, _ member: any BenchMember, connect: @escaping @LoopActor () -> RPCChannel) {
    self.options = options
    self.member = member
    self.connect = connect
    target = WatchTarget(system: options.target.system)
    path = target.path
  }

  func report() async throws -> Report {
    let start = await member.state()?.appliedIndex ?? 0
    try await loopSleep(milliseconds: 500)
    let before = ProcessTimes.residentBytes(options.process)
    try await subscribe(after: start)
    let idle = ProcessTimes.residentBytes(options.process)
    let pacer = options.rate > 0 ? LoopTimer(afterMilliseconds: 1, repeatMilliseconds: 1) { [self] in pace() } : nil
    nextDue = Loop.now
    try await loopSleep(milliseconds: Int(options.warmup * 1000))
    let serverBefore = ProcessTimes.seconds([options.process])
    let clientBefore = ProcessTimes.own()
    let begun = Loop.now
    measuredFrom = due.count
    isMeasuring = true
    try await loopSleep(milliseconds: Int(options.seconds * 1000))
    pacer?.cancel()
    let appendedUntil = due.count
    // What is under way arrives, or does not.
    let deadline = Loop.now + 15_000_000_000
    let expected = (appendedUntil - measuredFrom) * options.count
    while outstanding > 0 || delivered < expected - failedAppends * options.count, Loop.now < deadline {
      try await loopSleep(milliseconds: 5)
    }
    isMeasuring = false
    let seconds = Double(Loop.now - begun) / 1e9
    let report = Report(
      subscribers: options.count, connections: options.connections, stalled: options.stalled, appended: appended,
      failedAppends: failedAppends, expected: expected, delivered: delivered, messages: messages,
      receivedBytes: receivedBytes, failedSubscriptions: failures.count, failure: failures.first,
      lagMicroseconds: lags.summary(), appendMicroseconds: appends.summary(), seconds: seconds,
      serverSeconds: ProcessTimes.seconds([options.process]) - serverBefore,
      clientSeconds: ProcessTimes.own() - clientBefore, memoryBeforeBytes: before, memoryIdleBytes: idle,
      memoryActiveBytes: ProcessTimes.residentBytes(options.process))
    for channel in channels { channel.close() }
    return report
  }

  private func subscribe(after index: UInt64) async throws {
    for number in 0..<options.connections {
      channels.append(connect())
      // Handshakes take their time; a server that is stormed would refuse some.
      if number % 20 == 19 { try await loopSleep(milliseconds: 40) }
    }
    for number in 0..<options.count {
      let call = target.open(channels[number % options.connections], after: index) { [self] in
        receive($0)
      } onEnd: {
        [self] in
        failures.append($0.map { "\($0)" } ?? "ended")
      }
      calls.append(call)
      if number % 50 == 49 { try await loopSleep(milliseconds: 20) }
    }
    for _ in 0..<options.stalled {
      let channel = connect()
      channels.append(channel)
      kept.append(target.openStalled(channel, after: 0))
    }
    try await loopSleep(milliseconds: 3000)
  }

  private func receive(_ bytes: UnsafeRawBufferPointer) {
    guard isMeasuring else { return }
    messages += 1
    receivedBytes += bytes.count
    let now = Loop.now
    WireField.each(path, in: bytes) { value in
      guard value.count >= 8 else { return }
      // Numbered from 1 by the member that appends.
      let number = Int(truncatingIfNeeded: UInt64(littleEndian: value.loadUnaligned(as: UInt64.self))) - 1
      guard number >= measuredFrom, number < due.count else { return }
      delivered += 1
      lags.add(now - min(due[number], now))
    }
  }

  private func pace() {
    let interval = UInt64(1_000_000_000 / options.rate)
    let now = Loop.now
    while nextDue <= now {
      append(due: nextDue)
      nextDue += interval
    }
  }

  private func append(due time: UInt64) {
    due.append(time)
    outstanding += 1
    let counts = isMeasuring
    member.append(BenchAppend(writer: 0, valueBytes: options.valueBytes)) { [self] outcome in
      outstanding -= 1
      guard case .done = outcome else {
        failedAppends += 1
        return
      }
      appended += 1
      if counts { appends.add(Loop.now - min(time, Loop.now)) }
    }
  }
}
