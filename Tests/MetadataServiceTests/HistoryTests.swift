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
      let command = number % 7 == 3 ? table("t\(number)") : number % 3 == 1 ? setting : note("topic \(number % 5)")
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
}
