import EventLoop
import Metadata
import MetadataClient
import MetadataService
import RPC
import Testing

@Suite(.serialized) struct HistoryTests {
  /// All records that a node gives, its archive included.
  @LoopActor
  static func records(_ cluster: MetaCluster, node: Int) async throws -> [Record] {
    let channel = RPCChannel(host: "127.0.0.1", port: cluster.endpoints[node].port)
    defer { channel.close() }
    var request = MetadataSubscription.Request()
    request.endsAtPresent = true
    request.readsArchive = true
    let subscription = MetadataSubscription(request, on: channel)
    var records: [Record] = []
    while let message = try await subscription.next() {
      if case .record(let record) = message { records.append(record) }
    }
    return records
  }

  /// A history with tables, settings and notes, compacted now and then.
  @LoopActor
  static func fill(_ cluster: MetaCluster, _ client: MetadataClient, records: Int) async throws {
    for number in 0..<records {
      let setting = Command.setSetting(name: "n", value: "\(number)")
      let command =
        number % 7 == 3 ? table("t\(client.image.index)") : number % 3 == 1 ? setting : note("topic \(number % 5)")
      _ = try await client.append([command])
      if number % 100 == 99 { for node in cluster.nodes { try await node?.takeSnapshot() } }
    }
    try await cluster.eventually { cluster.nodes.allSatisfy { $0?.image.index == client.image.index } }
  }

  private static func note(_ topic: String) -> Command { .recordNote(topic: topic, content: Array("content".utf8)) }

  @Test func theImageAtAnEarlierIndexIsTheFoldOfTheRecordsUntilThen() async throws {
    try await withMetaCluster(keptEntries: 20, adjust: { $0.segmentBytes = 4096 }) { cluster in
      let client = try await cluster.bootstrapped()
      try await Self.fill(cluster, client, records: 350)
      let records = try await Self.records(cluster, node: 1)
      #expect(records.count == 351)
      var images: [UInt64: Image] = [:]
      var image = Image()
      for record in records {
        image.apply(record)
        images[record.index] = image
      }
      for node in 0..<3 {
        let one = await cluster.client(of: node)
        for _ in 0..<34 {
          let record = try #require(records.randomElement())
          #expect(try await one.image(at: .index(record.index)) == images[record.index])
        }
        #expect(try await one.image(at: .index(0)) == Image())
        #expect(try await one.image(at: .index(client.image.index)) == client.image)
        let middle = records[200]
        let before = try await one.image(at: .time(microseconds: middle.timeMicroseconds - 1))
        let expected = records.prefix { $0.timeMicroseconds < middle.timeMicroseconds }.last
        #expect(before == expected.flatMap { images[$0.index] })
      }
    }
  }

