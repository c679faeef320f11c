import Metadata
import MetadataWire
import ProtocolMetadata
import SQLTypes
import SwiftProtobuf
import Testing

/// What holds of any history: image → records → image, image → bytes → image, and the chain.
@Suite struct HistoryTests {
  /// One of each kind of command.
  private func history() throws -> Fixture {
    var fixture = try Fixture.cluster()
    try fixture.append(.setSetting(name: "a", value: "1"), requestID: RequestID(client: "c", sequence: 1))
    let node = NodeDefinition(id: NodeID(rawValue: 9), role: .compute, name: "c", host: "h", port: 1, postgresPort: 2)
    try fixture.append(.registerNode(node))
    try fixture.append(.updateNodeAddress(node.id, host: "i", port: 3, postgresPort: 4))
    let spare = NodeDefinition(id: NodeID(rawValue: 10), role: .storage, name: "s", host: "h", port: 5)
    try fixture.append(.registerNode(spare), .addReplica(ShardID(rawValue: 1), spare.id))
    try fixture.append(.removeNode(node.id))
    try fixture.append(.createRole(RoleDraft(name: "r", connectionLimit: 5, verifier: Fixture.verifier)))
    try fixture.append(.alterRole(try #require(fixture.image.role(named: "r")).id, RoleChange(canLogin: true)))
    try fixture.append(.createSchema(name: "s", ownerID: WellKnown.firstRole))
    try fixture.append(
      .createTable(
        draft(
          "t",
          [
            ColumnDraft(name: "id", type: .int4, sequence: OwnedSequenceDraft()),
            ColumnDraft(
              name: "n", type: SQLType(oid: 1700, modifier: 655_366), isNotNull: true, defaultExpression: "1.50"),
            ColumnDraft(name: "i", type: .int8, identity: .byDefault, sequence: OwnedSequenceDraft()),
          ],
          checks: [CheckDraft(name: nil, column: "n", expression: "n > 0", storageExpression: "n > '0'")],
          keys: [KeyDraft(kind: .primaryKey, columns: ["id"])])))
    try fixture.append(
      .createTable(
        draft(
          "p", [ColumnDraft(name: "k", type: .date), ColumnDraft(name: "f", type: .float8)],
          partitioning: PartitioningDraft(strategy: .range, columns: ["k", "f"]))))
    let parent = try fixture.id("p")
    try fixture.append(
      .createTable(
        draft(
          "p1", [],
          partition: PartitionMembership(
            parentID: parent,
            bound: .range(from: [.minimum, .minimum], to: [.value(.integer(5)), .value(.real(1.5))])))))
    try fixture.append(
      .createTable(draft("rest", [], partition: PartitionMembership(parentID: parent, bound: .standard))))
    try fixture.append(.createIndex(IndexDraft(tableID: parent, parts: [.init(column: 2, nullsFirst: true)])))
    try fixture.append(
      .createSequence(
        SequenceDraft(
          schemaID: WellKnown.publicSchema, name: "q", ownerID: WellKnown.firstRole,
          options: SequenceOptions(increment: -2, minimum: .standard, cache: 5, isCycle: true))))
    try fixture.append(.reserveSequence(try fixture.id("q"), count: 7))
    try fixture.append(.alterSequence(try fixture.id("q"), SequenceOptions(restart: .atStart)))
    try fixture.append(.setSequenceValue(try fixture.id("t_i_seq"), value: 9, isCalled: false))
    try fixture.append(.createView(view("v", reads: [try fixture.id("t"), parent]), orReplace: false))
    var replacement = view("v", reads: [parent])
    replacement.query = "SELECT 2"
    try fixture.append(.createView(replacement, orReplace: true))
    try fixture.append(.truncateTables([parent], restartsSequences: true))
    try fixture.append(.dropSequences([try fixture.id("t_id_seq")], isCascade: true))
    try fixture.append(.createTable(draft("gone")))
    try fixture.append(.dropTables([try fixture.id("gone")], isCascade: false))
    try appendActivity(&fixture)
    try appendCatalog(&fixture)
    return fixture
  }

  /// Transactions, managers and migrations, in several states.
  private func appendActivity(_ fixture: inout Fixture) throws {
    let manager = NodeDefinition(id: NodeID(rawValue: 11), role: .manager, name: "m", host: "h", port: 6)
    try fixture.append(.registerNode(manager), .manager(.elect(manager.id, after: 0)))
    try fixture.append(.manager(.resign(epoch: 1)), .manager(.elect(manager.id, after: 1)))
    try fixture.append(transaction(1, 1, .commit), transaction(1, 2, .abort), transaction(1, 5, .commit))
    try fixture.append(.transaction(.resolve(transactionID(1, 1))), .transaction(.resolve(transactionID(1, 5))))
    try fixture.append(.transaction(.settle(before: transactionID(2, 3))))
    for name in ["m1", "m2", "m3", "m4"] { try fixture.append(.createTable(draft(name, shard: 1))) }
    let tablets = try ["m1", "m2", "m3", "m4"].map { try #require(fixture.image.tablet(of: try fixture.id($0))).id }
    for tablet in tablets {
      try fixture.append(
        .migration(.plan(tablet, target: ShardID(rawValue: 2), epoch: 1, maximumRetries: 1, reason: "test")))
    }
    let first = MigrationID(rawValue: 1)
    try fixture.append(.migration(.advance(first, attempt: 0, .snapshotTaken(snapshot))))
    try fixture.append(.migration(.retry(first, attempt: 0, resumesAt: .planned, reason: "disk")))
    for step in [.snapshotTaken(snapshot), .transferred, .loaded, .caughtUp(shardIndex: 7), .cutWrites]
      as [MigrationStep]
    {
      try fixture.append(.migration(.advance(first, attempt: 1, step)))
    }
    try fixture.append(
      .migration(.advance(first, attempt: 1, .route(epoch: 1, shardIndex: 9, rowsChecksum: [1, 2]))))
    try fixture.append(.migration(.advance(first, attempt: 1, .finish)))
    try fixture.append(.migration(.advance(first, attempt: 1, .sourceDropped)))
    let second = MigrationID(rawValue: 2)
    try fixture.append(.migration(.pause(second, reason: "night")))
    let third = MigrationID(rawValue: 3)
    try fixture.append(.migration(.fail(third, reason: "no")))
    try fixture.append(.migration(.advance(third, attempt: 0, .rolledBack)))
    try fixture.append(.dropTables([try fixture.id("m4")], isCascade: false))
  }

  /// Privileges, materialised views, functions, schema changes.
  private func appendCatalog(_ fixture: inout Fixture) throws {
    try fixture.append(.createRole(RoleDraft(name: "member")))
    let role = try #require(fixture.image.role(named: "r")).id
    let member = try #require(fixture.image.role(named: "member")).id
    let table = try fixture.id("t")
    try fixture.append(.privilege(.grant(nil, on: [table], to: [role, nil], withGrantOption: false)))
    try fixture.append(.privilege(.grant(.select, on: [table], to: [role], withGrantOption: true)))
    try fixture.append(.privilege(.revoke(nil, on: [table], from: [nil], grantOptionOnly: false)))
    try fixture.append(.privilege(.grantRoles([role], to: [member], withAdminOption: true)))
    try fixture.append(
      .materializedView(.create(draft("mv", shard: 2), query: "SELECT id FROM t", dependencies: [table])))
    try fixture.append(.materializedView(.refresh(try fixture.id("mv"), isPopulated: true, asOf: 9)))
    try fixture.append(.function(.create(sqlFunction("f"), orReplace: false)))
    try fixture.append(.function(.create(sqlFunction("g"), orReplace: false)))
    let gone = try #require(fixture.image.functionNames[sqlFunction("g").key])
    try fixture.append(.privilege(.grant(nil, on: [gone], to: [nil], withGrantOption: false)))
    try fixture.append(
      .function(.create(sqlFunction("f", body: "SELECT 2"), orReplace: true)), .function(.drop([gone])))
    try fixture.append(.schemaChange(.plan(table, text: "ALTER", steps: ["a", "b"])))
    try fixture.append(.schemaChange(.completeStep(SchemaChangeID(rawValue: 1), step: 1)))
    try fixture.append(.schemaChange(.plan(try fixture.id("p"), text: "ALTER", steps: ["a"])))
    try fixture.append(.schemaChange(.completeStep(SchemaChangeID(rawValue: 2), step: 1)))
  }

  @Test func everyKindOfEventIsListedOnce() throws {
    let kinds = Set(try history().records.flatMap { $0.events.map(\.kind) })
    #expect(Event.kinds.count == Set(Event.kinds).count)
    #expect(kinds.subtracting(Event.kinds) == [])
  }

  @Test func anEventAsJSONBearsItsKindAndTheProtocolsNames() throws {
    #expect(
      try Event.tabletCleared(TabletID(rawValue: 5), generation: 2).json()
        == #"{"kind":"TabletCleared","tablet_cleared":{"tablet_id":"5","generation":"2"}}"#)
  }

  @Test func replayingTheRecordsGivesTheSameImage() throws {
    let fixture = try history()
    var replayed = Image()
    for record in fixture.records { replayed.apply(record) }
    #expect(replayed == fixture.image)
  }

  @Test func anImageSurvivesItsBytesAtEveryPointOfItsHistory() throws {
    var image = Image()
    for record in try history().records {
      image.apply(record)
      let parts = try ImageEncoder.parts(of: image)
      var decoder = ImageDecoder()
      for part in parts { try decoder.add(part) }
      #expect(decoder.finished == image)
      #expect(try ImageEncoder.parts(of: try #require(decoder.finished)) == parts)
    }
  }

  @Test func theDifferenceOfTwoImagesLeadsFromOneToTheOther() throws {
    let fixture = try history()
    var images = [Image()]
    for record in fixture.records { images.append(images[images.count - 1].applying(record)) }
    for older in images {
      var image = older
      for event in fixture.image.events(since: older) { image.apply(event, at: fixture.image.index) }
      #expect(image.relationNames == fixture.image.relationNames)
      #expect(image.tablets == fixture.image.tablets)
      #expect(image.tabletCounts == fixture.image.tabletCounts)
      #expect(image.tables == fixture.image.tables)
      #expect(image.sequences == fixture.image.sequences)
      #expect(image.views == fixture.image.views)
      #expect(image.nodes == fixture.image.nodes)
      #expect(image.shards == fixture.image.shards)
      #expect(image.roles == fixture.image.roles)
      #expect(image.settings == fixture.image.settings)
      #expect(image.grants == fixture.image.grants)
      #expect(image.memberships == fixture.image.memberships)
      #expect(image.functions == fixture.image.functions)
      #expect(image.functionNames == fixture.image.functionNames)
      #expect(image.materializedViews == fixture.image.materializedViews)
      #expect(image.schemaChanges.ofObject == fixture.image.schemaChanges.ofObject)
      #expect(image.transactions.open.keys.sorted() == fixture.image.transactions.open.keys.sorted())
      #expect(image.manager.nodeID == fixture.image.manager.nodeID)
      #expect(image.migrations.ofTablet == fixture.image.migrations.ofTablet)
      #expect(image.migrations.open.mapValues(\.phase) == fixture.image.migrations.open.mapValues(\.phase))
      #expect(image.migrations.open.mapValues(\.isPaused) == fixture.image.migrations.open.mapValues(\.isPaused))
    }
    #expect(fixture.image.events(since: fixture.image) == [])
  }

  @Test func anImageWithAPartMissingOrAlteredIsRefused() throws {
    let parts = try ImageEncoder.parts(of: try history().image)
    #expect(parts.count >= 4)
    for missing in 0..<(parts.count - 1) {
      var decoder = ImageDecoder()
      #expect(throws: WireError.self) {
        for (position, part) in parts.enumerated() where position != missing { try decoder.add(part) }
      }
    }
    var altered = parts
    altered[1][altered[1].count - 1] ^= 1
    #expect(throws: WireError.self) {
      var decoder = ImageDecoder()
      for part in altered { try decoder.add(part) }
    }
  }

  @Test func everyCommandSurvivesItsBytes() throws {
    let options = SequenceOptions(
      type: .int2, increment: -1, minimum: .value(-5), maximum: .standard, start: -2, restart: .at(-3), cache: 4,
      isCycle: false, owner: .column(ObjectID(rawValue: 5), number: 2))
    let id = ObjectID(rawValue: 20000)
    let migration = MigrationID(rawValue: 9)
    let commands: [Command] = [
      .createCluster(ClusterDraft(id: ClusterID(rawValue: [1, 2]), name: "n", roleName: "r", roleVerifier: nil)),
      .setSetting(name: "a", value: nil), .removeNode(NodeID(rawValue: 3)),
      .registerNode(NodeDefinition(id: NodeID(rawValue: 1), role: .manager, name: "m", host: "h", port: 1)),
      .updateNodeAddress(NodeID(rawValue: 1), host: "h", port: 1, postgresPort: 2),
      .createShard(ShardDraft(id: ShardID(rawValue: 3), name: "x", replicas: [NodeID(rawValue: 4)])),
      .addReplica(ShardID(rawValue: 1), NodeID(rawValue: 2)), .createSchema(name: "s", ownerID: id),
      .dropSchema(id, isCascade: true),
      .createTable(
        draft(
          "t",
          [
            ColumnDraft(
              name: "a", type: .int4, isNotNull: true, identity: .always,
              sequence: OwnedSequenceDraft(name: "q", options: options)),
            ColumnDraft(name: "b", type: .text, defaultExpression: "''"),
          ], checks: [CheckDraft(name: "c", column: "a", expression: "x", storageExpression: "y")],
          keys: [KeyDraft(name: "k", kind: .unique, columns: ["a", "b"])],
          partitioning: PartitioningDraft(strategy: .list, columns: ["a"]),
          partition: PartitionMembership(
            parentID: id, bound: .list([.null, .integer(-1), .real(0.5), .text("x"), .blob([0, 255])])), shard: 2)),
      .dropTables([id], isCascade: false), .truncateTables([id], restartsSequences: true),
      .createIndex(IndexDraft(name: "i", tableID: id, parts: [.init(column: 1)], isUnique: true)),
      .dropIndexes([id], isCascade: true),
      .createSequence(SequenceDraft(schemaID: id, name: "s", ownerID: id, options: options)),
      .alterSequence(id, SequenceOptions(restart: .atStart, owner: SequenceOptions.Owner.none)),
      .dropSequences([id], isCascade: false), .reserveSequence(id, count: 5),
      .setSequenceValue(id, value: -5, isCalled: true), .createView(view("v", reads: [id]), orReplace: true),
      .dropViews([id], isCascade: true),
      .createRole(RoleDraft(name: "r", isSuperuser: true, canCreateDatabase: true, connectionLimit: 4)),
      .alterRole(id, RoleChange(isSuperuser: false, connectionLimit: -1, password: RoleChange.Password.none)),
      .alterRole(id, RoleChange(canCreateDatabase: true, password: .verifier("v"))), .dropRole(id),
      transaction(3, 4, .commit), transaction(3, 5, .abort), .transaction(.resolve(transactionID(3, 4))),
      .transaction(.settle(before: transactionID(4, 1))), .manager(.elect(NodeID(rawValue: 3), after: 4)),
      .manager(.resign(epoch: 5)),
      .migration(
        .plan(TabletID(rawValue: 1), target: ShardID(rawValue: 2), epoch: nil, maximumRetries: nil, reason: "")),
      .migration(
        .plan(TabletID(rawValue: 1), target: ShardID(rawValue: 2), epoch: 3, maximumRetries: 0, reason: "r")),
      .migration(.pause(migration, reason: "r")), .migration(.resume(migration)),
      .migration(.fail(migration, reason: "r")), .migration(.reverse(migration, reason: "r")),
    ]
    let catalog: [Command] = [
      .privilege(.grant(nil, on: [id], to: [nil, id], withGrantOption: true)),
      .privilege(.revoke([.select, .usage], on: [id, id], from: [id], grantOptionOnly: true)),
      .privilege(.grantRoles([id], to: [id], withAdminOption: true)),
      .privilege(.revokeRoles([id], from: [id], adminOptionOnly: true)),
      .materializedView(.create(draft("m"), query: "q", dependencies: [id])),
      .materializedView(.refresh(id, isPopulated: true, asOf: 4)), .materializedView(.drop([id], isCascade: true)),
      .function(.create(sqlFunction("f"), orReplace: true)), .function(.drop([id])),
      .schemaChange(.plan(id, text: "t", steps: ["a"])),
      .schemaChange(.completeStep(SchemaChangeID(rawValue: 3), step: 2)),
      .schemaChange(.fail(SchemaChangeID(rawValue: 3), reason: "r")),
      .shard(.drain(ShardID(rawValue: 3), reason: "r")), .shard(.undrain(ShardID(rawValue: 3))),
      .shard(.remove(ShardID(rawValue: 3))), .shard(.removeReplica(ShardID(rawValue: 3), NodeID(rawValue: 4))),
      .node(.markFailed(NodeID(rawValue: 4), reason: "r")), .node(.markWell(NodeID(rawValue: 4))),
      .node(.drain(NodeID(rawValue: 4), graceSeconds: 5)), .shard(.setClass(ShardID(rawValue: 3), "cold")),
      .shard(.setClass(ShardID(rawValue: 3), "hot")),
      .createShard(ShardDraft(replicas: [NodeID(rawValue: 4)], shardClass: "hot")),
      .setTableOptions(id, set: ["shard_class": "cold"], reset: ["cold_after", "fillfactor"]),
    ]
    for command in catalog { #expect(try Command(wire: command.wire) == command) }
    let steps: [MigrationStep] = [
      .snapshotTaken(snapshot), .transferred, .loaded, .caughtUp(shardIndex: 1), .cutWrites,
      .route(epoch: 4, shardIndex: 5, rowsChecksum: [6]), .finish, .sourceDropped, .rolledBack,
    ]
    for step in steps {
      let command = Command.migration(.advance(migration, attempt: 2, step))
      #expect(try Command(wire: command.wire) == command)
    }
    for phase in MigrationPhase.allCases {
      let command = Command.migration(.retry(migration, attempt: 1, resumesAt: phase, reason: "r"))
      #expect(try Command(wire: command.wire) == command)
    }
    for command in commands { #expect(try Command(wire: command.wire) == command) }
    let request = AppendRequest(
      principal: "p", requestID: RequestID(client: "c", sequence: 4), cause: 7,
      preconditions: [Precondition(objectID: id, version: 9)], managerEpoch: 3, commands: commands)
    #expect(try AppendRequest(wire: request.wire(clusterID: nil)) == request)
  }

  @Test func theChainIsUnbrokenAndSeesEveryAlteration() throws {
    let fixture = try history()
    #expect(fixture.records[0].previousHash == .zero)
    for (left, right) in zip(fixture.records, fixture.records.dropFirst()) {
      #expect(right.previousHash == left.hash)
      #expect(right.previousIndex == left.index)
    }
    let record = fixture.records[3]
    let body = fixture.bodies[3]
    let sealed = Kunlog_Metadata_V1_SealedRecord(
      index: record.index, term: record.term, hash: record.hash, body: body)
    #expect(try sealed.opened() == record)
    for position in body.indices {
      var altered = sealed
      altered.body[position] ^= 0x40
      #expect(throws: WireError.self) { try altered.opened() }
    }
    var moved = sealed
    moved.index += 1
    #expect(throws: WireError.self) { try moved.opened() }
  }

  @Test func aSealedRecordIsARecordOnTheWire() throws {
    let fixture = try history()
    let record = fixture.records[2]
    let bytes: [UInt8] = try Kunlog_Metadata_V1_SealedRecord(
      index: record.index, term: record.term, hash: record.hash, body: fixture.bodies[2]
    ).serializedBytes()
    let open = try Kunlog_Metadata_V1_Record(serializedBytes: bytes)
    #expect(open.index == record.index)
    #expect(open.body.principal == "tester")
    #expect(open.body.events.count == record.events.count)
  }

  @Test func bytesThatAreNoRecordAreRefused() {
    for bytes in [[], [0], [255, 255, 255], [UInt8](repeating: 10, count: 40)] as [[UInt8]] {
      #expect(throws: WireError.self) { try RecordBody(decoding: bytes) }
    }
    // An event of a kind that this program does not know (field 999 of Event), and a predecessor's hash.
    let unknown: [UInt8] = [42, 3, 186, 62, 0, 58, 32] + [UInt8](repeating: 0, count: 32)
    #expect(throws: WireError.unknownEvent) { try RecordBody(decoding: unknown) }
  }
}
