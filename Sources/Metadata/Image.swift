import HashTreeCollections
import SQLTypes

/// The fold of all events up to an index: an immutable value with structural sharing, so that keeping an old image, or
/// branching a speculative one, costs what differs. Every map iterates in no order: readers sort.
///
/// What every record changes lies in the image itself; the rest behind one reference, so that a copy of an image costs a few
/// counts of references, not one for each map.
package struct Image: Sendable, Equatable {
  /// The last record that is folded in; 0 before the first.
  package var index: UInt64 = 0
  /// The hash of that record: where the chain goes on.
  package var hash = RecordHash.zero
  /// The records so far, as a tree that proves what belongs to the history; empty below `FeatureLevel.recordTree`.
  package var tree = RecordTree()
  package var featureLevel: UInt32 = 0
  package var nextObjectID = ObjectID.firstUser
  package var nextTabletID = TabletID(rawValue: 1)
  /// By topic.
  package var notes: TreeDictionary<String, NoteTopic> = [:]
  /// The results of the latest requests, so that a retry gets the first one's.
  package var requests = RequestTable()
  private var objects = Boxed(ImageObjects())
  private var activity = Boxed(ImageActivity())

  package init() {}
}

/// The part of an image that changes with the cluster and its catalog.
private struct ImageObjects: Sendable, Equatable {
  var clusterID: ClusterID?
  var clusterName: String = ""
  var settings: TreeDictionary<String, String> = [:]
  var nodes: TreeDictionary<NodeID, NodeDefinition> = [:]
  var removedNodes: TreeSet<NodeID> = []
  var shards: TreeDictionary<ShardID, ShardDefinition> = [:]
  var removedShards: TreeSet<ShardID> = []
  var databases: TreeDictionary<ObjectID, DatabaseDefinition> = [:]
  var schemas: TreeDictionary<ObjectID, SchemaDefinition> = [:]
  var tables: TreeDictionary<ObjectID, TableDefinition> = [:]
  var indexes: TreeDictionary<ObjectID, IndexDefinition> = [:]
  var sequences: TreeDictionary<ObjectID, SequenceDefinition> = [:]
  var views: TreeDictionary<ObjectID, ViewDefinition> = [:]
  var roles: TreeDictionary<ObjectID, RoleDefinition> = [:]
  var tablets: TreeDictionary<TabletID, TabletDefinition> = [:]
  var versions: TreeDictionary<ObjectID, UInt64> = [:]
  var relationNames: TreeDictionary<RelationKey, ObjectID> = [:]
  var schemaNames: TreeDictionary<String, ObjectID> = [:]
  var roleNames: TreeDictionary<String, ObjectID> = [:]
  var tabletOfTable: TreeDictionary<ObjectID, TabletID> = [:]
  var tabletCounts: TreeDictionary<ShardID, Int> = [:]
  var partitionsOfTable: TreeDictionary<ObjectID, [ObjectID]> = [:]
  var indexesOfTable: TreeDictionary<ObjectID, [ObjectID]> = [:]
  var grants: TreeDictionary<ObjectID, [PrivilegeGrant]> = [:]
  var memberships: TreeDictionary<ObjectID, [RoleMembership]> = [:]
  var materializedViews: TreeDictionary<ObjectID, MaterializedViewDefinition> = [:]
  var functions: TreeDictionary<ObjectID, FunctionDefinition> = [:]
  var functionNames: TreeDictionary<FunctionKey, ObjectID> = [:]
  var tablesOfGroup: TreeDictionary<String, [ObjectID]> = [:]
  var mirrors: TreeSet<TabletID> = []
}

/// The part of an image that changes with what is under way.
private struct ImageActivity: Sendable, Equatable {
  var transactions = TransactionTable()
  var manager = ManagerLeadership()
  var migrations = MigrationTable()
  var schemaChanges = SchemaChangeTable()
}

