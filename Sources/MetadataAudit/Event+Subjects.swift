import Metadata

/// What an event says about an object's being: its identity, its name, and to what it belongs.
package struct DefinedObject: Sendable, Equatable {
  package var identity: ObjectIdentity
  package var kind: ObjectKind
  /// Of relations.
  package var schemaID: ObjectID?
  package var name: String
  /// In whose history it stands too: an index in that of its table, a tablet in those of its table and its shard.
  package var owners: [ObjectIdentity] = []
}

extension Event {
  /// The objects that the event is about.
  package var subjects: [ObjectIdentity] {
    switch self {
    case .clusterCreated, .featureLevelRaised, .clusterRestored: [.cluster]
    case .settingChanged(let name, _): [.setting(name)]
    case .nodeRegistered(let node): [.node(node.id)]
    case .nodeAddressChanged(let id, _, _, _), .nodeRemoved(let id): [.node(id)]
    case .shardCreated(let shard): [.shard(shard.id)] + shard.replicas.map { .node($0) }
    case .replicaAdded(let shard, let node), .replicaRemoved(let shard, let node): [.shard(shard), .node(node)]
    case .shard(let event): [.shard(event.shardID)]
    case .node(let event): [.node(event.nodeID)]
    case .databaseCreated(let database): [.object(database.id)]
    case .schemaCreated(let schema): [.object(schema.id)]
    case .tableCreated(let table): [.object(table.id)] + (table.partition.map { [.object($0.parentID)] } ?? [])
    case .indexCreated(let index): [.object(index.id), .object(index.tableID)]
    case .sequenceCreated(let sequence), .sequenceAltered(let sequence):
      [.object(sequence.id)] + (sequence.ownerTableID.map { [.object($0)] } ?? [])
    case .viewCreated(let view), .viewReplaced(let view): [.object(view.id)]
    case .roleCreated(let role), .roleAltered(let role): [.object(role.id)]
    case .schemaDropped(let id), .tableDropped(let id), .tableOptionsChanged(let id, _),
      .columnDefaultChanged(let id, _, _), .indexDropped(let id), .sequenceDropped(let id),
      .sequenceReserved(let id, _, _, _), .sequenceValueSet(let id, _, _),
      .viewDropped(let id), .roleDropped(let id):
      [.object(id)]
    case .tabletCreated(let tablet): [.tablet(tablet.id), .object(tablet.tableID), .shard(tablet.shardID)]
    case .tabletDropped(let id), .tabletCleared(let id, _): [.tablet(id)]
    case .noteRecorded(let topic, _): [.topic(topic)]
    case .transaction(.decided(let id, _, let participants)):
      [.node(id.coordinator)] + participants.map { .shard($0) }
    case .transaction(.resolved(let id)), .transaction(.settled(let id)): [.node(id.coordinator)]
    case .manager(.elected(let id, _)): [.node(id)]
    case .manager(.resigned): [.cluster]
    case .migration(.planned(let plan)):
      [.migration(plan.id), .tablet(plan.tabletID), .shard(plan.source), .shard(plan.target)]
    case .migration(.routed(let route)):
      [.migration(route.migrationID), .tablet(route.tabletID), .shard(route.shardID)]
    case .migration(let event): [.migration(event.migrationID)]
    case .privilege(.changed(let grant)): [.object(grant.objectID)] + (grant.grantee.map { [.object($0)] } ?? [])
    case .privilege(.roleGranted(let membership)): [.object(membership.roleID), .object(membership.memberID)]
    case .privilege(.roleRevoked(let role, let member)): [.object(role), .object(member)]
    case .materializedView(.created(let view)): [.object(view.tableID)]
    case .materializedView(.refreshed(let id, _, _)): [.object(id)]
    case .function(.created(let function)), .function(.replaced(let function)): [.object(function.id)]
    case .function(.dropped(let id)): [.object(id)]
    case .schemaChange(.planned(let plan)): [.object(plan.objectID)]
    case .schemaChange: []
    }
  }

