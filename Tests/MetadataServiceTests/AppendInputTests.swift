import EventLoop
import Metadata
import MetadataClient
import MetadataService
import MetadataWire
import ProtocolMetadata
import RPC
import SQLTypes
import Testing

@Suite(.serialized) struct AppendInputTests {
  private static let method = RPCMethod<Kunlog_Metadata_V1_AppendRequest, Kunlog_Metadata_V1_AppendResponse>(
    path: "/kunlog.metadata.v1.Metadata/Append")

  @LoopActor
  private func rejection(_ client: MetadataClient, _ request: AppendRequest) async -> Rejection? {
    do throws(MetadataError) {
      _ = try await client.append(request, timeoutMilliseconds: 60_000)
      return nil
    } catch {
      guard case .rejected(let rejection) = error else { return nil }
      return rejection
    }
  }

  @Test func anAppendThatExpectsAnotherVersionIsToldWhichOneThereIs() async throws {
    try await withMetaCluster(1) { cluster in
      let client = try await cluster.bootstrapped()
      let created = try await client.append([table("t")]).index
      let id = try #require(client.image.relation(named: "t", in: WellKnown.publicSchema)).id
      let late = AppendRequest(
        principal: "tester", preconditions: [Precondition(objectID: id, version: created - 1)],
        commands: [.truncateTables([id], restartsSequences: false)])
      let rejection = await rejection(client, late)
      #expect(rejection?.sqlState.rawValue == "40001")
      #expect(rejection?.detail == "Expected version \(created - 1), found \(created).")
      #expect(client.image.index == created)
    }
  }

  @Test func aRequestThatBearsTheNameOfAnotherOneIsNotTakenForItsRepetition() async throws {
    try await withMetaCluster { cluster in
      let client = try await cluster.bootstrapped()
      let id = RequestID(client: "me", sequence: 1)
      func note(_ text: String, principal: String = "tester") -> AppendRequest {
        AppendRequest(
          principal: principal, requestID: id, commands: [.recordNote(topic: "t", content: Array(text.utf8))])
      }
      let first = try await client.append(note("first"))
      #expect(try await client.append(note("first")) == first)
      for other in [
        note("other"), note("first", principal: "somebody else"),
        AppendRequest(principal: "tester", requestID: id, commands: [.setSetting(name: "a", value: "1")]),
        AppendRequest(principal: "tester", requestID: id, commands: [table("u")]),
      ] {
        let rejection = await rejection(client, other)
        #expect(rejection?.message == "request 1 of me was asked before with other content")
        #expect(rejection?.detail == "It has become record \(first.index). What is asked for now was not carried out.")
      }
      // The next leader knows it too.
      await cluster.stop(try #require(cluster.leader))
      #expect(try await client.append(note("first"), timeoutMilliseconds: 15_000) == first)
      #expect(await rejection(client, note("other")) != nil)
      #expect(client.image.notes["t"]?.count == 1)
      #expect(client.image.settings["a"] == nil)
    }
  }

  @Test func aLevelThatTheLeaderDoesNotUnderstandIsRefused() async throws {
    try await withMetaCluster(1) { cluster in
      let client = try await cluster.bootstrapped()
      let request = AppendRequest(principal: "tester", commands: [.raiseFeatureLevel(FeatureLevel.current + 1)])
      let rejection = await rejection(client, request)
      #expect(rejection?.sqlState.rawValue == "0A000")
      #expect(rejection?.hint == "Run a newer version of kunlog.")
    }
  }

  @Test func aRecordThatWouldBeTooLargeIsRefusedAndTheNextOneIsTaken() async throws {
    try await withMetaCluster(1) { cluster in
      let client = try await cluster.bootstrapped()
      let before = client.image.index
      let large = [UInt8](repeating: 65, count: 65_536)
      let request = AppendRequest(
        principal: "tester", commands: (0..<140).map { .recordNote(topic: "t\($0)", content: large) })
      let rejection = await rejection(client, request)
      #expect(rejection?.sqlState.rawValue == "54000")
      #expect(rejection?.message == "the change is too large: its record may have 8388608 bytes at most")
      #expect(client.image.index == before)
      // Beyond what a message may have it is not even read.
      let channel = RPCChannel(host: "127.0.0.1", port: cluster.endpoints[0].port)
      defer { channel.close() }
      let enormous = AppendRequest(
        principal: "tester", commands: (0..<300).map { .recordNote(topic: "t\($0)", content: large) })
      let error = await #expect(throws: RPCError.self) {
        try await channel.unary(Self.method, enormous.wire(clusterID: nil), timeoutMilliseconds: 5_000)
      }
      #expect(error?.code == .resourceExhausted)
      _ = try await client.append([.setSetting(name: "a", value: "1")])
    }
  }
}
