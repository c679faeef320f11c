/// A fact in the metadata log: what has happened, decided once and never refused by a reader. One case per thing.
///
/// Within a record, an object's creation follows that of what it needs (schema, table, indexes and sequences, then the
/// tablet), and its end precedes theirs (tablet, indexes, sequences, then the table): a storage node may therefore build a
/// tablet from the image after the record, and ignore an index whose tablet that image does not have.
package enum Event: Sendable, Hashable {
  // Cluster.
  case clusterCreated(ClusterID, name: String, featureLevel: UInt32)
  /// Events of that level may follow: every process understands them.
  case featureLevelRaised(UInt32)
  /// nil: back to the default.
  case settingChanged(name: String, value: String?)
  /// From here on it is another cluster's log, which begins with a backup. Since feature level 3.
  case clusterRestored(RestoredCluster)

  // Nodes.
  case nodeRegistered(NodeDefinition)
  case nodeAddressChanged(NodeID, host: String, port: Int, postgresPort: Int?)
  /// Its identity is never used again.
  case nodeRemoved(NodeID)

  // Shards.
  case shardCreated(ShardDefinition)
  case replicaAdded(ShardID, NodeID)
  case replicaRemoved(ShardID, NodeID)

  // Catalog.
  case databaseCreated(DatabaseDefinition)
  case schemaCreated(SchemaDefinition)
  case schemaDropped(ObjectID)
  case tableCreated(TableDefinition)
  case tableDropped(ObjectID)
  /// All options that it has from now on. Since feature level 3.
  case tableOptionsChanged(ObjectID, options: [String: String])
  /// Column by number from 1; nil: no default any more, and no sequence that feeds it.
  case columnDefaultChanged(ObjectID, column: Int, expression: String?)
  case indexCreated(IndexDefinition)
  case indexDropped(ObjectID)
  case sequenceCreated(SequenceDefinition)
  /// Whole new definition: ranges reserved before are void.
  case sequenceAltered(SequenceDefinition)
  case sequenceDropped(ObjectID)
  /// `count` values from first to last, both included, in steps of the increment, belong to whoever asked.
  case sequenceReserved(ObjectID, first: Int64, last: Int64, count: Int64)
  /// setval: `last` as if it had been reserved, or nil and the next value. Ranges reserved before are void.
  case sequenceValueSet(ObjectID, last: Int64?, resumesAt: Int64)
  case viewCreated(ViewDefinition)
  case viewReplaced(ViewDefinition)
  case viewDropped(ObjectID)
  case roleCreated(RoleDefinition)
  case roleAltered(RoleDefinition)
  case roleDropped(ObjectID)

  // Placement.
  case tabletCreated(TabletDefinition)
  case tabletDropped(TabletID)
  /// TRUNCATE; the generation is the tablet's new one.
  case tabletCleared(TabletID, generation: UInt64)

  // Notes.
  /// What an operator or a tool wants to stand in the history; nobody reacts. Since feature level 2.
  case noteRecorded(topic: String, content: [UInt8])

  // Families of their own.
  case transaction(TransactionEvent)
  case manager(ManagerEvent)
  case migration(MigrationEvent)
  case privilege(PrivilegeEvent)
  case materializedView(MaterializedViewEvent)
  case function(FunctionEvent)
  case schemaChange(SchemaChangeEvent)
  case shard(ShardEvent)
  case node(NodeEvent)
}

/// What an event is about, at the grain at which subscribers and operators filter.
package enum EventFamily: String, Sendable, Hashable, CaseIterable {
  case cluster, nodes, shards, catalog, roles, placement, notes, transactions, managers, migrations, sagas
}

extension Event {
  package var family: EventFamily {
    switch self {
    case .clusterCreated, .featureLevelRaised, .settingChanged, .clusterRestored: .cluster
    case .nodeRegistered, .nodeAddressChanged, .nodeRemoved, .node: .nodes
    case .shardCreated, .replicaAdded, .replicaRemoved, .shard: .shards
    case .databaseCreated, .schemaCreated, .schemaDropped, .tableCreated, .tableDropped,
      .tableOptionsChanged, .columnDefaultChanged, .indexCreated, .indexDropped, .sequenceCreated, .sequenceAltered,
      .sequenceDropped, .sequenceReserved,
      .sequenceValueSet, .viewCreated, .viewReplaced, .viewDropped:
      .catalog
    case .roleCreated, .roleAltered, .roleDropped: .roles
    case .tabletCreated, .tabletDropped, .tabletCleared: .placement
    case .noteRecorded: .notes
    case .transaction: .transactions
    case .manager: .managers
    case .migration: .migrations
    case .privilege: .roles
    case .materializedView, .function: .catalog
    case .schemaChange: .sagas
    }
  }

