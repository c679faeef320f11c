import ArgumentParser
import EventLoop
import Metadata
import MetadataClient

/// Tells the metadata log what the cluster consists of. Every command changes nothing where it was done before, so that a
/// start that was cut off is finished by the next.
@LoopActor
struct Bootstrap {
  var layout: ClusterLayout
  var client: MetadataClient
  /// SCRAM verifier of the first role's password.
  var roleVerifier: String

  static let role = "abc"
  static let password = "abc"

  func run() async throws {
    guard let clusterID = layout.clusterIdentity else { return }
    try await append([
      .createCluster(ClusterDraft(id: clusterID, name: "quickstart", roleName: Self.role, roleVerifier: roleVerifier))
    ])
    // Who was removed since (kunlog meta member remove, storage remove) does not come back.
    let removed = client.image.removedNodes
    try await append(layout.processes.map(\.definition).filter { !removed.contains($0.id) }.map { .registerNode($0) })
    // A shard that there is has the replicas that the log says.
    let shards = Set(layout.processes.compactMap(\.shard)).filter { shard in
      let id = ShardID(rawValue: shard)
      return client.image.shards[id] == nil && !client.image.removedShards.contains(id)
    }.sorted()
    guard !shards.isEmpty else { return }
    try await append(
      shards.map { shard in
        let replicas = layout.processes.filter { $0.shard == shard && $0.joins != true }.map {
          NodeID(rawValue: $0.nodeID)
        }
        return .createShard(ShardDraft(id: ShardID(rawValue: shard), replicas: replicas))
      })
  }

  private func append(_ commands: [Command]) async throws {
    _ = try await client.append(commands, principal: "quickstart", timeoutMilliseconds: 30_000)
  }
}

extension ProcessLayout {
  /// Who the process is to the others.
  func identity() throws -> AccessIdentity {
    guard let role = AccessRole(rawValue: role),
      let identity = AccessIdentity(name: name, role: role, nodeID: NodeID(rawValue: nodeID))
    else {
      throw ValidationError("cluster.json names a \(role) node '\(name)' with number \(nodeID), which cannot be.")
    }
    return identity
  }

  /// The node as the metadata log knows it.
  var definition: NodeDefinition {
    let role: NodeDefinition.Role =
      switch self.role {
      case "meta": .meta
      case "storage": .storage
      case "compute": .compute
      default: .manager
      }
    return NodeDefinition(
      id: NodeID(rawValue: nodeID), role: role, name: name, host: host, port: port, postgresPort: postgresPort)
  }
}
