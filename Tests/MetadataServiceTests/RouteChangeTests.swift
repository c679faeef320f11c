import EventLoop
import Metadata
import MetadataClient
import MetadataService
import ProtocolMetadata
import RPC
import SQLTypes
import Testing

/// What one change costs those who follow the log: counted, not timed (tools/bench log does that).
@Suite(.serialized) struct RouteChangeTests {
  /// What came over a subscription.
  @LoopActor
  private final class Consumer {
    private let channel: RPCChannel
    private(set) var images = 0
    private(set) var records: [(index: UInt64, bytes: Int)] = []
    private(set) var bookmark: UInt64 = 0
    private(set) var failure: String?
    private var call: RPCCall?

    private static let method = RPCMethod<
      Kunlog_Metadata_V1_SubscribeRequest, Kunlog_Metadata_V1_SubscribeResponse
    >(path: "/kunlog.metadata.v1.Metadata/Subscribe")

    init(_ endpoint: MetadataEndpoint, after index: UInt64, table: ObjectID?) {
      channel = RPCChannel(host: endpoint.host, port: endpoint.port)
      var request = Kunlog_Metadata_V1_SubscribeRequest()
      request.afterIndex = index
      if let table { request.tables = [table.rawValue] }
      call = channel.byteStream(
        Self.method, request, onMessage: { [weak self] in self?.take($0) },
        onEnd: { [weak self] in self?.failure = $0.map { "\($0)" } ?? "it has ended" })
    }

    private func take(_ bytes: UnsafeRawBufferPointer) {
      do {
        switch try Kunlog_Metadata_V1_SubscribeResponse(serializedBytes: Array(bytes)).kind {
        case .record(let record): records.append((record.index, bytes.count))
        case .bookmark(let index): bookmark = index
        case .image: images += 1
        case nil: break
        }
      } catch { failure = "\(error)" }
    }

    func close() {
      call?.cancel()
      channel.close()
    }
  }

  /// What the route of the first of so many tablets costs: the bytes of its record for a consumer of everything.
  @LoopActor
  private func bytesOfOneRoute(tablets: Int) async throws -> Int {
    var bytes = 0
    try await withMetaCluster(1) { cluster in
      let client = try await cluster.bootstrapped()
      let target = ShardID(rawValue: 2)
      _ = try await client.append([
        .registerNode(
          NodeDefinition(id: NodeID(rawValue: 12), role: .storage, name: "s2", host: "127.0.0.1", port: 2))
      ])
      _ = try await client.append((0..<tablets).map { table("t\($0)") }, timeoutMilliseconds: 30_000)
      _ = try await client.append([.createShard(ShardDraft(id: target, replicas: [NodeID(rawValue: 12)]))])
      #expect(client.image.tablets.count == tablets)
      let tablet = try #require(client.image.tablets[TabletID(rawValue: 1)])
      let other = try #require(client.image.tablets[TabletID(rawValue: 2)])
      try await moveUpToTheRoute(client, tablet, target)

      let start = client.image.index
      let everything = Consumer(cluster.endpoints[0], after: start, table: nil)
      let concerned = Consumer(cluster.endpoints[0], after: start, table: tablet.tableID)
      let unconcerned = Consumer(cluster.endpoints[0], after: start, table: other.tableID)
      let consumers = [everything, concerned, unconcerned]
      defer { for consumer in consumers { consumer.close() } }
      try await cluster.eventually { cluster.nodes[0]?.subscribers.count == 4 }
      let route = AppendRequest(
        principal: "tester", requestID: RequestID(client: "router", sequence: 1),
        commands: [
          .migration(
            .advance(MigrationID(rawValue: 1), attempt: 0, .route(epoch: 1, shardIndex: 9, rowsChecksum: [1])))
        ])
      let index = try await client.append(route).index
      // Whoever has nothing of it is told how far it is.
      try await cluster.eventually { consumers.allSatisfy { $0.bookmark >= index || $0.records.last?.index == index } }
      #expect(consumers.map(\.failure) == [nil, nil, nil])
      #expect(consumers.map(\.images) == [0, 0, 0])
      #expect(everything.records.map(\.index) == [index])
      #expect(concerned.records.map(\.index) == [index])
      #expect(unconcerned.records.map(\.index) == [])
      #expect(client.image.tablets[tablet.id]?.shardID == target)
      bytes = everything.records.first?.bytes ?? 0
    }
    return bytes
  }

  @LoopActor
  private func moveUpToTheRoute(
    _ client: MetadataClient, _ tablet: TabletDefinition, _ target: ShardID
  ) async throws {
    let plan = MigrationCommand.plan(tablet.id, target: target, epoch: nil, maximumRetries: nil, reason: "test")
    let snapshot = MigrationSnapshot(
      nodeID: NodeID(rawValue: 11), shardIndex: 1, lengthBytes: 1, checksum: [UInt8](repeating: 1, count: 32))
    let steps: [MigrationStep] = [
      .snapshotTaken(snapshot), .transferred, .loaded, .caughtUp(shardIndex: 7), .cutWrites,
    ]
    _ = try await client.append([.migration(plan)])
    for step in steps {
      _ = try await client.append([.migration(.advance(MigrationID(rawValue: 1), attempt: 0, step))])
    }
  }

  @Test func aNewRouteCostsAConsumerOneRecordWhoseBytesDoNotDependOnTheCatalog() async throws {
    let small = try await bytesOfOneRoute(tablets: 10)
    let large = try await bytesOfOneRoute(tablets: 2_000)
    #expect(small > 0 && small < 300)
    // Only the record's index may have a digit more.
    #expect(abs(large - small) <= 4, "\(small) bytes with 10 tablets, \(large) with 2,000")
  }
}
