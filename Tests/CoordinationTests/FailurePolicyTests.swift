import Coordination
import Metadata
import Testing

/// What a manager does about nodes that do not answer.
@Suite
struct FailurePolicyTests {
  private typealias Node = FailurePolicy.Node
  private typealias Shard = FailurePolicy.Shard
  private typealias Action = FailurePolicy.Action

  private static func id(_ number: UInt64) -> NodeID { NodeID(rawValue: number) }
  private static let shard = ShardID(rawValue: 1)

  /// Three replicas and a compute node; each by how long it is silent and whether it is marked.
  private func nodes(_ silent: [UInt64?], marked: Set<UInt64> = [], draining: Set<UInt64> = []) -> [Node] {
    silent.enumerated().map { place, seconds in
      let number = UInt64(11 + place)
      return Node(
        id: Self.id(number), name: "n\(number)", silentSeconds: seconds, isMarked: marked.contains(number),
        isDraining: draining.contains(number))
    }
  }

  private func shard(
    alive: [Bool]?, isChanging: Bool = false, spares: [UInt64] = [], isReplacing: Bool = false
  ) -> Shard {
    Shard(
      id: Self.shard, replicas: [11, 12, 13].map(Self.id),
      group: alive.map { alive in
        FailurePolicy.Group(
          alive.enumerated().map { .init(id: Self.id(UInt64(11 + $0)), isAlive: $1) }, isChanging: isChanging)
      }, spares: spares.map(Self.id), isReplacing: isReplacing)
  }

  @Test("A node is marked once it has been silent for long enough, and marked well once it answers")
  func marks() {
    func decide(_ nodes: [Node]) -> [Action] {
      FailurePolicy.decide(nodes: nodes, shards: [shard(alive: [true, true, true])], settings: .init(), canStart: true)
    }
    let cases: [(nodes: [Node], actions: [Action])] = [
      (nodes([0, 0, 0, 0]), []),
      (nodes([0, 9, 0, 0]), []),
      (nodes([0, 10, 0, 0]), [.markFailed(Self.id(12), reason: "it has not answered for 10 s")]),
      (nodes([0, 50, 0, 0], marked: [12]), []),
      (nodes([0, 0, 0, 0], marked: [12]), [.markWell(Self.id(12))]),
      (nodes([0, nil, 0, 0], marked: [12]), []),
      (nodes([0, 0, 0, 20], draining: [14]), []),
      (
        nodes([12, 0, 0, 11], marked: [13]),
        [
          .markFailed(Self.id(11), reason: "it has not answered for 12 s"), .markWell(Self.id(13)),
          .markFailed(Self.id(14), reason: "it has not answered for 11 s"),
        ]
      ),
      // Who hears of nobody is away itself.
      (nodes([20, 20, 20, 20]), []),
    ]
    for (place, one) in cases.enumerated() { #expect(decide(one.nodes) == one.actions, "case \(place)") }
  }

  @Test(
    "A replica that stays away is replaced: one at a time, and only where the rest can decide it and its leader misses it too"
  )
  func replaces() {
    func decide(_ nodes: [Node], _ shard: Shard, seconds: UInt64? = 60, canStart: Bool = true) -> [Action] {
      FailurePolicy.decide(
        nodes: nodes, shards: [shard], settings: .init(replaceSeconds: seconds), canStart: canStart)
    }
    let gone = nodes([0, 60, 0, 0], marked: [12])
    let missed = shard(alive: [true, false, true])
    #expect(decide(gone, missed) == [.replace(Self.id(12), of: Self.shard, by: nil)])
    #expect(decide(gone, missed, seconds: nil) == [])
    #expect(decide(nodes([0, 59, 0, 0], marked: [12]), missed) == [])
    // Marked first: the log says why.
    #expect(decide(nodes([0, 60, 0, 0]), missed) == [.markFailed(Self.id(12), reason: "it has not answered for 60 s")])
    #expect(decide(gone, shard(alive: [true, true, true])) == [])
    #expect(decide(gone, shard(alive: [true, false, true], isChanging: true)) == [])
    #expect(decide(gone, shard(alive: [true, false, true], isReplacing: true)) == [])
    #expect(
      decide(gone, shard(alive: [true, false, true], spares: [16, 15])) == [
        .replace(Self.id(12), of: Self.shard, by: Self.id(15))
      ])
    // The one that has been away longest.
    let five = nodes([0, 70, 90, 0], marked: [12, 13])
    #expect(
      decide(five, shard(alive: [true, false, false, true, true])) == [.replace(Self.id(13), of: Self.shard, by: nil)])
  }

  @Test("What a manager cannot do it says")
  func advises() {
    func decide(_ shard: Shard, canStart: Bool) -> [Action] {
      FailurePolicy.decide(
        nodes: nodes([0, 60, 0, 0], marked: [12]), shards: [shard], settings: .init(replaceSeconds: 60),
        canStart: canStart)
    }
    #expect(
      decide(shard(alive: nil), canStart: true) == [
        .advise(
          Self.id(12),
          "shard 1 has no leader, so that n12 cannot be replaced: bring back one of its replicas first")
      ])
    #expect(
      decide(shard(alive: [true, false, false]), canStart: true) == [
        .advise(
          Self.id(12), "too few replicas of shard 1 can be reached to replace n12: bring back one of them first")
      ])
    #expect(
      decide(shard(alive: [true, false, true]), canStart: false) == [
        .advise(
          Self.id(12),
          "n12 of shard 1 is to be replaced, and there is no node to take its place: start one (kunlog storage --join --shard 1 …), "
            + "and it is taken")
      ])
  }
}
