import Metadata
import MetadataWire
import SQLTypes
import Testing

@Suite struct MirrorTableTests {
  private let first = ShardID(rawValue: 1)
  private let second = ShardID(rawValue: 2)
  private let third = ShardID(rawValue: 3)

  private func mirror(_ name: String, keys: [KeyDraft] = [KeyDraft(kind: .primaryKey, columns: ["id"])]) -> TableDraft {
    var draft = draft(name, keys: keys)
    draft.options["shard"] = "all"
    return draft
  }

  private func addShard(_ number: UInt32, _ fixture: inout Fixture) throws {
    let node = NodeDefinition(
      id: NodeID(rawValue: UInt64(number)), role: .storage, name: "storage\(number)", host: "127.0.0.1",
      port: 7100 + Int(number))
    try fixture.append(.registerNode(node), .createShard(ShardDraft(replicas: [node.id])))
  }

  private func tablet(_ fixture: Fixture) throws -> TabletDefinition {
    try #require(fixture.image.mirrorTablets.first)
  }

  private func plan(_ tablet: TabletDefinition, to target: ShardID, addsCopy: Bool) -> Command {
    var options = MigrationOptions.standard
    options.addsCopy = addsCopy
    return .migration(
      .plan(tablet.id, target: target, epoch: nil, maximumRetries: nil, reason: "", options: options))
  }

  private func copy(to target: ShardID, _ fixture: inout Fixture) throws {
    let tablet = try tablet(fixture)
    try fixture.append(plan(tablet, to: target, addsCopy: true))
    let id = try #require(fixture.image.migrations.open(of: tablet.id)).plan.id
    let node = try #require(fixture.image.shards[tablet.shardID]?.replicas.first)
    let steps: [MigrationStep] = [
      .snapshotTaken(
        MigrationSnapshot(nodeID: node, shardIndex: 1, lengthBytes: 1, checksum: [UInt8](repeating: 1, count: 32))),
      .transferred, .loaded, .caughtUp(shardIndex: 2), .cutWrites,
      .route(epoch: tablet.epoch, shardIndex: 3, rowsChecksum: [1]), .finish, .sourceDropped,
    ]
    for step in steps { try fixture.append(.migration(.advance(id, attempt: 0, step))) }
  }

  @Test func aMirrorTableHasACopyOnEveryShardThatTakesTablets() throws {
    var fixture = try Fixture.cluster()
    try addShard(3, &fixture)
    try fixture.append(.shard(.drain(second, reason: "")))
    try fixture.append(.createTable(mirror("m")))
    let tablet = try tablet(fixture)
    #expect(tablet.copies == [first, third])
    #expect(tablet.shardID == first)
    #expect(tablet.isHeld(by: third) && !tablet.isHeld(by: second))
    #expect(fixture.image.tabletCounts[first] == 1 && fixture.image.tabletCounts[third] == 1)
    #expect(fixture.image.missingCopies.isEmpty)
    try fixture.append(.shard(.undrain(second)))
    #expect(fixture.image.missingCopies.map(\.shard) == [second])
    // What a reader learns who has jumped there.
    var jumped = Image()
    for event in fixture.image.events(since: Image()) { jumped.apply(event, at: 1) }
    #expect(jumped.tablets == fixture.image.tablets)
    #expect(jumped.mirrorTablets == fixture.image.mirrorTablets)
  }

