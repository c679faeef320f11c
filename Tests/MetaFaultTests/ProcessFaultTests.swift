import EventLoop
import Foundation
import Testing

extension MetaFaults {
  /// Processes that die, and processes that stand still.
  @Suite
  @LoopActor
  struct ProcessFaultTests {
    @Test("Leaders and followers are killed with kill -9 under load, and what was acknowledged is there, in one order")
    func kill() async throws {
      try await withMetaProcesses { group in
        let load = RecordedLoad(group)
        await load.start()
        try await load.progress()
        for round in 0..<4 {
          let leader = try await group.leader()
          let victim = round % 2 == 0 ? leader : leader % 3 + 1
          try await group.kill(victim)
          try await load.progress()
          try group.start(victim)
          try await load.progress()
        }
        try await load.check()
        print("kill -9: \(load.summary)")
      }
    }

    @Test("All three are killed at once, and come back with all that was acknowledged")
    func killAll() async throws {
      try await withMetaProcesses { group in
        let load = RecordedLoad(group)
        await load.start()
        try await load.progress(50)
        for id in UInt64(1)...3 { group.signal(id, SIGKILL) }
        for id in UInt64(1)...3 { try await group.kill(id) }
        for id in UInt64(1)...3 { try group.start(id) }
        try await load.progress()
        try await load.check()
        print("kill -9 of all: \(load.summary)")
      }
    }

    @Test(
      "A leader that stands still for longer than the election timeout answers no read from the past when it goes on")
    func pause() async throws {
      try await withMetaProcesses { group in
        let load = RecordedLoad(group)
        await load.start()
        try await load.progress()
        for _ in 0..<3 {
          let leader = try await group.leader()
          group.signal(leader, SIGSTOP)
          // The others elect and acknowledge; reads pile up at the one that stands still, and are its first work afterwards.
          try await load.progress(40)
          group.signal(leader, SIGCONT)
          try await load.progress()
        }
        try await load.check()
        print("SIGSTOP: \(load.summary)")
      }
    }

    @Test("A node that was removed while it was dead ends by itself, and says why")
    func removedWhileDead() async throws {
      try await withMetaProcesses { group in
        let victim = try await group.leader() % 3 + 1
        try await group.kill(victim)
        let removal = try await group.kunlog(["meta", "member", "remove", "\(victim)", "--json"])
        #expect(removal.code == .code(0), "\(removal.errors)")
        #expect(removal.output.contains("\"standing\" : \"voter\""))
        try group.start(victim)
        try await group.eventually("node \(victim) ends") { group.exit(victim) != nil }
        #expect(group.exit(victim) == .code(3))
        let log = try FileSystem.readText(group.logFile(victim))
        #expect(log.contains("node \(victim) was removed from the group of meta nodes"))
      }
    }
  }
}
