import Coordination
import EventLoop
import Metadata
import MetadataClient
import RPC
import StorageWire

/// What shards hold and have room for, as commands ask their replicas.
@LoopActor
final class ShardUsages {
  private let client: MetadataClient
  private let tls: TLSConfiguration
  private var channels: [NodeID: RPCChannel] = [:]

  init(_ client: MetadataClient, _ cluster: ClusterOptions) throws {
    self.client = client
    tls = try cluster.tls()
  }

  func close() {
    for channel in channels.values { channel.close() }
    channels = [:]
  }

  private func channel(_ id: NodeID) -> RPCChannel? {
    guard let node = client.image.nodes[id] else { return nil }
    let channel = channels[id] ?? RPCChannel(host: node.host, port: node.port, tls: tls)
    channels[id] = channel
    return channel
  }

  /// nil: no leader of the shard answers.
  func ask(_ shard: ShardID, timeoutMilliseconds: Int = 2000) async -> ShardUsage? {
    await ShardUsage.ask(
      replicas: client.image.shards[shard]?.replicas ?? [], timeoutMilliseconds: timeoutMilliseconds, channel: channel)
  }

  /// Of all shards that answer.
  func askAll(timeoutMilliseconds: Int = 2000) async -> [ShardID: ShardUsage] {
    let shards = client.image.shards.keys.sorted()
    let questions = shards.map { shard in
      Task { @LoopActor in await self.ask(shard, timeoutMilliseconds: timeoutMilliseconds) }
    }
    var usages: [ShardID: ShardUsage] = [:]
    for (shard, question) in zip(shards, questions) { usages[shard] = await question.value }
    return usages
  }

  /// The replicas' disks.
  func spaces(of replicas: [NodeID], timeoutMilliseconds: Int = 1000) async -> [NodeID: DiskSpace] {
    await DiskSpace.ask(replicas: replicas, timeoutMilliseconds: timeoutMilliseconds, channel: channel)
  }

  /// Refuses to move tablets to a shard that has no room for them beside what is on its way there already.
  func requireRoom(for tablets: [TabletDefinition], at target: ShardID) async throws {
    guard let usage = await ask(target) else { return }
    let image = client.image
    let coming = image.migrations.open.values.filter { $0.plan.target == target && $0.phase.isForward }
      .compactMap { image.tablets[$0.plan.tabletID] }
    let sources = Set((tablets + coming).map(\.shardID))
    var usages: [ShardID: ShardUsage] = [:]
    for source in sources.sorted() { usages[source] = await ask(source) }
    func size(_ tablet: TabletDefinition) -> UInt64 { usages[tablet.shardID]?.tablets[tablet.id]?.sizeBytes ?? 0 }
    let planned = tablets.reduce(UInt64(0)) { $0 &+ size($1) }
    // What has come already is not free any more.
    let awaited = coming.reduce(UInt64(0)) { sum, tablet in
      let arrived = usage.tablets[tablet.id]?.sizeBytes ?? 0
      return sum &+ (size(tablet) - min(size(tablet), arrived))
    }
    guard let fullest = usage.fullest, !usage.hasRoom(forBytes: planned &+ awaited) else { return }
    throw CommandFailure(
      description: "Shard \(target) has no room for it: \(ByteText.size(planned)) would go there"
        + (awaited > 0 ? ", \(ByteText.size(awaited)) are on their way" : "")
        + ", and \(Self.text(fullest.node, fullest.space, image)). Name another shard (kunlog shard list says what each "
        + "has), add one (kunlog shard add), or free space there.")
  }

  /// What the fullest replica of a shard has.
  static func text(_ node: NodeID, _ space: DiskSpace, _ image: Image) -> String {
    let name = image.nodes[node]?.name ?? "node \(node)"
    return
      "its replica \(name) has \(ByteText.size(space.freeBytes)) free of \(ByteText.size(space.totalBytes)), which is "
      + "room for \(ByteText.size(space.roomBytes)) (a table takes up to thrice its size, and "
      + "\(ByteText.size(space.keptBytes)) stay free)"
  }
}
