import Metadata
import MetadataWire
import SQLTypes
import Testing

/// 2025-06-01 00:00:00 UTC, since 1970-01-01.
private let june: Int64 = 1_748_736_000_000_000
private let day: Int64 = 86_400_000_000

@Suite struct ShardClassTests {
  private let first = ShardID(rawValue: 1)
  private let second = ShardID(rawValue: 2)
  private let third = ShardID(rawValue: 3)

  /// Shards 1 and 2 are hot, shard 3 is cold.
  private func cluster() throws -> Fixture {
    var fixture = try Fixture.cluster(shards: 3)
    try fixture.append(.shard(.setClass(third, "cold")))
    return fixture
  }

  private func table(_ name: String, _ options: [String: String] = [:], shard: UInt32? = nil) -> Command {
    var draft = draft(name, shard: shard)
    draft.options = options
    return .createTable(draft)
  }

  /// `create table name (at type, …) partition by range (at) with (…)`.
  private func ranges(_ name: String, _ type: SQLType = .date, _ options: [String: String] = [:]) -> Command {
    var draft = draft(
      name, [ColumnDraft(name: "at", type: type), ColumnDraft(name: "id", type: .int4)],
      partitioning: PartitioningDraft(strategy: .range, columns: ["at"]))
    draft.options = options
    return .createTable(draft)
  }

  private func partition(
    _ name: String, of parent: String, _ from: Int64, _ to: PartitionBound.Datum, _ fixture: Fixture,
    _ options: [String: String] = [:], shard: UInt32? = nil, partitioning: PartitioningDraft? = nil
  ) throws -> Command {
    var draft = draft(
      name, [], partitioning: partitioning,
      partition: PartitionMembership(
        parentID: try fixture.id(parent), bound: .range(from: [.value(.integer(from))], to: [to])), shard: shard)
    draft.options = options
    return .createTable(draft)
  }

  private func days(_ text: String) throws -> Int64 {
    try DateTimeInput.date(text, context: ConversionContext())
  }

  private func shard(_ fixture: Fixture, _ name: String) throws -> UInt32? {
    fixture.image.tablet(of: try fixture.id(name))?.shardID.rawValue
  }

  private func shardClass(_ fixture: Fixture, _ name: String, at time: Int64 = june) throws -> String {
    var classifier = ShardClassifier(fixture.image, timeMicroseconds: time)
    return classifier.answer(for: try fixture.table(name)).shardClass
  }

  private func plan(_ fixture: Fixture, _ name: String, to target: UInt32) throws -> Command {
    let tablet = try #require(fixture.image.tablet(of: try fixture.id(name)))
    return .migration(
      .plan(tablet.id, target: ShardID(rawValue: target), epoch: nil, maximumRetries: nil, reason: ""))
  }

  // Shards.