  /// The feature level from which on it may be in the log.
  package var featureLevel: UInt32 {
    switch self {
    case .noteRecorded: FeatureLevel.notes
    case .clusterRestored: FeatureLevel.restoration
    case .tableOptionsChanged: FeatureLevel.shardClasses
    case .transaction, .manager, .migration, .privilege, .materializedView, .function, .schemaChange, .shard,
      .node:
      FeatureLevel.coordination
    default: 1
    }
  }

  /// The case's name with a capital, as in the protocol and in what operators see: `TableCreated`.
  package var kind: String {
    switch self {
    case .clusterCreated: "ClusterCreated"
    case .featureLevelRaised: "FeatureLevelRaised"
    case .settingChanged: "SettingChanged"
    case .clusterRestored: "ClusterRestored"
    case .nodeRegistered: "NodeRegistered"
    case .nodeAddressChanged: "NodeAddressChanged"
    case .nodeRemoved: "NodeRemoved"
    case .shardCreated: "ShardCreated"
    case .replicaAdded: "ReplicaAdded"
    case .replicaRemoved: "ReplicaRemoved"
    case .databaseCreated: "DatabaseCreated"
    case .schemaCreated: "SchemaCreated"
    case .schemaDropped: "SchemaDropped"
    case .tableCreated: "TableCreated"
    case .tableDropped: "TableDropped"
    case .tableOptionsChanged: "TableOptionsChanged"
    case .columnDefaultChanged: "ColumnDefaultChanged"
    case .indexCreated: "IndexCreated"
    case .indexDropped: "IndexDropped"
    case .sequenceCreated: "SequenceCreated"
    case .sequenceAltered: "SequenceAltered"
    case .sequenceDropped: "SequenceDropped"
    case .sequenceReserved: "SequenceReserved"
    case .sequenceValueSet: "SequenceValueSet"
    case .viewCreated: "ViewCreated"
    case .viewReplaced: "ViewReplaced"
    case .viewDropped: "ViewDropped"
    case .roleCreated: "RoleCreated"
    case .roleAltered: "RoleAltered"
    case .roleDropped: "RoleDropped"
    case .tabletCreated: "TabletCreated"
    case .tabletDropped: "TabletDropped"
    case .tabletCleared: "TabletCleared"
    case .noteRecorded: "NoteRecorded"
    case .transaction(let event): event.kind
    case .manager(let event): event.kind
    case .migration(let event): event.kind
    case .privilege(let event): event.kind
    case .materializedView(let event): event.kind
    case .function(let event): event.kind
    case .schemaChange(let event): event.kind
    case .shard(let event): event.kind
    case .node(let event): event.kind
    }
  }

  /// The kinds that there are, in the order of the cases.
  package static let kinds =
    plainKinds + TransactionEvent.kinds + ManagerEvent.kinds + MigrationEvent.kinds + PrivilegeEvent.kinds
    + MaterializedViewEvent.kinds + FunctionEvent.kinds + SchemaChangeEvent.kinds + ShardEvent.kinds
    + NodeEvent.kinds

  private static let plainKinds = [
    "ClusterCreated", "FeatureLevelRaised", "SettingChanged", "ClusterRestored", "NodeRegistered", "NodeAddressChanged",
    "NodeRemoved",
    "ShardCreated", "ReplicaAdded", "ReplicaRemoved", "DatabaseCreated", "SchemaCreated", "SchemaDropped",
    "TableCreated", "TableDropped", "TableOptionsChanged",
    "ColumnDefaultChanged", "IndexCreated", "IndexDropped", "SequenceCreated",
    "SequenceAltered", "SequenceDropped", "SequenceReserved", "SequenceValueSet", "ViewCreated", "ViewReplaced",
    "ViewDropped", "RoleCreated", "RoleAltered", "RoleDropped", "TabletCreated", "TabletDropped", "TabletCleared",
    "NoteRecorded",
  ]
}
