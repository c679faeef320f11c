import EventLoop
import Metadata
import MetadataClient
import MetadataService
import Testing

@Suite(.serialized) struct RecordsTests {
  /// Takes steps up to an index; checks that each continues the one before.
  @LoopActor
  private func steps(
    _ records: LogRecords, until index: UInt64
  ) async throws -> [MetadataClient.Change] {
    var steps: [MetadataClient.Change] = []
    for try await step in records {
      if let last = steps.last { #expect(step.before == last.after) }
      if let record = step.record {
        #expect(record.continues(step.before))
        #expect(step.after.index == record.index)
      }
      steps.append(step)
      if step.after.index >= index { break }
    }
    return steps
  }

  @Test func recordsComeWithTheImagesBeforeAndAfterThem() async throws {
    try await withMetaCluster { cluster in
      let client = try await cluster.bootstrapped()
      var appended = [client.image.index]
      for number in 0..<5 {
        appended.append(try await client.append([.setSetting(name: "n", value: "\(number)")]).index)
      }
      let all = try await steps(client.records(from: .beginning), until: appended[5])
      #expect(all.compactMap(\.record?.index) == appended)
      #expect(all[0].before == Image())
      #expect(all.map { $0.after.settings["n"] } == [nil, "0", "1", "2", "3", "4"])
      let present = client.image
      #expect(all.last?.after == present)
      let rest = try await steps(client.records(from: .after(appended[2])), until: appended[5])
      #expect(rest.compactMap(\.record?.index) == Array(appended[3...]))
      #expect(rest.map { $0.before.settings["n"] } == ["1", "2", "3"])
    }
  }

  @Test func aConsumerHasEveryRecordOnceWhileReplicasComeAndGo() async throws {
    try await withMetaCluster { cluster in
      let client = try await cluster.bootstrapped()
      let reader = await cluster.client()
      let consumer = Task { @LoopActor in
        var seen: [UInt64] = []
        for try await step in reader.records(from: .beginning) {
          seen.append(try #require(step.record).index)
          if step.after.settings["end"] != nil { break }
        }
        return seen
      }
      var appended = [client.image.index]
      for round in 0..<6 {
        for number in 0..<10 {
          let command = Command.setSetting(name: "n", value: "\(round) \(number)")
          appended.append(try await client.append([command], timeoutMilliseconds: 15_000).index)
        }
        await cluster.stop(round % 3)
        appended.append(
          try await client.append([.setSetting(name: "r", value: "\(round)")], timeoutMilliseconds: 15_000).index)
        try await cluster.start(round % 3)
      }
      appended.append(
        try await client.append([.setSetting(name: "end", value: "1")], timeoutMilliseconds: 15_000).index)
      #expect(try await consumer.value == appended)
    }
  }

  @Test func aSlowConsumerLeavesWhatItHasNotTakenAtTheMetaNode() async throws {
    try await withMetaCluster(1) { cluster in
      let client = try await cluster.bootstrapped()
      var iterator = client.records(from: .after(client.image.index), bufferedSteps: 2).makeAsyncIterator()
      var appended: [UInt64] = []
      let content = [UInt8](repeating: 65, count: 60_000)
      for _ in 0..<60 {
        appended.append(try await client.append([.recordNote(topic: "t", content: content)]).index)
        if appended.count == 1 { #expect(try await iterator.next()?.record?.index == appended[0]) }
      }
      // 3.6 MB have been appended: flow control holds most of them back.
      try await loopSleep(milliseconds: 100)
      #expect(try #require(cluster.nodes[0]).subscribers.count == 2)
      var seen = [appended[0]]
      while seen.count < appended.count { seen.append(try #require(try await iterator.next()?.record).index) }
      #expect(seen == appended)
    }
  }

  @Test func aFilterLeavesRecordsOutAndImagesWhole() async throws {
    try await withMetaCluster(1) { cluster in
      let client = try await cluster.bootstrapped()
      _ = try await client.append([.setSetting(name: "a", value: "1")])
      _ = try await client.append([table("t")])
      _ = try await client.append([.setSetting(name: "b", value: "2")])
      let last = try await client.append([table("u")]).index
      let records = client.records(from: .beginning, filter: SubscriptionFilter(families: [.placement]))
      var seen: [MetadataClient.Change] = []
      for try await step in records {
        seen.append(step)
        if step.after.index == last { break }
      }
      #expect(
        seen.map { $0.record?.events.map(\.kind) ?? [] } == [
          ["TableCreated", "TabletCreated"], ["TableCreated", "TabletCreated"],
        ])
      #expect(seen.map { $0.before.settings.count } == [1, 2])
      #expect(seen[1].after == client.image)
    }
  }

  @Test func aConsumerThatIsCancelledEnds() async throws {
    try await withMetaCluster(1) { cluster in
      let client = try await cluster.bootstrapped()
      var count = 0
      let consumer = Task { @LoopActor in
        for try await _ in client.records(from: .beginning) { count += 1 }
      }
      try await cluster.eventually { cluster.nodes[0]?.subscribers.count == 2 && count == 1 }
      consumer.cancel()
      try await consumer.value
      #expect(count == 1)
      try await cluster.eventually { cluster.nodes[0]?.subscribers.count == 1 }
    }
  }

  @Test func aConsumerGoesOnAfterTheLastRecordThatItAcknowledged() async throws {
    try await withMetaCluster(1) { cluster in
      let client = try await cluster.bootstrapped()
      var appended = [client.image.index]
      for number in 0..<6 {
        appended.append(try await client.append([.setSetting(name: "n", value: "\(number)")]).index)
      }
      let path = cluster.directory + "/consumer"
      let first = try client.position(in: path)
      #expect(first.index == nil)
      for try await step in client.records(from: .beginning) {
        try await first.acknowledge(step.after.index)
        if step.after.index == appended[3] { break }
      }
      first.close()
      let second = try client.position(in: path)
      #expect(second.index == appended[3])
      let rest = try await steps(client.records(from: .after(try #require(second.index))), until: appended[6])
      #expect(rest.compactMap(\.record?.index) == Array(appended[4...]))
      second.close()
      #expect(try FileSystem.readText(path) == "kunlog-consumer 09090909090909090909090909090909 \(appended[3])\n")
      try FileSystem.write(path, Array("kunlog-consumer 07070707070707070707070707070707 4\n".utf8))
      let other = #expect(throws: MetadataError.self) { try client.position(in: path) }
      #expect(
        other
          == .refused(
            "\(path) is the position of a consumer of cluster 07070707070707070707070707070707,"
              + " this is 09090909090909090909090909090909"))
      try FileSystem.write(path, Array("nonsense".utf8))
      #expect(throws: MetadataError.refused("\(path) holds no position: remove it to begin anew")) {
        try client.position(in: path)
      }
    }
  }

  @Test func whereNoHistoryReachesBackTheFirstStepIsAJump() async throws {
    let cluster = try await MetaCluster.start(1, keptEntries: 2) {
      $0.archiveBytes = 0
      $0.segmentBytes = 4096
    }
    do {
      let client = try await cluster.bootstrapped()
      for number in 0..<100 { _ = try await client.append([.setSetting(name: "n", value: "\(number)")]) }
      _ = try await cluster.nodes[0]?.takeSnapshot()
      // The records in memory would still do: after a restart there are none.
      await cluster.stop(0)
      try await cluster.start(0)
      try await cluster.eventually { cluster.leader != nil }
      let last = try await client.append([.setSetting(name: "n", value: "last")], timeoutMilliseconds: 15_000).index
      let all = try await steps(client.records(from: .beginning), until: last)
      #expect(all[0].record == nil)
      #expect(all[0].before == Image())
      #expect(all[0].events.map(\.kind).contains("ClusterCreated"))
      let present = await client.image
      #expect(all.last?.after == present)
    } catch {
      await cluster.stop()
      throw error
    }
    await cluster.stop()
  }
}
