import Metadata
import ProtocolMetadata

extension Command {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_Command { .with { $0.kind = wireKind } }

  private var wireKind: Kunlog_Metadata_V1_Command.OneOf_Kind {
    switch self {
    case .createCluster(let draft): .createCluster(draft.wire)
    case .setSetting(let name, let value):
      .setSetting(
        .with {
          $0.name = name
          if let value { $0.value = value }
        })
    case .registerNode(let node): .registerNode(node.wire)
    case .updateNodeAddress(let id, let host, let port, let postgresPort):
      .updateNodeAddress(
        .with {
          $0.nodeID = id.rawValue
          $0.host = host
          $0.port = UInt32(clamping: port)
          $0.postgresPort = UInt32(clamping: postgresPort ?? 0)
        })
    case .removeNode(let id): .removeNode(.with { $0.nodeID = id.rawValue })
    case .recordNote(let topic, let content):
      .recordNote(
        .with {
          $0.topic = topic
          $0.content = .init(content)
        })
    case .raiseFeatureLevel(let level): .raiseFeatureLevel(.with { $0.level = level ?? 0 })
    case .createShard(let draft):
      .createShard(
        .with {
          $0.id = draft.id?.rawValue ?? 0
          $0.name = draft.name ?? ""
          $0.replicas = draft.replicas.map(\.rawValue)
          // Not said and hot differ only where the shard is there already.
          $0.shardClass = draft.shardClass ?? ""
        })
    case .addReplica(let shard, let node):
      .addReplica(
        .with {
          $0.shardID = shard.rawValue
          $0.nodeID = node.rawValue
        })
    case .createRole(let draft): .createRole(draft.wire)
    case .alterRole(let id, let change): .alterRole(change.wire(of: id))
    case .dropRole(let id): .dropRole(.with { $0.id = id.rawValue })
    case .transaction(let command): command.wireKind
    case .manager(let command): command.wireKind
    case .migration(let command): command.wireKind
    case .privilege(let command): command.wireKind
    case .materializedView(let command): command.wireKind
    case .function(let command): command.wireKind
    case .schemaChange(let command): command.wireKind
    case .shard(let command): command.wireKind
    case .node(let command): command.wireKind
    case .createSchema, .dropSchema, .createTable, .dropTables, .truncateTables, .setTableOptions, .createIndex,
      .dropIndexes, .createSequence, .alterSequence, .dropSequences, .reserveSequence, .setSequenceValue, .createView,
      .dropViews:
      wireCatalogKind
    }
  }

  private var wireCatalogKind: Kunlog_Metadata_V1_Command.OneOf_Kind {
    switch self {
    case .createSchema(let name, let owner):
      .createSchema(
        .with {
          $0.name = name
          $0.ownerID = owner.rawValue
        })
    case .dropSchema(let id, let isCascade):
      .dropSchema(
        .with {
          $0.schemaID = id.rawValue
          $0.cascade = isCascade
        })
    case .createTable(let draft): .createTable(draft.wire)
    case .dropTables(let ids, let isCascade): .dropTables(Command.drop(ids, isCascade))
    case .truncateTables(let ids, let restarts):
      .truncateTables(
        .with {
          $0.ids = ids.map(\.rawValue)
          $0.restartSequences = restarts
        })
    case .setTableOptions(let id, let set, let reset):
      .setTableOptions(
        .with {
          $0.tableID = id.rawValue
          $0.set = wireOptions(set)
          $0.reset = reset.sorted()
        })
    case .createIndex(let draft): .createIndex(draft.wire)
    case .dropIndexes(let ids, let isCascade): .dropIndexes(Command.drop(ids, isCascade))
    case .createSequence(let draft): .createSequence(draft.wire)
    case .alterSequence(let id, let options):
      .alterSequence(
        .with {
          $0.id = id.rawValue
          $0.options = options.wire
        })
    case .dropSequences(let ids, let isCascade): .dropSequences(Command.drop(ids, isCascade))
    case .reserveSequence(let id, let count):
      .reserveSequence(
        .with {
          $0.id = id.rawValue
          $0.count = count
        })
    case .setSequenceValue(let id, let value, let isCalled):
      .setSequenceValue(
        .with {
          $0.id = id.rawValue
          $0.value = value
          $0.isCalled = isCalled
        })
    case .createView(let draft, let orReplace): .createView(draft.wire(orReplace: orReplace))
    case .dropViews(let ids, let isCascade): .dropViews(Command.drop(ids, isCascade))
    default: preconditionFailure("\(self) is no catalog command")
    }
  }

