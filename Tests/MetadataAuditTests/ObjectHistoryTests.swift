import Metadata
import MetadataAudit
import SQLTypes
import Testing

/// What touched an object, and when.
@Suite
struct ObjectHistoryTests {
  private func kinds(_ life: ObjectHistory.Life) -> [String] {
    life.entries.map { "\($0.record.index): " + $0.record.events.map(\.kind).joined(separator: " ") }
  }

  @Test(
    "A table's history has its own events, and those of its tablet, its indexes and its sequence, from first to last")
  func wholeLife() throws {
    var log = try AuditFixture()
    try log.append(AuditFixture.table("other"))
    let created = try log.append(AuditFixture.table("t"))
    let table = try log.id("t")
    try log.append(
      .createIndex(IndexDraft(name: "by_name", tableID: table, parts: [.init(column: 2)])), principal: "erika")
    try log.append(.truncateTables([table], restartsSequences: false))
    try log.append(.reserveSequence(try log.id("t_id_seq"), count: 10))
    try log.append(.reserveSequence(try log.id("other_id_seq"), count: 10))
    try log.append(.dropTables([table], isCascade: false), principal: "erika")
    let lives = ObjectHistory.of(ObjectReference(.table, name: "t"), in: log.records)
    #expect(lives.count == 1)
    #expect(
      kinds(lives[0]) == [
        "10: TableCreated SequenceCreated IndexCreated TabletCreated", "12: IndexCreated", "14: TabletCleared",
        "16: SequenceReserved", "20: TabletDropped IndexDropped IndexDropped SequenceDropped TableDropped",
      ])
    #expect(lives[0].createdAt == created)
    #expect(lives[0].droppedAt == 20)
    #expect(lives[0].entries.map(\.record.principal) == ["tester", "erika", "tester", "tester", "erika"])
  }

  @Test("A name that was used again has two lives, which do not mix")
  func twoLives() throws {
    var log = try AuditFixture()
    try log.append(AuditFixture.table("t"))
    let first = try log.id("t")
    try log.append(.dropTables([first], isCascade: false))
    try log.append(AuditFixture.table("t"))
    let second = try log.id("t")
    try log.append(.truncateTables([second], restartsSequences: false))
    // Whether the present image is known or not, the answer is the same.
    for image in [Image(), log.image] {
      let lives = ObjectHistory.of(ObjectReference(.table, name: "t"), in: log.records, after: image)
      #expect(lives.map(\.identity) == [.object(first), .object(second)])
      #expect(lives.map(\.createdAt) == [8, 12])
      #expect(lives.map(\.droppedAt) == [10, nil])
      #expect(lives.map(\.entries.count) == [2, 2])
    }
  }

  @Test("Partitions, their tablets and indexes stand in the history of the partitioned table, and in their own")
  func partitions() throws {
    var log = try AuditFixture()
    try log.append(
      AuditFixture.table("p", partitioning: PartitioningDraft(strategy: .hash, columns: ["id"])))
    let parent = try log.id("p")
    for remainder in 0..<2 {
      try log.append(
        AuditFixture.table(
          "p\(remainder)",
          partition: PartitionMembership(parentID: parent, bound: .hash(modulus: 2, remainder: remainder))))
    }
    let all = ObjectHistory.of(ObjectReference(.table, name: "p"), in: log.records)
    #expect(
      kinds(all[0]) == [
        "8: TableCreated IndexCreated", "10: TableCreated IndexCreated TabletCreated",
        "12: TableCreated IndexCreated TabletCreated",
      ])
    let one = ObjectHistory.of(ObjectReference(.table, name: "p1"), in: log.records)
    #expect(kinds(one[0]) == ["12: TableCreated IndexCreated TabletCreated"])
  }

  @Test("Causes and notes say why: the record that led to it, and notes that name it")
  func reasons() throws {
    var log = try AuditFixture()
    let ticket = try log.append(.recordNote(topic: "ticket", content: Array("77".utf8)), principal: "erika")
    let created = try log.append(AuditFixture.table("t"), cause: ticket)
    let note = try log.append(
      .recordNote(topic: "why", content: Array("for the shop".utf8)), principal: "otto", cause: created)
    try log.append(.recordNote(topic: "why", content: Array("something else".utf8)), cause: ticket)
    let lives = ObjectHistory.of(ObjectReference(.table, name: "t"), in: log.records)
    let entry = try #require(lives[0].entries.first)
    #expect(entry.cause?.index == ticket)
    #expect(entry.cause?.principal == "erika")
    #expect(entry.notes.map(\.index) == [note])
  }

  @Test("A node, a shard, a tablet, a role, a setting and a schema each have a history")
  func otherKinds() throws {
    var log = try AuditFixture()
    try log.append(AuditFixture.table("t", shard: 2))
    let tablet = try #require(log.image.tablet(of: try log.id("t")))
    try log.append(.setSetting(name: "a.b", value: "1"))
    try log.append(.createRole(RoleDraft(name: "erika")))
    try log.append(.createSchema(name: "s", ownerID: WellKnown.firstRole))
    try log.append(.dropTables([try log.id("t")], isCascade: false))
    func kinds(_ words: String) throws -> [String] {
      ObjectHistory.of(try ObjectReference(words: [words]), in: log.records).flatMap(self.kinds)
    }
    #expect(try kinds("shard 2") == ["6: ShardCreated", "8: TabletCreated", "16: TabletDropped"])
    #expect(try kinds("shard shard1") == ["4: ShardCreated"])
    #expect(try kinds("node storage2") == ["6: NodeRegistered ShardCreated"])
    #expect(try kinds("node 2") == ["6: NodeRegistered ShardCreated"])
    #expect(try kinds("tablet \(tablet.id)") == ["8: TabletCreated", "16: TabletDropped"])
    #expect(try kinds("setting a.b") == ["10: SettingChanged"])
    #expect(try kinds("role ERIKA") == ["12: RoleCreated"])
    #expect(try kinds("schema s") == ["14: SchemaCreated"])
    #expect(try kinds("index public.t_pkey") == ["8: IndexCreated", "16: IndexDropped"])
    #expect(try kinds("sequence t_id_seq") == ["8: SequenceCreated", "16: SequenceDropped"])
    #expect(try kinds("cluster") == ["2: ClusterCreated"])
  }

  @Test(
    "A migration's steps stand in its own history, in the tablet's and in the table's; the shards have where it touches them"
  )
  func migrations() throws {
    var log = try AuditFixture()
    try log.append(AuditFixture.table("t", shard: 1))
    let tablet = try #require(log.image.tablet(of: try log.id("t"))).id
    try log.append(
      .migration(.plan(tablet, target: ShardID(rawValue: 2), epoch: nil, maximumRetries: nil, reason: "balance")))
    try log.append(.migration(.pause(MigrationID(rawValue: 1), reason: "lunch")))
    try log.append(.migration(.fail(MigrationID(rawValue: 1), reason: "enough")))
    func kinds(_ words: String) throws -> [String] {
      ObjectHistory.of(try ObjectReference(words: [words]), in: log.records).flatMap(self.kinds)
    }
    let steps = ["10: MigrationPlanned", "12: MigrationPaused", "14: MigrationFailed"]
    #expect(try kinds("migration 1") == steps)
    #expect(try kinds("tablet \(tablet)") == ["8: TabletCreated"] + steps)
    #expect(try kinds("table t").suffix(3) == steps[...])
    // The tablet is shard 1's, hence its migration too.
    #expect(try kinds("shard 1") == ["4: ShardCreated", "8: TabletCreated"] + steps)
    #expect(try kinds("shard 2") == ["6: ShardCreated", "10: MigrationPlanned"])
    let diff = ImageDiff(from: log.images[3], to: log.image)
    #expect(diff.added.map { "\($0.kind) \($0.name)" } == ["migration 1"])
    #expect(diff.added[0].fields[3] == .init("phase", "failed"))
  }

  @Test("Where the history begins late, the image before it tells what belongs to the object")
  func cutHistory() throws {
    var log = try AuditFixture()
    try log.append(AuditFixture.table("t"))
    let before = log.image
    let table = try log.id("t")
    try log.append(.truncateTables([table], restartsSequences: false))
    try log.append(.dropTables([table], isCascade: false))
    let lives = ObjectHistory.of(ObjectReference(.table, name: "t"), in: Array(log.records.suffix(2)), after: before)
    #expect(lives.count == 1)
    #expect(lives[0].createdAt == nil)
    #expect(lives[0].droppedAt == 12)
    #expect(
      kinds(lives[0]) == ["10: TabletCleared", "12: TabletDropped IndexDropped SequenceDropped TableDropped"])
  }

  @Test("An unknown name is answered with those that are like it")
  func unknown() throws {
    var log = try AuditFixture()
    try log.append(AuditFixture.table("customers"))
    var matcher = ObjectMatcher(ObjectReference(.table, name: "custommers"), image: Image())
    for record in log.records { _ = matcher.take(record) }
    #expect(matcher.lives.isEmpty)
    #expect(
      matcher.notFound
        == "There is no table public.custommers, and never was, as far as the history reaches. Did you mean customers?")
  }

  @Test("Words that name nothing are refused with what to write")
  func malformed() {
    func refusal(_ words: String...) -> String? {
      do throws(ObjectReference.Malformed) {
        _ = try ObjectReference(words: words)
        return nil
      } catch { return error.description }
    }
    #expect(
      refusal("tabel", "t")
        == "'tabel' is no kind of object, did you mean table?: KIND NAME, where KIND is one of table, index, sequence, view, "
        + "schema, database, role, shard, node, tablet, migration, setting, topic, cluster.")
    #expect(refusal("table") == "Name the table: table NAME.")
    #expect(
      refusal("table", "a.b.c") == "'a.b.c' is no name: write NAME or SCHEMA.NAME, with double quotes where needed.")
    #expect(refusal("tablet", "x") == "A tablet is named by its number: tablet 7.")
    #expect(refusal("table", "\"A.b\"") == nil)
    #expect((try? ObjectReference(words: ["table \"A.b\""])) == ObjectReference(.table, name: "A.b"))
  }
}
