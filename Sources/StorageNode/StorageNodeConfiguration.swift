import EventLoop
import Metadata
import Raft
import Replica

/// What a storage process is told at its start.
package struct StorageNodeConfiguration: Sendable {
  /// A replica of the shard.
  package struct Member: Sendable, Hashable {
    package var id: Metadata.NodeID
    package var host: String
    package var port: Int
    package init(id: Metadata.NodeID, host: String, port: Int) {
      self.id = id
      self.host = host
      self.port = port
    }
  }

  package var clusterID: ClusterID
  package var shardID: ShardID
  /// This node, which is one of `members` where there are any.
  package var nodeID: Metadata.NodeID
  /// What people call it.
  package var name: String
  /// The replicas that the shard starts with; what its log says later takes precedence. Empty: the shard exists, and this node
  /// waits until its leader adds it.
  package var members: [Member]
  /// The node's own; the log and the tablets go into directories below it.
  package var dataDirectory: String
  package var host: String
  /// gRPC; 0: any free port.
  package var port: Int
  package var tls: TLSConfiguration?
  /// Timeouts and sizes of consensus; identity, members and directory are set from the above.
  package var tune: @Sendable (inout ReplicaConfiguration) -> Void

  /// A configuration with consensus' own timeouts.
  package init(
    clusterID: ClusterID, shardID: ShardID, nodeID: Metadata.NodeID, members: [Member], dataDirectory: String,
    host: String, port: Int, name: String? = nil, tls: TLSConfiguration? = nil,
    tune: @escaping @Sendable (inout ReplicaConfiguration) -> Void = { _ in }
  ) {
    self.clusterID = clusterID
    self.shardID = shardID
    self.nodeID = nodeID
    self.members = members
    self.name = name ?? "storage-\(nodeID)"
    self.dataDirectory = dataDirectory
    self.host = host
    self.port = port
    self.tls = tls
    self.tune = tune
  }

  /// Where an engine on this node's disk keeps its tablets.
  package var engineDirectory: String { "\(dataDirectory)/tablets" }
}

/// Why a storage node cannot start.
package struct StorageNodeError: Error, Sendable, CustomStringConvertible {
  package let description: String
  package init(_ description: String) { self.description = description }
}
