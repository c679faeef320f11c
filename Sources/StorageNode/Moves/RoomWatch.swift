import Coordination
import EventLoop
import Metadata
import RPC
import StorageWire

/// Watches, while a tablet comes, that it does not fill the disk of any replica of this shard: it is refused before, so that what the
/// shard has otherwise goes on, and the tablet can be dropped again.
@LoopActor
final class RoomWatch {
  /// The other replicas are asked after so many bytes, or so long.
  private static let bytesPerLook: UInt64 = 8 << 20
  private static let nanosecondsPerLook: UInt64 = 500_000_000
  private static let askMilliseconds = 300
  /// One that did not answer is left alone so long.
  private static let silenceNanoseconds: UInt64 = 5_000_000_000

  private let configuration: StorageNodeConfiguration
  private let feed: any MetadataFeed
  private let channel: @LoopActor (NodeID) -> RPCChannel?
  private var others: [NodeID: DiskSpace] = [:]
  private var silentUntil: [NodeID: UInt64] = [:]
  private var lookedAt: UInt64 = 0
  private var takenBytes: UInt64 = 0
  private var isAsking = false

  init(
    configuration: StorageNodeConfiguration, feed: any MetadataFeed,
    channel: @escaping @LoopActor (NodeID) -> RPCChannel?
  ) {
    self.configuration = configuration
    self.feed = feed
    self.channel = channel
  }

  /// Before rows of so many bytes are fetched.
  func begin(_ bytes: UInt64) async throws {
    await ask()
    for (node, space) in spaces where space.roomBytes < bytes {
      throw MoveFailure(
        "\(text(node, space)): \(ByteText.size(bytes)) are to come, and there is room for "
          + ByteText.size(space.roomBytes))
    }
  }

  /// Before the rest of them is fetched.
  func resume() async throws {
    await ask()
    try check()
  }

  /// Before so many bytes are logged.
  func take(_ bytes: Int) async throws {
    takenBytes += UInt64(bytes)
    if takenBytes >= Self.bytesPerLook {
      await ask()
    } else if Loop.now >= lookedAt + Self.nanosecondsPerLook, !isAsking {
      // Nobody waits for it: writes may be cut.
      Task { await self.ask() }
    }
    try check()
  }

  private func check() throws {
    for (node, space) in spaces where space.isLow {
      throw MoveFailure("\(text(node, space)): a move leaves \(ByteText.size(space.keptBytes)) free")
    }
  }

  /// This node's is looked at each time.
  private var spaces: [(NodeID, DiskSpace)] {
    let own = (try? FileSystem.space(configuration.dataDirectory)).map {
      (configuration.nodeID, DiskSpace(freeBytes: $0.freeBytes, totalBytes: $0.totalBytes))
    }
    return (own.map { [$0] } ?? []) + others.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  private func ask() async {
    isAsking = true
    defer { isAsking = false }
    let replicas = (feed.image.shards[configuration.shardID]?.replicas ?? []).filter {
      $0 != configuration.nodeID && Loop.now >= silentUntil[$0] ?? 0
    }
    let answers = await DiskSpace.ask(
      replicas: replicas, timeoutMilliseconds: Self.askMilliseconds, channel: channel)
    for replica in replicas where answers[replica] == nil { silentUntil[replica] = Loop.now + Self.silenceNanoseconds }
    others = answers
    lookedAt = Loop.now
    takenBytes = 0
  }

  private func text(_ node: NodeID, _ space: DiskSpace) -> String {
    let name = feed.image.nodes[node]?.name ?? "node \(node)"
    return "the disk of \(name) (shard \(configuration.shardID)) has \(ByteText.size(space.freeBytes)) free of "
      + ByteText.size(space.totalBytes)
  }
}
