import EventLoop
import Metadata
import MetadataClient
import MetadataService
import ProtocolMetadata
import RPC
import Testing

@Suite(.serialized) struct AppendStreamTests {
  private typealias Request = Kunlog_Metadata_V1_AppendRequest
  private static let method = RPCMethod<Kunlog_Metadata_V1_AppendRequest, Kunlog_Metadata_V1_AppendResponse>(
    path: "/kunlog.metadata.v1.Metadata/AppendStream")

  private func note(_ number: Int, sequence: Int) -> Request {
    .with {
      $0.principal = "tester"
      $0.omitEvents = true
      $0.requestID = .with {
        $0.client = "stream"
        $0.sequence = UInt64(sequence)
      }
      $0.commands = [
        .with {
          $0.recordNote = .with {
            $0.topic = "load"
            $0.content = .init("\(number)".utf8)
          }
        }
      ]
    }
  }

  @Test func requestsAreAnsweredInTheirOrder() async throws {
    try await withMetaCluster { cluster in
      let client = try await cluster.bootstrapped()
      let leader = try #require(cluster.leader)
      let channel = RPCChannel(host: "127.0.0.1", port: cluster.endpoints[leader].port)
      defer { channel.close() }
      let (writer, reader) = channel.bidirectional(Self.method)
      let sending = Task { @LoopActor in
        for number in 0..<500 { try await writer.send(note(number, sequence: number + 1)) }
        // Refused, in its turn; then a retry, which gets its first result.
        try await writer.send(.with { $0.commands = [.with { $0.dropRole = .with { $0.id = 4_711 } }] })
        try await writer.send(note(499, sequence: 500))
        writer.finish()
      }
      var indexes: [UInt64] = []
      var refusals: [String] = []
      while let response = try await reader.next() {
        switch response.kind {
        case .appended(let appended):
          #expect(appended.events.isEmpty)
          indexes.append(appended.index)
        case .rejected(let rejected): refusals.append("\(indexes.count) \(rejected.sqlState)")
        default: Issue.record("\(response)")
        }
      }
      try await sending.value
      #expect(indexes.count == 501)
      #expect(indexes == indexes.sorted())
      #expect(indexes[499] == indexes[500])
      #expect(refusals == ["500 42704"])
      try await client.wait(for: indexes[500])
      #expect(client.image.notes["load"] == NoteTopic(count: 500, lastIndex: indexes[500]))
    }
  }

  @Test func aFollowerAnswersThatItDoesNotLead() async throws {
    try await withMetaCluster { cluster in
      _ = try await cluster.bootstrapped()
      let leader = try #require(cluster.leader)
      let channel = RPCChannel(host: "127.0.0.1", port: cluster.endpoints[(leader + 1) % 3].port)
      defer { channel.close() }
      let (writer, reader) = channel.bidirectional(Self.method)
      try await writer.send(note(1, sequence: 1))
      let response = try await reader.next()
      #expect(response?.notLeader.leaderNodeID == UInt64(leader + 1))
      writer.finish()
      #expect(try await reader.next() == nil)
    }
  }
}
