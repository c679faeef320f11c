/// What an event is about, as far as subscribers filter by it. Found once for each record.
package struct EventSubject: Sendable, Hashable {
  package let family: EventFamily
  /// The table; also of its indexes, of the sequences that it owns, and of its tablets.
  package fileprivate(set) var tableID: ObjectID?
  /// The table to which a sequence belonged until then, where that is another one.
  package fileprivate(set) var formerTableID: ObjectID?
  /// The partitioned tables above the table, the nearest first.
  package fileprivate(set) var ancestors: [ObjectID] = []
  package fileprivate(set) var tabletID: TabletID?
  /// Of shard events, of the creation of a tablet, of a transaction's decision and of the plan of a move. Empty: what ends,
  /// empties or moves a tablet concerns whoever follows any shard.
  package fileprivate(set) var shards: [ShardID] = []
  /// It belongs to a table of which the image does not know any more which one it was.
  package fileprivate(set) var isTableUnknown = false
  /// It is not known any more to which partitioned tables the table belonged.
  package fileprivate(set) var areAncestorsUnknown = false

  fileprivate init(_ family: EventFamily) { self.family = family }
}

extension EventSubject {
  /// The subjects of a record's events, one for each; empty where none of them is about a table, a tablet or a shard.
  /// - Parameter image: the image before the record. Of a later one, what has been dropped since is not found in it.
  package static func of(_ events: [Event], _ image: Image) -> [EventSubject] {
    guard events.contains(where: \.hasSubject) else { return [] }
    var resolver = SubjectResolver(image: image)
    return events.map { resolver.subject(of: $0) }
  }
}

extension Event {
  /// Whether it can be about a table, a tablet or a shard.
  fileprivate var hasSubject: Bool {
    switch family {
    case .shards, .catalog, .placement, .transactions, .migrations: true
    case .cluster, .nodes, .roles, .notes, .managers, .sagas: false
    }
  }
}

/// Finds what the events of one record are about.
private struct SubjectResolver {
  let image: Image
  // What this record has created: a record may create a table and all that belongs to it.
  private var tableOfObject: [ObjectID: ObjectID] = [:]
  private var parentOfTable: [ObjectID: ObjectID?] = [:]
  private var tableOfTablet: [TabletID: ObjectID] = [:]
  private var tabletOfMigration: [MigrationID: TabletID] = [:]

  init(image: Image) { self.image = image }

  mutating func subject(of event: Event) -> EventSubject {
    var subject = EventSubject(event.family)
    switch event {
    case .shardCreated(let shard): subject.shards = [shard.id]
    case .replicaAdded(let shard, _), .replicaRemoved(let shard, _): subject.shards = [shard]
    case .shard(let event): subject.shards = [event.shardID]
    case .tableCreated(let table):
      parentOfTable[table.id] = .some(table.partition?.parentID)
      setTable(table.id, &subject)
    case .tableDropped(let id), .tableOptionsChanged(let id, _), .columnDefaultChanged(let id, _, _):
      setTable(id, &subject)
    case .indexCreated(let index):
      tableOfObject[index.id] = index.tableID
      setTable(index.tableID, &subject)
    case .indexDropped(let id): setTable(tableOfObject[id] ?? image.indexes[id]?.tableID, &subject)
    case .sequenceCreated(let sequence), .sequenceAltered(let sequence): setOwner(of: sequence, &subject)
    case .sequenceDropped(let id), .sequenceReserved(let id, _, _, _), .sequenceValueSet(let id, _, _):
      if let owner = tableOfObject[id] {
        setTable(owner, &subject)
      } else if let sequence = image.sequences[id] {
        if let owner = sequence.ownerTableID { setTable(owner, &subject) }
      } else {
        subject.isTableUnknown = true
      }
    case .tabletCreated(let tablet):
      tableOfTablet[tablet.id] = tablet.tableID
      subject.tabletID = tablet.id
      subject.shards = [tablet.shardID]
      setTable(tablet.tableID, &subject)
    case .tabletDropped(let id), .tabletCleared(let id, _): setTablet(id, &subject)
    case .transaction(.decided(_, _, let participants)): subject.shards = participants
    case .migration(let event): setMigration(event, &subject)
    case .materializedView(.created(let view)): setTable(view.tableID, &subject)
    case .materializedView(.refreshed(let id, _, _)): setTable(id, &subject)
    case .databaseCreated, .schemaCreated, .schemaDropped, .viewCreated, .viewReplaced, .viewDropped,
      .clusterCreated, .clusterRestored, .featureLevelRaised, .settingChanged, .nodeRegistered, .nodeAddressChanged,
      .nodeRemoved, .node,
      .roleCreated, .roleAltered, .roleDropped, .noteRecorded, .transaction, .manager, .privilege, .function,
      .schemaChange:
      break
    }
    return subject
  }

  /// An alteration that takes the sequence from its table is about that table too.
  private mutating func setOwner(of sequence: SequenceDefinition, _ subject: inout EventSubject) {
    let former = image.sequences[sequence.id]?.ownerTableID
    guard let owner = sequence.ownerTableID ?? former else { return }
    tableOfObject[sequence.id] = owner
    setTable(owner, &subject)
    if let former, former != owner { subject.formerTableID = former }
  }

  private mutating func setMigration(_ event: MigrationEvent, _ subject: inout EventSubject) {
    let id = event.migrationID
    switch event {
    case .planned(let plan):
      tabletOfMigration[id] = plan.tabletID
      subject.shards = [plan.source, plan.target]
      setTablet(plan.tabletID, &subject)
    case .routed(let route): setTablet(route.tabletID, &subject)
    default:
      let migration = image.migrations.open[id] ?? image.migrations.ended[id]
      guard let tablet = tabletOfMigration[id] ?? migration?.plan.tabletID else {
        return subject.isTableUnknown = true
      }
      setTablet(tablet, &subject)
    }
  }

  private func setTablet(_ id: TabletID, _ subject: inout EventSubject) {
    subject.tabletID = id
    setTable(tableOfTablet[id] ?? image.tablets[id]?.tableID, &subject)
  }

  private func setTable(_ id: ObjectID?, _ subject: inout EventSubject) {
    guard let id else { return subject.isTableUnknown = true }
    subject.tableID = id
    var next = id
    while true {
      if let created = parentOfTable[next] {
        guard let parent = created else { return }
        next = parent
      } else if let table = image.tables[next] {
        guard let parent = table.partition?.parentID else { return }
        next = parent
      } else {
        return subject.areAncestorsUnknown = true
      }
      subject.ancestors.append(next)
    }
  }
}