extension Image {
  package var transactions: TransactionTable {
    get { activity.value.transactions }
    _modify { yield &activity.value.transactions }
  }
  package var manager: ManagerLeadership {
    get { activity.value.manager }
    _modify { yield &activity.value.manager }
  }
  package var migrations: MigrationTable {
    get { activity.value.migrations }
    _modify { yield &activity.value.migrations }
  }
  package var schemaChanges: SchemaChangeTable {
    get { activity.value.schemaChanges }
    _modify { yield &activity.value.schemaChanges }
  }
  /// By object, then by grantee (PUBLIC first): none that grants nothing.
  package var grants: TreeDictionary<ObjectID, [PrivilegeGrant]> {
    get { objects.value.grants }
    _modify { yield &objects.value.grants }
  }
  /// By member, then by role.
  package var memberships: TreeDictionary<ObjectID, [RoleMembership]> {
    get { objects.value.memberships }
    _modify { yield &objects.value.memberships }
  }
  /// By their tables.
  package var materializedViews: TreeDictionary<ObjectID, MaterializedViewDefinition> {
    get { objects.value.materializedViews }
    _modify { yield &objects.value.materializedViews }
  }
  package var functions: TreeDictionary<ObjectID, FunctionDefinition> {
    get { objects.value.functions }
    _modify { yield &objects.value.functions }
  }
  /// Derived from `functions`.
  package var functionNames: TreeDictionary<FunctionKey, ObjectID> {
    get { objects.value.functionNames }
    _modify { yield &objects.value.functionNames }
  }
  package var clusterID: ClusterID? {
    get { objects.value.clusterID }
    _modify { yield &objects.value.clusterID }
  }
  package var clusterName: String {
    get { objects.value.clusterName }
    _modify { yield &objects.value.clusterName }
  }
  package var settings: TreeDictionary<String, String> {
    get { objects.value.settings }
    _modify { yield &objects.value.settings }
  }
  package var nodes: TreeDictionary<NodeID, NodeDefinition> {
    get { objects.value.nodes }
    _modify { yield &objects.value.nodes }
  }
  /// Identities that are never used again.
  package var removedNodes: TreeSet<NodeID> {
    get { objects.value.removedNodes }
    _modify { yield &objects.value.removedNodes }
  }
  package var shards: TreeDictionary<ShardID, ShardDefinition> {
    get { objects.value.shards }
    _modify { yield &objects.value.shards }
  }
  /// Numbers that are never used again.
  package var removedShards: TreeSet<ShardID> {
    get { objects.value.removedShards }
    _modify { yield &objects.value.removedShards }
  }
  package var databases: TreeDictionary<ObjectID, DatabaseDefinition> {
    get { objects.value.databases }
    _modify { yield &objects.value.databases }
  }
  package var schemas: TreeDictionary<ObjectID, SchemaDefinition> {
    get { objects.value.schemas }
    _modify { yield &objects.value.schemas }
  }
  package var tables: TreeDictionary<ObjectID, TableDefinition> {
    get { objects.value.tables }
    _modify { yield &objects.value.tables }
  }
  package var indexes: TreeDictionary<ObjectID, IndexDefinition> {
    get { objects.value.indexes }
    _modify { yield &objects.value.indexes }
  }
  package var sequences: TreeDictionary<ObjectID, SequenceDefinition> {
    get { objects.value.sequences }
    _modify { yield &objects.value.sequences }
  }
  package var views: TreeDictionary<ObjectID, ViewDefinition> {
    get { objects.value.views }
    _modify { yield &objects.value.views }
  }
  package var roles: TreeDictionary<ObjectID, RoleDefinition> {
    get { objects.value.roles }
    _modify { yield &objects.value.roles }
  }
  package var tablets: TreeDictionary<TabletID, TabletDefinition> {
    get { objects.value.tablets }
    _modify { yield &objects.value.tablets }
  }
  /// An object's version: the index of the record that last changed it. What `Precondition` compares.
  package var versions: TreeDictionary<ObjectID, UInt64> {
    get { objects.value.versions }
    _modify { yield &objects.value.versions }
  }
  // Derived from the maps above by `applying`, for look-ups that need not walk.

  /// Tables, views, sequences and indexes share one name space per schema, as in PostgreSQL.
  package var relationNames: TreeDictionary<RelationKey, ObjectID> {
    get { objects.value.relationNames }
    _modify { yield &objects.value.relationNames }
  }
  package var schemaNames: TreeDictionary<String, ObjectID> {
    get { objects.value.schemaNames }
    _modify { yield &objects.value.schemaNames }
  }
  package var roleNames: TreeDictionary<String, ObjectID> {
    get { objects.value.roleNames }
    _modify { yield &objects.value.roleNames }
  }
  package var tabletOfTable: TreeDictionary<ObjectID, TabletID> {
    get { objects.value.tabletOfTable }
    _modify { yield &objects.value.tabletOfTable }
  }
  /// Tablets of mirror tables.
  package var mirrors: TreeSet<TabletID> {
    get { objects.value.mirrors }
    _modify { yield &objects.value.mirrors }
  }
  /// How many tablets a shard owns, copies of mirror tables included; no entry where none.
  package var tabletCounts: TreeDictionary<ShardID, Int> {
    get { objects.value.tabletCounts }
    _modify { yield &objects.value.tabletCounts }
  }
  /// Partitions of a partitioned table, in the order of creation.
  package var partitionsOfTable: TreeDictionary<ObjectID, [ObjectID]> {
    get { objects.value.partitionsOfTable }
    _modify { yield &objects.value.partitionsOfTable }
  }
  /// Indexes of a table, in the order of creation.
  package var indexesOfTable: TreeDictionary<ObjectID, [ObjectID]> {
    get { objects.value.indexesOfTable }
    _modify { yield &objects.value.indexesOfTable }
  }

  /// Tables of a table group, without partitions, in the order of creation.
  package var tablesOfGroup: TreeDictionary<String, [ObjectID]> {
    get { objects.value.tablesOfGroup }
    _modify { yield &objects.value.tablesOfGroup }
  }

  /// The table or partition that a tablet holds, with its schema; nil: it was dropped.
  package func tableName(of tablet: TabletID) -> String? {
    tablets[tablet].flatMap { tables[$0.tableID] }.map { "\(schemas[$0.schemaID]?.name ?? "").\($0.name)" }
  }
}

/// A value behind a reference: copied when it is changed while it is shared.
private struct Boxed<Value: Sendable & Equatable>: Sendable, Equatable {
  /// Unchecked: changed only where nobody else refers to it.
  private final class Box: @unchecked Sendable {
    var value: Value
    init(_ value: Value) { self.value = value }
  }
  private var box: Box

  init(_ value: Value) { box = Box(value) }

  var value: Value {
    _read { yield box.value }
    _modify {
      if !isKnownUniquelyReferenced(&box) { box = Box(box.value) }
      yield &box.value
    }
  }

  static func == (left: Self, right: Self) -> Bool { left.box === right.box || left.value == right.value }
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
