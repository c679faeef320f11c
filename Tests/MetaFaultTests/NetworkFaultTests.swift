import EventLoop
import Foundation
import Testing

extension MetaFaults {
  /// Nodes in network namespaces of their own; clients reach all of them all the time.
  @Suite(.enabled(if: FaultyNetwork.missing == nil, Comment(rawValue: FaultyNetwork.missing ?? "")))
  @LoopActor
  struct NetworkFaultTests {
    @Test("On a network that loses and delays packets, appends go on and every read is of the present")
    func lossAndDelay() async throws {
      try await withFaultyNetwork { group, network in
        let load = RecordedLoad(group)
        await load.start()
        try await load.progress()
        try await network.delay(5...25)
        try await load.progress(30)
        try await network.drop(0.03)
        try await load.progress(30)
        try await network.heal()
        try await load.progress()
        try await load.check()
        print("3 % loss, 5 to 25 ms delay: \(load.summary)")
      }
    }

    @Test("A leader that is cut off from the others, but not from its clients, answers no read from the past")
    func isolatedLeader() async throws {
      try await withFaultyNetwork { group, network in
        let load = RecordedLoad(group)
        await load.start()
        try await load.progress()
        for _ in 0..<3 {
          try await network.isolate(try await group.leader())
          try await load.progress(30)
          try await network.heal()
          try await load.progress()
        }
        try await load.check()
        print("leader cut off: \(load.summary)")
      }
    }

    @Test("Links that are broken in one direction, or between two of three, do not stop the group")
    func halfSplits() async throws {
      try await withFaultyNetwork { group, network in
        let load = RecordedLoad(group)
        await load.start()
        try await load.progress()
        // The leader is heard by one follower no more, but hears it.
        var leader = try await group.leader()
        try await network.cut(leader, leader % 3 + 1)
        try await load.progress(30)
        try await network.heal()
        try await load.progress()
        // The leader is heard by both, but hears neither.
        leader = try await group.leader()
        for other in UInt64(1)...3 where other != leader { try await network.cut(other, leader) }
        try await load.progress(30)
        try await network.heal()
        try await load.progress()
        // A bridge: two do not reach each other, both reach the third.
        leader = try await group.leader()
        try await network.cut(leader, leader % 3 + 1)
        try await network.cut(leader % 3 + 1, leader)
        try await load.progress(30)
        try await network.heal()
        try await load.progress()
        try await load.check()
        print("half splits: \(load.summary)")
      }
    }
  }
}
