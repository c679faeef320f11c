import Metadata
import ProtocolMetadata
import SwiftProtobuf

extension Event {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_Event { .with { $0.kind = wireKind } }

  private var wireKind: Kunlog_Metadata_V1_Event.OneOf_Kind {
    switch self {
    case .clusterCreated(let id, let name, let level):
      .clusterCreated(
        .with {
          $0.clusterID = .init(id.rawValue)
          $0.name = name
          $0.featureLevel = level
        })
    case .featureLevelRaised(let level): .featureLevelRaised(.with { $0.level = level })
    case .settingChanged(let name, let value):
      .settingChanged(
        .with {
          $0.name = name
          if let value { $0.value = value }
        })
    case .clusterRestored(let restored):
      .clusterRestored(
        .with {
          $0.clusterID = .init(restored.clusterID.rawValue)
          $0.name = restored.name
          $0.originClusterID = .init(restored.originID.rawValue)
          $0.originIndex = restored.originIndex
          $0.originHash = .init(restored.originHash.bytes)
        })
    case .nodeRegistered(let node): .nodeRegistered(node.wire)
    case .nodeAddressChanged(let id, let host, let port, let postgresPort):
      .nodeAddressChanged(
        .with {
          $0.nodeID = id.rawValue
          $0.host = host
          $0.port = UInt32(clamping: port)
          $0.postgresPort = UInt32(clamping: postgresPort ?? 0)
        })
    case .nodeRemoved(let id): .nodeRemoved(.with { $0.nodeID = id.rawValue })
    case .shardCreated(let shard): .shardCreated(shard.wire)
    case .replicaAdded(let shard, let node):
      .replicaAdded(
        .with {
          $0.shardID = shard.rawValue
          $0.nodeID = node.rawValue
        })
    case .replicaRemoved(let shard, let node):
      .replicaRemoved(
        .with {
          $0.shardID = shard.rawValue
          $0.nodeID = node.rawValue
        })
    case .roleCreated(let role): .roleCreated(role.wire)
    case .roleAltered(let role): .roleAltered(role.wire)
    case .roleDropped(let id): .roleDropped(.with { $0.roleID = id.rawValue })
    case .tabletCreated(let tablet): .tabletCreated(tablet.wire)
    case .tabletDropped(let id): .tabletDropped(.with { $0.tabletID = id.rawValue })
    case .tabletCleared(let id, let generation):
      .tabletCleared(
        .with {
          $0.tabletID = id.rawValue
          $0.generation = generation
        })
    case .noteRecorded(let topic, let content):
      .noteRecorded(
        .with {
          $0.topic = topic
          $0.content = .init(content)
        })
    case .transaction(let event): event.wireKind
    case .manager(let event): event.wireKind
    case .migration(let event): event.wireKind
    case .privilege(let event): event.wireKind
    case .materializedView(let event): event.wireKind
    case .function(let event): event.wireKind
    case .schemaChange(let event): event.wireKind
    case .shard(let event): event.wireKind
    case .node(let event): event.wireKind
    case .databaseCreated, .schemaCreated, .schemaDropped, .tableCreated, .tableDropped,
      .tableOptionsChanged, .columnDefaultChanged, .indexCreated, .indexDropped, .sequenceCreated, .sequenceAltered,
      .sequenceDropped, .sequenceReserved,
      .sequenceValueSet, .viewCreated, .viewReplaced, .viewDropped:
      wireCatalogKind
    }
  }

