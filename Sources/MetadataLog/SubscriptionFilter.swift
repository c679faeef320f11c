import Metadata

/// Which records a subscriber wants.
package struct SubscriptionFilter: Sendable {
  /// nil: all.
  private let families: EventFamilies?
  private let shards: Set<ShardID>?

  /// There is no such family.
  package struct UnknownFamily: Error, Sendable, CustomStringConvertible {
    package let name: String
    package var description: String {
      let known = EventFamily.allCases.map(\.rawValue).joined(separator: ", ")
      return "there is no event family \"\(name)\"; there are \(known)"
    }
  }

  /// Empty lists: all.
  package init(families: [EventFamily] = [], shards: [ShardID] = []) {
    self.families = families.isEmpty ? nil : EventFamilies(families)
    self.shards = shards.isEmpty ? nil : Set(shards)
  }

  /// Families by their names.
  package init(familyNames: [String], shards: [ShardID]) throws(UnknownFamily) {
    var families: [EventFamily] = []
    for name in familyNames {
      guard let family = EventFamily(rawValue: name) else { throw UnknownFamily(name: name) }
      families.append(family)
    }
    self.init(families: families, shards: shards)
  }

  /// Whether one of its events is wanted.
  func passes(_ element: RecentRecords.Element) -> Bool {
    if let families, !families.intersects(element.families) { return false }
    // Only shards ask for more than the families.
    return shards == nil || element.record.events.contains(where: passes)
  }

  private func passes(_ event: Event) -> Bool {
    if let families, !families.contains(event.family) { return false }
    guard let shards else { return true }
    switch event {
    case .shardCreated(let shard): return shards.contains(shard.id)
    case .replicaAdded(let shard, _), .replicaRemoved(let shard, _): return shards.contains(shard)
    case .tabletCreated(let tablet): return shards.contains(tablet.shardID)
    case .transaction(.decided(_, _, let participants)): return !shards.isDisjoint(with: participants)
    case .migration(.planned(let plan)): return shards.contains(plan.source) || shards.contains(plan.target)
    default: return true
    }
  }
}