  @Test func aShardThatIsAddedGetsACopyBesideTheOthers() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(.createTable(mirror("m")))
    try addShard(3, &fixture)
    // It takes no other tables before it has it, while others do.
    try fixture.append(.createTable(draft("a")))
    #expect(fixture.image.tablet(of: try fixture.id("a"))?.shardID == first)
    try copy(to: third, &fixture)
    #expect(try tablet(fixture).copies == [first, second, third])
    #expect(try tablet(fixture).shardID == first)
    #expect(try tablet(fixture).epoch == 2)
    #expect(fixture.image.missingCopies.isEmpty)
    #expect(fixture.image.migrations.open.isEmpty)
    #expect(
      fixture.rejection(plan(try tablet(fixture), to: third, addsCopy: true))?.message
        == "shard 3 has a copy of mirror table \"m\" already")
    try fixture.append(.createTable(draft("b")))
    #expect(fixture.image.tablet(of: try fixture.id("b"))?.shardID == second)
  }

  @Test func aMirrorTableDoesNotMove() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(.createTable(mirror("m")), .createTable(draft("plain", shard: 1)))
    try addShard(3, &fixture)
    let refused = fixture.rejection(plan(try tablet(fixture), to: third, addsCopy: false))
    #expect(refused?.message == "mirror table \"m\" cannot move: it has a copy on every shard")
    let plain = try #require(fixture.image.tablet(of: try fixture.id("plain")))
    #expect(
      fixture.rejection(plan(plain, to: third, addsCopy: true))?.message
        == "\"plain\" is no mirror table: it has no copies")
  }

  @Test func aShardThatIsDrainedLosesItsCopiesButNeverTheLast() throws {
    var fixture = try Fixture.cluster()
    try fixture.append(.createTable(mirror("m")))
    try fixture.append(.shard(.drain(first, reason: "")))
    #expect(fixture.image.superfluousCopies.map(\.shard) == [first])
    #expect(fixture.rejection(.shard(.remove(first)))?.message == "shard 1 still has 1 tablets")
    try drop(from: first, &fixture)
    #expect(try tablet(fixture).copies == [second])
    #expect(try tablet(fixture).shardID == second)
    #expect(try tablet(fixture).epoch == 2)
    try fixture.append(.shard(.remove(first)))
    try addShard(3, &fixture)
    try fixture.append(.shard(.drain(second, reason: "")))
    #expect(fixture.image.superfluousCopies.isEmpty)
    #expect(
      fixture.rejection(dropping(try tablet(fixture), from: second))?.message
        == "shard 2 has the only copy of mirror table \"m\"")
    try copy(to: third, &fixture)
    #expect(fixture.image.superfluousCopies.map(\.shard) == [second])
    try drop(from: second, &fixture)
    #expect(try tablet(fixture).copies == [third])
    try fixture.append(.shard(.remove(second)))
    #expect(fixture.image.tabletCounts[third] == 1)
  }

  private func dropping(_ tablet: TabletDefinition, from shard: ShardID) -> Command {
    var options = MigrationOptions.standard
    options.dropsCopy = true
    return .migration(
      .plan(tablet.id, target: shard, epoch: nil, maximumRetries: nil, reason: "", options: options))
  }

  private func drop(from shard: ShardID, _ fixture: inout Fixture) throws {
    let tablet = try tablet(fixture)
    try fixture.append(dropping(tablet, from: shard))
    let plan = try #require(fixture.image.migrations.open(of: tablet.id)).plan
    #expect(plan.source == shard && plan.target != shard)
    let route = MigrationStep.route(epoch: tablet.epoch, shardIndex: 3, rowsChecksum: [])
    for step in [.cutWrites, route, .finish, .sourceDropped] as [MigrationStep] {
      try fixture.append(.migration(.advance(plan.id, attempt: 0, step)))
    }
  }

  @Test func whatCannotBeAMirrorTableIsRefused() throws {
    var fixture = try Fixture.cluster()
    #expect(
      fixture.rejection(.createTable(mirror("m", keys: [])))?.message
        == "mirror tables without a primary key are not supported")
    var grouped = mirror("m")
    grouped.options["tablegroup"] = "g"
    #expect(
      fixture.rejection(.createTable(grouped))?.message == "mirror table \"m\" cannot be in a table group")
    var partitioned = mirror("m")
    partitioned.partitioning = PartitioningDraft(strategy: .hash, columns: ["id"])
    #expect(
      fixture.rejection(.createTable(partitioned))?.message
        == "partitioned tables and partitions cannot be mirror tables")
    fixture.image.featureLevel = 2
    #expect(
      fixture.rejection(.createTable(mirror("m")))?.message
        == "mirror tables need feature level 3, and the cluster is at 2")
  }
}