  private var wireCatalogKind: Kunlog_Metadata_V1_Event.OneOf_Kind {
    switch self {
    case .databaseCreated(let database): .databaseCreated(database.wire)
    case .schemaCreated(let schema): .schemaCreated(schema.wire)
    case .schemaDropped(let id): .schemaDropped(.with { $0.schemaID = id.rawValue })
    case .tableCreated(let table): .tableCreated(table.wire)
    case .tableDropped(let id): .tableDropped(.with { $0.tableID = id.rawValue })
    case .tableOptionsChanged(let table, let options):
      .tableOptionsChanged(
        .with {
          $0.tableID = table.rawValue
          $0.options = wireOptions(options)
        })
    case .columnDefaultChanged(let table, let column, let expression):
      .columnDefaultChanged(
        .with {
          $0.tableID = table.rawValue
          $0.column = UInt32(column)
          if let expression { $0.expression = expression }
        })
    case .indexCreated(let index): .indexCreated(index.wire)
    case .indexDropped(let id): .indexDropped(.with { $0.indexID = id.rawValue })
    case .sequenceCreated(let sequence): .sequenceCreated(sequence.wire)
    case .sequenceAltered(let sequence): .sequenceAltered(sequence.wire)
    case .sequenceDropped(let id): .sequenceDropped(.with { $0.sequenceID = id.rawValue })
    case .sequenceReserved(let id, let first, let last, let count):
      .sequenceReserved(
        .with {
          $0.sequenceID = id.rawValue
          $0.first = first
          $0.last = last
          $0.count = UInt64(clamping: count)
        })
    case .sequenceValueSet(let id, let last, let resumesAt):
      .sequenceValueSet(
        .with {
          $0.sequenceID = id.rawValue
          if let last { $0.last = last }
          $0.resumesAt = resumesAt
        })
    case .viewCreated(let view): .viewCreated(view.wire)
    case .viewReplaced(let view): .viewReplaced(view.wire)
    case .viewDropped(let id): .viewDropped(.with { $0.viewID = id.rawValue })
    default: preconditionFailure("\(kind) is no catalog event")
    }
  }

  /// From the protocol; an unknown event is an error, never skipped.
  package init(wire: Kunlog_Metadata_V1_Event) throws(WireError) {
    guard let kind = wire.kind else { throw .unknownEvent }
    self = try Event(kind)
    guard featureLevel <= FeatureLevel.current else { throw .unknownEvent }
  }

  private init(_ kind: Kunlog_Metadata_V1_Event.OneOf_Kind) throws(WireError) {
    switch kind {
    case .clusterCreated(let event):
      guard event.clusterID.count == 16 else { throw .malformed("cluster id") }
      self = .clusterCreated(
        ClusterID(rawValue: [UInt8](event.clusterID)), name: event.name, featureLevel: event.featureLevel)
    case .featureLevelRaised(let event): self = .featureLevelRaised(event.level)
    case .settingChanged(let event): self = .settingChanged(name: event.name, value: event.hasValue ? event.value : nil)
    case .clusterRestored(let event):
      guard event.clusterID.count == 16, event.originClusterID.count == 16,
        let hash = RecordHash([UInt8](event.originHash))
      else { throw .malformed("restored cluster") }
      self = .clusterRestored(
        RestoredCluster(
          clusterID: ClusterID(rawValue: [UInt8](event.clusterID)), name: event.name,
          originID: ClusterID(rawValue: [UInt8](event.originClusterID)), originIndex: event.originIndex,
          originHash: hash))
    case .nodeRegistered(let node): self = .nodeRegistered(try NodeDefinition(wire: node))
    case .nodeAddressChanged(let event):
      self = .nodeAddressChanged(
        NodeID(rawValue: event.nodeID), host: event.host, port: Int(event.port),
        postgresPort: wirePort(event.postgresPort))
    case .nodeRemoved(let event): self = .nodeRemoved(NodeID(rawValue: event.nodeID))
    case .shardCreated(let shard): self = .shardCreated(ShardDefinition(wire: shard))
    case .replicaAdded(let event):
      self = .replicaAdded(ShardID(rawValue: event.shardID), NodeID(rawValue: event.nodeID))
    case .replicaRemoved(let event):
      self = .replicaRemoved(ShardID(rawValue: event.shardID), NodeID(rawValue: event.nodeID))
    case .roleCreated(let role): self = .roleCreated(RoleDefinition(wire: role))
    case .roleAltered(let role): self = .roleAltered(RoleDefinition(wire: role))
    case .roleDropped(let event): self = .roleDropped(ObjectID(rawValue: event.roleID))
    case .tabletCreated(let tablet): self = .tabletCreated(TabletDefinition(wire: tablet))
    case .tabletDropped(let event): self = .tabletDropped(TabletID(rawValue: event.tabletID))
    case .tabletCleared(let event):
      self = .tabletCleared(TabletID(rawValue: event.tabletID), generation: event.generation)
    case .noteRecorded(let event): self = .noteRecorded(topic: event.topic, content: [UInt8](event.content))
    default:
      if let event = try Event.eventOfFamily(kind) {
        self = event
      } else {
        self = try Event.catalogEvent(kind)
      }
    }
  }

