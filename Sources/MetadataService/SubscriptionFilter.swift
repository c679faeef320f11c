import Metadata
import ProtocolMetadata
import RPC

/// Which records a subscriber wants.
struct SubscriptionFilter {
  /// nil: all.
  private let families: Set<EventFamily>?
  private let shards: Set<ShardID>?

  init(_ request: Kunlog_Metadata_V1_SubscribeRequest) throws(RPCError) {
    var families: Set<EventFamily> = []
    for name in request.families {
      guard let family = EventFamily(rawValue: name) else {
        let known = EventFamily.allCases.map(\.rawValue).joined(separator: ", ")
        throw RPCError(.invalidArgument, "there is no event family \"\(name)\"; there are \(known)")
      }
      families.insert(family)
    }
    self.families = families.isEmpty ? nil : families
    shards = request.shards.isEmpty ? nil : Set(request.shards.map(ShardID.init))
  }

  func passes(_ record: Record) -> Bool {
    guard families != nil || shards != nil else { return true }
    return record.events.contains(where: passes)
  }

  private func passes(_ event: Event) -> Bool {
    if let families, !families.contains(event.family) { return false }
    guard let shards else { return true }
    switch event {
    case .shardCreated(let shard): return shards.contains(shard.id)
    case .replicaAdded(let shard, _), .replicaRemoved(let shard, _): return shards.contains(shard)
    case .tabletCreated(let tablet): return shards.contains(tablet.shardID)
    default: return true
    }
  }
}
