import Metadata
import ProtocolMetadata

extension NodeDefinition {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_Node {
    .with {
      $0.id = id.rawValue
      switch role {
      case .meta: $0.role = .meta
      case .storage: $0.role = .storage
      case .compute: $0.role = .compute
      case .manager: $0.role = .manager
      }
      $0.name = name
      $0.host = host
      $0.port = UInt32(clamping: port)
      $0.postgresPort = UInt32(clamping: postgresPort ?? 0)
      $0.failure = failure ?? ""
      if let drainSeconds { $0.drainSeconds = drainSeconds }
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_Node) throws(WireError) {
    let role: Role
    switch wire.role {
    case .meta: role = .meta
    case .storage: role = .storage
    case .compute: role = .compute
    case .manager: role = .manager
    case .unspecified, .UNRECOGNIZED: throw .malformed("node role \(wire.role.rawValue)")
    }
    self.init(
      id: NodeID(rawValue: wire.id), role: role, name: wire.name, host: wire.host, port: Int(wire.port),
      postgresPort: wirePort(wire.postgresPort))
    failure = wire.failure.isEmpty ? nil : wire.failure
    drainSeconds = wire.hasDrainSeconds ? wire.drainSeconds : nil
  }
}

/// nil for 0: no port.
func wirePort(_ wire: UInt32) -> Int? { wire == 0 ? nil : Int(wire) }

extension ShardDefinition {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_Shard {
    .with {
      $0.id = id.rawValue
      $0.name = name
      $0.replicas = replicas.map(\.rawValue)
      $0.draining = isDraining
      $0.shardClass = wireClass(shardClass)
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_Shard) {
    self.init(
      id: ShardID(rawValue: wire.id), name: wire.name, replicas: wire.replicas.map(NodeID.init),
      isDraining: wire.draining, shardClass: namedClass(wire.shardClass))
  }
}

/// Empty: hot, as shards were before there were classes.
func wireClass(_ name: String) -> String { name == ShardClass.hot ? "" : name }

/// The class of a shard, from the protocol.
func namedClass(_ wire: String) -> String { wire.isEmpty ? ShardClass.hot : wire }

extension TabletDefinition {
  /// As the protocol has it.
  package var wire: Kunlog_Metadata_V1_Tablet {
    .with {
      $0.id = id.rawValue
      $0.tableID = tableID.rawValue
      $0.shardID = shardID.rawValue
      $0.epoch = epoch
      $0.generation = generation
      $0.copies = copies.map(\.rawValue)
    }
  }

  /// From the protocol.
  package init(wire: Kunlog_Metadata_V1_Tablet) {
    self.init(
      id: TabletID(rawValue: wire.id), tableID: ObjectID(rawValue: wire.tableID),
      shardID: ShardID(rawValue: wire.shardID), epoch: wire.epoch, generation: wire.generation,
      copies: wire.copies.map(ShardID.init))
  }
}