  private static func drop(_ ids: [ObjectID], _ isCascade: Bool) -> Kunlog_Metadata_V1_DropObjects {
    .with {
      $0.ids = ids.map(\.rawValue)
      $0.cascade = isCascade
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_Command) throws(WireError) {
    guard let kind = wire.kind else { throw .unknownCommand }
    switch kind {
    case .createCluster(let draft): self = .createCluster(ClusterDraft(wire: draft))
    case .setSetting(let command):
      self = .setSetting(name: command.name, value: command.hasValue ? command.value : nil)
    case .registerNode(let node): self = .registerNode(try NodeDefinition(wire: node))
    case .updateNodeAddress(let command):
      self = .updateNodeAddress(
        NodeID(rawValue: command.nodeID), host: command.host, port: Int(command.port),
        postgresPort: wirePort(command.postgresPort))
    case .removeNode(let command): self = .removeNode(NodeID(rawValue: command.nodeID))
    case .recordNote(let command): self = .recordNote(topic: command.topic, content: [UInt8](command.content))
    case .raiseFeatureLevel(let command): self = .raiseFeatureLevel(command.level == 0 ? nil : command.level)
    case .createShard(let command):
      self = .createShard(
        ShardDraft(
          id: command.id == 0 ? nil : ShardID(rawValue: command.id), name: command.name.isEmpty ? nil : command.name,
          replicas: command.replicas.map(NodeID.init),
          shardClass: command.shardClass.isEmpty ? nil : command.shardClass))
    case .addReplica(let command):
      self = .addReplica(ShardID(rawValue: command.shardID), NodeID(rawValue: command.nodeID))
    case .createRole(let draft): self = .createRole(RoleDraft(wire: draft))
    case .alterRole(let command): self = .alterRole(ObjectID(rawValue: command.id), RoleChange(wire: command))
    case .dropRole(let command): self = .dropRole(ObjectID(rawValue: command.id))
    default:
      if let command = try Command.commandOfFamily(kind) {
        self = command
      } else {
        self = try Command.catalogCommand(kind)
      }
    }
  }

  /// Of a family that has commands of its own; nil: of none of them.
  private static func commandOfFamily(_ kind: Kunlog_Metadata_V1_Command.OneOf_Kind) throws(WireError) -> Command? {
    if let command = try TransactionCommand(wire: kind) { return .transaction(command) }
    if let command = ManagerCommand(wire: kind) { return .manager(command) }
    if let command = try MigrationCommand(wire: kind) { return .migration(command) }
    if let command = PrivilegeCommand(wire: kind) { return .privilege(command) }
    if let command = try MaterializedViewCommand(wire: kind) { return .materializedView(command) }
    if let command = try FunctionCommand(wire: kind) { return .function(command) }
    if let command = SchemaChangeCommand(wire: kind) { return .schemaChange(command) }
    if let command = ShardCommand(wire: kind) { return .shard(command) }
    if let command = NodeCommand(wire: kind) { return .node(command) }
    return nil
  }

  private static func catalogCommand(_ kind: Kunlog_Metadata_V1_Command.OneOf_Kind) throws(WireError) -> Command {
    switch kind {
    case .createSchema(let command):
      .createSchema(name: command.name, ownerID: ObjectID(rawValue: command.ownerID))
    case .dropSchema(let command):
      .dropSchema(ObjectID(rawValue: command.schemaID), isCascade: command.cascade)
    case .createTable(let draft): .createTable(try TableDraft(wire: draft))
    case .dropTables(let drop): .dropTables(drop.ids.map(ObjectID.init), isCascade: drop.cascade)
    case .truncateTables(let command):
      .truncateTables(command.ids.map(ObjectID.init), restartsSequences: command.restartSequences)
    case .setTableOptions(let command):
      .setTableOptions(
        ObjectID(rawValue: command.tableID), set: optionTable(command.set), reset: Set(command.reset))
    case .createIndex(let draft): .createIndex(IndexDraft(wire: draft))
    case .dropIndexes(let drop): .dropIndexes(drop.ids.map(ObjectID.init), isCascade: drop.cascade)
    case .createSequence(let draft): .createSequence(SequenceDraft(wire: draft))
    case .alterSequence(let command):
      .alterSequence(ObjectID(rawValue: command.id), SequenceOptions(wire: command.options))
    case .dropSequences(let drop): .dropSequences(drop.ids.map(ObjectID.init), isCascade: drop.cascade)
    case .reserveSequence(let command): .reserveSequence(ObjectID(rawValue: command.id), count: command.count)
    case .setSequenceValue(let command):
      .setSequenceValue(ObjectID(rawValue: command.id), value: command.value, isCalled: command.isCalled)
    case .createView(let draft): .createView(ViewDraft(wire: draft), orReplace: draft.orReplace)
    case .dropViews(let drop): .dropViews(drop.ids.map(ObjectID.init), isCascade: drop.cascade)
    default: throw .unknownCommand
    }
  }
}
