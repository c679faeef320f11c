import ArgumentParser
import EventLoop
import Metadata
import MetadataClient
import ProtocolMetadata
import RPC

/// `kunlog bench meta routes`: moves tablets of the catalog that `bench meta catalog` has made, and looks at what each change of a
/// route costs one consumer; one line of JSON.
struct BenchRoutes: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "routes", abstract: "Move tablets of a large catalog; print what each new route cost a consumer.")

  static let secondNode = NodeID(rawValue: 1_000_002)

  @OptionGroup var target: BenchTarget

  @Option(name: .long, help: "How many tablets are moved.")
  var moves = 200

  func validate() throws {
    guard target.system == .kunlog else { throw ValidationError("etcd has no routes.") }
    guard (1...100_000).contains(moves) else { throw ValidationError("--moves is between 1 and 100000.") }
  }

  @LoopActor
  func run() async throws {
    let endpoint = try Endpoint.list(target.endpoints)[0]
    let client = MetadataClient(
      MetadataClient.Configuration(
        endpoints: [MetadataEndpoint(host: endpoint.host, port: endpoint.port)], tls: target.tls, principal: "bench"))
    defer { client.stop() }
    client.start()
    await client.ready()
    let channel = RPCChannel(host: endpoint.host, port: endpoint.port, tls: target.tls)
    defer { channel.close() }
    try printJSON(try await RouteMoves(client, channel, count: moves).report())
  }
}

/// Tablets move; a subscriber counts.
@LoopActor
private final class RouteMoves {
  struct Report: Encodable {
    var tablets: Int
    var moves: Int
    /// Messages that the subscriber has got for one new route, and their bytes.
    var messages: Double
    var minimumBytes: Int
    var maximumBytes: Int
    /// From the request to route a tablet until the subscriber has the record.
    var deliveryMicroseconds: LatencyRecorder.Summary
    /// What the fold of the record into the consumer's image takes.
    var foldMicroseconds: LatencyRecorder.Summary

    enum CodingKeys: String, CodingKey {
      case tablets, moves, messages
      case minimumBytes = "minimum_bytes"
      case maximumBytes = "maximum_bytes"
      case deliveryMicroseconds = "delivery_microseconds"
      case foldMicroseconds = "fold_microseconds"
    }
  }

  private static let subscribe = RPCMethod<
    Kunlog_Metadata_V1_SubscribeRequest, Kunlog_Metadata_V1_SealedSubscribeResponse
  >(service: "kunlog.metadata.v1.Metadata", method: "Subscribe")

  private let client: MetadataClient
  private let channel: RPCChannel
  private let count: Int
  /// What the subscriber got since the last request, by record.
  private var arrived: [UInt64: (messages: Int, bytes: Int, time: UInt64)] = [:]
  private var fold = LatencyRecorder()
  private var isRouting = false
  private var failure: RPCError?

  init(_ client: MetadataClient, _ channel: RPCChannel, count: Int) {
    self.client = client
    self.channel = channel
    self.count = count
  }

  func report() async throws -> Report {
    let target = try await secondShard()
    let moving = client.image.tablets.values.filter { $0.shardID != target }.sorted { $0.id < $1.id }.prefix(count)
    guard moving.count == count else {
      throw ValidationError("There are \(moving.count) tablets to move, not \(count).")
    }
    let call = channel.byteStream(
      Self.subscribe, .with { $0.afterIndex = client.image.index }, onMessage: { [self] in receive($0) },
      onEnd: { [self] in failure = $0 ?? RPCError(.unavailable, "the subscription has ended") })
    defer { call.cancel() }
    client.observe { [self] change in
      guard isRouting, let record = change.record else { return }
      let start = Loop.now
      let after = change.before.applying(record)
      fold.add(Loop.now - start)
      precondition(after.index == record.index)
    }
    var delivery = LatencyRecorder()
    var messages = 0
    var (minimum, maximum) = (Int.max, 0)
    for tablet in moving {
      try await prepare(tablet, target)
      let start = Loop.now
      isRouting = true
      let index = try await advance(.route(epoch: tablet.epoch, shardIndex: 9, rowsChecksum: [1])).index
      while arrived[index] == nil {
        if let failure { throw failure }
        try await loopSleep(milliseconds: 1)
      }
      isRouting = false
      guard let found = arrived[index] else { continue }
      delivery.add(found.time - start)
      messages += found.messages
      minimum = min(minimum, found.bytes)
      maximum = max(maximum, found.bytes)
      for step in [MigrationStep.finish, .sourceDropped] { _ = try await advance(step) }
      arrived = [:]
    }
    return Report(
      tablets: client.image.tablets.count, moves: count, messages: Double(messages) / Double(count),
      minimumBytes: minimum, maximumBytes: maximum, deliveryMicroseconds: delivery.summary(),
      foldMicroseconds: fold.summary())
  }

  /// Where the tablets go.
  private func secondShard() async throws -> ShardID {
    if let shard = client.image.shards.values.first(where: { $0.replicas == [BenchRoutes.secondNode] }) {
      return shard.id
    }
    _ = try await client.append([
      .registerNode(
        NodeDefinition(
          id: BenchRoutes.secondNode, role: .storage, name: "bench-2", host: "127.0.0.1", port: 2, postgresPort: nil)),
      .createShard(ShardDraft(id: ShardID(rawValue: 2), replicas: [BenchRoutes.secondNode])),
    ])
    return ShardID(rawValue: 2)
  }

  /// All steps before the route.
  private func prepare(_ tablet: TabletDefinition, _ target: ShardID) async throws {
    guard let node = client.image.shards[tablet.shardID]?.replicas.first else { return }
    _ = try await client.append([
      .migration(.plan(tablet.id, target: target, epoch: nil, maximumRetries: nil, reason: "bench"))
    ])
    let snapshot = MigrationSnapshot(
      nodeID: node, shardIndex: 1, lengthBytes: 1, checksum: [UInt8](repeating: 1, count: 32))
    let steps: [MigrationStep] = [
      .snapshotTaken(snapshot), .transferred, .loaded, .caughtUp(shardIndex: 7), .cutWrites,
    ]
    for step in steps { _ = try await advance(step) }
  }

  /// Carries the one open migration a step further.
  private func advance(_ step: MigrationStep) async throws -> AppendResult {
    guard let migration = client.image.migrations.open.values.first else {
      throw ValidationError("The migration has ended by itself.")
    }
    return try await client.append([.migration(.advance(migration.plan.id, attempt: 0, step))])
  }

  private func receive(_ bytes: UnsafeRawBufferPointer) {
    do {
      let response = try Kunlog_Metadata_V1_SealedSubscribeResponse(serializedBytes: Array(bytes))
      guard case .record(let record) = response.kind else { return }
      let known = arrived[record.index]
      arrived[record.index] = ((known?.messages ?? 0) + 1, (known?.bytes ?? 0) + bytes.count, Loop.now)
    } catch { failure = RPCError(.internalError, "what was subscribed to cannot be read: \(error)") }
  }
}
