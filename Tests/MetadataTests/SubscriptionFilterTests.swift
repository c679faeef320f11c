import Metadata
import SQLTypes
import Testing

@Suite struct SubscriptionFilterTests {
  /// What a filter lets through: the kinds of each record's events.
  private func passed(_ filter: SubscriptionFilter, _ fixture: Fixture) -> [[String]] {
    var image = Image()
    var kinds: [[String]] = []
    for record in fixture.records {
      if filter.passes(record, before: image) { kinds.append(record.events.map(\.kind)) }
      image = image.applying(record)
    }
    return kinds
  }

  /// Two tables, t with a serial column and an index; each is then changed and t dropped.
  private func twoTables() throws -> (Fixture, t: ObjectID, u: ObjectID) {
    var fixture = try Fixture.cluster()
    let serial = ColumnDraft(name: "s", type: .int8, sequence: OwnedSequenceDraft())
    try fixture.append(.createTable(draft("t", [ColumnDraft(name: "id", type: .int4), serial])))
    try fixture.append(.createTable(draft("u")))
    let (t, u) = (try fixture.id("t"), try fixture.id("u"))
    try fixture.append(.createIndex(IndexDraft(name: "ti", tableID: t, parts: [.init(column: 1)])))
    try fixture.append(.createIndex(IndexDraft(name: "ui", tableID: u, parts: [.init(column: 1)])))
    try fixture.append(.reserveSequence(try fixture.id("t_s_seq"), count: 10))
    try fixture.append(.recordNote(topic: "n", content: [1]))
    try fixture.append(.truncateTables([u], restartsSequences: false))
    try fixture.append(.dropIndexes([try fixture.id("ui")], isCascade: false))
    try fixture.append(.dropTables([t], isCascade: false))
    return (fixture, t, u)
  }

  @Test func aFilterByTablePassesWhatBelongsToTheTableAndNothingElse() throws {
    let (fixture, t, u) = try twoTables()
    #expect(
      passed(SubscriptionFilter(tables: [t]), fixture) == [
        ["TableCreated", "SequenceCreated", "TabletCreated"], ["IndexCreated"], ["SequenceReserved"],
        ["TabletDropped", "IndexDropped", "SequenceDropped", "TableDropped"],
      ])
    #expect(
      passed(SubscriptionFilter(tables: [u]), fixture) == [
        ["TableCreated", "TabletCreated"], ["IndexCreated"], ["TabletCleared"], ["IndexDropped"],
      ])
    #expect(
      passed(SubscriptionFilter(families: [.placement], tables: [t]), fixture) == [
        ["TableCreated", "SequenceCreated", "TabletCreated"],
        ["TabletDropped", "IndexDropped", "SequenceDropped", "TableDropped"],
      ])
  }

  @Test func aFilterByTabletPassesItsLife() throws {
    let (fixture, _, u) = try twoTables()
    let tablet = try #require(fixture.image.tablet(of: u)).id
    #expect(
      passed(SubscriptionFilter(tablets: [tablet]), fixture) == [["TableCreated", "TabletCreated"], ["TabletCleared"]])
  }

  @Test func aFilterByShardPassesItsOwnAndWhateverEnds() throws {
    let (fixture, _, _) = try twoTables()
    // t lies on shard 1, u on shard 2.
    let shards = SubscriptionFilter(families: [.shards, .placement], shards: [ShardID(rawValue: 2)])
    #expect(
      passed(shards, fixture)
        == [
          ["ShardCreated"], ["TableCreated", "TabletCreated"], ["TabletCleared"],
          ["TabletDropped", "IndexDropped", "SequenceDropped", "TableDropped"],
        ].map { $0 == ["ShardCreated"] ? ["NodeRegistered", "ShardCreated"] : $0 })
  }

  @Test func partitionsPassWithTheirTableWhereThatIsAskedFor() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(.createTable(draft("t", partitioning: PartitioningDraft(strategy: .hash, columns: ["id"]))))
    let t = try fixture.id("t")
    let membership = PartitionMembership(parentID: t, bound: .hash(modulus: 2, remainder: 0))
    try fixture.append(.createTable(draft("p", [], partition: membership)))
    try fixture.append(.createTable(draft("u")))
    try fixture.append(.truncateTables([try fixture.id("p")], restartsSequences: false))
    #expect(passed(SubscriptionFilter(tables: [t]), fixture) == [["TableCreated"]])
    #expect(
      passed(SubscriptionFilter(tables: [t], includesPartitions: true), fixture) == [
        ["TableCreated"], ["TableCreated", "TabletCreated"], ["TabletCleared"],
      ])
  }

  @Test func whereALaterImageDoesNotKnowTheTableAnyMoreTheEventPasses() throws {
    let (fixture, _, u) = try twoTables()
    let filter = SubscriptionFilter(tables: [u])
    let kinds = fixture.records.filter { filter.passes($0, before: fixture.image) }.map { $0.events.map(\.kind) }
    #expect(
      kinds == [
        ["TableCreated", "TabletCreated"], ["IndexCreated"], ["SequenceReserved"], ["TabletCleared"], ["IndexDropped"],
        ["TabletDropped", "IndexDropped", "SequenceDropped", "TableDropped"],
      ])
  }

  @Test func whatNeverWasIsNamedTogetherWithWhatThereIs() throws {
    let (fixture, t, u) = try twoTables()
    func unknown(_ filter: SubscriptionFilter) -> String? { filter.unknownName(in: fixture.image)?.description }
    #expect(unknown(SubscriptionFilter(shards: [ShardID(rawValue: 9)])) == "there is no shard 9; there are 1, 2")
    #expect(
      unknown(SubscriptionFilter(tables: [ObjectID(rawValue: 99_999)]))
        == "there is no table 99999 and never was; there are \(u) (u)")
    #expect(
      unknown(SubscriptionFilter(tablets: [TabletID(rawValue: 77)]))
        == "there is no tablet 77 and never was: the next one will be 3")
    // It was dropped: who was away is to hear of it.
    #expect(unknown(SubscriptionFilter(tables: [t])) == nil)
    #expect(unknown(SubscriptionFilter(tables: [u], tablets: [TabletID(rawValue: 1)])) == nil)
    var indexed = fixture
    try indexed.append(.createIndex(IndexDraft(name: "ui2", tableID: u, parts: [.init(column: 1)])))
    let index = try indexed.id("ui2")
    #expect(
      SubscriptionFilter(tables: [index]).unknownName(in: indexed.image)?.description
        == "\(index) is the index ui2, not a table")
  }

  @Test func aFilterThatIsTooLongOrMeansNothingIsRefused() {
    let error = #expect(throws: SubscriptionFilter.UnknownName.self) {
      try SubscriptionFilter(familyNames: [], tables: (0..<1001).map { ObjectID(rawValue: $0) })
    }
    #expect(error?.description == "a filter names 1000 tables at most, this one 1001")
    #expect(throws: SubscriptionFilter.UnknownName.self) {
      try SubscriptionFilter(familyNames: [], includesPartitions: true)
    }
  }
}
