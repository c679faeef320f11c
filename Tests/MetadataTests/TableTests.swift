import Metadata
import SQLTypes
import Testing

@Suite struct TableTests {
  @Test func aTableGetsItsKeysSequencesChecksAndTablet() throws {
    var fixture = try Fixture.cluster()
    let events = try fixture.append(
      .createTable(
        draft(
          "t",
          [
            ColumnDraft(name: "id", type: .int4, sequence: OwnedSequenceDraft()),
            ColumnDraft(name: "email", type: .text),
            ColumnDraft(name: "n", type: .int8, identity: .always, sequence: OwnedSequenceDraft()),
          ],
          checks: [
            CheckDraft(name: nil, column: "n", expression: "n > 0", storageExpression: "n > 0"),
            CheckDraft(name: nil, column: "n", expression: "n < 9", storageExpression: "n < 9"),
            CheckDraft(name: nil, column: nil, expression: "n < id", storageExpression: "n < id"),
          ],
          keys: [
            KeyDraft(kind: .primaryKey, columns: ["id"]), KeyDraft(kind: .unique, columns: ["email", "n"]),
          ])))
    #expect(
      events.map(\.kind) == [
        "TableCreated", "SequenceCreated", "SequenceCreated", "IndexCreated", "IndexCreated", "TabletCreated",
      ])
    let table = try fixture.table("t")
    #expect(table.id.rawValue == 16384)
    #expect(table.columns[0].defaultExpression == "nextval('t_id_seq'::regclass)")
    #expect(table.columns[0].isNotNull)
    #expect(table.columns[2].defaultExpression == nil)
    #expect(table.columns[2].isNotNull)
    #expect(table.checks.map(\.name) == ["t_n_check", "t_n_check1", "t_check"])
    let sequence = try fixture.sequence("t_id_seq")
    #expect(sequence.maximum == 2_147_483_647)
    #expect(sequence.ownerTableID == table.id && sequence.ownerColumn == 1)
    #expect(table.columns[0].sequenceID == sequence.id)
    #expect(try fixture.sequence("t_n_seq").maximum == .max)
    #expect(fixture.image.primaryKey(of: table.id)?.name == "t_pkey")
    #expect(try fixture.index("t_email_n_key").constraint == .unique)
    #expect(fixture.image.tablet(of: table.id)?.shardID.rawValue == 1)
  }

  @Test func tabletsAlternateBetweenShardsUnlessOneIsAskedFor() throws {
    var fixture = try Fixture.cluster()
    for name in ["a", "b", "c", "d"] { try fixture.append(.createTable(draft(name))) }
    func shard(_ name: String) throws -> UInt32? {
      fixture.image.tablet(of: try fixture.id(name))?.shardID.rawValue
    }
    #expect(try ["a", "b", "c", "d"].map(shard) == [1, 2, 1, 2])
    try fixture.append(.createTable(draft("e", shard: 2)))
    try fixture.append(.createTable(draft("f")))
    #expect(try shard("e") == 2)
    #expect(try shard("f") == 1)
    let rejection = fixture.rejection(.createTable(draft("g", shard: 3)))
    #expect(rejection?.message == "shard 3 does not exist")
    #expect(rejection?.sqlState.rawValue == "42704")
  }

  @Test func aClusterWithoutShardsTakesNoTable() throws {
    let fixture = try Fixture.cluster(shards: 0)
    #expect(
      fixture.rejection(.createTable(draft("t")))?.message == "there is no shard to place table \"t\" on")
  }

  @Test(
    "Wrong tables are refused as PostgreSQL refuses them",
    arguments: [
      (draft("t"), "42P07", "relation \"t\" already exists"),
      (
        draft("u", [ColumnDraft(name: "a", type: .int4), ColumnDraft(name: "a", type: .int4)]), "42701",
        "column \"a\" specified more than once"
      ),
      (
        draft("u", [ColumnDraft(name: "ctid", type: .int4)]), "42701",
        "column name \"ctid\" conflicts with a system column name"
      ),
      (
        draft("u", keys: [KeyDraft(kind: .unique, columns: ["b"])]), "42703",
        "column \"b\" named in key does not exist"
      ),
      (
        draft("u", keys: [KeyDraft(kind: .primaryKey, columns: ["id", "id"])]), "42701",
        "column \"id\" appears twice in primary key constraint"
      ),
      (
        draft(
          "u", keys: [KeyDraft(kind: .primaryKey, columns: ["id"]), KeyDraft(kind: .primaryKey, columns: ["id"])]),
        "42P16", "multiple primary keys for table \"u\" are not allowed"
      ),
      (
        draft("u", partitioning: PartitioningDraft(strategy: .hash, columns: ["b"])), "42703",
        "column \"b\" named in partition key does not exist"
      ),
      (
        draft("u", partitioning: PartitioningDraft(strategy: .hash, columns: ["id"]), shard: 1), "42P17",
        "cannot place partitioned table \"u\" on a shard"
      ),
    ])
  func wrongTables(draft: TableDraft, state: String, message: String) throws {
    var fixture = try Fixture.cluster()
    try fixture.append(.createTable(plainDraft("t")))
    let rejection = fixture.rejection(.createTable(draft))
    #expect(rejection?.sqlState.rawValue == state)
    #expect(rejection?.message == message)
  }

  @Test func generatedNamesAreNumberedAndCutTo63Bytes() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(.createTable(draft("t_id_key")))
    try fixture.append(.createTable(draft("t", keys: [KeyDraft(kind: .unique, columns: ["id"])])))
    #expect(try fixture.index("t_id_key1").isUnique)
    let long = String(repeating: "n", count: 60)
    try fixture.append(
      .createTable(
        draft(
          long, [ColumnDraft(name: String(repeating: "c", count: 40), type: .int4, sequence: OwnedSequenceDraft())])))
    let names = fixture.image.sequences.values.map(\.name)
    #expect(names == [String(repeating: "n", count: 29) + "_" + String(repeating: "c", count: 29) + "_seq"])
  }

  @Test func droppingATableTakesAllThatIsItsOwn() throws {
    var fixture = try Fixture.cluster()
    let before = fixture.image
    try fixture.append(
      .createTable(
        draft(
          "t", [ColumnDraft(name: "id", type: .int4, sequence: OwnedSequenceDraft())],
          keys: [KeyDraft(kind: .primaryKey, columns: ["id"])])))
    let events = try fixture.append(.dropTables([try fixture.id("t")], isCascade: false))
    #expect(events.map(\.kind) == ["TabletDropped", "IndexDropped", "SequenceDropped", "TableDropped"])
    #expect(fixture.image.relationNames == before.relationNames)
    #expect(fixture.image.versions == before.versions)
    #expect(fixture.image.indexesOfTable == before.indexesOfTable)
    #expect(fixture.image.tabletCounts == before.tabletCounts)
    #expect(fixture.image.nextObjectID > before.nextObjectID)
  }

  @Test func aTableThatAViewReadsIsDroppedOnlyWithCascade() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(.createTable(draft("t")))
    try fixture.append(.createView(view("v", reads: [try fixture.id("t")]), orReplace: false))
    try fixture.append(.createView(view("w", reads: [try fixture.id("v")]), orReplace: false))
    let rejection = fixture.rejection(.dropTables([try fixture.id("t")], isCascade: false))
    #expect(rejection?.sqlState.rawValue == "2BP01")
    #expect(rejection?.message == "cannot drop table t because other objects depend on it")
    #expect(rejection?.detail == "view v depends on table t\nview w depends on view v")
    #expect(rejection?.hint == "Use DROP ... CASCADE to drop the dependent objects too.")
    let events = try fixture.append(.dropTables([try fixture.id("t")], isCascade: true))
    #expect(events.map(\.kind) == ["ViewDropped", "ViewDropped", "TabletDropped", "TableDropped"])
  }

  @Test func truncateRaisesTheGenerationOfEveryTablet() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(.createTable(draft("t", [ColumnDraft(name: "id", type: .int4, sequence: OwnedSequenceDraft())])))
    let sequence = try fixture.id("t_id_seq")
    try fixture.append(.reserveSequence(sequence, count: 10))
    let events = try fixture.append(.truncateTables([try fixture.id("t")], restartsSequences: true))
    #expect(
      events == [
        .tabletCleared(TabletID(rawValue: 1), generation: 2), .sequenceValueSet(sequence, last: nil, resumesAt: 1),
      ])
    #expect(fixture.image.tablets[TabletID(rawValue: 1)]?.generation == 2)
  }

  @Test func aSchemaIsDroppedWithWhatIsInItOnlyWithCascade() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(.createSchema(name: "s", ownerID: WellKnown.firstRole))
    let schema = try #require(fixture.image.schema(named: "s")).id
    var table = draft(
      "T", [ColumnDraft(name: "id", type: .int4, sequence: OwnedSequenceDraft())],
      keys: [KeyDraft(kind: .primaryKey, columns: ["id"])])
    table.schemaID = schema
    try fixture.append(.createTable(table))
    let created = try #require(fixture.image.relation(named: "T", in: schema))
    #expect(
      fixture.image.tables[created.id]?.columns[0].defaultExpression == "nextval('s.\"T_id_seq\"'::regclass)")
    let rejection = fixture.rejection(.dropSchema(schema, isCascade: false))
    #expect(rejection?.message == "cannot drop schema s because other objects depend on it")
    #expect(rejection?.detail == "table s.\"T\" depends on schema s")
    try fixture.append(.dropSchema(schema, isCascade: true))
    #expect(fixture.image.tables.isEmpty && fixture.image.schema(named: "s") == nil)
    #expect(fixture.rejection(.createSchema(name: "pg_x", ownerID: WellKnown.firstRole))?.sqlState.rawValue == "42939")
  }
}

/// `draft`, where a parameter of that name hides it.
private func plainDraft(_ name: String) -> TableDraft { draft(name) }
