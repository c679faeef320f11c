import ArgumentParser
import EventLoop
import FoundationEssentials
import Glibc
import ProtocolMetadata
import RPC

/// `kunlog bench meta subscribers`: many subscriptions at one member, some of which never read, while records are appended.
struct BenchSubscribers: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "subscribers", abstract: "Subscribe many times while records are appended; print how they arrive.")

  @OptionGroup var target: BenchTarget

  @Option(name: .long, help: "Subscriptions that read.")
  var count = 999

  @Option(name: .long, help: "Subscriptions that never read.")
  var stalled = 1

  @Option(name: .long, help: "Connections that those who read share.")
  var connections = 10

  @Option(name: .long, help: "Records appended per second.")
  var rate = 50

  @Option(name: .long, help: "Bytes of a record's value.")
  var valueBytes = 256

  @Option(name: .long, help: "Seconds of appending.")
  var seconds = 10.0

  @LoopActor
  func run() async throws {
    let (members, leader) = try await target.membersAndLeader()
    defer { for member in members { member.close() } }
    try await members[leader].prepare()
    let endpoint = try Endpoint.list(target.endpoints)[leader]
    let storm = SubscriberStorm(self, members[leader]) { [target] in
      RPCChannel(host: endpoint.host, port: endpoint.port, tls: target.tls)
    }
    try printJSON(try await storm.report())
  }
}

/// Subscribers, and one who appends.
@LoopActor
private final class SubscriberStorm {
  private static let subscribe = RPCMethod<
    Kunlog_Metadata_V1_SubscribeRequest, Kunlog_Metadata_V1_SealedSubscribeResponse
  >(service: "kunlog.metadata.v1.Metadata", method: "Subscribe")

  private final class Subscriber {
    let reader: RPCReader<Kunlog_Metadata_V1_SealedSubscribeResponse>
    var lastIndex: UInt64 = 0
    var records = 0
    var failure: String?

    init(_ reader: RPCReader<Kunlog_Metadata_V1_SealedSubscribeResponse>) { self.reader = reader }
  }

  struct Report: Encodable {
    var subscribers: Int
    var stalled: Int
    var appended: Int
    var failedAppends: Int
    var delivered: Int
    var expected: Int
    var outOfOrder: Int
    var failedSubscriptions: Int
    var failure: String?
    var appendMicroseconds: LatencyRecorder.Summary
    /// From when an append began until a subscriber had its record.
    var deliveryMicroseconds: LatencyRecorder.Summary

    enum CodingKeys: String, CodingKey {
      case subscribers, stalled, appended, delivered, expected, failure
      case failedAppends = "failed_appends"
      case outOfOrder = "out_of_order"
      case failedSubscriptions = "failed_subscriptions"
      case appendMicroseconds = "append_microseconds"
      case deliveryMicroseconds = "delivery_microseconds"
    }
  }

  private let options: BenchSubscribers
  private let member: any BenchMember
  private let connect: @LoopActor () -> RPCChannel
  private var subscribers: [Subscriber] = []
  private var channels: [RPCChannel] = []
  private var appendLatencies = LatencyRecorder()
  private var deliveryLatencies = LatencyRecorder()
  /// When the appends under way began, in order; one at a time, so that record n is append n's.
  private var begun: [UInt64] = []
  private var appended = 0
  private var failedAppends = 0
  private var outOfOrder = 0
  private var isAppending = false

  init(_ options: BenchSubscribers, _ member: any BenchMember, connect: @escaping @LoopActor () -> RPCChannel) {
    self.options = options
    self.member = member
    self.connect = connect
  }

  func report() async throws -> Report {
    guard let start = await member.state()?.appliedIndex else { throw RPCError(.unavailable, "no answer") }
    subscribe(after: start)
    try await loopSleep(milliseconds: 1000)
    let interval = max(1, 1000 / options.rate)
    let timer = LoopTimer(afterMilliseconds: interval, repeatMilliseconds: interval) { [self] in append() }
    try await loopSleep(milliseconds: Int(options.seconds * 1000))
    timer.cancel()
    // What is under way arrives.
    let deadline = Loop.now + 20_000_000_000
    while isAppending || delivered < expected, Loop.now < deadline { try await loopSleep(milliseconds: 10) }
    let reading = subscribers.prefix(options.count)
    let failures = reading.compactMap(\.failure)
    let report = Report(
      subscribers: options.count, stalled: options.stalled, appended: appended, failedAppends: failedAppends,
      delivered: delivered, expected: expected, outOfOrder: outOfOrder, failedSubscriptions: failures.count,
      failure: failures.first, appendMicroseconds: appendLatencies.summary(),
      deliveryMicroseconds: deliveryLatencies.summary())
    for channel in channels { channel.close() }
    return report
  }

  private var delivered: Int { subscribers.prefix(options.count).reduce(0) { $0 + $1.records } }
  private var expected: Int { appended * options.count }

  private func subscribe(after index: UInt64) {
    channels = (0..<max(1, options.connections)).map { _ in connect() }
    for number in 0..<options.count {
      let subscriber = open(channels[number % options.connections], after: index)
      subscriber.reader.onMessage = { [self] in receive($0, subscriber) }
      subscriber.reader.onEnd = { subscriber.failure = $0.map { "\($0)" } ?? "ended" }
      subscribers.append(subscriber)
    }
    for _ in 0..<options.stalled {
      // From the beginning, on a connection of its own, and never read.
      let channel = connect()
      channels.append(channel)
      subscribers.append(open(channel, after: 0))
    }
  }

  private func open(_ channel: RPCChannel, after index: UInt64) -> Subscriber {
    let request = Kunlog_Metadata_V1_SubscribeRequest.with {
      $0.afterIndex = index
      $0.allowImage = true
    }
    return Subscriber(channel.serverStream(Self.subscribe, request))
  }

  private func receive(_ response: Kunlog_Metadata_V1_SealedSubscribeResponse, _ subscriber: Subscriber) {
    guard case .record(let record) = response.kind else { return }
    if record.index <= subscriber.lastIndex { outOfOrder += 1 }
    subscriber.lastIndex = record.index
    if subscriber.records < begun.count { deliveryLatencies.add(Loop.now - begun[subscriber.records]) }
    subscriber.records += 1
  }

  private func append() {
    guard !isAppending else { return }
    isAppending = true
    let start = Loop.now
    begun.append(start)
    let append = BenchAppend(writer: 0, valueBytes: options.valueBytes, timeoutMilliseconds: 5000)
    member.append(append) { [self] outcome in
      isAppending = false
      guard case .done = outcome else {
        failedAppends += 1
        return
      }
      appended += 1
      appendLatencies.add(Loop.now - start)
    }
  }
}
