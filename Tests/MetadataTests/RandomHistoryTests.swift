import Metadata
import MetadataWire
import SQLTypes
import Testing

/// What holds whatever is asked: decided by chance, from a seed.
@Suite struct RandomHistoryTests {
  @Test(arguments: 1...8 as ClosedRange<UInt64>)
  func decidedEventsLeaveAnImageThatIsWhole(seed: UInt64) throws {
    var chance = SeededChance(seed: seed)
    var fixture = try Fixture.cluster(shards: 3)
    for node in 20...22 as ClosedRange<UInt64> {
      try fixture.append(
        .registerNode(NodeDefinition(id: NodeID(rawValue: node), role: .manager, name: "m\(node)", host: "h", port: 1)))
    }
    var accepted = 0
    for step in 0..<600 {
      let command = randomCommand(fixture.image, &chance)
      // A refusal is an answer; what is accepted passes through its bytes.
      if let events = try? fixture.append(command), !events.isEmpty { accepted += 1 }
      if step % 40 == 39 {
        checkDerivedMaps(fixture.image)
        try checkParts(fixture.image)
      }
    }
    #expect(accepted > 150)
    var replayed = Image()
    for record in fixture.records { replayed.apply(record) }
    #expect(replayed == fixture.image)
  }

  @Test(arguments: 1...8 as ClosedRange<UInt64>)
  func anyEventCanBeFoldedIntoAnyImage(seed: UInt64) throws {
    var chance = SeededChance(seed: seed)
    var image = try Fixture.cluster().image
    for index in 1...2_000 as ClosedRange<UInt64> { image.apply(randomEvent(&chance), at: index) }
    var empty = Image()
    for index in 1...2_000 as ClosedRange<UInt64> { empty.apply(randomEvent(&chance), at: index) }
    // It can be asked for everything, and leads to bytes that can be read.
    _ = image.compactionHolds
    _ = image.events(since: empty)
    _ = empty.events(since: image)
    for other in [image, empty] {
      var decoder = ImageDecoder()
      for part in try ImageEncoder.parts(of: other) { try decoder.add(part) }
      #expect(decoder.finished?.transactions == other.transactions)
      #expect(decoder.finished?.migrations == other.migrations)
    }
  }

  private func checkParts(_ image: Image) throws {
    var decoder = ImageDecoder()
    for part in try ImageEncoder.parts(of: image) { try decoder.add(part) }
    #expect(decoder.finished == image)
  }

