import HashTreeCollections

extension Image {
  /// Events that lead from an older image to this one: how a reader that has jumped over compacted records learns what
  /// changed. Reservations of sequences and steps of migrations are in it only by their outcome, notes not at all.
  package func events(since older: Image) -> [Event] {
    var events: [Event] = []
    appendEnds(to: &events, since: older)
    appendClusterEvents(to: &events, since: older)
    appendCatalogEvents(to: &events, since: older)
    appendActivity(to: &events, since: older)
    for tablet in changed(tablets, older.tablets) {
      if let old = older.tablets[tablet.id], old.tableID == tablet.tableID, old.shardID == tablet.shardID,
        old.epoch == tablet.epoch
      {
        events.append(.tabletCleared(tablet.id, generation: tablet.generation))
      } else {
        events.append(.tabletCreated(tablet))
      }
    }
    return events
  }

  private func appendEnds(to events: inout [Event], since older: Image) {
    for tablet in gone(tablets, older.tablets) { events.append(.tabletDropped(tablet.id)) }
    for function in gone(functions, older.functions) { events.append(.function(.dropped(function.id))) }
    for view in gone(views, older.views) { events.append(.viewDropped(view.id)) }
    for index in gone(indexes, older.indexes) { events.append(.indexDropped(index.id)) }
    for sequence in gone(sequences, older.sequences) { events.append(.sequenceDropped(sequence.id)) }
    // Partitions bear higher ids than their parents.
    for table in gone(tables, older.tables).reversed() { events.append(.tableDropped(table.id)) }
    for schema in gone(schemas, older.schemas) { events.append(.schemaDropped(schema.id)) }
    appendRevocations(to: &events, since: older)
    for role in gone(roles, older.roles) { events.append(.roleDropped(role.id)) }
    for node in gone(nodes, older.nodes) { events.append(.nodeRemoved(node.id)) }
  }

  private func appendClusterEvents(to events: inout [Event], since older: Image) {
    if let clusterID, clusterID != older.clusterID || clusterName != older.clusterName {
      events.append(.clusterCreated(clusterID, name: clusterName, featureLevel: featureLevel))
    } else if featureLevel != older.featureLevel {
      events.append(.featureLevelRaised(featureLevel))
    }
    for name in Set(settings.keys).union(older.settings.keys).sorted() where settings[name] != older.settings[name] {
      events.append(.settingChanged(name: name, value: settings[name]))
    }
    for node in changed(nodes, older.nodes) { events.append(.nodeRegistered(node)) }
    for shard in changed(shards, older.shards) { events.append(.shardCreated(shard)) }
    for role in changed(roles, older.roles) {
      events.append(older.roles[role.id] == nil ? .roleCreated(role) : .roleAltered(role))
    }
  }

  private func appendCatalogEvents(to events: inout [Event], since older: Image) {
    for database in changed(databases, older.databases) { events.append(.databaseCreated(database)) }
    for schema in changed(schemas, older.schemas) { events.append(.schemaCreated(schema)) }
    for table in changed(tables, older.tables) {
      if let old = older.tables[table.id] {
        if table.options != old.options {
          events.append(.tableOptionsChanged(table.id, options: table.options))
        }
        appendDefaults(of: table, since: old, to: &events)
      } else {
        events.append(.tableCreated(table))
      }
    }
    for index in changed(indexes, older.indexes) { events.append(.indexCreated(index)) }
    for sequence in changed(sequences, older.sequences) {
      events.append(older.sequences[sequence.id] == nil ? .sequenceCreated(sequence) : .sequenceAltered(sequence))
    }
    for view in changed(views, older.views) {
      events.append(older.views[view.id] == nil ? .viewCreated(view) : .viewReplaced(view))
    }
    for view in changed(materializedViews, older.materializedViews) {
      events.append(
        .materializedView(
          older.materializedViews[view.tableID] == nil
            ? .created(view)
            : .refreshed(tableID: view.tableID, isPopulated: view.isPopulated, asOf: view.refreshedIndex)))
    }
    for function in changed(functions, older.functions) {
      events.append(.function(older.functions[function.id] == nil ? .created(function) : .replaced(function)))
    }
    for list in changed(grants, older.grants) {
      for grant in list where older.grants[grant.objectID]?.contains(grant) != true {
        events.append(.privilege(.changed(grant)))
      }
    }
    for list in changed(memberships, older.memberships) {
      for membership in list where older.memberships[membership.memberID]?.contains(membership) != true {
        events.append(.privilege(.roleGranted(membership)))
      }
    }
  }

  private func appendRevocations(to events: inout [Event], since older: Image) {
    for (object, list) in older.grants.sorted(by: { $0.key < $1.key }) where privilegeTarget(object) != nil {
      for grant in list where grants[object]?.contains(where: { $0.grantee == grant.grantee }) != true {
        events.append(
          .privilege(.changed(PrivilegeGrant(objectID: object, grantee: grant.grantee, privileges: []))))
      }
    }
    for (member, list) in older.memberships.sorted(by: { $0.key < $1.key }) {
      for membership in list where memberships[member]?.contains(where: { $0.roleID == membership.roleID }) != true {
        events.append(.privilege(.roleRevoked(role: membership.roleID, member: member)))
      }
    }
  }

