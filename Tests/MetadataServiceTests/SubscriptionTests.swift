import EventLoop
import Metadata
import MetadataClient
import MetadataService
import ProtocolMetadata
import RPC
import SQLTypes
import Testing

@Suite(.serialized) struct SubscriptionTests {
  /// All messages of a stream that ends at the present.
  @LoopActor
  private func history(
    _ cluster: MetaCluster, node: Int, _ change: (inout MetadataSubscription.Request) -> Void = { _ in }
  ) async throws -> [MetadataSubscription.Message] {
    let channel = RPCChannel(host: "127.0.0.1", port: cluster.endpoints[node].port)
    defer { channel.close() }
    var request = MetadataSubscription.Request()
    request.endsAtPresent = true
    change(&request)
    let subscription = MetadataSubscription(request, on: channel)
    var messages: [MetadataSubscription.Message] = []
    while let message = try await subscription.next() { messages.append(message) }
    return messages
  }

  private func records(_ messages: [MetadataSubscription.Message]) -> [Record] {
    messages.compactMap { message in
      if case .record(let record) = message { record } else { nil }
    }
  }

  @Test func everyReplicaGivesTheSameUnbrokenHistory() async throws {
    try await withMetaCluster { cluster in
      let client = try await cluster.bootstrapped()
      for number in 0..<150 { _ = try await client.append([.setSetting(name: "n", value: "\(number)")]) }
      try await cluster.eventually { cluster.nodes.allSatisfy { $0?.image.index == client.image.index } }
      let first = records(try await history(cluster, node: 0))
      #expect(first.count == 151)
      var image = Image()
      for record in first {
        #expect(record.continues(image))
        image.apply(record)
      }
      #expect(image == client.image)
      for node in 1..<3 { #expect(records(try await history(cluster, node: node)) == first) }
      // Resumed in the middle, there is neither gap nor duplicate.
      let rest = records(try await history(cluster, node: 1) { $0.afterIndex = first[99].index })
      #expect(rest == Array(first[100...]))
    }
  }

  @Test func recordsOlderThanTheMemoryComeFromTheLog() async throws {
    try await withMetaCluster(1, recentBytes: 1_000) { cluster in
      let client = try await cluster.bootstrapped()
      var appended: [UInt64] = [client.image.index]
      for number in 0..<40 {
        appended.append(try await client.append([.setSetting(name: "n", value: "\(number)")]).index)
      }
      #expect(records(try await history(cluster, node: 0)).map(\.index) == appended)
      // After a restart there is nothing in memory but what was replayed last.
      await cluster.stop(0)
      try await cluster.start(0)
      try await cluster.eventually { cluster.leader != nil }
      #expect(records(try await history(cluster, node: 0)).map(\.index) == appended)
    }
  }

  @Test func aFilteredSubscriberGetsOnlyWhatItWants() async throws {
    try await withMetaCluster(1) { cluster in
      let client = try await cluster.bootstrapped()
      _ = try await client.append([table("t")])
      _ = try await client.append([.setSetting(name: "a", value: "1")])
      let placement = records(try await history(cluster, node: 0) { $0.families = [.placement] })
      #expect(placement.map { $0.events.map(\.kind) } == [["TableCreated", "TabletCreated"]])
    }
  }

  @Test func anIdleSubscriberGetsBookmarks() async throws {
    try await withMetaCluster(1) { cluster in
      let client = try await cluster.bootstrapped()
      let channel = RPCChannel(host: "127.0.0.1", port: cluster.endpoints[0].port)
      defer { channel.close() }
      var request = MetadataSubscription.Request()
      request.families = [.roles]
      request.afterIndex = client.image.index
      let subscription = MetadataSubscription(request, on: channel)
      defer { subscription.cancel() }
      guard case .bookmark(let index) = try await subscription.next() else {
        Issue.record("no bookmark")
        return
      }
      #expect(index == client.image.index)
    }
  }

  @Test func whereTheStartHasBeenCompactedTheStreamBeginsWithTheImage() async throws {
    try await withMetaCluster(1, keptEntries: 2) { cluster in
      let client = try await cluster.bootstrapped()
      for number in 0..<10 { _ = try await client.append([.setSetting(name: "n", value: "\(number)")]) }
      _ = try await cluster.nodes[0]?.takeSnapshot()
      // The records in memory would still do: after a restart there are none.
      await cluster.stop(0)
      try await cluster.start(0)
      try await cluster.eventually { cluster.leader != nil }
      try await client.wait(for: client.image.index)
      let error = await #expect(throws: MetadataError.self) { try await history(cluster, node: 0) }
      guard case .compacted = error else {
        Issue.record("not compacted: \(String(describing: error))")
        return
      }
      let messages = try await history(cluster, node: 0) { $0.allowsImage = true }
      guard case .image(let image) = try #require(messages.first) else {
        Issue.record("no image")
        return
      }
      #expect(image == client.image)
    }
  }