  /// The maps that are derived say what those that they are derived from say.
  private func checkDerivedMaps(_ image: Image) {
    var counts: [ShardID: Int] = [:]
    for tablet in image.tablets.values {
      counts[tablet.shardID, default: 0] += 1
      #expect(image.tabletOfTable[tablet.tableID] == tablet.id)
      #expect(image.tables[tablet.tableID] != nil)
      #expect(image.shards[tablet.shardID] != nil)
    }
    #expect(image.tabletOfTable.count == image.tablets.count)
    #expect(Dictionary(uniqueKeysWithValues: image.tabletCounts.map { ($0.key, $0.value) }) == counts)
    let relations =
      image.tables.values.map { RelationKey(schemaID: $0.schemaID, name: $0.name) }
      + image.indexes.values.map { RelationKey(schemaID: $0.schemaID, name: $0.name) }
      + image.sequences.values.map { RelationKey(schemaID: $0.schemaID, name: $0.name) }
      + image.views.values.map { RelationKey(schemaID: $0.schemaID, name: $0.name) }
    #expect(relations.count == image.relationNames.count)
    #expect(Set(relations) == Set(image.relationNames.keys))
    #expect(Set(image.indexesOfTable.values.joined()) == Set(image.indexes.keys))
    for migration in image.migrations.open.values {
      #expect(image.migrations.ofTablet[migration.plan.tabletID] == migration.plan.id)
      #expect(image.tablets[migration.plan.tabletID] != nil)
      let isMoved = [.routed, .finishing, .reversing].contains(migration.phase)
      #expect(
        image.tablets[migration.plan.tabletID]?.shardID == (isMoved ? migration.plan.target : migration.plan.source))
    }
    #expect(image.migrations.ofTablet.count == image.migrations.open.count)
    for id in image.grants.keys { #expect(image.privilegeTarget(id) != nil) }
    for list in image.grants.values {
      for grant in list { #expect(grant.grantee.map { image.roles[$0] != nil } ?? true) }
    }
    for membership in image.memberships.values.joined() {
      #expect(image.roles[membership.roleID] != nil && image.roles[membership.memberID] != nil)
      #expect(!image.roles(of: membership.roleID).contains(membership.memberID))
    }
    for id in image.materializedViews.keys { #expect(image.tables[id] != nil) }
    #expect(Set(image.functionNames.values) == Set(image.functions.keys))
    #expect(image.schemaChanges.ofObject.count == image.schemaChanges.open.count)
    for id in image.schemaChanges.ofObject.keys { #expect(image.relation(id) != nil || image.schemas[id] != nil) }
    for history in image.transactions.coordinators.values {
      for (left, right) in zip(history.ranges, history.ranges.dropFirst()) {
        #expect((left.incarnation, left.last) < (right.incarnation, right.first))
      }
    }
  }
}

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
struct SeededChance: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    return value ^ (value >> 31)
  }
  mutating func number(_ range: ClosedRange<UInt64>) -> UInt64 { UInt64.random(in: range, using: &self) }
}

/// A command about what there is, more often sensible than not.
private func randomCommand(_ image: Image, _ chance: inout SeededChance) -> Command {
  let tables = image.tables.keys.sorted()
  let table = tables.randomElement(using: &chance) ?? ObjectID(rawValue: 1)
  switch chance.number(0...25) {
  case 0, 1, 2:
    return .createTable(draft("t\(chance.number(0...30))", shard: UInt32(chance.number(1...4))))
  case 3: return .dropTables([table], isCascade: chance.number(0...1) == 0)
  case 4: return .createIndex(IndexDraft(tableID: table, parts: [.init(column: Int(chance.number(1...2)))]))
  case 5: return .truncateTables([table], restartsSequences: true)
  case 6: return .createView(view("v\(chance.number(0...9))", reads: [table]), orReplace: chance.number(0...1) == 0)
  case 7:
    return .setSetting(name: "s\(chance.number(0...3))", value: chance.number(0...2) == 0 ? nil : "\(chance.next())")
  case 8: return .createRole(RoleDraft(name: "r\(chance.number(0...20))"))
  case 9: return .manager(.elect(NodeID(rawValue: chance.number(20...22)), after: image.manager.epoch))
  case 10: return .manager(.resign(epoch: image.manager.epoch))
  case 11, 12, 13: return randomTransaction(&chance)
  case 14, 15: return randomPrivilege(image, table, &chance)
  case 16:
    return .materializedView(
      .create(draft("mv\(chance.number(0...5))"), query: "q", dependencies: chance.number(0...1) == 0 ? [] : [table]))
  case 17: return .materializedView(.drop([table], isCascade: true))
  case 18:
    return .function(
      .create(
        sqlFunction("f\(chance.number(0...3))", body: "SELECT \(chance.next())"), orReplace: chance.number(0...1) == 0))
  case 19:
    return .function(.drop(image.functions.keys.sorted().prefix(1).map { $0 }))
  case 20:
    if let change = image.schemaChanges.open.values.sorted(by: { $0.plan.id < $1.plan.id }).first {
      return .schemaChange(.completeStep(change.plan.id, step: change.doneSteps + 1))
    }
    return .schemaChange(.plan(table, text: "t", steps: ["a", "b"]))
  default: return randomMigration(image, &chance)
  }
}

private func randomPrivilege(_ image: Image, _ table: ObjectID, _ chance: inout SeededChance) -> Command {
  let roles = image.roles.keys.sorted()
  let role = roles.randomElement(using: &chance) ?? WellKnown.firstRole
  let other = roles.randomElement(using: &chance) ?? WellKnown.firstRole
  return switch chance.number(0...5) {
  case 0: .privilege(.grant(nil, on: [table], to: [role, nil], withGrantOption: false))
  case 1: .privilege(.grant(.select, on: [table, WellKnown.publicSchema], to: [role], withGrantOption: true))
  case 2: .privilege(.revoke(nil, on: [table], from: [role], grantOptionOnly: chance.number(0...1) == 0))
  case 3: .dropRole(role)
  case 4: .privilege(.grantRoles([role], to: [other], withAdminOption: false))
  default: .privilege(.revokeRoles([role], from: [other], adminOptionOnly: false))
  }
}

private func randomTransaction(_ chance: inout SeededChance) -> Command {
  let id = transactionID(chance.number(1...3), chance.number(1...40))
  return switch chance.number(0...9) {
  case 0: .transaction(.settle(before: transactionID(chance.number(1...3), chance.number(1...9))))
  case 1...4: .transaction(.resolve(id))
  default: transaction(id.incarnation, id.sequence, chance.number(0...1) == 0 ? .commit : .abort)
  }
}

private func randomMigration(_ image: Image, _ chance: inout SeededChance) -> Command {
  guard chance.number(0...2) > 0,
    let migration = image.migrations.open.values.sorted(by: { $0.plan.id < $1.plan.id })
      .randomElement(using: &chance)
  else {
    let tablet = image.tablets.keys.sorted().randomElement(using: &chance) ?? TabletID(rawValue: 1)
    return .migration(
      .plan(
        tablet, target: ShardID(rawValue: UInt32(chance.number(1...3))), epoch: nil, maximumRetries: 2, reason: "",
        options: randomOptions(&chance)))
  }
  let id = migration.plan.id
  switch chance.number(0...23) {
  case 20:
    let isLost = chance.number(0...1) == 1
    return .migration(.giveUpReverse(id, attempt: migration.attempt, isLost: isLost, reason: "g"))
  case 21: return .migration(.complete(id))
  case 22:
    return .migration(
      .report(id, attempt: migration.attempt, MigrationProgress(bytes: 1, lagMilliseconds: 2, shardIndex: 30)))
  case 23: return .migration(.expireCut(id, attempt: migration.attempt, reason: "e"))
  case 0: return .migration(.pause(id, reason: "p"))
  case 1: return .migration(.fail(id, reason: "f"))
  case 2: return .migration(.reverse(id, reason: "r"))
  case 3:
    let phase = MigrationPhase.allCases.randomElement(using: &chance) ?? .planned
    return .migration(.retry(id, attempt: migration.attempt, resumesAt: phase, reason: "again"))
  case 4, 5, 6: return .migration(.resume(id))
  default: break
  }
  let source = image.shards[migration.plan.source]?.replicas.first ?? NodeID(rawValue: 1)
  let epoch = image.tablets[migration.plan.tabletID]?.epoch ?? 1
  let step: MigrationStep =
    switch migration.phase {
    case .planned:
      .snapshotTaken(
        MigrationSnapshot(
          nodeID: source, shardIndex: 1, lengthBytes: 2, checksum: [UInt8](repeating: 0, count: 32)))
    case .snapshotTaken: .transferred
    case .transferred: .loaded
    case .loaded: .caughtUp(shardIndex: 3)
    case .caughtUp: .cutWrites
    case .writesCut, .reversing: .route(epoch: epoch, shardIndex: 4, rowsChecksum: [], followFrom: 20)
    case .routed: migration.wayBack?.isRequested == true ? .cutTarget : .finish
    case .finishing: .sourceDropped
    case .routedBack, .failed: .rolledBack
    }
  return .migration(.advance(id, attempt: migration.attempt, step))
}

private func randomOptions(_ chance: inout SeededChance) -> MigrationOptions {
  var options = MigrationOptions()
  options.keepsSource = chance.number(0...1) == 1
  options.isVerified = chance.number(0...1) == 1
  options.maximumLagMilliseconds = UInt32(chance.number(1...5000))
  options.bytesPerSecond = chance.number(0...9)
  return options
}

/// Any event at all, about things that there are, that there are not, and about the largest numbers.
private func randomEvent(_ chance: inout SeededChance) -> Event {
  func number() -> UInt64 {
    switch chance.number(0...9) {
    case 0: .max
    case 1: 0
    default: chance.number(1...12)
    }
  }
  let object = ObjectID(rawValue: UInt32(clamping: number()))
  let tablet = TabletID(rawValue: number())
  let shard = ShardID(rawValue: UInt32(clamping: number()))
  let id = GlobalTransactionID(
    coordinator: NodeID(rawValue: chance.number(1...3)), incarnation: number(), sequence: number())
  switch chance.number(0...25) {
  case 0: return .settingChanged(name: "a", value: nil)
  case 1: return .nodeRemoved(NodeID(rawValue: number()))
  case 2: return .shardCreated(ShardDefinition(id: shard, name: "s", replicas: []))
  case 3: return .replicaAdded(shard, NodeID(rawValue: number()))
  case 4:
    return .tableCreated(
      TableDefinition(
        id: object, schemaID: WellKnown.publicSchema, name: "t\(object)", ownerID: WellKnown.firstRole,
        columns: [ColumnDefinition(name: "a", type: .int4)], version: number()))
  case 5: return .tableDropped(object)
  case 6:
    return .columnDefaultChanged(
      object, column: [Int.min, 0, 1, 2, .max].randomElement(using: &chance) ?? 0, expression: nil)
  case 7: return .tabletCreated(TabletDefinition(id: tablet, tableID: object, shardID: shard, epoch: number()))
  case 8: return .tabletDropped(tablet)
  case 9: return .tabletCleared(tablet, generation: number())
  case 10: return .sequenceReserved(object, first: .min, last: .max, count: .max)
  case 11: return .noteRecorded(topic: "t", content: [])
  case 12: return .transaction(.decided(id, .commit, participants: [shard]))
  case 13: return .transaction(.resolved(id))
  case 14: return .transaction(.settled(before: id))
  case 15: return .manager(.elected(NodeID(rawValue: number()), epoch: number()))
  case 16: return .manager(.resigned(epoch: number()))
  case 17: return randomCatalogEvent(object, number(), &chance)
  case 18:
    let events: [ShardEvent] = [
      .drainBegun(shard, reason: ""), .drainCancelled(shard), .removed(shard), .classSet(shard, "cold"),
    ]
    return .shard(events.randomElement(using: &chance) ?? .removed(shard))
  case 19:
    let node = NodeID(rawValue: number())
    let events: [NodeEvent] = [.failed(node, reason: "r"), .returned(node), .drainBegun(node, graceSeconds: 1)]
    return .node(events.randomElement(using: &chance) ?? .returned(node))
  default: return .migration(randomMigrationEvent(MigrationID(rawValue: number()), tablet, shard, number(), &chance))
  }
}

private func randomCatalogEvent(_ object: ObjectID, _ number: UInt64, _ chance: inout SeededChance) -> Event {
  switch chance.number(0...9) {
  case 9: .tableOptionsChanged(object, options: ["shard_class": "cold", "tablegroup": "g"])
  case 0: .privilege(.changed(PrivilegeGrant(objectID: object, grantee: nil, privileges: Privileges(rawValue: .max))))
  case 1: .privilege(.roleGranted(RoleMembership(roleID: object, memberID: object)))
  case 2: .privilege(.roleRevoked(role: object, member: object))
  case 3: .materializedView(.created(MaterializedViewDefinition(tableID: object, query: "q", dependencies: [object])))
  case 4: .materializedView(.refreshed(tableID: object, isPopulated: true, asOf: number))
  case 5: .function(.created(sqlFunction("f")))
  case 6: .function(.dropped(object))
  case 7:
    .schemaChange(
      .planned(
        SchemaChangePlan(id: SchemaChangeID(rawValue: number), objectID: object, text: "t", steps: [])))
  default: .schemaChange(.stepDone(SchemaChangeID(rawValue: number), step: 7))
  }
}

private func randomMigrationEvent(
  _ id: MigrationID, _ tablet: TabletID, _ shard: ShardID, _ epoch: UInt64, _ chance: inout SeededChance
) -> MigrationEvent {
  switch chance.number(0...20) {
  case 17: .reverseRequested(id, reason: "r")
  case 18: .reverseGivenUp(id, isLost: true, reason: "g")
  case 19: .progressed(id, MigrationProgress(bytes: epoch, totalBytes: .max, bytesPerSecond: 1, shardIndex: epoch))
  case 0, 1, 2:
    .planned(MigrationPlan(id: id, tabletID: tablet, source: shard, target: ShardID(rawValue: 2), epoch: epoch))
  case 3: .snapshotTaken(id, snapshot)
  case 4: .transferred(id)
  case 5: .loaded(id)
  case 6: .caughtUp(id, shardIndex: epoch)
  case 7: .writesCut(id)
  case 8:
    .routed(
      TabletRoute(
        migrationID: id, tabletID: tablet, shardID: shard, epoch: epoch, shardIndex: epoch, rowsChecksum: [],
        followFrom: epoch))
  case 9: .finishing(id)
  case 10: .sourceDropped(id)
  case 11: .paused(id, reason: "p")
  case 12: .resumed(id)
  case 13: .retried(id, attempt: .max, resumesAt: .planned, reason: "r")
  case 14: .failed(id, reason: "f")
  case 15: .rolledBack(id)
  case 16: .reversed(id, reason: "r")
  default: .abandoned(id)
  }
}
