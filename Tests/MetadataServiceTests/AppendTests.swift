import EventLoop
import Metadata
import MetadataClient
import MetadataService
import ProtocolMetadata
import RPC
import SQLTypes
import Testing

@Suite(.serialized) struct AppendTests {
  @Test func anAppendIsSeenByEveryReplicaAndEveryClient() async throws {
    try await withMetaCluster { cluster in
      let client = try await cluster.bootstrapped()
      let result = try await client.append([table("t")])
      #expect(result.events.map(\.kind) == ["TableCreated", "TabletCreated"])
      #expect(client.image.relation(named: "t", in: WellKnown.publicSchema) != nil)
      for node in 0..<3 {
        let other = await cluster.client(of: node)
        try await other.wait(for: result.index)
        #expect(other.image == client.image)
      }
    }
  }

  @Test func aRejectionReachesTheClientAsPostgreSQLsError() async throws {
    try await withMetaCluster(1) { cluster in
      let client = try await cluster.bootstrapped()
      _ = try await client.append([table("t")])
      let error = await #expect(throws: MetadataError.self) { try await client.append([table("t")]) }
      #expect(error == .rejected(Rejection(.duplicateTable, "relation \"t\" already exists")))
    }
  }

  @Test func appendsThatAreInFlightTogetherAreDecidedOneAfterTheOther() async throws {
    try await withMetaCluster { cluster in
      let client = try await cluster.bootstrapped()
      let creations = (0..<8).map { _ in
        Task { @LoopActor in
          do {
            _ = try await client.append([table("same")])
            return "created"
          } catch { return "\(error)" }
        }
      }
      let settings = (0..<16).map { _ in
        Task { @LoopActor in
          do {
            return try await client.append([.setSetting(name: "a", value: "1")]).events.isEmpty ? "found" : "set"
          } catch { return "\(error)" }
        }
      }
      var outcomes: [String: Int] = [:]
      for task in creations + settings { outcomes[await task.value, default: 0] += 1 }
      #expect(
        outcomes == ["created": 1, "relation \"same\" already exists (SQLSTATE 42P07)": 7, "set": 1, "found": 15])
    }
  }

  @Test func aRetryGetsTheFirstResultAfterTheLeaderHasGoneToo() async throws {
    try await withMetaCluster { cluster in
      let client = try await cluster.bootstrapped()
      _ = try await client.append([
        .createSequence(
          SequenceDraft(schemaID: WellKnown.publicSchema, name: "s", ownerID: WellKnown.firstRole))
      ])
      let id = try #require(client.image.relation(named: "s", in: WellKnown.publicSchema)).id
      let request = AppendRequest(
        principal: "tester", requestID: RequestID(client: "me", sequence: 1),
        commands: [.reserveSequence(id, count: 10)])
      let first = try await client.append(request)
      #expect(first.events == [.sequenceReserved(id, first: 1, last: 10, count: 10)])
      #expect(try await client.append(request) == first)
      await cluster.stop(try #require(cluster.leader))
      #expect(try await client.append(request, timeoutMilliseconds: 15_000) == first)
      #expect(client.image.sequences[id]?.lastReserved == 10)
    }
  }

  @Test func aFollowerNamesTheLeader() async throws {
    try await withMetaCluster { cluster in
      _ = try await cluster.bootstrapped()
      let leader = try #require(cluster.leader)
      let follower = (leader + 1) % 3
      try await cluster.eventually { cluster.nodes[follower]?.status.leaderID == UInt64(leader + 1) }
      let channel = RPCChannel(host: "127.0.0.1", port: cluster.endpoints[follower].port)
      defer { channel.close() }
      let method = RPCMethod<Kunlog_Metadata_V1_AppendRequest, Kunlog_Metadata_V1_AppendResponse>(
        path: "/kunlog.metadata.v1.Metadata/Append")
      let response = try await channel.unary(
        method, .with { $0.commands = [.with { $0.setSetting = .with { $0.name = "a" } }] }, timeoutMilliseconds: 5_000)
      #expect(response.notLeader.leaderNodeID == UInt64(leader + 1))
      #expect(response.notLeader.leaderAddress == cluster.endpoints[leader].description)
    }
  }

  @Test func requestsThatMakeNoSenseAreRefusedAndNothingElseNotices() async throws {
    try await withMetaCluster(1) { cluster in
      let client = try await cluster.bootstrapped()
      let channel = RPCChannel(host: "127.0.0.1", port: cluster.endpoints[0].port)
      defer { channel.close() }
      let method = RPCMethod<Kunlog_Metadata_V1_AppendRequest, Kunlog_Metadata_V1_AppendResponse>(
        path: "/kunlog.metadata.v1.Metadata/Append")
      let foreign = await #expect(throws: RPCError.self) {
        try await channel.unary(
          method, .with { $0.clusterID = .init([1, 2, 3]) }, timeoutMilliseconds: 5_000)
      }
      #expect(foreign?.code == .failedPrecondition)
      let unknown = await #expect(throws: RPCError.self) {
        try await channel.unary(method, .with { $0.commands = [.init()] }, timeoutMilliseconds: 5_000)
      }
      #expect(unknown?.code == .invalidArgument)
      let empty = try await channel.unary(method, .init(), timeoutMilliseconds: 5_000)
      #expect(empty.rejected.message == "the request holds no command")
      _ = try await client.append([table("t")])
    }
  }

  @Test func everythingThatWasAnsweredIsThereAfterAllHaveStopped() async throws {
    try await withMetaCluster { cluster in
      let client = try await cluster.bootstrapped()
      for number in 0..<20 { _ = try await client.append([table("t\(number)")]) }
      let before = client.image
      // One node restarts from a snapshot, the others from their logs.
      _ = try await cluster.nodes[0]?.takeSnapshot()
      for node in 0..<3 { await cluster.stop(node) }
      for node in 0..<3 { try await cluster.start(node) }
      try await cluster.eventually { cluster.leader != nil }
      for node in 0..<3 {
        let other = await cluster.client(of: node)
        try await other.catchUp()
        #expect(other.image == before)
      }
      _ = try await client.append([table("later")], timeoutMilliseconds: 15_000)
    }
  }
}