  @Test func aMomentThatIsStillToComeIsRefused() async throws {
    try await withMetaCluster(1) { cluster in
      let client = try await cluster.bootstrapped()
      let future = await #expect(throws: MetadataError.self) { try await client.image(at: .index(1_000_000)) }
      #expect(future?.description.contains("index 1000000 is still to come: the log is at index") == true)
      let later = Loop.wallClockMicroseconds() + 60_000_000
      let tomorrow = await #expect(throws: MetadataError.self) {
        try await client.image(at: .time(microseconds: later))
      }
      #expect(tomorrow?.description.contains("still to come") == true)
    }
  }

  @Test func whereTheHistoryDoesNotReachBackSoFarItIsSaidFromWhereItDoes() async throws {
    let adjust = { (configuration: inout MetaNodeConfiguration) in
      configuration.segmentBytes = 4096
      configuration.archiveBytes = 0
    }
    try await withMetaCluster(1, keptEntries: 2, adjust: adjust) { cluster in
      let client = try await cluster.bootstrapped()
      for number in 0..<120 { _ = try await client.append([.setSetting(name: "n", value: "\(number)")]) }
      _ = try await cluster.nodes[0]?.takeSnapshot()
      let snapshot = client.image.index
      let atSnapshot = client.image
      for number in 0..<5 { _ = try await client.append([.setSetting(name: "m", value: "\(number)")]) }
      let error = await #expect(throws: MetadataError.self) { try await client.image(at: .index(3)) }
      guard case .compacted(let text) = error else {
        Issue.record("not compacted: \(String(describing: error))")
        return
      }
      #expect(text.contains("reaches back to index \(snapshot) only"))
      #expect(try await client.image(at: .index(snapshot)) == atSnapshot)
      #expect(try await client.image(at: .index(snapshot + 2)).settings["m"] == "1")
    }
  }

  @Test func everyRecordIsProvedAgainstEveryHeadAtEachNode() async throws {
    try await withMetaCluster(3, keptEntries: 20, adjust: { $0.segmentBytes = 4096 }) { cluster in
      let client = try await cluster.bootstrapped()
      try await Self.fill(cluster, client, records: 120)
      let early = try await client.head()
      try await Self.fill(cluster, client, records: 80)
      let records = try await Self.records(cluster, node: 0)
      let head = try await client.head()
      #expect(head.count == 201)
      #expect(head.recordIndex == records.last?.index)
      #expect(head.chainHash == records.last?.hash)
      #expect(head.firstIndex == records.first?.index)
      for node in 0..<3 {
        // A node that has just restarted makes its nodes again from the log.
        if node == 2 {
          await cluster.stop(2)
          try await cluster.start(2)
        }
        let one = await cluster.client(of: node)
        try await one.wait(for: head.recordIndex)
        #expect(try await one.head() == head)
        #expect(try await one.head(count: early.count) == early)
        for number in [0, 1, 63, 64, 119, 120, 200] {
          let proof = try await one.proof(of: records[number].index)
          #expect(proof.head == head)
          #expect(proof.record == records[number])
          #expect(proof.leaf == UInt64(number))
        }
        #expect(try await one.proof(of: records[100].index, count: early.count).head == early)
        let consistency = try await one.consistency(from: early.count)
        #expect(consistency.first == early && consistency.second == head)
        let late = await #expect(throws: MetadataError.self) {
          try await one.proof(of: records[150].index, count: early.count)
        }
        #expect(late?.description.contains("is no record of the first \(early.count) of the tree") == true)
      }
    }
  }

  @Test func aDamagedRecordTreeIsMadeAgain() async throws {
    try await withMetaCluster(1, adjust: { $0.segmentBytes = 4096 }) { cluster in
      let client = try await cluster.bootstrapped()
      try await Self.fill(cluster, client, records: 50)
      let records = try await Self.records(cluster, node: 0)
      let proof = try await client.proof(of: records[3].index)
      let path = cluster.directory + "/meta1/metadata/record-tree"
      var bytes = try FileSystem.read(path)
      for position in bytes.indices.dropFirst(4096) { bytes[position] ^= 4 }
      try FileSystem.write(path, bytes)
      // The client asks again until it is there.
      let again = try await client.proof(of: records[3].index)
      #expect(again.path == proof.path)
      #expect(again.head == proof.head)
      #expect(try FileSystem.read(path) != bytes)
    }
  }

  @Test func imagesAlongTheArchiveServeThePastAndAreReplacedWhereDamaged() async throws {
    let adjust = { (configuration: inout MetaNodeConfiguration) in
      configuration.segmentBytes = 4096
      configuration.imageDistance = 40
    }
    try await withMetaCluster(1, keptEntries: 5, adjust: adjust) { cluster in
      let client = try await cluster.bootstrapped()
      try await Self.fill(cluster, client, records: 220)
      let archive = cluster.directory + "/meta1/metadata/log/archive"
      func images() -> [String] {
        ((try? FileSystem.list(archive)) ?? []).filter { $0.hasSuffix(".image") }.sorted()
      }
      try await cluster.eventually { images().count >= 4 }
      let records = try await Self.records(cluster, node: 0)
      var image = Image()
      var past: [UInt64: Image] = [:]
      for record in records {
        image.apply(record)
        past[record.index] = image
      }
      await cluster.stop(0)
      let damaged = archive + "/" + images()[1]
      var bytes = try FileSystem.read(damaged)
      bytes[bytes.count / 2] ^= 1
      try FileSystem.write(damaged, bytes)
      try await cluster.start(0)
      try await cluster.eventually { cluster.leader != nil }
      for record in records.shuffled().prefix(60) {
        #expect(try await client.image(at: .index(record.index)) == past[record.index])
      }
      for number in [5, 100, 215] {
        let time = records[number].timeMicroseconds
        let expected = records.prefix { $0.timeMicroseconds <= time }.last?.index ?? 0
        #expect(try await client.image(at: .time(microseconds: time)) == past[expected])
      }
      // Whoever came to the damaged one has set it aside, and it was made again.
      let index = try #require(UInt64(damaged.split(separator: "/").last?.prefix(20) ?? ""))
      #expect(try await client.image(at: .index(index + 1)).index == index + 1)
      try await cluster.eventually { (try? FileSystem.read(damaged)).map { $0 != bytes } ?? false }
    }
  }
}
