import HashTreeCollections
import SQLTypes

/// The fold of all events up to an index: an immutable value with structural sharing, so that keeping an old image, or
/// branching a speculative one, costs what differs. Every map iterates in no order: readers sort.
package struct Image: Sendable, Equatable {
  /// The last record that is folded in; 0 before the first.
  package var index: UInt64 = 0
  /// The hash of that record: where the chain goes on.
  package var hash = RecordHash.zero
  package var clusterID: ClusterID?
  package var clusterName = ""
  package var featureLevel: UInt32 = 0
  package var settings: TreeDictionary<String, String> = [:]

  package var nodes: TreeDictionary<NodeID, NodeDefinition> = [:]
  /// Identities that are never used again.
  package var removedNodes: TreeSet<NodeID> = []
  package var shards: TreeDictionary<ShardID, ShardDefinition> = [:]

  package var databases: TreeDictionary<ObjectID, DatabaseDefinition> = [:]
  package var schemas: TreeDictionary<ObjectID, SchemaDefinition> = [:]
  package var tables: TreeDictionary<ObjectID, TableDefinition> = [:]
  package var indexes: TreeDictionary<ObjectID, IndexDefinition> = [:]
  package var sequences: TreeDictionary<ObjectID, SequenceDefinition> = [:]
  package var views: TreeDictionary<ObjectID, ViewDefinition> = [:]
  package var roles: TreeDictionary<ObjectID, RoleDefinition> = [:]

  package var tablets: TreeDictionary<TabletID, TabletDefinition> = [:]

  package var nextObjectID = ObjectID.firstUser
  package var nextTabletID = TabletID(rawValue: 1)

  /// An object's version: the index of the record that last changed it. What `Precondition` compares.
  package var versions: TreeDictionary<ObjectID, UInt64> = [:]
  /// By topic.
  package var notes: TreeDictionary<String, NoteTopic> = [:]
  /// The results of the latest requests, so that a retry gets the first one's.
  package var requests = RequestTable()

  // Derived from the maps above by `applying`, for look-ups that need not walk.
  /// Tables, views, sequences and indexes share one name space per schema, as in PostgreSQL.
  package var relationNames: TreeDictionary<RelationKey, ObjectID> = [:]
  package var schemaNames: TreeDictionary<String, ObjectID> = [:]
  package var roleNames: TreeDictionary<String, ObjectID> = [:]
  package var tabletOfTable: TreeDictionary<ObjectID, TabletID> = [:]
  /// How many tablets a shard owns; no entry where none.
  package var tabletCounts: TreeDictionary<ShardID, Int> = [:]
  /// Partitions of a partitioned table, in the order of creation.
  package var partitionsOfTable: TreeDictionary<ObjectID, [ObjectID]> = [:]
  /// Indexes of a table, in the order of creation.
  package var indexesOfTable: TreeDictionary<ObjectID, [ObjectID]> = [:]

  package init() {}
}

/// A relation's name within its schema.
package struct RelationKey: Sendable, Hashable {
  package var schemaID: ObjectID
  package var name: String
  package init(schemaID: ObjectID, name: String) {
    self.schemaID = schemaID
    self.name = name
  }
}

/// A relation of any kind.
package enum Relation: Sendable, Equatable {
  case table(TableDefinition)
  case index(IndexDefinition)
  case sequence(SequenceDefinition)
  case view(ViewDefinition)
}

extension Image {
  /// The relation of that name, of any kind.
  package func relation(named name: String, in schemaID: ObjectID) -> Relation? {
    relationNames[RelationKey(schemaID: schemaID, name: name)].flatMap(relation)
  }

  package func relation(_ id: ObjectID) -> Relation? {
    if let table = tables[id] { return .table(table) }
    if let index = indexes[id] { return .index(index) }
    if let sequence = sequences[id] { return .sequence(sequence) }
    return views[id].map { .view($0) }
  }

  package func schema(named name: String) -> SchemaDefinition? { schemaNames[name].flatMap { schemas[$0] } }

  package func role(named name: String) -> RoleDefinition? { roleNames[name].flatMap { roles[$0] } }

  /// The tablet that holds a table's rows; nil for a partitioned table.
  package func tablet(of tableID: ObjectID) -> TabletDefinition? { tabletOfTable[tableID].flatMap { tablets[$0] } }

  /// Direct partitions in the order of creation.
  package func partitions(of tableID: ObjectID) -> [TableDefinition] {
    (partitionsOfTable[tableID] ?? []).compactMap { tables[$0] }
  }

  /// The table itself where it has a tablet, else all partitions below it that have one, depth first.
  package func leaves(of tableID: ObjectID) -> [TableDefinition] {
    guard let table = tables[tableID] else { return [] }
    guard table.partitioning != nil else { return [table] }
    return (partitionsOfTable[tableID] ?? []).flatMap(leaves)
  }

  package func indexes(of tableID: ObjectID) -> [IndexDefinition] {
    (indexesOfTable[tableID] ?? []).compactMap { indexes[$0] }
  }

  package func primaryKey(of tableID: ObjectID) -> IndexDefinition? {
    indexes(of: tableID).first { $0.constraint == .primaryKey }
  }
}
