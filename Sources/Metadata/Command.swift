import SQLTypes

/// What is asked of the metadata log: decided once, by `decide`, into events or a rejection.
/// Identities of new objects are allocated by the decision; objects that exist are named by identity.
package enum Command: Sendable, Hashable {
  // Cluster and nodes.
  /// The first of all; changes nothing where the same cluster exists.
  case createCluster(ClusterDraft)
  /// nil: back to the default.
  case setSetting(name: String, value: String?)
  /// Changes nothing where the node is registered alike; changes its address where that differs.
  case registerNode(NodeDefinition)
  case updateNodeAddress(NodeID, host: String, port: Int, postgresPort: Int?)
  /// Refused while a shard has it as a replica.
  case removeNode(NodeID)
  /// A note to stand in the history, at most `NoteTopic.maximumContentBytes`.
  case recordNote(topic: String, content: [UInt8])
  /// Lets events of newer levels into the log; nil: all that this program understands. Changes nothing where the cluster is at
  /// that level or above.
  case raiseFeatureLevel(UInt32?)

  // Shards.
  /// Changes nothing where the shard exists alike.
  case createShard(ShardDraft)
  case addReplica(ShardID, NodeID)

  // Schemas.
  case createSchema(name: String, ownerID: ObjectID)
  case dropSchema(ObjectID, isCascade: Bool)

  // Tables.
  case createTable(TableDraft)
  /// Tables that are dropped together, with partitions, indexes and owned sequences.
  case dropTables([ObjectID], isCascade: Bool)
  case truncateTables([ObjectID], restartsSequences: Bool)
  /// ALTER TABLE … SET (…), RESET (…). What says to which class a table belongs changes for its whole table group. Since feature level 3.
  case setTableOptions(ObjectID, set: [String: String], reset: Set<String>)

  // Indexes.
  case createIndex(IndexDraft)
  case dropIndexes([ObjectID], isCascade: Bool)

  // Sequences.
  case createSequence(SequenceDraft)
  case alterSequence(ObjectID, SequenceOptions)
  case dropSequences([ObjectID], isCascade: Bool)
  /// Up to `count` values; the event says which. Fewer at the sequence's end.
  case reserveSequence(ObjectID, count: Int64)
  /// setval(sequence, value, isCalled).
  case setSequenceValue(ObjectID, value: Int64, isCalled: Bool)

  // Views.
  case createView(ViewDraft, orReplace: Bool)
  case dropViews([ObjectID], isCascade: Bool)

  // Roles.
  case createRole(RoleDraft)
  case alterRole(ObjectID, RoleChange)
  case dropRole(ObjectID)

  // Since feature level 3.
  case transaction(TransactionCommand)
  case manager(ManagerCommand)
  case migration(MigrationCommand)
  case privilege(PrivilegeCommand)
  case materializedView(MaterializedViewCommand)
  case function(FunctionCommand)
  case schemaChange(SchemaChangeCommand)
  case shard(ShardCommand)
  case node(NodeCommand)
}

extension Command {
  /// The feature level that it needs, and what to call it in a refusal; nil: any.
  var requirement: (level: UInt32, what: String)? {
    switch self {
    case .recordNote: (FeatureLevel.notes, "notes")
    case .transaction: (FeatureLevel.coordination, "transactions over several shards")
    case .manager: (FeatureLevel.coordination, "elections of managers")
    case .migration: (FeatureLevel.coordination, "migrations")
    case .privilege: (FeatureLevel.coordination, "privileges")
    case .materializedView: (FeatureLevel.coordination, "materialized views")
    case .function: (FeatureLevel.coordination, "functions")
    case .schemaChange: (FeatureLevel.coordination, "schema changes in steps")
    case .setTableOptions: (FeatureLevel.shardClasses, "changes of a table's options")
    case .shard(.setClass): (FeatureLevel.shardClasses, "shard classes")
    case .shard: (FeatureLevel.coordination, "draining and removing shards and their replicas")
    case .node: (FeatureLevel.coordination, "marking and draining nodes")
    default: nil
    }
  }
}

/// Commands that stand or fall together, and the circumstances of the asking: one record where they are accepted.
package struct AppendRequest: Sendable, Hashable {
  /// Who asks: a role or a node.
  package var principal: String
  package var requestID: RequestID?
  /// The record that made the asker ask.
  package var cause: UInt64?
  package var preconditions: [Precondition]
  /// The epoch in which the asker manages: refused with 40001 once it has ended. nil: not asked as the manager.
  package var managerEpoch: UInt64?
  package var commands: [Command]
  package init(
    principal: String, requestID: RequestID? = nil, cause: UInt64? = nil, preconditions: [Precondition] = [],
    managerEpoch: UInt64? = nil, commands: [Command]
  ) {
    self.principal = principal
    self.requestID = requestID
    self.cause = cause
    self.preconditions = preconditions
    self.managerEpoch = managerEpoch
    self.commands = commands
  }
}

/// What the asker believes about an object: refused with 40001 where it is no longer so.
package struct Precondition: Sendable, Hashable {
  package var objectID: ObjectID
  /// `Image.versions[objectID]`; 0: it must not exist.
  package var version: UInt64
  package init(objectID: ObjectID, version: UInt64) {
    self.objectID = objectID
    self.version = version
  }
}