  private func appendActivity(to events: inout [Event], since older: Image) {
    if manager != older.manager {
      events.append(
        .manager(manager.nodeID.map { .elected($0, epoch: manager.epoch) } ?? .resigned(epoch: manager.epoch)))
    }
    for id in older.transactions.open.keys.sorted() where transactions.open[id] == nil {
      events.append(.transaction(.resolved(id)))
    }
    for (id, decision) in transactions.open.sorted(by: { $0.key < $1.key }) where older.transactions.open[id] == nil {
      events.append(.transaction(.decided(id, decision.outcome, participants: decision.participants)))
    }
    for (id, coordinator) in transactions.coordinators.sorted(by: { $0.key < $1.key }) {
      let before = GlobalTransactionID(
        coordinator: id, incarnation: coordinator.settledIncarnation, sequence: coordinator.settledSequence)
      let old = older.transactions.coordinators[id] ?? CoordinatorHistory()
      if (old.settledIncarnation, old.settledSequence) != (before.incarnation, before.sequence) {
        events.append(.transaction(.settled(before: before)))
      }
    }
    for change in changed(schemaChanges.ended, older.schemaChanges.ended) {
      if older.schemaChanges.open[change.plan.id] == nil { events.append(.schemaChange(.planned(change.plan))) }
      events.append(
        .schemaChange(
          change.outcome == .completed ? .completed(change.plan.id) : .failed(change.plan.id, reason: change.reason)))
    }
    for change in changed(schemaChanges.open, older.schemaChanges.open) {
      if older.schemaChanges.open[change.plan.id] == nil { events.append(.schemaChange(.planned(change.plan))) }
      if change.doneSteps > 0 { events.append(.schemaChange(.stepDone(change.plan.id, step: change.doneSteps))) }
    }
    for migration in changed(migrations.ended, older.migrations.ended) { append(migration, to: &events, since: older) }
    for migration in changed(migrations.open, older.migrations.open) { append(migration, to: &events, since: older) }
  }

  private func append(_ migration: Migration, to events: inout [Event], since older: Image) {
    let plan = migration.plan
    if older.migrations.open[plan.id] == nil { events.append(.migration(.planned(plan))) }
    if let event = migration.lastStep(tablets[plan.tabletID]) { events.append(.migration(event)) }
    if let wayBack = migration.wayBack, migration.outcome == nil {
      if wayBack.isRequested { events.append(.migration(.reverseRequested(plan.id, reason: migration.remark))) }
      if wayBack.isLost {
        events.append(.migration(.reverseGivenUp(plan.id, isLost: true, reason: migration.remark)))
      }
    }
    if migration.isPaused { events.append(.migration(.paused(plan.id, reason: migration.remark))) }
  }

  private func appendDefaults(of table: TableDefinition, since old: TableDefinition, to events: inout [Event]) {
    // Columns are never added or dropped, so positions agree; a shorter old list would be a mistake of ours.
    for (position, column) in table.columns.enumerated()
    where position < old.columns.count
      && (column.defaultExpression != old.columns[position].defaultExpression
        || column.sequenceID != old.columns[position].sequenceID)
    {
      events.append(
        .columnDefaultChanged(table.id, column: position + 1, expression: column.defaultExpression))
    }
  }

  /// New and differing values, by key.
  private func changed<Key: Comparable, Value: Equatable>(
    _ new: TreeDictionary<Key, Value>, _ old: TreeDictionary<Key, Value>
  ) -> [Value] {
    new.filter { old[$0.key] != $0.value }.sorted { $0.key < $1.key }.map(\.value)
  }

  /// Old values whose key is no more, by key.
  private func gone<Key: Comparable, Value>(
    _ new: TreeDictionary<Key, Value>, _ old: TreeDictionary<Key, Value>
  ) -> [Value] {
    old.filter { new[$0.key] == nil }.sorted { $0.key < $1.key }.map(\.value)
  }
}

extension Migration {
  /// An event that leads to where it is; nil where the plan alone does.
  fileprivate func lastStep(_ tablet: TabletDefinition?) -> MigrationEvent? {
    let id = plan.id
    switch outcome {
    case .completed: return .sourceDropped(id)
    case .rolledBack, .reversed: return .rolledBack(id)
    case .abandoned: return .abandoned(id)
    case nil: break
    }
    switch phase {
    case .planned: return nil
    case .snapshotTaken: return snapshot.map { .snapshotTaken(id, $0) }
    case .transferred: return .transferred(id)
    case .loaded: return .loaded(id)
    case .caughtUp: return .caughtUp(id, shardIndex: snapshot?.shardIndex ?? 0)
    case .writesCut: return .writesCut(id)
    case .routed, .routedBack:
      return .routed(
        TabletRoute(
          migrationID: id, tabletID: plan.tabletID, shardID: phase == .routed ? plan.target : plan.source,
          epoch: tablet?.epoch ?? plan.epoch, shardIndex: 0, rowsChecksum: [],
          followFrom: wayBack?.shardIndex ?? 0))
    case .finishing: return .finishing(id)
    case .reversing: return .reversed(id, reason: remark)
    case .failed: return .failed(id, reason: remark)
    }
  }
}