  @Test func aShardIsHotUntilItIsSaidToBeSomethingElse() throws {
    var fixture = try Fixture.cluster()
    #expect(fixture.image.shards[second]?.shardClass == "hot")
    #expect(try fixture.append(.shard(.setClass(second, "hot"))) == [])
    #expect(try fixture.append(.shard(.setClass(second, "cold"))) == [.shard(.classSet(second, "cold"))])
    let node = NodeDefinition(id: NodeID(rawValue: 9), role: .storage, name: "s9", host: "h", port: 1)
    let draft = ShardDraft(replicas: [node.id], shardClass: "archive")
    try fixture.append(.registerNode(node), .createShard(draft))
    #expect(fixture.image.shards.values.sorted { $0.id < $1.id }.map(\.shardClass) == ["hot", "cold", "archive"])
    var again = draft
    again.id = third
    #expect(try fixture.append(.createShard(again)) == [])
    again.shardClass = "hot"
    #expect(fixture.rejection(.createShard(again))?.message == "shard 3 already exists")
    // Whoever jumps over the records learns it from the image.
    #expect(fixture.image.events(since: Image()).contains(.shardCreated(try #require(fixture.image.shards[second]))))
    #expect(
      fixture.rejection(.shard(.setClass(second, "Cold one")))?.message == "invalid shard class \"Cold one\"")
  }

  @Test func oneHotShardThatTakesTablesStays() throws {
    var fixture = try cluster()
    try fixture.append(.shard(.drain(second, reason: "")))
    let refused = fixture.rejection(.shard(.setClass(first, "cold")))
    #expect(refused?.message == "shard 1 cannot be made cold: no other shard of class hot takes tables")
    #expect(
      refused?.hint == "Add one first: kunlog shard add. Or make another one hot: kunlog shard set-class N hot.")
    #expect(
      fixture.rejection(.shard(.drain(first, reason: "")))?.message
        == "shard 1 cannot be drained: no other shard of class hot takes tables")
    try fixture.append(.shard(.setClass(second, "cold")))
    #expect(fixture.image.shards[second]?.shardClass == "cold")
  }

  @Test func theLastColdShardKeepsItsTablets() throws {
    var fixture = try cluster()
    try fixture.append(table("a", ["shard_class": "cold"]))
    let refused = fixture.rejection(.shard(.drain(third, reason: "")))
    #expect(refused?.message == "shard 3 cannot be drained: it is the last one of class cold, and has 1 tablets")
    #expect(
      refused?.hint
        == "Add another one first: kunlog shard add --class cold. Or let its tablets go to hot shards: kunlog shard set-class "
        + "3 hot.")
    try fixture.append(.shard(.setClass(third, "hot")), .shard(.drain(third, reason: "")))
    // What belonged there may go anywhere now.
    try fixture.append(try plan(fixture, "a", to: 1))
  }

  @Test func anEmptyColdShardIsDrained() throws {
    var fixture = try cluster()
    try fixture.append(.shard(.drain(third, reason: "")))
    let refused = fixture.rejection(table("a", ["shard_class": "cold"]))
    #expect(refused?.message == "there is no shard of class cold to place table \"a\" on")
    #expect(refused?.detail == "All of that class are being drained.")
    try fixture.append(.shard(.remove(third)))
  }

  // Placement.

  @Test func newTablesGoToShardsOfTheirClass() throws {
    var fixture = try cluster()
    for name in ["a", "b", "c"] { try fixture.append(table(name)) }
    try fixture.append(table("d", ["shard_class": "cold"]))
    #expect(try ["a", "b", "c", "d"].map { try shard(fixture, $0) } == [1, 2, 1, 3])
    let refused = fixture.rejection(table("e", ["shard_class": "archive"]))
    #expect(refused?.message == "there is no shard of class archive to place table \"e\" on")
    #expect(
      refused?.hint
        == "Add one: kunlog shard add --class archive. Or give one that class: kunlog shard set-class N archive.")
    #expect(fixture.rejection(table("e", ["shard_class": "Ab"]))?.message == "invalid shard class \"Ab\"")
  }

  @Test func aNamedShardHasToBeOfTheClass() throws {
    var fixture = try cluster()
    let refused = fixture.rejection(table("a", shard: 3))
    #expect(refused?.message == "table \"a\" belongs on shards of class hot, and shard 3 is of class cold")
    #expect(refused?.hint == "Leave the shard out, or say WITH (shard = 3, shard_class = cold).")
    try fixture.append(table("a", ["shard_class": "cold"], shard: 3))
    #expect(
      fixture.rejection(table("b", ["shard_class": "cold"], shard: 1))?.message
        == "table \"b\" belongs on shards of class cold, and shard 1 is of class hot")
  }

  @Test func partitionsBelongWhereTheirTableDoesUnlessTheySayOtherwise() throws {
    var fixture = try cluster()
    try fixture.append(ranges("t", .date, ["shard_class": "cold"]))
    try fixture.append(try partition("p1", of: "t", 0, .value(.integer(10)), fixture))
    try fixture.append(
      try partition("p2", of: "t", 10, .value(.integer(20)), fixture, ["shard_class": "hot"]))
    #expect(try ["p1", "p2"].map { try shard(fixture, $0) } == [3, 1])
    // One that may expire may be put on a cold shard at once.
    try fixture.append(ranges("u", .date, ["cold_after": "90 days"]))
    try fixture.append(try partition("q1", of: "u", 0, .value(.integer(10)), fixture, shard: 3))
    #expect(try shard(fixture, "q1") == 3)
  }

  @Test func aTableMovesToShardsOfItsClassOnly() throws {
    var fixture = try cluster()
    try fixture.append(table("a"))
    let refused = fixture.rejection(try plan(fixture, "a", to: 3))
    #expect(refused?.message == "table \"a\" belongs on shards of class hot, and shard 3 is of class cold")
    #expect(refused?.hint == "Say so first: ALTER TABLE a SET (shard_class = cold).")
    try fixture.append(.setTableOptions(try fixture.id("a"), set: ["shard_class": "cold"], reset: []))
    // From one hot shard to another is no worse than it was.
    #expect(fixture.rejection(try plan(fixture, "a", to: 2)) == nil)
    try fixture.append(try plan(fixture, "a", to: 3))
  }

  @Test func mirrorTablesHaveNoClass() throws {
    var fixture = try cluster()
    var mirror = draft("m", keys: [KeyDraft(name: nil, kind: .primaryKey, columns: ["id"])])
    mirror.options = ["shard": "all", "shard_class": "cold"]
    #expect(
      fixture.rejection(.createTable(mirror))?.message == "mirror table \"m\" cannot have a shard class")
    mirror.options["shard_class"] = nil
    try fixture.append(.createTable(mirror))
    #expect(
      fixture.rejection(.setTableOptions(try fixture.id("m"), set: ["shard_class": "cold"], reset: []))?.message
        == "mirror table \"m\" cannot have a shard class")
  }

  // Expiry.

  @Test func aPartitionExpiresOnceAllItsValuesAreOldEnough() throws {
    var fixture = try cluster()
    try fixture.append(ranges("t", .date, ["cold_after": "90 days"]))
    let end = try days("2025-01-01")
    try fixture.append(try partition("p2024", of: "t", try days("2024-01-01"), .value(.integer(end)), fixture))
    try fixture.append(try partition("later", of: "t", end, .maximum, fixture))
    // 2025-04-01 is 90 days after 2025-01-01.
    let april = june - 61 * day
    #expect(try shardClass(fixture, "p2024", at: april - 1) == "hot")
    #expect(try shardClass(fixture, "p2024", at: april) == "cold")
    #expect(try shardClass(fixture, "later", at: june * 2) == "hot")
    var classifier = ShardClassifier(fixture.image, timeMicroseconds: june)
    let tablet = try #require(fixture.image.tablet(of: try fixture.id("p2024")))
    #expect(classifier.reason(for: tablet.id) == "cold_after of 90 days: p2024 ended 2024-12-31")
    // A clock that is a little behind takes nothing back.
    try fixture.append(try plan(fixture, "p2024", to: 3))
    var behind = ShardClassifier(fixture.image, timeMicroseconds: april - 60_000_000)
    #expect(behind.answer(for: tablet).shardClass == "cold")
    var farBehind = ShardClassifier(fixture.image, timeMicroseconds: april - day)
    #expect(farBehind.answer(for: tablet).shardClass == "hot")
  }

  @Test func monthsAreCalendarMonthsAndTimestampsAreExact() throws {
    var fixture = try cluster()
    try fixture.append(ranges("t", .timestamptz, ["cold_after": "3 months"]))
    // 2025-03-01 12:00:00 UTC, since 2000-01-01.
    let end = try days("2025-03-01") * day + day / 2
    try fixture.append(try partition("p", of: "t", end - day, .value(.integer(end)), fixture))
    #expect(try shardClass(fixture, "p", at: june + day / 2 - 1) == "hot")
    #expect(try shardClass(fixture, "p", at: june + day / 2) == "cold")
    var classifier = ShardClassifier(fixture.image, timeMicroseconds: june + day)
    let tablet = try #require(fixture.image.tablet(of: try fixture.id("p")))
    #expect(classifier.reason(for: tablet.id) == "cold_after of 3 months: p ended 2025-03-01 12:00:00")
  }

  @Test func whatAPartitionNamesCountsBeforeTheRuleAndTheRuleBeforeItsTable() throws {
    var fixture = try cluster()
    try fixture.append(.shard(.setClass(second, "ssd")))
    try fixture.append(ranges("t", .date, ["cold_after": "1 day", "shard_class": "ssd"]))
    try fixture.append(try partition("old", of: "t", 0, .value(.integer(10)), fixture))
    try fixture.append(try partition("kept", of: "t", 10, .value(.integer(20)), fixture, ["shard_class": "hot"]))
    try fixture.append(try partition("new", of: "t", 20, .maximum, fixture))
    #expect(try ["old", "kept", "new"].map { try shard(fixture, $0) } == [2, 1, 2])
    #expect(try ["old", "kept", "new"].map { try shardClass(fixture, $0) } == ["cold", "hot", "ssd"])
    // Partitions of a partition expire with it.
    try fixture.append(ranges("u", .date, ["cold_after": "1 day"]))
    try fixture.append(
      try partition(
        "u1", of: "u", 0, .value(.integer(10)), fixture,
        partitioning: PartitioningDraft(strategy: .hash, columns: ["id"])))
    let leaf = PartitionMembership(parentID: try fixture.id("u1"), bound: .hash(modulus: 1, remainder: 0))
    try fixture.append(.createTable(draft("u1a", [], partition: leaf)))
    #expect(try shardClass(fixture, "u1a") == "cold")
  }

  @Test func aRuleNeedsRangesOfTimeAndAnIntervalAboveZero() throws {
    let fixture = try cluster()
    #expect(
      fixture.rejection(table("a", ["cold_after": "1 day"]))?.message
        == "cannot set \"cold_after\" for table \"a\": its partitions are no ranges of time")
    #expect(fixture.rejection(ranges("a", .int4, ["cold_after": "1 day"]))?.sqlState == .invalidObjectDefinition)
    for text in ["soon", "-1 day", "0 days", ""] {
      let refused = fixture.rejection(ranges("a", .date, ["cold_after": text]))
      #expect(refused?.message == "invalid value for parameter \"cold_after\": \"\(text)\"")
      #expect(refused?.hint == "Give an interval above zero, as '90 days'.")
    }
  }

  // ALTER TABLE.

  @Test func optionsAreSetAndReset() throws {
    var fixture = try cluster()
    try fixture.append(ranges("t", .date, ["fillfactor": "70"]))
    let id = try fixture.id("t")
    #expect(
      try fixture.append(.setTableOptions(id, set: ["cold_after": "1 year", "shard_class": "cold"], reset: []))
        == [
          .tableOptionsChanged(id, options: ["fillfactor": "70", "cold_after": "1 year", "shard_class": "cold"])
        ])
    #expect(try fixture.append(.setTableOptions(id, set: ["shard_class": "cold"], reset: ["parallel_workers"])) == [])
    try fixture.append(.setTableOptions(id, set: [:], reset: ["cold_after", "fillfactor"]))
    #expect(try fixture.table("t").options == ["shard_class": "cold"])
    #expect(
      fixture.rejection(.setTableOptions(id, set: ["tablegroup": "g"], reset: []))?.message
        == "\"tablegroup\" cannot be changed")
    #expect(
      fixture.rejection(.setTableOptions(id, set: ["shard": "2"], reset: []))?.hint
        == "To move a table: kunlog table move.")
    #expect(
      fixture.rejection(.setTableOptions(id, set: ["speed": "9"], reset: []))?.message
        == "unrecognized parameter \"speed\"")
  }

  // Groups.

  @Test func aGroupHasOneClass() throws {
    var fixture = try cluster()
    try fixture.append(table("a", ["tablegroup": "g", "shard_class": "cold"]))
    try fixture.append(table("b", ["tablegroup": "g"]))
    #expect(try fixture.table("b").options["shard_class"] == "cold")
    #expect(try shard(fixture, "b") == 3)
    let refused = fixture.rejection(table("c", ["tablegroup": "g", "shard_class": "hot"]))
    #expect(
      refused?.message == "table \"c\" cannot have another shard_class than the rest of table group \"g\"")
    #expect(refused?.detail == "Table \"a\" has cold.")
    #expect(
      refused?.hint == "Leave it out, or change it for the whole group: ALTER TABLE a SET (shard_class = …).")
    let changed = try fixture.append(.setTableOptions(try fixture.id("b"), set: [:], reset: ["shard_class"]))
    #expect(
      changed == [
        .tableOptionsChanged(try fixture.id("b"), options: ["tablegroup": "g"]),
        .tableOptionsChanged(try fixture.id("a"), options: ["tablegroup": "g"]),
      ])
  }

  @Test func tablesOfAGroupExpireTogether() throws {
    var fixture = try cluster()
    try fixture.append(ranges("a", .date, ["tablegroup": "g", "cold_after": "1 year"]))
    try fixture.append(ranges("b", .date, ["tablegroup": "g"]), table("plain", ["tablegroup": "g"]))
    #expect(try fixture.table("b").options["cold_after"] == "1 year")
    #expect(try fixture.table("plain").options["cold_after"] == nil)
    #expect(
      fixture.rejection(ranges("c", .date, ["tablegroup": "g", "cold_after": "1 day"]))?.message
        == "table \"c\" cannot have another cold_after than the rest of table group \"g\"")
    // The same in other words.
    try fixture.append(ranges("c", .date, ["tablegroup": "g", "cold_after": "12 months"]))
    #expect(try fixture.table("c").options["cold_after"] == "1 year")
    try fixture.append(.setTableOptions(try fixture.id("b"), set: ["cold_after": "1 day"], reset: []))
    #expect(
      try ["a", "b", "c", "plain"].map { try fixture.table($0).options["cold_after"] }
        == ["1 day", "1 day", "1 day", nil])
    // A single partition, and the one beside it.
    for name in ["a", "b"] {
      try fixture.append(try partition(name + "1", of: name, 0, .value(.integer(10)), fixture))
    }
    try fixture.append(.setTableOptions(try fixture.id("a1"), set: ["shard_class": "hot"], reset: []))
    #expect(try ["a1", "b1"].map { try shardClass(fixture, $0) } == ["hot", "hot"])
  }

  @Test func olderProgramsDoNotMeetClasses() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(table("a"))
    fixture.image.featureLevel = 2
    let text = "shard classes need feature level 3, and the cluster is at 2"
    #expect(fixture.rejection(.shard(.setClass(second, "cold")))?.message == text)
    #expect(fixture.rejection(table("b", ["shard_class": "cold"]))?.message == text)
    #expect(
      fixture.rejection(.createShard(ShardDraft(replicas: [NodeID(rawValue: 1)], shardClass: "cold")))?.message == text)
    #expect(
      fixture.rejection(.setTableOptions(try fixture.id("a"), set: ["fillfactor": "70"], reset: []))?.message
        == "changes of a table's options need feature level 3, and the cluster is at 2")
    try fixture.append(table("b"))
  }
}
