import HashTreeCollections

/// The fold. Facts never fail: an event about something that the image does not have changes nothing.
extension Image {
  /// The image after a record.
  package func applying(_ record: Record) -> Image {
    var image = self
    image.apply(record)
    return image
  }

  /// Folds a record in: events, versions, request table, index, hash and tree move together.
  package mutating func apply(_ record: Record) {
    applyWithoutTree(record)
    if featureLevel >= FeatureLevel.recordTree { tree.append(record) }
  }

  /// The same, but for the tree, which stays as it is: for images that only serve to decide.
  package mutating func applyWithoutTree(_ record: Record) {
    for event in record.events { apply(event, at: record.index) }
    if let request = record.requestID {
      let kept =
        featureLevel >= FeatureLevel.notes ? RequestTable.resultsPerClient : RequestTable.resultsPerClientAtLevel1
      requests.add(request, index: record.index, kept: kept)
    }
    index = record.index
    hash = record.hash
  }

  /// Folds one event in; `recordIndex` becomes the version of the objects that it changes.
  package mutating func apply(_ event: Event, at recordIndex: UInt64) {
    switch event.family {
    case .cluster: applyCluster(event)
    case .nodes: applyNodes(event)
    case .shards: applyShards(event)
    case .catalog: applyCatalog(event, at: recordIndex)
    case .roles: applyRoles(event, at: recordIndex)
    case .placement: applyPlacement(event)
    case .notes:
      guard case .noteRecorded(let topic, _) = event else { return }
      notes[topic, default: NoteTopic()].add(at: recordIndex)
    case .transactions:
      if case .transaction(let event) = event { transactions.apply(event, at: recordIndex) }
    case .managers:
      if case .manager(let event) = event { manager.apply(event, at: recordIndex) }
    case .migrations:
      guard case .migration(let event) = event else { return }
      migrations.apply(event, at: recordIndex)
      if case .routed(let route) = event { apply(route) }
    case .sagas:
      if case .schemaChange(let event) = event { schemaChanges.apply(event, at: recordIndex) }
    }
  }

  private mutating func applyCluster(_ event: Event) {
    switch event {
    case .clusterCreated(let id, let name, let level):
      clusterID = id
      clusterName = name
      featureLevel = level
    case .featureLevelRaised(let level): featureLevel = level
    case .settingChanged(let name, let value): settings[name] = value
    case .clusterRestored(let restored):
      clusterID = restored.clusterID
      clusterName = restored.name
    default: break
    }
  }

  private mutating func applyNodes(_ event: Event) {
    switch event {
    case .nodeRegistered(let node): nodes[node.id] = node
    case .nodeAddressChanged(let id, let host, let port, let postgresPort):
      guard var node = nodes[id] else { return }
      node.host = host
      node.port = port
      node.postgresPort = postgresPort
      nodes[id] = node
    case .nodeRemoved(let id):
      nodes[id] = nil
      removedNodes.insert(id)
    case .node(.failed(let id, let reason)): nodes[id]?.failure = reason
    case .node(.returned(let id)): nodes[id]?.failure = nil
    case .node(.drainBegun(let id, let seconds)): nodes[id]?.drainSeconds = seconds
    default: break
    }
  }

  private mutating func applyShards(_ event: Event) {
    switch event {
    case .shardCreated(let shard): shards[shard.id] = shard
    case .replicaAdded(let id, let node):
      guard var shard = shards[id], !shard.replicas.contains(node) else { return }
      shard.replicas.append(node)
      shards[id] = shard
    case .replicaRemoved(let id, let node):
      guard var shard = shards[id] else { return }
      shard.replicas.removeAll { $0 == node }
      shards[id] = shard
    case .shard(.drainBegun(let id, _)): shards[id]?.isDraining = true
    case .shard(.drainCancelled(let id)): shards[id]?.isDraining = false
    case .shard(.classSet(let id, let name)): shards[id]?.shardClass = name
    case .shard(.removed(let id)):
      shards[id] = nil
      removedShards.insert(id)
    default: break
    }
  }

