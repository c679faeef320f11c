import Metadata
import MetadataWire
import Testing

@Suite struct ShardLifecycleTests {
  private let first = ShardID(rawValue: 1)
  private let second = ShardID(rawValue: 2)

  private func fixture() throws -> Fixture {
    var fixture = try Fixture.cluster(shards: 2)
    try fixture.append(.createTable(draft("a", shard: 2)))
    return fixture
  }

  private func tablet(_ fixture: Fixture) throws -> TabletID {
    try #require(fixture.image.tablets.keys.first)
  }

  /// Moves the tablet through all phases.
  private func move(_ tablet: TabletID, to target: ShardID, _ fixture: inout Fixture) throws {
    try fixture.append(
      .migration(.plan(tablet, target: target, epoch: nil, maximumRetries: nil, reason: "")))
    let migration = try #require(fixture.image.migrations.open(of: tablet))
    let node = try #require(fixture.image.shards[migration.plan.source]?.replicas.first)
    let steps: [MigrationStep] = [
      .snapshotTaken(
        MigrationSnapshot(nodeID: node, shardIndex: 1, lengthBytes: 1, checksum: [UInt8](repeating: 1, count: 32))),
      .transferred, .loaded, .caughtUp(shardIndex: 2), .cutWrites,
      .route(epoch: migration.plan.epoch, shardIndex: 3, rowsChecksum: [1]), .finish, .sourceDropped,
    ]
    for step in steps { try fixture.append(.migration(.advance(migration.plan.id, attempt: 0, step))) }
  }

  @Test func aShardThatIsDrainedTakesNoNewTablets() throws {
    var fixture = try fixture()
    #expect(
      try fixture.append(.shard(.drain(second, reason: "its machines go")))
        == [.shard(.drainBegun(second, reason: "its machines go"))])
    #expect(fixture.image.shards[second]?.isDraining == true)
    for name in ["b", "c", "d"] { try fixture.append(.createTable(draft(name))) }
    #expect(fixture.image.tabletCounts[first] == 3)
    #expect(
      fixture.rejection(.createTable(draft("e", shard: 2)))?.message == "shard 2 is being drained: it takes no tablets")
    let other = try #require(fixture.image.tablets.values.first { $0.shardID == first })
    #expect(
      fixture.rejection(.migration(.plan(other.id, target: second, epoch: nil, maximumRetries: nil, reason: "")))?.hint
        == "Name another shard, or let it take tablets again: kunlog shard undrain 2.")
  }

  @Test func aDrainCanBeTakenBack() throws {
    var fixture = try fixture()
    try fixture.append(.shard(.drain(second, reason: "")))
    #expect(try fixture.append(.shard(.undrain(second))) == [.shard(.drainCancelled(second))])
    try fixture.append(.createTable(draft("b", shard: 2)))
    #expect(fixture.image.tabletCounts[second] == 2)
    #expect(try fixture.append(.shard(.undrain(second))).isEmpty)
  }

  @Test func theLastShardThatTakesTabletsIsNotDrained() throws {
    var fixture = try fixture()
    try fixture.append(.shard(.drain(second, reason: "")))
    let rejection = fixture.rejection(.shard(.drain(first, reason: "")))
    #expect(rejection?.message == "shard 1 cannot be drained: no other shard takes tablets")
    #expect(rejection?.hint == "Add one first: kunlog shard add.")
  }

  @Test func aShardToWhichATabletIsMovingIsNotDrained() throws {
    var fixture = try fixture()
    let tablet = try tablet(fixture)
    try fixture.append(.migration(.plan(tablet, target: first, epoch: nil, maximumRetries: nil, reason: "")))
    #expect(fixture.rejection(.shard(.drain(first, reason: "")))?.message == "tablet 1 is moving to shard 1")
  }

  @Test func aShardIsNotRemovedWhileAnythingNeedsIt() throws {
    var fixture = try fixture()
    let tablet = try tablet(fixture)
    let full = fixture.rejection(.shard(.remove(second)))
    #expect(full?.message == "shard 2 still has 1 tablets")
    #expect(full?.hint == "Drain it first: kunlog shard drain 2.")
    try move(tablet, to: first, &fixture)
    try fixture.append(transaction(3, 4, .commit))
    #expect(
      fixture.rejection(.shard(.remove(second)))?.message
        == "1 transactions with shard 2 are decided and not finished")
  }

  @Test func aShardThatIsRemovedLeavesItsNumberBehind() throws {
    var fixture = try fixture()
    try move(try tablet(fixture), to: first, &fixture)
    let nodes = try #require(fixture.image.shards[second]?.replicas)
    #expect(
      try fixture.append(.shard(.remove(second))) == [.shard(.removed(second))] + nodes.map { .nodeRemoved($0) })
    #expect(fixture.image.shards[second] == nil)
    #expect(fixture.image.removedShards == [second])
    #expect(fixture.image.nextShardID == ShardID(rawValue: 3))
    #expect(try fixture.append(.shard(.remove(second))).isEmpty)
    #expect(fixture.rejection(.shard(.drain(second, reason: "")))?.message == "shard 2 was removed")
    #expect(
      fixture.rejection(.createShard(ShardDraft(id: second, replicas: [])))?.message
        == "shard 2 was removed, and its number is never used again")
    #expect(
      fixture.rejection(.createTable(draft("b", shard: 2)))?.detail == "The cluster's shards are 1.")
    #expect(
      fixture.rejection(.shard(.remove(first)))?.message == "shard 1 cannot be removed: no other shard takes tablets")
  }

  @Test func anImageKeepsWhatShardsHaveBeen() throws {
    var fixture = try Fixture.cluster(shards: 3)
    try fixture.append(.shard(.drain(second, reason: "r")))
    try fixture.append(.shard(.remove(ShardID(rawValue: 3))))
    var decoder = ImageDecoder()
    for part in try ImageEncoder.parts(of: fixture.image) { try decoder.add(part) }
    #expect(decoder.finished == fixture.image)
    #expect(decoder.finished?.shards[second]?.isDraining == true)
    #expect(decoder.finished?.removedShards == [ShardID(rawValue: 3)])
  }
}
