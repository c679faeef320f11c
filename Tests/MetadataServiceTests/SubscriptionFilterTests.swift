import EventLoop
import Metadata
import MetadataClient
import MetadataService
import RPC
import SQLTypes
import Testing

@Suite(.serialized) struct SubscriptionFilterTests {
  /// A stream from one node.
  @LoopActor
  private func subscription(
    _ cluster: MetaCluster, node: Int = 0, _ change: (inout MetadataSubscription.Request) -> Void
  ) -> (MetadataSubscription, RPCChannel) {
    let channel = RPCChannel(host: "127.0.0.1", port: cluster.endpoints[node].port)
    var request = MetadataSubscription.Request()
    change(&request)
    return (MetadataSubscription(request, on: channel), channel)
  }

  /// How a stream fails that must.
  @LoopActor
  private func failure(
    _ cluster: MetaCluster, node: Int = 0, _ change: (inout MetadataSubscription.Request) -> Void
  ) async -> MetadataError? {
    let (stream, channel) = subscription(cluster, node: node, change)
    defer { channel.close() }
    do throws(MetadataError) {
      while try await stream.next() != nil {}
      return nil
    } catch { return error }
  }

  @Test func aSubscriberToOneTableGetsItsEventsFromMemoryAndFromTheLogAlike() async throws {
    for recentBytes in [4_194_304, 1] {
      try await withMetaCluster(1, recentBytes: recentBytes) { cluster in
        let client = try await cluster.bootstrapped()
        _ = try await client.append([table("t")])
        _ = try await client.append([table("u")])
        let t = try #require(client.image.relation(named: "t", in: WellKnown.publicSchema)).id
        let u = try #require(client.image.relation(named: "u", in: WellKnown.publicSchema)).id
        _ = try await client.append([.truncateTables([u], restartsSequences: false)])
        _ = try await client.append([.truncateTables([t], restartsSequences: false)])
        let (stream, channel) = subscription(cluster) {
          $0.tables = [t]
          $0.endsAtPresent = true
        }
        defer { channel.close() }
        var kinds: [[String]] = []
        while let message = try await stream.next() {
          if case .record(let record) = message { kinds.append(record.events.map(\.kind)) }
        }
        #expect(kinds == [["TableCreated", "TabletCreated"], ["TabletCleared"]])
      }
    }
  }

