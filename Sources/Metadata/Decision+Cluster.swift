import SQLTypes

/// The cluster itself, its settings, nodes and shards.
extension Decision {
  mutating func createCluster(_ draft: ClusterDraft) throws(Rejection) {
    if let id = image.clusterID {
      guard id != draft.id else { return }
      throw Rejection(
        .objectNotInPrerequisiteState, "this metadata log belongs to another cluster, \"\(image.clusterName)\"",
        hint: "Use its data directory with its own cluster, or an empty directory for a new one.")
    }
    guard draft.id.rawValue.count == 16 else {
      throw Rejection(.invalidParameterValue, "a cluster id has 16 bytes, not \(draft.id.rawValue.count)")
    }
    try checkName(draft.name)
    try checkRoleName(draft.roleName)
    try checkVerifier(draft.roleVerifier, of: draft.roleName)
    emit(.clusterCreated(draft.id, name: draft.name, featureLevel: understood))
    let owner = WellKnown.firstRole
    emit(
      .roleCreated(
        RoleDefinition(
          id: owner, name: draft.roleName, isSuperuser: true, canLogin: true, canCreateDatabase: true,
          canCreateRole: true, verifier: draft.roleVerifier)))
    emit(.databaseCreated(DatabaseDefinition(id: WellKnown.firstDatabase, name: "postgres", ownerID: owner)))
    emit(.schemaCreated(SchemaDefinition(id: WellKnown.catalogSchema, name: "pg_catalog", ownerID: owner)))
    emit(.schemaCreated(SchemaDefinition(id: WellKnown.publicSchema, name: "public", ownerID: owner)))
    emit(
      .schemaCreated(SchemaDefinition(id: WellKnown.informationSchema, name: "information_schema", ownerID: owner)))
  }

  mutating func setSetting(_ name: String, _ value: String?) throws(Rejection) {
    guard !name.isEmpty, name.utf8.count <= 128, (value?.utf8.count ?? 0) <= 4096 else {
      throw Rejection(
        .invalidParameterValue, "a setting has a name of 1 to 128 bytes and a value of at most 4096 bytes")
    }
    if name.hasPrefix(AccessToken.settingsPrefix), let value, AccessToken(settingName: name, value: value) == nil {
      // Whatever this was meant to be must not stand in the log for ever: it may be a secret.
      throw Rejection(
        .invalidParameterValue, "the setting \"\(name)\" holds no digest of a token",
        hint: "Tokens are made by: kunlog access token create")
    }
    guard image.settings[name] != value else { return }
    emit(.settingChanged(name: name, value: value))
  }

  // Nodes.

  mutating func registerNode(_ node: NodeDefinition) throws(Rejection) {
    guard node.id.rawValue > 0 else { throw Rejection(.invalidParameterValue, "a node's id is above 0") }
    try checkAddress(node.host, node.port, node.postgresPort)
    guard !image.removedNodes.contains(node.id) else {
      throw Rejection(
        .objectNotInPrerequisiteState, "node \(node.id) was removed, and its id is never used again",
        hint: "Register the process under a new id, with an empty data directory.")
    }
    guard let known = image.nodes[node.id] else {
      emit(.nodeRegistered(node))
      return
    }
    guard known.role == node.role else {
      throw Rejection(
        .duplicateObject, "node \(node.id) is registered as a \(known.role) node, not as a \(node.role) node")
    }
    try updateNodeAddress(node.id, node.host, node.port, node.postgresPort)
  }

  mutating func updateNodeAddress(
    _ id: NodeID, _ host: String, _ port: Int, _ postgresPort: Int?
  ) throws(Rejection) {
    try checkAddress(host, port, postgresPort)
    let known = try node(id)
    guard known.host != host || known.port != port || known.postgresPort != postgresPort else { return }
    emit(.nodeAddressChanged(id, host: host, port: port, postgresPort: postgresPort))
  }

  mutating func removeNode(_ id: NodeID) throws(Rejection) {
    _ = try node(id)
    let shards = image.shards.values.filter { $0.replicas.contains(id) }.sorted { $0.id < $1.id }
    if let shard = shards.first {
      throw Rejection(.dependentObjectsStillExist, "node \(id) is a replica of shard \(shard.id)")
    }
    if image.manager.nodeID == id { emit(.manager(.resigned(epoch: image.manager.epoch))) }
    emit(.nodeRemoved(id))
  }

  func node(_ id: NodeID) throws(Rejection) -> NodeDefinition {
    guard let node = image.nodes[id] else { throw Rejection(.undefinedObject, "node \(id) does not exist") }
    return node
  }

  private func checkAddress(_ host: String, _ port: Int, _ postgresPort: Int?) throws(Rejection) {
    let ports = [port] + (postgresPort.map { [$0] } ?? [])
    guard !host.isEmpty, host.utf8.count <= 255, ports.allSatisfy({ (1...65535).contains($0) }) else {
      throw Rejection(.invalidParameterValue, "\"\(host)\" with port \(list(ports, String.init)) is not an address")
    }
  }