  @Test func auditsReadFromTheArchiveWhatTheLogHasDropped() async throws {
    try await withMetaCluster(1, keptEntries: 2, recentBytes: 1_000) { cluster in
      let client = try await cluster.bootstrapped()
      var appended = [client.image.index]
      let content = [UInt8](repeating: 65, count: 60_000)
      // 18 MB: a segment of the log and part of another one.
      for _ in 0..<3 {
        appended.append(
          try await client.append(Array(repeating: .recordNote(topic: "t", content: content), count: 100)).index)
      }
      _ = try await cluster.nodes[0]?.takeSnapshot()
      appended.append(try await client.append([.setSetting(name: "a", value: "1")]).index)
      // Twice: a restart begins with the files.
      for _ in 0..<2 {
        let error = await #expect(throws: MetadataError.self) { try await history(cluster, node: 0) }
        guard case .compacted = error else {
          Issue.record("not compacted: \(String(describing: error))")
          return
        }
        let all = records(try await history(cluster, node: 0) { $0.readsArchive = true })
        #expect(all.map(\.index) == appended)
        var image = Image()
        for record in all {
          #expect(record.continues(image))
          image.apply(record)
        }
        #expect(image == client.image)
        await cluster.stop(0)
        try await cluster.start(0)
        try await cluster.eventually { cluster.leader != nil }
      }
    }
  }

  @Test func aClientGoesOnAtAnotherReplicaWithoutGapOrDuplicate() async throws {
    try await withMetaCluster { cluster in
      let writer = try await cluster.bootstrapped()
      let follower = await cluster.client()
      try await follower.wait(for: writer.image.index)
      var seen: [UInt64] = []
      var broken = 0
      follower.observe { change in
        guard let record = change.record else { return }
        if record.previousIndex != change.before.index { broken += 1 }
        seen.append(record.index)
      }
      let start = follower.image.index
      var appended: [UInt64] = []
      for round in 0..<3 {
        for number in 0..<10 {
          appended.append(
            try await writer.append(
              [.setSetting(name: "n", value: "\(round) \(number)")], timeoutMilliseconds: 15_000
            ).index)
        }
        let followed = try #require(cluster.endpoints.firstIndex { $0 == follower.followed })
        await cluster.stop(followed)
        appended.append(
          try await writer.append([.setSetting(name: "r", value: "\(round)")], timeoutMilliseconds: 15_000).index)
        try await follower.wait(for: appended[appended.count - 1], timeoutMilliseconds: 15_000)
        try await cluster.start(followed)
      }
      #expect(seen == appended.filter { $0 > start })
      #expect(broken == 0)
      #expect(follower.image == writer.image)
    }
  }

  @Test func aStalledSubscriberHoldsUpNobody() async throws {
    try await withMetaCluster(1) { cluster in
      let client = try await cluster.bootstrapped()
      let channel = RPCChannel(host: "127.0.0.1", port: cluster.endpoints[0].port)
      defer { channel.close() }
      var request = MetadataSubscription.Request()
      request.families = []
      // Nothing is ever read from it.
      let stalled = MetadataSubscription(request, on: channel)
      defer { stalled.cancel() }
      for number in 0..<15 {
        _ = try await client.append(
          (0..<40).map { .setSetting(name: "m\($0)", value: String(repeating: "\(number % 10)", count: 2_000)) })
      }
      // Once it reads, it gets all of it, in order.
      var image = Image()
      while image.index < client.image.index {
        switch try await stalled.next() {
        case .record(let record):
          try #require(record.continues(image))
          image.apply(record)
        case .bookmark, .heartbeat: break
        case .image, nil:
          Issue.record("the stream ended or jumped")
          return
        }
      }
      #expect(image == client.image)
    }
  }

  @Test func aClientOfAnotherClusterIsToldSo() async throws {
    try await withMetaCluster(1) { cluster in
      let error = await #expect(throws: MetadataError.self) {
        try await history(cluster, node: 0) { $0.clusterID = ClusterID(rawValue: [UInt8](repeating: 1, count: 16)) }
      }
      #expect(error == .refused("this meta node belongs to another cluster"))
    }
  }

  @Test func aWaitForAnIndexThatDoesNotComeEnds() async throws {
    try await withMetaCluster(1) { cluster in
      let client = try await cluster.bootstrapped()
      let reached = client.image.index
      let error = await #expect(throws: MetadataError.self) {
        try await client.wait(for: reached + 100, timeoutMilliseconds: 50)
      }
      #expect(error == .timedOut(index: reached + 100, reached: reached))
    }
  }

  @Test func statusTellsWhoLeadsAndHowFarItIs() async throws {
    try await withMetaCluster { cluster in
      let client = try await cluster.bootstrapped()
      let leader = try #require(cluster.leader)
      let channel = RPCChannel(host: "127.0.0.1", port: cluster.endpoints[leader].port)
      defer { channel.close() }
      let status = try await MetadataStatus.ask(channel, timeoutMilliseconds: 5_000)
      #expect(status.role == "leader")
      #expect(status.nodeID.rawValue == UInt64(leader + 1))
      #expect(status.clusterID == MetaCluster.id)
      #expect(status.recordIndex == client.image.index)
      #expect(status.recordHash == client.image.hash)
      #expect(status.members.count == 3)
    }
  }
}
