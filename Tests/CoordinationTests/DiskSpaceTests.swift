import Coordination
import Metadata
import Testing

private let gigabyte: UInt64 = 1 << 30

/// What shards have room for.
struct DiskSpaceTests {
  @Test("A tablet has room where thrice its size is free beside what moves leave free")
  func room() {
    let large = DiskSpace(freeBytes: 31 * gigabyte, totalBytes: 100 * gigabyte)
    #expect(large.keptBytes == gigabyte)
    #expect(large.roomBytes == 10 * gigabyte)
    #expect(!large.isLow)
    let small = DiskSpace(freeBytes: 64 << 20, totalBytes: 256 << 20)
    #expect(small.keptBytes == 64 << 20)
    #expect(small.roomBytes == 0)
    #expect(!small.isLow)
    #expect(DiskSpace(freeBytes: (64 << 20) - 1, totalBytes: 256 << 20).isLow)
    #expect(DiskSpace(freeBytes: 0, totalBytes: 0).roomBytes == 0)
    #expect(DiskSpace(freeBytes: 0, totalBytes: 10 * gigabyte).keptBytes == gigabyte / 2)
  }

  @Test("Sizes are told in decimal units, with two digits at least and without a thousand of any")
  func texts() {
    let texts: [(UInt64, String)] = [
      (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1449, "1.4 kB"), (99_949, "99.9 kB"), (99_960, "100 kB"),
      (999_499, "999 kB"), (999_500, "1.0 MB"), (64 << 20, "67.1 MB"), (256 << 20, "268 MB"),
      (12_300_000_000, "12.3 GB"), (5_000_000_000_000_000, "5000 TB"),
    ]
    for (bytes, text) in texts { #expect(ByteText.size(bytes) == text) }
    #expect(ByteText.free(DiskSpace(freeBytes: 1500, totalBytes: 256 << 20)) == "1.5 kB of 268 MB")
    #expect(ByteText.free(nil) == "")
  }

  @Test("The fullest replica of a shard decides; where none is known everything fits")
  func fullest() {
    func space(_ free: UInt64) -> DiskSpace { DiskSpace(freeBytes: free * gigabyte, totalBytes: 100 * gigabyte) }
    let usage = ShardUsage(
      tablets: [:],
      spaces: [
        NodeID(rawValue: 1): space(91), NodeID(rawValue: 2): space(4), NodeID(rawValue: 3): space(50),
      ])
    #expect(usage.fullest?.node == NodeID(rawValue: 2))
    #expect(usage.hasRoom(forBytes: gigabyte))
    #expect(!usage.hasRoom(forBytes: gigabyte + 1))
    #expect(ShardUsage(tablets: [:]).hasRoom(forBytes: .max))
  }

  @Test("What shards say of their disks bounds what the planner gives them")
  func meter() {
    var image = Image()
    for number in UInt32(1)...2 {
      let shard = ShardID(rawValue: number)
      image.shards[shard] = ShardDefinition(id: shard, name: "shard-\(number)", replicas: [])
    }
    for (tablet, shard) in [(1, 1), (2, 1), (3, 1), (4, 1)] as [(UInt64, UInt32)] {
      image.tablets[TabletID(rawValue: tablet)] = TabletDefinition(
        id: TabletID(rawValue: tablet), tableID: ObjectID(rawValue: UInt32(tablet)), shardID: ShardID(rawValue: shard))
    }
    var meter = UsageMeter()
    let usage = TabletUsage(sizeBytes: gigabyte, operations: 0)
    meter.add(
      ShardUsage(
        tablets: Dictionary(uniqueKeysWithValues: (UInt64(1)...4).map { (TabletID(rawValue: $0), usage) }),
        spaces: [NodeID(rawValue: 1): DiskSpace(freeBytes: 50 * gigabyte, totalBytes: 100 * gigabyte)]),
      of: ShardID(rawValue: 1), nowMilliseconds: 1)
    for (free, moves, full) in [(7, 2, []), (4, 1, [2]), (1, 0, [2])] as [(UInt64, Int, [UInt32])] {
      meter.add(
        ShardUsage(
          tablets: [:],
          spaces: [
            NodeID(rawValue: 2): DiskSpace(freeBytes: 90 * gigabyte, totalBytes: 100 * gigabyte),
            NodeID(rawValue: 3): DiskSpace(freeBytes: free * gigabyte, totalBytes: 100 * gigabyte),
          ]),
        of: ShardID(rawValue: 2), nowMilliseconds: 1)
      let cluster = meter.cluster(image, timeMicroseconds: 0)
      #expect(cluster.shards[1].capacityBytes == (free - 1) * gigabyte / 3)
      let plan = RebalancePlanner.plan(cluster)
      #expect(plan.moves.count == moves, "\(free) GiB free")
      #expect(plan.full == full.map { ShardID(rawValue: $0) }, "\(free) GiB free")
    }
  }

  @Test("A group is not brought together where there is no room for it")
  func groups() {
    var shards = (UInt32(1)...2).map { RebalanceCluster.Shard(id: ShardID(rawValue: $0)) }
    let tablets = (UInt64(1)...4).map {
      RebalanceCluster.Tablet(
        id: TabletID(rawValue: $0), shard: ShardID(rawValue: $0 < 4 ? 1 : 2), sizeBytes: gigabyte, group: 1)
    }
    #expect(
      RebalancePlanner.plan(RebalanceCluster(shards: shards, tablets: tablets)).moves.map(\.tablet)
        == [TabletID(rawValue: 4)])
    for place in shards.indices { shards[place].capacityBytes = 3 * gigabyte }
    let plan = RebalancePlanner.plan(RebalanceCluster(shards: shards, tablets: tablets))
    #expect(plan.moves.isEmpty)
    #expect(plan.full == [ShardID(rawValue: 1), ShardID(rawValue: 2)])
  }
}
