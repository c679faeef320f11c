import EventLoop
import Metadata
import MetadataClient
import ProtocolMetadata
import RPC
import Simulator
import Testing

/// Appenders and readers that write down what they asked and were told.
///
/// Appenders use the product's client, which finds the leader and retries under one request id. Each reader asks one node, so
/// that a node that was leader and does not know better is asked as well.
@LoopActor
final class RecordedLoad {
  /// What everybody was told, in the order of the answers.
  private(set) var operations: [LogOperation] = []
  /// Appends that were acknowledged.
  private(set) var acknowledged = 0
  /// Reads that were answered.
  private(set) var reads = 0
  /// The longest time between two acknowledgements, in milliseconds.
  private(set) var longestGapMilliseconds: Double = 0
  /// The longest that one append took, failed ones included, in milliseconds.
  private(set) var longestAppendMilliseconds: Double = 0
  /// Appends that were told of no result.
  private(set) var unknown = 0

  private let group: MetaProcesses
  private let began = Loop.now
  private var lastAcknowledgement: UInt64?
  private var lastID: UInt64 = 0
  private var isStopping = false
  private var tasks: [Task<Void, Never>] = []
  private var channels: [RPCChannel] = []

  static let topic = "load"

  init(_ group: MetaProcesses) { self.group = group }

  /// Begins. Each appender has one append under way, each reader one read.
  func start(appenders: Int = 4, readersOf nodes: [UInt64] = [1, 2, 3]) async {
    for number in 1...UInt64(appenders) {
      let client = group.client()
      await client.ready()
      tasks.append(Task { @LoopActor in while !self.isStopping { await self.append(number, client) } })
    }
    for node in nodes {
      guard let endpoint = group.nodes[node]?.endpoint else { continue }
      let channel = RPCChannel(host: endpoint.host, port: endpoint.port, tls: group.tls)
      channels.append(channel)
      tasks.append(
        Task { @LoopActor in
          while !self.isStopping {
            await self.read(100 + node, channel)
            try? await loopSleep(milliseconds: 2)
          }
        })
    }
  }

  /// Ends the load and returns once all answers are in.
  func stop() async {
    isStopping = true
    for task in tasks { await task.value }
    for channel in channels { channel.close() }
  }

  /// Returns once so many more appends were acknowledged: that things go on.
  func progress(_ count: Int = 20, seconds: UInt64 = 15) async throws {
    let goal = acknowledged + count
    try await group.eventually("\(count) more appends are acknowledged", seconds: seconds) { acknowledged >= goal }
  }

  /// Ends the load, and checks what was told against the log as the group holds it now.
  func check(sourceLocation: SourceLocation = #_sourceLocation) async throws {
    await stop()
    let client = group.client(ofAll: true)
    await client.ready()
    try await client.catchUp(timeoutMilliseconds: 10_000)
    // Note by note from the log itself.
    var log: [(index: UInt64, id: UInt64)] = []
    var request = MetadataSubscription.Request()
    request.endsAtPresent = true
    let endpoint = try #require(client.followed, sourceLocation: sourceLocation)
    let channel = RPCChannel(host: endpoint.host, port: endpoint.port, tls: group.tls)
    defer { channel.close() }
    let subscription = MetadataSubscription(request, on: channel)
    while let message = try await subscription.next() {
      guard case .record(let record) = message else { continue }
      for case .noteRecorded(Self.topic, let content) in record.events {
        log.append((record.index, content.reversed().reduce(0) { $0 << 8 | UInt64($1) }))
      }
    }
    #expect(LogHistory.check(operations, log: log) == nil, sourceLocation: sourceLocation)
    #expect(acknowledged > 0 && log.count >= acknowledged, sourceLocation: sourceLocation)
    #expect(reads > 0, sourceLocation: sourceLocation)
  }

  /// For people.
  var summary: String {
    func text(_ value: Double) -> String { String(Int(value.rounded())) }
    return
      "\(acknowledged) appends acknowledged, \(unknown) of unknown outcome, \(reads) reads; longest time without an "
      + "acknowledgement \(text(longestGapMilliseconds)) ms, longest append \(text(longestAppendMilliseconds)) ms"
  }

  private var microseconds: UInt64 { (Loop.now - began) / 1000 }

  private func append(_ number: UInt64, _ client: MetadataClient) async {
    lastID += 1
    let id = lastID
    let content = (0..<8).map { UInt8(truncatingIfNeeded: id >> (8 * $0)) }
    var operation = LogOperation(
      client: number, kind: .append(id: id), invokedMicroseconds: microseconds, completedMicroseconds: 0,
      outcome: .unknown)
    do throws(MetadataError) {
      let result = try await client.append(
        [.recordNote(topic: Self.topic, content: content)], timeoutMilliseconds: 4_000)
      operation.outcome = .index(result.index)
      acknowledged += 1
      if let last = lastAcknowledgement {
        longestGapMilliseconds = max(longestGapMilliseconds, Double(Loop.now - last) / 1e6)
      }
      lastAcknowledgement = Loop.now
    } catch {
      switch error {
      case .rejected, .unavailable, .refused: operation.outcome = .refused
      default: unknown += 1
      }
    }
    operation.completedMicroseconds = microseconds
    longestAppendMilliseconds = max(
      longestAppendMilliseconds, Double(operation.completedMicroseconds - operation.invokedMicroseconds) / 1e3)
    operations.append(operation)
  }

  private func read(_ number: UInt64, _ channel: RPCChannel) async {
    let request = Kunlog_Metadata_V1_ReadIndexRequest()
    let invoked = microseconds
    guard let response = try? await channel.unary(Self.readIndex, request, timeoutMilliseconds: 4_000) else {
      try? await loopSleep(milliseconds: 20)
      return
    }
    reads += 1
    operations.append(
      LogOperation(
        client: number, kind: .read, invokedMicroseconds: invoked, completedMicroseconds: microseconds,
        outcome: .index(response.index)))
  }

  private static let readIndex = RPCMethod<
    Kunlog_Metadata_V1_ReadIndexRequest, Kunlog_Metadata_V1_ReadIndexResponse
  >(service: "kunlog.metadata.v1.Metadata", method: "ReadIndex")
}