  @Test func namesThatThereAreNotAreRefusedWithThoseThatThereAre() async throws {
    try await withMetaCluster(1) { cluster in
      let client = try await cluster.bootstrapped()
      #expect(
        await failure(cluster) { $0.shards = [ShardID(rawValue: 5)] }
          == .refused("there is no shard 5; there are 1"))
      #expect(
        await failure(cluster) { $0.tables = [ObjectID(rawValue: 90_000)] }
          == .refused("there is no table 90000 and never was; there are none"))
      _ = client
    }
  }

  @Test func aFollowerThatIsBehindAsksTheLeaderBeforeItSaysThatThereIsNoSuchTable() async throws {
    try await withMetaCluster { cluster in
      let client = try await cluster.bootstrapped()
      for number in 0..<5 {
        _ = try await client.append([table("t\(number)")])
        let id = try #require(client.image.relation(named: "t\(number)", in: WellKnown.publicSchema)).id
        for node in 0..<3 {
          let error = await failure(cluster, node: node) {
            $0.tables = [id]
            $0.endsAtPresent = true
          }
          #expect(error == nil)
        }
      }
    }
  }

  @Test func aStartInTheFutureWaitsOrIsRefusedAsTheSubscriberWants() async throws {
    try await withMetaCluster(1) { cluster in
      let client = try await cluster.bootstrapped()
      let present = client.image.index
      let refused = await failure(cluster) {
        $0.afterIndex = present + 10
        $0.futureIndex = .isRefused
      }
      guard case .inFuture(let reason) = refused else {
        Issue.record("not refused: \(String(describing: refused))")
        return
      }
      #expect(reason.hasPrefix("index \(present + 10) is in the future: the log goes to "))
      let (stream, channel) = subscription(cluster) {
        $0.afterIndex = present + 3
        $0.futureIndex = .waits
      }
      defer { channel.close() }
      guard case .heartbeat = try await stream.next() else {
        Issue.record("no heartbeat while it waits")
        return
      }
      #expect(stream.follower?.recordIndex == present)
      var appended: [UInt64] = []
      for number in 0..<6 {
        appended.append(try await client.append([.setSetting(name: "n", value: "\(number)")]).index)
      }
      var seen: [UInt64] = []
      while seen.last != appended.last, let message = try await stream.next() {
        if case .record(let record) = message { seen.append(record.index) }
      }
      #expect(seen == appended.filter { $0 > present + 3 })
    }
  }

  @Test func bookmarksTellHowFarTheFollowerIs() async throws {
    try await withMetaCluster { cluster in
      let client = try await cluster.bootstrapped()
      let leader = try #require(cluster.leader)
      let (stream, channel) = subscription(cluster, node: (leader + 1) % 3) { $0.afterIndex = client.image.index }
      defer { channel.close() }
      guard case .bookmark(let index) = try await stream.next() else {
        Issue.record("no bookmark")
        return
      }
      let follower = try #require(stream.follower)
      #expect(index == client.image.index)
      #expect(follower.nodeID.rawValue == UInt64((leader + 1) % 3 + 1))
      #expect(follower.leaderID?.rawValue == UInt64(leader + 1))
      #expect(follower.recordIndex == index)
      #expect(follower.commitIndex >= index && follower.appliedIndex >= index)
      #expect(follower.contactMilliseconds != nil)
    }
  }

  @Test func aReplicaThatIsCutOffTellsSubscribersWhoWantTheirRecordsFresh() async throws {
    try await withMetaCluster { cluster in
      let client = try await cluster.bootstrapped()
      let (fresh, channel) = subscription(cluster, node: 0) {
        $0.afterIndex = client.image.index
        $0.maximumStalenessMilliseconds = 1_000
      }
      defer { channel.close() }
      // Told more often than others.
      guard case .bookmark = try await fresh.next() else {
        Issue.record("no bookmark")
        return
      }
      await cluster.stop(1)
      await cluster.stop(2)
      let error = await #expect(throws: MetadataError.self) {
        while try await fresh.next() != nil {}
      }
      guard case .unavailable(let reason) = error else {
        Issue.record("not unavailable: \(String(describing: error))")
        return
      }
      #expect(reason.contains("more than the 1000 that the subscriber accepts"))
    }
  }

  @Test func whatIsHeldForASubscriberThatNeverReadsIsBounded() async throws {
    try await withMetaCluster(1, recentBytes: 100_000) { cluster in
      let client = try await cluster.bootstrapped()
      let (records, recordsChannel) = subscription(cluster) { _ in }
      defer { recordsChannel.close() }
      var most = 0
      for _ in 0..<30 {
        _ = try await client.append(
          Array(repeating: .recordNote(topic: "t", content: [UInt8](repeating: 65, count: 50_000)), count: 20))
        most = max(most, try #require(cluster.nodes[0]).subscribers.heldBytes)
      }
      // 30 MB have passed, and an image of two megabytes is asked for.
      for part in 0..<2 {
        _ = try await client.append(
          (0..<250).map {
            .setSetting(name: "m\(part) \($0)", value: String(repeating: "\(part)", count: 4_000))
          })
      }
      let (image, imageChannel) = subscription(cluster) { $0.wantsImage = true }
      defer { imageChannel.close() }
      for _ in 0..<20 {
        try await loopSleep(milliseconds: 10)
        most = max(most, try #require(cluster.nodes[0]).subscribers.heldBytes)
      }
      #expect(most < 3_000_000)
      #expect(most > 0)
      _ = (records, image)
    }
  }
}
