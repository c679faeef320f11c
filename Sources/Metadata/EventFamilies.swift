/// A set of event families.
package struct EventFamilies: Sendable, Hashable {
  private var bits: UInt32 = 0

  /// Those listed.
  package init(_ families: some Sequence<EventFamily>) {
    for family in families { insert(family) }
  }

  /// Those of the events.
  package init(of events: [Event]) {
    for event in events { insert(event.family) }
  }

  /// Whether the sets have a family in common.
  package func intersects(_ other: EventFamilies) -> Bool { bits & other.bits != 0 }

  /// Whether the family belongs to the set.
  package func contains(_ family: EventFamily) -> Bool { bits & EventFamilies.bit(family) != 0 }

  private mutating func insert(_ family: EventFamily) { bits |= EventFamilies.bit(family) }

  private static func bit(_ family: EventFamily) -> UInt32 {
    switch family {
    case .cluster: 1
    case .nodes: 2
    case .shards: 4
    case .catalog: 8
    case .roles: 16
    case .placement: 32
    case .notes: 64
    case .transactions: 128
    case .managers: 256
    case .migrations: 512
    case .sagas: 1_024
    }
  }
}
