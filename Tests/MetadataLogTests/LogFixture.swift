import Metadata
import MetadataLog
import MetadataWire
import Testing

/// A leader's state and the log that it proposes to, which commits when it is told to.
struct LogFixture {
  var leader: MetadataState
  /// What was proposed: index, term, bytes.
  var log: [(index: UInt64, term: UInt64, body: [UInt8])] = []
  var committed = 0
  var term: UInt64

  /// A leader with a cluster of one shard, all committed.
  init(
    recentBytes: Int = 1_000_000, mutants: MetadataMutants = [], understands: UInt32 = FeatureLevel.current
  ) throws {
    leader = MetadataState(recentBytes: recentBytes, mutants: mutants, understands: understands)
    term = 1
    leader.leadershipChanged(isLeader: true, term: term)
    let node = NodeDefinition(id: NodeID(rawValue: 1), role: .storage, name: "s", host: "h", port: 1)
    try append(
      .createCluster(
        ClusterDraft(
          id: ClusterID(rawValue: [UInt8](repeating: 7, count: 16)), name: "test", roleName: "abc", roleVerifier: nil)),
      .registerNode(node), .createShard(ShardDraft(replicas: [node.id])))
    try commit()
  }

  func decide(_ commands: Command..., id: RequestID? = nil) -> AppendVerdict {
    leader.decide(
      AppendRequest(principal: "tester", requestID: id, commands: commands), timeMicroseconds: 1_700_000_000_000_000)
  }

  /// Decides and proposes; the record's index.
  @discardableResult
  mutating func append(_ commands: Command..., id: RequestID? = nil) throws -> UInt64 {
    let verdict = leader.decide(
      AppendRequest(principal: "tester", requestID: id, commands: commands), timeMicroseconds: 1_700_000_000_000_000)
    guard case .propose(let proposal) = verdict else {
      Issue.record("not to be proposed: \(verdict)")
      return 0
    }
    // Consensus takes every other index.
    let index = (log.last?.index ?? 0) + 2
    leader.appended(proposal, at: index)
    log.append((index, term, proposal.body))
    return index
  }

  /// Commits what was proposed, or that many entries of it.
  mutating func commit(_ count: Int = .max) throws {
    for entry in log[committed...].prefix(count) {
      try leader.apply(index: entry.index, term: entry.term, body: entry.body)
      committed += 1
    }
  }

  /// A follower that has applied all of the log.
  func follower() throws -> MetadataState {
    var state = MetadataState(recentBytes: 1_000_000)
    for entry in log { try state.apply(index: entry.index, term: entry.term, body: entry.body) }
    return state
  }
}

func note(_ text: String, topic: String = "test") -> Command { .recordNote(topic: topic, content: Array(text.utf8)) }

extension AppendVerdict {
  /// What is to be told once it is settled.
  var settled: (AppendAnswer, Settlement)? {
    if case .settle(let answer, let settlement) = self { (answer, settlement) } else { nil }
  }
}
