/// Where tablets of a table group belong together: the group, and the bounds from the table down to the partition. One shard has all
/// tablets of a place.
package struct GroupPlace: Sendable, Hashable {
  package var group: String
  /// Of the partitions from below the table down to the one that has the tablet; empty where the table itself has it.
  package var bounds: [PartitionBound]
}

extension TableDefinition {
  /// The option that names a table's group: `WITH (tablegroup = g)`. Partitions are in the group of their table.
  package static let groupOption = "tablegroup"
}

extension Image {
  /// The table group of a table or partition; nil: it stands alone.
  package func tableGroup(of table: TableDefinition) -> String? {
    var table = table
    while let parent = table.partition.flatMap({ tables[$0.parentID] }) { table = parent }
    return table.options[TableDefinition.groupOption]
  }

  /// Where the tablet of a table or partition belongs; nil: it stands alone.
  package func groupPlace(of table: TableDefinition) -> GroupPlace? {
    guard let group = tableGroup(of: table) else { return nil }
    var bounds: [PartitionBound] = []
    var table = table
    while let partition = table.partition, let parent = tables[partition.parentID] {
      bounds.append(partition.bound)
      table = parent
    }
    return GroupPlace(group: group, bounds: bounds.reversed())
  }

  /// The same for the table of a tablet.
  package func groupPlace(of tablet: TabletID) -> GroupPlace? {
    tablets[tablet].flatMap { tables[$0.tableID] }.flatMap(groupPlace)
  }

  /// All tablets that belong there, in the order of their tables.
  package func tablets(at place: GroupPlace) -> [TabletDefinition] {
    (tablesOfGroup[place.group] ?? []).compactMap { root in
      var id = root
      for bound in place.bounds {
        guard let next = partitions(of: id).first(where: { $0.partition?.bound == bound }) else { return nil }
        id = next.id
      }
      return tablet(of: id)
    }
  }

  /// The places of a group, in the order of its first tables' partitions.
  package func places(of group: String) -> [GroupPlace] {
    var seen: Set<GroupPlace> = []
    return (tablesOfGroup[group] ?? []).flatMap(leaves).compactMap(groupPlace).filter { seen.insert($0).inserted }
  }

  /// The shard on which a tablet is, or, while it moves, on which it will be.
  package func destination(of tablet: TabletDefinition) -> ShardID {
    migrations.open(of: tablet.id)?.destination ?? tablet.shardID
  }

  /// The other moves that are under way from and to the same shards at the place of the migration's tablet: they were planned
  /// together, and end together where operators end them.
  package func siblings(of migration: Migration) -> [Migration] {
    guard let place = groupPlace(of: migration.plan.tabletID) else { return [] }
    return tablets(at: place).compactMap { migrations.open(of: $0.id) }.filter {
      $0.plan.id != migration.plan.id && $0.plan.source == migration.plan.source
        && $0.plan.target == migration.plan.target
    }
  }

  /// Whether tablets that belong together are on several shards and none of them moves.
  package var hasScatteredGroups: Bool {
    tablesOfGroup.keys.contains { group in
      places(of: group).contains { place in
        let tablets = tablets(at: place)
        return Set(tablets.map(\.shardID)).count > 1 && !tablets.contains { migrations.open(of: $0.id) != nil }
      }
    }
  }
}

extension Migration {
  /// Where the tablet will be in the end.
  package var destination: ShardID {
    switch phase {
    case .failed, .reversing, .routedBack: plan.source
    case .routed where wayBack?.isRequested == true: plan.source
    default: plan.target
    }
  }
}