  /// Of a family that has events of its own; nil: of none of them.
  private static func eventOfFamily(_ kind: Kunlog_Metadata_V1_Event.OneOf_Kind) throws(WireError) -> Event? {
    if let event = try TransactionEvent(wire: kind) { return .transaction(event) }
    if let event = ManagerEvent(wire: kind) { return .manager(event) }
    if let event = try MigrationEvent(wire: kind) { return .migration(event) }
    if let event = PrivilegeEvent(wire: kind) { return .privilege(event) }
    if let event = MaterializedViewEvent(wire: kind) { return .materializedView(event) }
    if let event = try FunctionEvent(wire: kind) { return .function(event) }
    if let event = SchemaChangeEvent(wire: kind) { return .schemaChange(event) }
    if let event = ShardEvent(wire: kind) { return .shard(event) }
    if let event = NodeEvent(wire: kind) { return .node(event) }
    return nil
  }

  private static func catalogEvent(_ kind: Kunlog_Metadata_V1_Event.OneOf_Kind) throws(WireError) -> Event {
    switch kind {
    case .databaseCreated(let database): .databaseCreated(DatabaseDefinition(wire: database))
    case .schemaCreated(let schema): .schemaCreated(SchemaDefinition(wire: schema))
    case .schemaDropped(let event): .schemaDropped(ObjectID(rawValue: event.schemaID))
    case .tableCreated(let table): .tableCreated(try TableDefinition(wire: table))
    case .tableDropped(let event): .tableDropped(ObjectID(rawValue: event.tableID))
    case .tableOptionsChanged(let event):
      .tableOptionsChanged(ObjectID(rawValue: event.tableID), options: optionTable(event.options))
    case .columnDefaultChanged(let event):
      .columnDefaultChanged(
        ObjectID(rawValue: event.tableID), column: Int(event.column),
        expression: event.hasExpression ? event.expression : nil)
    case .indexCreated(let index): .indexCreated(try IndexDefinition(wire: index))
    case .indexDropped(let event): .indexDropped(ObjectID(rawValue: event.indexID))
    case .sequenceCreated(let sequence): .sequenceCreated(try SequenceDefinition(wire: sequence))
    case .sequenceAltered(let sequence): .sequenceAltered(try SequenceDefinition(wire: sequence))
    case .sequenceDropped(let event): .sequenceDropped(ObjectID(rawValue: event.sequenceID))
    case .sequenceReserved(let event):
      .sequenceReserved(
        ObjectID(rawValue: event.sequenceID), first: event.first, last: event.last,
        count: Int64(clamping: event.count))
    case .sequenceValueSet(let event):
      .sequenceValueSet(
        ObjectID(rawValue: event.sequenceID), last: event.hasLast ? event.last : nil, resumesAt: event.resumesAt)
    case .viewCreated(let view): .viewCreated(ViewDefinition(wire: view))
    case .viewReplaced(let view): .viewReplaced(ViewDefinition(wire: view))
    case .viewDropped(let event): .viewDropped(ObjectID(rawValue: event.viewID))
    default: throw .unknownEvent
    }
  }
}