  private mutating func applyRoles(_ event: Event, at recordIndex: UInt64) {
    switch event {
    case .roleCreated(let role), .roleAltered(let role):
      if let old = roles[role.id] { roleNames[old.name] = nil }
      roles[role.id] = role
      roleNames[role.name] = role.id
      touch(role.id, recordIndex)
    case .roleDropped(let id):
      guard let role = roles[id] else { return }
      roles[id] = nil
      roleNames[role.name] = nil
      versions[id] = nil
    case .privilege(let event): applyPrivilege(event)
    default: break
    }
  }

  private mutating func applyPlacement(_ event: Event) {
    switch event {
    case .tabletCreated(let tablet):
      // It may be known already: to one who has jumped over its move.
      removeTablet(tablet.id)
      tablets[tablet.id] = tablet
      tabletOfTable[tablet.tableID] = tablet.id
      if tablet.isMirror { mirrors.insert(tablet.id) }
      for shard in tablet.holders { tabletCounts[shard, default: 0] += 1 }
      nextTabletID = max(nextTabletID, TabletID(rawValue: tablet.id.rawValue &+ 1))
    case .tabletDropped(let id): removeTablet(id)
    case .tabletCleared(let id, let generation):
      tablets[id]?.generation = generation
    default: break
    }
  }

  private mutating func removeTablet(_ id: TabletID) {
    guard let tablet = tablets[id] else { return }
    tablets[id] = nil
    if tabletOfTable[tablet.tableID] == id { tabletOfTable[tablet.tableID] = nil }
    if tablet.isMirror { mirrors.remove(id) }
    for shard in tablet.holders { uncount(shard) }
  }

  private mutating func apply(_ route: TabletRoute) {
    guard var tablet = tablets[route.tabletID] else { return }
    for shard in tablet.holders { uncount(shard) }
    if tablet.isMirror, let plan = migrations.open[route.migrationID]?.plan {
      tablet.copies.removeAll { $0 == (plan.options.dropsCopy ? plan.source : route.shardID) }
      if !plan.options.dropsCopy { tablet.copies.append(route.shardID) }
      tablet.copies.sort()
      tablet.shardID = tablet.copies.first ?? route.shardID
    } else {
      tablet.shardID = route.shardID
    }
    for shard in tablet.holders { tabletCounts[shard, default: 0] += 1 }
    tablet.epoch = route.epoch
    tablets[tablet.id] = tablet
  }

  private mutating func uncount(_ shard: ShardID) {
    let left = (tabletCounts[shard] ?? 1) - 1
    tabletCounts[shard] = left > 0 ? left : nil
  }

  private mutating func applyCatalog(_ event: Event, at recordIndex: UInt64) {
    switch event {
    case .databaseCreated(let database):
      databases[database.id] = database
      touch(database.id, recordIndex)
    case .schemaCreated(let schema):
      schemas[schema.id] = schema
      schemaNames[schema.name] = schema.id
      touch(schema.id, recordIndex)
    case .schemaDropped(let id):
      guard let schema = schemas[id] else { return }
      schemas[id] = nil
      schemaNames[schema.name] = nil
      versions[id] = nil
      grants[id] = nil
    case .function(let event): applyFunction(event, at: recordIndex)
    case .materializedView(let event): applyMaterializedView(event, at: recordIndex)
    case .viewCreated(let view), .viewReplaced(let view):
      views[view.id] = view
      name(view.id, view.name, in: view.schemaID)
      touch(view.id, recordIndex)
    case .viewDropped(let id):
      guard let view = views[id] else { return }
      views[id] = nil
      unname(id, view.name, in: view.schemaID)
    case .tableCreated, .tableDropped, .tableOptionsChanged, .columnDefaultChanged, .indexCreated, .indexDropped:
      applyTable(event, at: recordIndex)
    default: applySequence(event, at: recordIndex)
    }
  }

