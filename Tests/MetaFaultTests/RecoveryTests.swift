import EventLoop
import Foundation
import Metadata
import Testing

extension MetaFaults {
  /// An operator who has lost the majority.
  @Suite
  @LoopActor
  struct RecoveryTests {
    @Test(
      "Where two of three are lost, the third goes on alone with all that it held, says so in the log, and grows again")
    func recover() async throws {
      try await withMetaProcesses { group in
        let load = RecordedLoad(group)
        await load.start()
        try await load.progress(50)
        let running = try await group.kunlog(
          ["meta", "recover", "--data", group.nodes[1]!.data, "--yes"], isOffline: true)
        #expect(running.code == .code(1))
        #expect(running.errors.contains("is in use by process"), "\(running.errors)")
        for id in UInt64(1)...3 { try await group.kill(id) }
        await load.stop()

        let survivor = try await group.furthest()
        let data = group.nodes[survivor]!.data
        let asked = try await group.kunlog(["meta", "recover", "--data", data], isOffline: true)
        #expect(asked.output.contains("Out for ever: node"))
        #expect(asked.output.hasSuffix("Nothing was changed.\n"))
        let done = try await group.kunlog(
          ["meta", "recover", "--data", data, "--yes", "--json", "--principal", "erika@ops"], isOffline: true)
        #expect(done.code == .code(0), "\(done.errors)")
        #expect(done.output.contains("\"is_done\" : true"))

        // Alone it has a quorum; every append that was acknowledged is there, since its log was the furthest.
        try group.start(survivor)
        let client = group.client()
        await client.ready()
        _ = try await client.append([.recordNote(topic: "after", content: [1])], timeoutMilliseconds: 15_000)
        let others = [UInt64(1), 2, 3].filter { $0 != survivor }
        try await group.eventually("the lost ones are facts") {
          try await client.catchUp()
          return client.image.removedNodes.map(\.rawValue).sorted() == others
        }
        #expect(client.image.nodes.values.filter { $0.role == .meta }.map(\.id.rawValue) == [survivor])
        let log = try await group.kunlog(["log", "show", "--json"]).output
        let recovery = try #require(log.split(separator: "\n").first { $0.contains("QuorumRecovered") })
        #expect(recovery.contains("erika@ops"))
        #expect(recovery.contains("recovery-\(survivor)-"))

        // One that comes back finds out that it is out.
        try group.start(others[0])
        try await group.eventually("node \(others[0]) ends") { group.exit(others[0]) != nil }
        #expect(group.exit(others[0]) == .code(3))
        // A new one comes in.
        try group.join(4)
        let added = try await group.kunlog([
          "meta", "member", "add", "4=\(group.nodes[4]!.endpoint)", "--timeout", "30",
        ])
        #expect(added.code == .code(0), "\(added.errors)")
        #expect(try await group.group().membership().members.map(\.nodeID.rawValue) == [survivor, 4])
        try await load.check()
      }
    }

    @Test("Old members that are started against all advice do not reach the one that went on without them")
    func ghosts() async throws {
      try await withMetaProcesses { group in
        let load = RecordedLoad(group)
        await load.start()
        try await load.progress(20)
        for id in UInt64(1)...3 { try await group.kill(id) }
        await load.stop()
        let survivor = try await group.furthest()
        let done = try await group.kunlog(
          ["meta", "recover", "--data", group.nodes[survivor]!.data, "--yes"], isOffline: true)
        #expect(done.code == .code(0), "\(done.errors)")
        // Two of the old three are a majority of the old group: they elect, in a higher term than the survivor's.
        for id in UInt64(1)...3 where id != survivor { try group.start(id) }
        try await loopSleep(milliseconds: 1_000)
        try group.start(survivor)
        try await loopSleep(milliseconds: 1_000)
        let survivors = group.client(of: survivor)
        await survivors.ready()
        let result = try await survivors.append(
          [.recordNote(topic: "alone", content: [1])], timeoutMilliseconds: 15_000)
        #expect(survivors.image.index >= result.index)
        #expect(group.exit(survivor) == nil)
        let text = try FileSystem.readText(group.logFile(survivor))
        #expect(!text.contains("two leaders"))
        #expect(text.contains("leader \(survivor)"))
      }
    }
  }
}

@LoopActor
extension MetaProcesses {
  /// Of nodes that do not run, the one whose log ends last.
  func furthest() async throws -> UInt64 {
    struct Report: Decodable {
      var lastIndex: UInt64
      var lastTerm: UInt64
    }
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    var best: (node: UInt64, term: UInt64, index: UInt64) = (0, 0, 0)
    for node in nodes.values.sorted(by: { $0.id < $1.id }) {
      let result = try await kunlog(["meta", "recover", "--data", node.data, "--dry-run", "--json"], isOffline: true)
      let report = try decoder.decode(Report.self, from: Data(result.output.utf8))
      if (report.lastTerm, report.lastIndex) > (best.term, best.index) {
        best = (node.id, report.lastTerm, report.lastIndex)
      }
    }
    return best.node
  }
}
