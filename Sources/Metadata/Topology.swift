/// A process of the cluster and where it listens.
package struct NodeDefinition: Sendable, Hashable {
  package enum Role: Sendable, Hashable { case meta, storage, compute, manager }
  package var id: NodeID
  package var role: Role
  package var name: String
  package var host: String
  /// gRPC.
  package var port: Int
  /// PostgreSQL's protocol, compute nodes only.
  package var postgresPort: Int?
  /// Why the manager holds it to have failed; nil: it does not. Since feature level 3.
  package var failure: String?
  /// It is to end, and lets its sessions end for so long. Since feature level 3.
  package var drainSeconds: UInt32?
  package init(id: NodeID, role: Role, name: String, host: String, port: Int, postgresPort: Int? = nil) {
    self.id = id
    self.role = role
    self.name = name
    self.host = host
    self.port = port
    self.postgresPort = postgresPort
  }
}

/// A shard: a group of storage nodes that replicate the same tablets.
package struct ShardDefinition: Sendable, Hashable {
  package var id: ShardID
  package var name: String
  /// Storage nodes, in the order in which they were added.
  package var replicas: [NodeID]
  /// It takes no new tablets, and managers move those that it has elsewhere. Since feature level 3.
  package var isDraining: Bool
  /// What its storage is for (`ShardClass`). Since feature level 3.
  package var shardClass: String
  package init(
    id: ShardID, name: String, replicas: [NodeID], isDraining: Bool = false, shardClass: String = ShardClass.hot
  ) {
    self.id = id
    self.name = name
    self.replicas = replicas
    self.isDraining = isDraining
    self.shardClass = shardClass
  }
}

/// Where a table's rows are: one owner per epoch.
package struct TabletDefinition: Sendable, Hashable {
  package var id: TabletID
  package var tableID: ObjectID
  package var shardID: ShardID
  /// Raised by each move; a request with an older one is refused.
  package var epoch: UInt64
  /// Raised by each TRUNCATE: a replica that missed the event sees here that its rows are void.
  package var generation: UInt64
  /// Of a mirror table: all shards that have its rows, ascending; `shardID` is the first. Else empty. Since feature level 3.
  package var copies: [ShardID]
  package init(
    id: TabletID, tableID: ObjectID, shardID: ShardID, epoch: UInt64 = 1, generation: UInt64 = 1, copies: [ShardID] = []
  ) {
    self.copies = copies
    self.id = id
    self.tableID = tableID
    self.shardID = shardID
    self.epoch = epoch
    self.generation = generation
  }
}
