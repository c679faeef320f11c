import Coordination
import EventLoop
import FoundationEssentials
import Logging
import Metadata
import MetadataClient
import ProtocolStorage
import RPC

/// Lets the log forget decisions whose coordinators are gone: asks the shards which transactions they still hold prepared, and
/// resolves those that no participant holds.
@LoopActor
final class TransactionResolver {
  /// Coordinators resolve their own transactions within a fraction of this.
  private static let patienceMilliseconds: UInt64 = 5000
  private static let callMilliseconds = 2000
  /// Commands of one append.
  private static let batch = 256

  private static let transactions = RPCMethod<
    Kunlog_Storage_V1_TransactionsRequest, Kunlog_Storage_V1_TransactionsResponse
  >(service: "kunlog.storage.v1.Storage", method: "Transactions")

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
    var reports: [ShardID: CommitResolver.Report] = [:]
    for shard in CommitResolver.shards(of: old).sorted() { reports[shard] = await report(of: shard, image) }
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

  /// What the shard's leader says; nil where none was found.
  private func report(of shard: ShardID, _ image: Image) async -> CommitResolver.Report? {
    let request = Kunlog_Storage_V1_TransactionsRequest.with {
      $0.clusterID = Data(image.clusterID?.rawValue ?? [])
      $0.shardID = shard.rawValue
    }
    for replica in image.shards[shard]?.replicas ?? [] {
      guard let node = image.nodes[replica],
        let response = try? await channel(node).unary(
          Self.transactions, request, timeoutMilliseconds: Self.callMilliseconds),
        !response.hasNotLeader
      else { continue }
      let prepared = response.transactions.filter(\.hasGlobalTransaction).map {
        GlobalTransactionID(
          coordinator: NodeID(rawValue: $0.globalTransaction.coordinator),
          incarnation: $0.globalTransaction.incarnation, sequence: $0.globalTransaction.sequence)
      }
      return CommitResolver.Report(prepared: Set(prepared), metadataIndex: response.metadataIndex)
    }
    return nil
  }
}
