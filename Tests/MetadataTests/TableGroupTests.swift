import Metadata
import MetadataWire
import Testing

@Suite struct TableGroupTests {
  private let first = ShardID(rawValue: 1)
  private let second = ShardID(rawValue: 2)

  private func grouped(_ name: String, shard: UInt32? = nil, group: String = "g") -> Command {
    var draft = draft(name, shard: shard)
    draft.options["tablegroup"] = group
    return .createTable(draft)
  }

  private func partitioned(_ name: String, _ fixture: inout Fixture) throws {
    var table = draft(name, partitioning: PartitioningDraft(strategy: .hash, columns: ["id"]))
    table.options["tablegroup"] = "g"
    try fixture.append(.createTable(table))
  }

  private func partition(_ fixture: inout Fixture, of name: String, _ remainder: Int, shard: UInt32? = nil) throws {
    let membership = PartitionMembership(
      parentID: try fixture.id(name), bound: .hash(modulus: 2, remainder: remainder))
    try fixture.append(.createTable(draft("\(name)\(remainder)", [], partition: membership, shard: shard)))
  }

  private func shard(_ fixture: Fixture, _ name: String) throws -> UInt32? {
    fixture.image.tablet(of: try fixture.id(name))?.shardID.rawValue
  }

  private func plan(_ fixture: Fixture, _ name: String, to target: UInt32) throws -> Command {
    let tablet = try #require(fixture.image.tablet(of: try fixture.id(name)))
    return .migration(
      .plan(tablet.id, target: ShardID(rawValue: target), epoch: nil, maximumRetries: nil, reason: ""))
  }

  @Test func tablesOfAGroupAreMadeOnOneShard() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(grouped("a", shard: 2))
    for name in ["b", "c"] { try fixture.append(grouped(name)) }
    try fixture.append(.createTable(draft("alone")))
    try fixture.append(grouped("other", group: "h"))
    #expect(try ["a", "b", "c", "alone", "other"].map { try shard(fixture, $0) } == [2, 2, 2, 1, 1])
    let refused = fixture.rejection(grouped("d", shard: 1))
    #expect(
      refused?.message == "cannot place table \"d\" on another shard than the rest of table group \"g\"")
    #expect(refused?.hint == "Leave the shard out, or move the group first: kunlog table move --group g.")
  }

  @Test func partitionsWithTheSameBoundStandTogether() throws {
    var fixture = try Fixture.cluster()
    for name in ["a", "b"] { try partitioned(name, &fixture) }
    try partition(&fixture, of: "a", 0, shard: 2)
    try partition(&fixture, of: "a", 1, shard: 1)
    for remainder in [1, 0] { try partition(&fixture, of: "b", remainder) }
    #expect(try ["a0", "a1", "b0", "b1"].map { try shard(fixture, $0) } == [2, 1, 2, 1])
    let places = fixture.image.places(of: "g")
    #expect(places.map(\.bounds) == [[.hash(modulus: 2, remainder: 0)], [.hash(modulus: 2, remainder: 1)]])
    #expect(fixture.image.tablets(at: places[1]).map(\.tableID) == [try fixture.id("a1"), try fixture.id("b1")])
    try partitioned("c", &fixture)
    let bound = PartitionBound.hash(modulus: 2, remainder: 0)
    var own = draft("c0", [], partition: PartitionMembership(parentID: try fixture.id("c"), bound: bound))
    own.options["tablegroup"] = "g"
    #expect(fixture.rejection(.createTable(own))?.message == "cannot name a table group for partition \"c0\"")
  }

  @Test func aTableMovesWithItsGroupOnly() throws {
    var fixture = try Fixture.cluster()
    for name in ["a", "b", "c"] { try fixture.append(grouped(name, shard: 1)) }
    let refused = fixture.rejection(try plan(fixture, "a", to: 2), try plan(fixture, "b", to: 2))
    #expect(refused?.message == "table \"a\" cannot move without the rest of table group \"g\"")
    #expect(refused?.detail == "Table \"c\" would be on shard 1.")
    #expect(refused?.hint == "Move the group: kunlog table move --group g --to 2.")
    let all = try ["a", "b", "c"].map { try plan(fixture, $0, to: 2) }
    try fixture.append(all[0], all[1], all[2])
    let migrations = fixture.image.migrations.open.values.sorted { $0.plan.id < $1.plan.id }
    #expect(fixture.image.siblings(of: migrations[0]).map(\.plan.id) == migrations.dropFirst().map(\.plan.id))
    // A table that is made meanwhile is made where the group will be.
    try fixture.append(grouped("d"))
    #expect(try shard(fixture, "d") == 2)
    #expect(!fixture.image.hasScatteredGroups)
  }

  @Test func whatAFailedMoveHasPartedIsKnownToBeScattered() throws {
    var fixture = try Fixture.cluster()
    for name in ["a", "b"] { try fixture.append(grouped(name, shard: 1)) }
    let all = try ["a", "b"].map { try plan(fixture, $0, to: 2) }
    try fixture.append(all[0], all[1])
    let ids = fixture.image.migrations.open.keys.sorted()
    try fixture.append(.migration(.fail(ids[0], reason: "")))
    try fixture.append(.migration(.advance(ids[0], attempt: 0, .rolledBack)))
    let steps: [MigrationStep] = [
      .snapshotTaken(snapshot), .transferred, .loaded, .caughtUp(shardIndex: 2), .cutWrites,
      .route(epoch: 1, shardIndex: 3, rowsChecksum: [1]), .finish, .sourceDropped,
    ]
    for step in steps { try fixture.append(.migration(.advance(ids[1], attempt: 0, step))) }
    #expect(fixture.image.hasScatteredGroups)
    try fixture.append(try plan(fixture, "a", to: 2))
    #expect(!fixture.image.hasScatteredGroups)
  }

  @Test func olderProgramsDoNotMeetGroups() throws {
    var fixture = try Fixture.cluster()
    fixture.image.featureLevel = 2
    #expect(
      fixture.rejection(grouped("a"))?.message
        == "table groups need feature level 3, and the cluster is at 2")
  }
}