  // Shards.

  mutating func createShard(_ draft: ShardDraft) throws(Rejection) {
    let id = draft.id ?? image.nextShardID
    let name = draft.name ?? "shard\(id)"
    guard id.rawValue > 0 else { throw Rejection(.invalidParameterValue, "a shard's number is above 0") }
    try checkName(name)
    guard !image.removedShards.contains(id) else {
      throw Rejection(
        .objectNotInPrerequisiteState, "shard \(id) was removed, and its number is never used again",
        hint: "The next free number is \(image.nextShardID).")
    }
    if let shardClass = draft.shardClass, shardClass != ShardClass.hot { try checkClassName(shardClass) }
    if let known = image.shards[id] {
      guard known.name == name, known.replicas == draft.replicas,
        known.shardClass == draft.shardClass ?? known.shardClass
      else {
        throw Rejection(.duplicateObject, "shard \(id) already exists")
      }
      return
    }
    guard !image.shards.values.contains(where: { $0.name == name }) else {
      throw Rejection(.duplicateObject, "shard \"\(name)\" already exists")
    }
    guard !draft.replicas.isEmpty else { throw Rejection(.invalidParameterValue, "a shard needs at least one replica") }
    guard Set(draft.replicas).count == draft.replicas.count else {
      throw Rejection(.invalidParameterValue, "a node is named twice as a replica of shard \(id)")
    }
    for replica in draft.replicas { try checkReplica(replica) }
    emit(
      .shardCreated(
        ShardDefinition(
          id: id, name: name, replicas: draft.replicas, shardClass: draft.shardClass ?? ShardClass.hot)))
  }

  mutating func addReplica(_ id: ShardID, _ replica: NodeID) throws(Rejection) {
    let shard = try shard(id)
    guard !shard.replicas.contains(replica) else { return }
    try checkReplica(replica)
    emit(.replicaAdded(id, replica))
  }

  /// A storage node that serves no shard yet.
  private func checkReplica(_ id: NodeID) throws(Rejection) {
    let node = try node(id)
    guard node.role == .storage else {
      throw Rejection(.wrongObjectType, "node \(id) is a \(node.role) node, not a storage node")
    }
    if let shard = image.shards.values.filter({ $0.replicas.contains(id) }).min(by: { $0.id < $1.id }) {
      throw Rejection(.objectInUse, "node \(id) is already a replica of shard \(shard.id)")
    }
  }

  func shard(_ id: ShardID) throws(Rejection) -> ShardDefinition {
    guard let shard = image.shards[id] else {
      let known = image.shards.keys.sorted()
      let wasRemoved = image.removedShards.contains(id)
      throw Rejection(
        .undefinedObject, wasRemoved ? "shard \(id) was removed" : "shard \(id) does not exist",
        detail: known.isEmpty
          ? "The cluster has no shards." : "The cluster's shards are \(list(known, \.description)).")
    }
    return shard
  }

  /// Where a new tablet goes: the shard asked for, else the one with the fewest tablets, the lowest number on ties.
  /// - Parameter shardClass: among the shards of that class; nil: among all.
  func placement(_ requested: ShardID?, table: String, in shardClass: String?) throws(Rejection) -> ShardID {
    if let requested {
      let shard = try shard(requested)
      try checkTakesTablets(shard)
      return shard.id
    }
    // Where mirror tables are not yet, joins with them take the way over the compute node.
    let lacking = Set(image.missingCopies.map(\.shard))
    let shards = image.shards.values.filter { shardClass == nil || $0.shardClass == shardClass }
    let takers = shards.filter { !$0.isDraining }.map(\.id)
    let complete = takers.filter { !lacking.contains($0) }
    let byLoad = (complete.isEmpty ? takers : complete).min { left, right in
      let (leftCount, rightCount) = (image.tabletCounts[left] ?? 0, image.tabletCounts[right] ?? 0)
      return leftCount != rightCount ? leftCount < rightCount : left < right
    }
    guard let byLoad else {
      if let shardClass, image.shards.values.contains(where: { !$0.isDraining }) {
        throw Rejection(
          .objectNotInPrerequisiteState, "there is no shard of class \(shardClass) to place table \"\(table)\" on",
          detail: shards.isEmpty ? nil : "All of that class are being drained.",
          hint: "Add one: kunlog shard add --class \(shardClass). Or give one that class: kunlog shard set-class N "
            + "\(shardClass).")
      }
      throw Rejection(
        .objectNotInPrerequisiteState, "there is no shard to place table \"\(table)\" on",
        hint: image.shards.isEmpty
          ? "Create a shard first." : "All are being drained: kunlog shard undrain, or add one.")
    }
    return byLoad
  }
}
