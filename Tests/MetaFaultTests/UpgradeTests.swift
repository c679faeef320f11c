import EventLoop
import Foundation
import Metadata
import MetadataClient
import Testing

extension MetaFaults {
  /// From one feature level to the next, process by process.
  @Suite
  @LoopActor
  struct UpgradeTests {
    /// What makes a process behave as a program of level 2.
    private static let older = ["/usr/bin/env", "KUNLOG_FEATURE_LEVEL=2"]

    private func transaction(_ sequence: UInt64) -> Command {
      .transaction(
        .decide(
          GlobalTransactionID(coordinator: NodeID(rawValue: 1), incarnation: 1, sequence: sequence), .commit,
          participants: [ShardID(rawValue: 1)]))
    }

    private func log(_ group: MetaProcesses, _ id: UInt64) -> String {
      (try? FileSystem.readText(group.logFile(id))) ?? ""
    }

    @Test(
      "Three meta nodes and a compute node go from level 2 to level 3 under load; older ones are refused from then on")
    func rollingUpgrade() async throws {
      let group = try await MetaProcesses.start(prefixes: Array(repeating: Self.older, count: 3))
      do { try await upgrade(group) } catch {
        await group.stop()
        throw error
      }
      await group.stop()
    }

    private func upgrade(_ group: MetaProcesses) async throws {
      let load = RecordedLoad(group)
      await load.start()
      try await load.progress(50)
      try group.startCompute(21, prefix: Self.older)
      try await group.eventually("the older compute node is ready") { log(group, 21).contains("ready") }
      let client = group.client()
      await client.ready()
      #expect(client.image.featureLevel == 2)
      let storage = NodeDefinition(id: NodeID(rawValue: 9), role: .storage, name: "s", host: "127.0.0.1", port: 1)
      _ = try await client.append([.registerNode(storage), .createShard(ShardDraft(replicas: [storage.id]))])
      try await refuses(client)

      // While one node is older, the cluster stays where it is.
      for id in UInt64(1)...2 { try await restart(group, load, id) }
      let early = try await group.kunlog(["cluster", "upgrade"])
      #expect(early.code == .code(1))
      #expect(early.errors.contains("meta-3 (node 3) understands level 2 only"), "\(early.errors)")
      try await restart(group, load, 3)
      try await refuses(client)

      // The storage node of this test is a name only: it does not answer.
      let late = try await group.kunlog(["cluster", "upgrade", "--force"])
      #expect(late.code == .code(0), "\(late.errors)")
      #expect(late.output == "the cluster is at feature level 3\n")
      let result = try await client.append([transaction(1)])
      #expect(result.events.map(\.kind) == ["TransactionDecided"])
      try await load.progress(50)

      // The compute node that was left behind ends, and says why; a newer one takes its place.
      try await group.eventually("the older compute node ends") { group.exit(21) != nil }
      #expect(group.exit(21) == .code(1))
      #expect(log(group, 21).contains("the cluster is at feature level 3, this program understands 2"))
      try group.startCompute(22)
      try await group.eventually("the newer compute node is ready") { log(group, 22).contains("ready") }
      try group.startCompute(23, prefix: Self.older)
      try await group.eventually("an older compute node does not start") { group.exit(23) != nil }
      #expect(group.exit(23) == .code(1))

      // So does a meta node that somebody starts with the older program, and it loses nothing.
      try await group.kill(2, SIGTERM)
      group.setPrefix(2, Self.older)
      try group.start(2)
      try await group.eventually("an older meta node ends") { group.exit(2) != nil }
      #expect(group.exit(2) == .code(1))
      #expect(log(group, 2).contains("run a newer version of kunlog"), "\(log(group, 2))")
      group.setPrefix(2, [])
      try group.start(2)
      try await load.progress(50)
      print("rolling upgrade: \(load.summary)")
      try await load.check()
    }

    private func restart(_ group: MetaProcesses, _ load: RecordedLoad, _ id: UInt64) async throws {
      try await group.kill(id, SIGTERM)
      group.setPrefix(id, [])
      try group.start(id)
      try await load.progress(50)
    }

    private func refuses(_ client: MetadataClient) async throws {
      let error = await #expect(throws: MetadataError.self) { try await client.append([transaction(7)]) }
      guard case .rejected(let rejection) = error else {
        Issue.record("not refused: \(String(describing: error))")
        return
      }
      #expect(
        rejection.message == "transactions over several shards need feature level 3, and the cluster is at 2")
    }
  }
}
