import Metadata
import Testing

@Suite("Who may append what")
struct AccessPolicyTests {
  private let compute = AccessIdentity(name: "compute-1", role: .compute, nodeID: NodeID(rawValue: 101))!
  private let reader = AccessIdentity(name: "auditor", role: .reader, nodeID: nil)!

  private func node(_ id: UInt64, _ role: NodeDefinition.Role) -> Command {
    .registerNode(NodeDefinition(id: NodeID(rawValue: id), role: role, name: "n", host: "h", port: 1))
  }

  @Test("A node registers itself, as what it is, and nobody else")
  func ownNode() {
    #expect(AccessPolicy.allows(node(101, .compute), compute))
    #expect(!AccessPolicy.allows(node(102, .compute), compute))
    #expect(!AccessPolicy.allows(node(101, .storage), compute))
    #expect(
      AccessPolicy.allows(.updateNodeAddress(NodeID(rawValue: 101), host: "h", port: 2, postgresPort: nil), compute))
    #expect(
      !AccessPolicy.allows(.updateNodeAddress(NodeID(rawValue: 1), host: "h", port: 2, postgresPort: nil), compute))
  }

  @Test("A coordinator decides its own transactions, a participant may abort any, a manager is elected by itself only")
  func coordination() {
    let storage = AccessIdentity(name: "storage-1", role: .storage, nodeID: NodeID(rawValue: 11))!
    let manager = AccessIdentity(name: "manager-1", role: .manager, nodeID: NodeID(rawValue: 201))!
    func decide(_ coordinator: UInt64, _ outcome: TransactionOutcome) -> Command {
      .transaction(
        .decide(
          GlobalTransactionID(coordinator: NodeID(rawValue: coordinator), incarnation: 1, sequence: 1), outcome,
          participants: [ShardID(rawValue: 1)]))
    }
    #expect(AccessPolicy.allows(decide(101, .commit), compute))
    #expect(!AccessPolicy.allows(decide(102, .commit), compute))
    #expect(AccessPolicy.allows(decide(102, .abort), storage))
    #expect(!AccessPolicy.allows(decide(102, .commit), storage))
    #expect(AccessPolicy.allows(.manager(.elect(NodeID(rawValue: 201), after: 0)), manager))
    #expect(!AccessPolicy.allows(.manager(.elect(NodeID(rawValue: 202), after: 0)), manager))
  }

  @Test("A refusal says who, what, and what to do")
  func refusal() {
    let shard = Command.createShard(ShardDraft(replicas: []))
    #expect(!AccessPolicy.allows(shard, compute))
    #expect(
      AccessPolicy.refusal(shard, compute)
        == "compute-1 (compute node 101) may not append CreateShard: that is for manager, admin and operator. "
        + "Use a certificate or token of another role (docs/security.md; kunlog cert show FILE tells the role of one).")
    #expect(
      AccessPolicy.refusal(node(1, .meta), reader)
        == "auditor (reader) may not append RegisterNode: that is for admin and operator (and, for its own node, meta, "
        + "storage, compute and manager). Use a certificate or token of another role (docs/security.md; kunlog cert show "
        + "FILE tells the role of one).")
  }

  @Test("A record names the caller; only a compute node says for whom it asks, and both can be seen")
  func principals() {
    #expect(compute.principal(claimed: "abc") == "abc@compute-1")
    #expect(compute.principal(claimed: "") == "compute-1")
    #expect(compute.principal(claimed: "compute-1") == "compute-1")
    #expect(reader.principal(claimed: "admin") == "auditor")
  }

  @Test("Names that a reader of the log could take for something else are none; nodes have numbers, people have none")
  func identities() {
    for name in ["", "abc@compute-1", "a b", "a\u{0}", "é", String(repeating: "a", count: 65)] {
      #expect(AccessIdentity(name: name, role: .reader, nodeID: nil) == nil)
    }
    #expect(AccessIdentity(name: String(repeating: "a", count: 64), role: .reader, nodeID: nil) != nil)
    #expect(AccessIdentity(name: "meta-1", role: .meta, nodeID: nil) == nil)
    #expect(AccessIdentity(name: "meta-1", role: .meta, nodeID: NodeID(rawValue: 0)) == nil)
    #expect(AccessIdentity(name: "erika", role: .admin, nodeID: NodeID(rawValue: 1)) == nil)
  }
}
