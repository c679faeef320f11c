import Coordination
import EventLoop
import Logging
import Metadata
import MetadataClient
import RPC
import StorageWire

/// Lets the log forget decisions whose coordinators are gone: asks the shards which transactions they still hold prepared, and
/// resolves those that no participant holds.
@LoopActor
final class TransactionResolver {
  /// Coordinators resolve their own transactions within a fraction of this.
  private static let patienceMilliseconds: UInt64 = 5000
  private static let callMilliseconds = 2000
  /// Commands of one append.
  private static let batch = 256

  private let client: MetadataClient
  private let channel: @LoopActor (NodeDefinition) -> RPCChannel
  private let logger = Logger(label: "manager")
  /// When this manager first saw the decisions that are open.
  private var seen: [GlobalTransactionID: UInt64] = [:]
  private(set) var resolvedCount: UInt64 = 0

  init(client: MetadataClient, channel: @escaping @LoopActor (NodeDefinition) -> RPCChannel) {
    self.client = client
    self.channel = channel
  }

  /// One round.
  func resolve() async {
    let image = client.image
    let now = Loop.now / 1_000_000
    seen = seen.filter { image.transactions.open[$0.key] != nil }
    for (id, _) in image.transactions.open where seen[id] == nil { seen[id] = now }
    let old = image.transactions.open.filter { now - (seen[$0.key] ?? now) >= Self.patienceMilliseconds }
    guard !old.isEmpty else { return }
    guard let clusterID = image.clusterID else { return }
    var reports: [ShardID: ShardTransactions] = [:]
    for shard in CommitResolver.shards(of: old).sorted() {
      reports[shard] = await ShardTransactions.ask(
        shard, of: clusterID, replicas: image.shards[shard]?.replicas ?? [], timeoutMilliseconds: Self.callMilliseconds
      ) { image.nodes[$0].map(channel) }
    }
    let finished = CommitResolver.resolvable(old, reports)
    var start = 0
    while start < finished.count {
      let part = finished[start..<min(start + Self.batch, finished.count)]
      start += part.count
      do {
        _ = try await client.append(part.map { .transaction(.resolve($0)) })
        resolvedCount &+= UInt64(part.count)
        logger.notice("resolved \(part.count) transactions whose coordinators had not")
      } catch {
        logger.warning("\(part.count) transactions are not resolved: \(error)")
        return
      }
    }
  }
}