  private mutating func applyTable(_ event: Event, at recordIndex: UInt64) {
    switch event {
    case .tableCreated(let table):
      tables[table.id] = table
      name(table.id, table.name, in: table.schemaID)
      touch(table.id, recordIndex)
      if let parent = table.partition?.parentID { partitionsOfTable[parent, default: []].append(table.id) }
      if let group = table.options[TableDefinition.groupOption] { tablesOfGroup[group, default: []].append(table.id) }
    case .tableDropped(let id):
      guard let table = tables[id] else { return }
      tables[id] = nil
      if materializedViews[id] != nil { materializedViews[id] = nil }
      unname(id, table.name, in: table.schemaID)
      if let parent = table.partition?.parentID { remove(id, from: \.partitionsOfTable, of: parent) }
      if let group = table.options[TableDefinition.groupOption] { remove(id, from: \.tablesOfGroup, of: group) }
    case .tableOptionsChanged(let id, let options):
      guard let old = tables[id]?.options else { return }
      tables[id]?.options = options
      // A table's group is that of its creation.
      tables[id]?.options[TableDefinition.groupOption] = old[TableDefinition.groupOption]
      touch(id, recordIndex)
    case .columnDefaultChanged(let id, let column, let expression):
      guard var table = tables[id], column > 0, column <= table.columns.count else { return }
      table.columns[column - 1].defaultExpression = expression
      if expression == nil { table.columns[column - 1].sequenceID = nil }
      table.version &+= 1
      tables[id] = table
      touch(id, recordIndex)
    case .indexCreated(let index):
      indexes[index.id] = index
      name(index.id, index.name, in: index.schemaID)
      indexesOfTable[index.tableID, default: []].append(index.id)
      touch(index.id, recordIndex)
    case .indexDropped(let id):
      guard let index = indexes[id] else { return }
      indexes[id] = nil
      unname(id, index.name, in: index.schemaID)
      remove(id, from: \.indexesOfTable, of: index.tableID)
    default: break
    }
  }

  private mutating func applySequence(_ event: Event, at recordIndex: UInt64) {
    switch event {
    case .sequenceCreated(let sequence), .sequenceAltered(let sequence):
      sequences[sequence.id] = sequence
      name(sequence.id, sequence.name, in: sequence.schemaID)
      touch(sequence.id, recordIndex)
    case .sequenceDropped(let id):
      guard let sequence = sequences[id] else { return }
      sequences[id] = nil
      unname(id, sequence.name, in: sequence.schemaID)
    case .sequenceReserved(let id, _, let last, _):
      guard sequences[id] != nil else { return }
      sequences[id]?.lastReserved = last
      touch(id, recordIndex)
    case .sequenceValueSet(let id, let last, let resumesAt):
      guard sequences[id] != nil else { return }
      sequences[id]?.lastReserved = last
      sequences[id]?.resumesAt = resumesAt
      touch(id, recordIndex)
    default: break
    }
  }

  mutating func touch(_ id: ObjectID, _ recordIndex: UInt64) {
    versions[id] = recordIndex
    if id >= nextObjectID { nextObjectID = ObjectID(rawValue: id.rawValue &+ 1) }
  }

  private mutating func name(_ id: ObjectID, _ name: String, in schemaID: ObjectID) {
    relationNames[RelationKey(schemaID: schemaID, name: name)] = id
  }

  private mutating func unname(_ id: ObjectID, _ name: String, in schemaID: ObjectID) {
    let key = RelationKey(schemaID: schemaID, name: name)
    if relationNames[key] == id { relationNames[key] = nil }
    versions[id] = nil
    if grants[id] != nil { grants[id] = nil }
  }

  private mutating func remove<Owner: Hashable>(
    _ id: ObjectID, from map: WritableKeyPath<Image, TreeDictionary<Owner, [ObjectID]>>, of owner: Owner
  ) {
    guard var list = self[keyPath: map][owner] else { return }
    list.removeAll { $0 == id }
    self[keyPath: map][owner] = list.isEmpty ? nil : list
  }
}
