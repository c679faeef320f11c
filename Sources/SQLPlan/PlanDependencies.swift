import Metadata

/// The catalog objects that a plan rests on, as they were when it was made.
package struct PlanDependencies: Sendable, Hashable {
  /// Definitions of the tables used, partitions included, by id.
  package var tables: [ObjectID: UInt64] = [:]
  /// Direct partitions of the partitioned tables used.
  package var partitions: [ObjectID: [ObjectID]] = [:]
  /// Routes.
  package var tablets: [TabletID: TabletDefinition] = [:]
  package var views: [ObjectID: ViewDefinition] = [:]
  package var sequences: Set<ObjectID> = []
  /// Indexes that ON CONFLICT was resolved by.
  package var indexes: [ObjectID: IndexDefinition] = [:]
  /// How names were resolved; nil: there was no such relation, and another further down the search path was taken.
  package var names: [RelationKey: ObjectID?] = [:]
  package init() {}

  /// Whether all of it is the same in that image.
  package func hold(in image: Image) -> Bool {
    tables.allSatisfy { image.tables[$0.key]?.version == $0.value }
      && partitions.allSatisfy { (image.partitionsOfTable[$0.key] ?? []) == $0.value }
      && tablets.allSatisfy { image.tablets[$0.key] == $0.value }
      && views.allSatisfy { image.views[$0.key] == $0.value }
      && sequences.allSatisfy { image.sequences[$0] != nil }
      && indexes.allSatisfy { image.indexes[$0.key] == $0.value }
      && names.allSatisfy { image.relationNames[$0.key] == $0.value }
  }
}