  /// The object that the event creates or defines anew; nil where it does neither.
  package var definedObject: DefinedObject? {
    switch self {
    case .clusterCreated: DefinedObject(identity: .cluster, kind: .cluster, name: "cluster")
    case .settingChanged(let name, _): DefinedObject(identity: .setting(name), kind: .setting, name: name)
    case .nodeRegistered(let node): DefinedObject(identity: .node(node.id), kind: .node, name: node.name)
    case .shardCreated(let shard): DefinedObject(identity: .shard(shard.id), kind: .shard, name: shard.name)
    case .databaseCreated(let database):
      DefinedObject(identity: .object(database.id), kind: .database, name: database.name)
    case .schemaCreated(let schema): DefinedObject(identity: .object(schema.id), kind: .schema, name: schema.name)
    case .tableCreated(let table):
      DefinedObject(
        identity: .object(table.id), kind: .table, schemaID: table.schemaID, name: table.name,
        owners: table.partition.map { [.object($0.parentID)] } ?? [])
    case .indexCreated(let index):
      DefinedObject(
        identity: .object(index.id), kind: .index, schemaID: index.schemaID, name: index.name,
        owners: [.object(index.tableID)])
    case .sequenceCreated(let sequence), .sequenceAltered(let sequence):
      DefinedObject(
        identity: .object(sequence.id), kind: .sequence, schemaID: sequence.schemaID, name: sequence.name,
        owners: sequence.ownerTableID.map { [.object($0)] } ?? [])
    case .viewCreated(let view), .viewReplaced(let view):
      DefinedObject(identity: .object(view.id), kind: .view, schemaID: view.schemaID, name: view.name)
    case .roleCreated(let role), .roleAltered(let role):
      DefinedObject(identity: .object(role.id), kind: .role, name: role.name)
    case .tabletCreated(let tablet):
      DefinedObject(
        identity: .tablet(tablet.id), kind: .tablet, name: "\(tablet.id)",
        owners: [.object(tablet.tableID), .shard(tablet.shardID)])
    case .noteRecorded(let topic, _): DefinedObject(identity: .topic(topic), kind: .topic, name: topic)
    // All its steps stand in the tablet's history, and so in the table's.
    case .migration(.planned(let plan)):
      DefinedObject(
        identity: .migration(plan.id), kind: .migration, name: "\(plan.id)", owners: [.tablet(plan.tabletID)])
    case .migration(.routed(let route)):
      // The tablet belongs to another shard from here on.
      DefinedObject(
        identity: .tablet(route.tabletID), kind: .tablet, name: "\(route.tabletID)", owners: [.shard(route.shardID)])
    case .featureLevelRaised, .clusterRestored, .nodeAddressChanged, .nodeRemoved, .replicaAdded, .replicaRemoved,
      .schemaDropped,
      .tableDropped, .tableOptionsChanged, .columnDefaultChanged, .indexDropped, .sequenceDropped, .sequenceReserved,
      .sequenceValueSet,
      .viewDropped, .roleDropped, .tabletDropped, .tabletCleared, .transaction, .manager, .migration,
      .privilege, .materializedView, .function, .schemaChange, .shard, .node:
      nil
    }
  }

  /// The object that the event ends; nil where it ends none.
  package var endedObject: ObjectIdentity? {
    switch self {
    case .nodeRemoved(let id): .node(id)
    case .shard(.removed(let id)): .shard(id)
    case .schemaDropped(let id), .tableDropped(let id), .indexDropped(let id), .sequenceDropped(let id),
      .viewDropped(let id), .roleDropped(let id):
      .object(id)
    case .tabletDropped(let id): .tablet(id)
    case .migration(.sourceDropped(let id)), .migration(.rolledBack(let id)), .migration(.abandoned(let id)):
      .migration(id)
    case .function(.dropped(let id)): .object(id)
    case .settingChanged(let name, nil): .setting(name)
    default: nil
    }
  }
}
