import FoundationEssentials
import Metadata
import MetadataAudit

/// The cluster as its own nodes report it: what `kunlog cluster status` shows.
struct ClusterReport: Codable, Sendable {
  struct Node: Codable, Sendable {
    var id: UInt64
    var name: String
    var role: String
    var address: String
    /// PostgreSQL's protocol, compute nodes only.
    var postgresAddress: String?
    var shard: UInt32?
    /// "up" (it answers that it serves), "starting" (it answers otherwise), "down" (it does not answer), "" (not asked: of the
    /// past only the log is known).
    var state: String
    /// Of its replication group: "leader", "follower", …
    var groupRole: String?
    var term: UInt64?
    var commitIndex: UInt64?
    var appliedIndex: UInt64?
    var lastIndex: UInt64?
    /// How far it has followed the metadata log.
    var metadataIndex: UInt64?
    var tablets: UInt64?
    var sizeBytes: UInt64?
    /// Why the metadata log says that it has failed.
    var failure: String?
    /// It is to end, and lets its sessions end for so long.
    var drainSeconds: UInt32?

    enum CodingKeys: String, CodingKey {
      case id, name, role, address, shard, state, term, tablets, failure
      case postgresAddress = "postgres_address"
      case groupRole = "group_role"
      case commitIndex = "commit_index"
      case appliedIndex = "applied_index"
      case lastIndex = "last_index"
      case metadataIndex = "metadata_index"
      case sizeBytes = "size_bytes"
      case drainSeconds = "drain_seconds"
    }
  }

  struct Shard: Codable, Sendable {
    var id: UInt32
    var name: String
    /// Name of the leading storage node; nil while there is none.
    var leader: String?
    var replicas: [String]
    var tablets: Int
    /// What its storage is for.
    var shardClass: String

    enum CodingKeys: String, CodingKey {
      case id, name, leader, replicas, tablets
      case shardClass = "class"
    }
  }

  var clusterID: String
  /// The last record of the metadata log that the asker has seen.
  var metadataIndex: UInt64
  /// Name of the leading meta node; nil while there is none.
  var metadataLeader: String?
  var nodes: [Node]
  var shards: [Shard]
  /// Whether it is what an image of the past says, without the nodes' own word.
  var isPast = false

  enum CodingKeys: String, CodingKey {
    case nodes, shards
    case clusterID = "cluster_id"
    case metadataIndex = "metadata_index"
    case metadataLeader = "metadata_leader"
  }

  var json: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
  }

  /// For people.
  var table: String {
    var table = TextTable(header: [
      "node", "name", "role", "address", "state", "group", "term", "committed", "applied", "metadata",
    ])
    func text(_ number: UInt64?) -> String { number.map(String.init) ?? "" }
    for node in nodes {
      table.add([
        String(node.id), node.name, node.shard.map { "\(node.role) (shard \($0))" } ?? node.role,
        node.postgresAddress.map { "\(node.address), psql \($0)" } ?? node.address, node.stateText,
        node.groupRole ?? "",
        text(node.term), text(node.commitIndex), text(node.appliedIndex), text(node.metadataIndex),
      ])
    }
    let up = nodes.count { $0.state == "up" }
    let state = isPast ? "\(nodes.count) nodes" : "\(up) of \(nodes.count) nodes up"
    var lines = ["cluster \(clusterID): \(state), metadata log at \(metadataIndex)", table.text]
    for shard in shards {
      lines.append(
        "shard \(shard.id) (\(shard.name)): \(isPast ? "" : "leader \(shard.leader ?? "none"), ")replicas \(shard.replicas.joined(separator: ", ")), "
          + "\(shard.tablets) tablets" + (shard.shardClass == ShardClass.hot ? "" : ", class \(shard.shardClass)"))
    }
    for node in nodes {
      guard let failure = node.failure else { continue }
      lines.append("\(node.name) has failed: \(failure)." + (node.advice.map { " \($0)" } ?? ""))
    }
    return lines.joined(separator: "\n")
  }
}

extension ClusterReport.Node {
  /// As the table has it.
  var stateText: String {
    let words = [state, failure == nil ? "" : "failed", drainSeconds == nil ? "" : "draining"].filter { !$0.isEmpty }
    return words.joined(separator: ", ")
  }

  /// What a person may do about its failure.
  var advice: String? {
    switch role {
    case "storage" where shard != nil:
      "Start it, or, where its disk is lost: kunlog storage rebuild \(name)"
    case "meta": "Start it, or put another one in its place: kunlog meta member replace \(id)"
    case "compute": "Start it, or: kunlog compute remove \(name)"
    default: nil
    }
  }
}

extension ClusterReport {
  /// The cluster as an image has it.
  init(past image: Image) {
    self.init(
      clusterID: image.clusterID?.hexadecimal ?? "", metadataIndex: image.index, metadataLeader: nil,
      nodes: image.nodes.values.sorted { $0.id < $1.id }.map { definition in
        Node(
          id: definition.id.rawValue, name: definition.name, role: "\(definition.role)",
          address: "\(definition.host):\(definition.port)",
          postgresAddress: definition.postgresPort.map { "\(definition.host):\($0)" },
          shard: image.shards.values.first { $0.replicas.contains(definition.id) }?.id.rawValue, state: "",
          failure: definition.failure, drainSeconds: definition.drainSeconds)
      },
      shards: image.shardSummaries.map {
        Shard(
          id: $0.id, name: $0.name, leader: nil, replicas: $0.replicas, tablets: $0.tablets,
          shardClass: $0.shardClass)
      }, isPast: true)
  }
}
