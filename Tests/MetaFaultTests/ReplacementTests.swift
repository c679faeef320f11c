import EventLoop
import Foundation
import Testing

extension MetaFaults {
  /// Changes of members with the operator's own commands, under load.
  @Suite
  @LoopActor
  struct ReplacementTests {
    @Test("Three nodes are replaced one after another under load, and no acknowledged append is lost")
    func replaceAll() async throws {
      try await withMetaProcesses { group in
        let load = RecordedLoad(group)
        await load.start()
        try await load.progress(50)
        let operators = group.group()
        for old in UInt64(1)...3 {
          let new = old + 3
          try group.join(new)
          let endpoint = group.nodes[new]!.endpoint
          let result = try await group.kunlog([
            "meta", "member", "replace", "\(old)", "--with", "\(new)=\(endpoint)", "--timeout", "30",
          ])
          #expect(result.code == .code(0), "\(result.errors)")
          try await load.progress(50)
          #expect(try await operators.membership().members.count == 3)
          // The one that went finds out by itself.
          try await group.eventually("node \(old) ends") { group.exit(old) != nil }
          #expect(group.exit(old) == .code(3))
        }
        let members = try await operators.membership().members.map(\.nodeID.rawValue)
        #expect(members == [4, 5, 6])
        print("three nodes replaced: \(load.summary)")
        try await load.check()
      }
    }

    @Test("The leadership is handed over under load without an append that fails")
    func transfer() async throws {
      try await withMetaProcesses { group in
        let load = RecordedLoad(group)
        await load.start(readersOf: [1])
        try await load.progress()
        for _ in 0..<5 {
          let result = try await group.kunlog(["meta", "transfer", "--json"])
          #expect(result.code == .code(0), "\(result.errors)")
          try await load.progress()
        }
        #expect(load.unknown == 0)
        print("five transfers: \(load.summary)")
        try await load.check()
      }
    }
  }
}
