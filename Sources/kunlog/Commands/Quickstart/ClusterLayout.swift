import Metadata

/// One process of a quick start.
struct ProcessLayout: Codable, Hashable, Sendable {
  var role: String
  var name: String
  var nodeID: UInt64
  var host: String
  /// gRPC.
  var port: Int
  /// PostgreSQL's protocol, compute nodes only.
  var postgresPort: Int?
  /// The shard that a storage node serves.
  var shard: UInt32?
  /// Metrics over HTTP; nil in a quick start that was made before there were any.
  var metricsPort: Int?
  /// Came after the quick start's first start (`kunlog shard add`, `storage add`, `compute add`).
  var isAdded: Bool?
  /// A storage node that came into a shard that there was.
  var joins: Bool?

  enum CodingKeys: String, CodingKey {
    case role, name, host, port, shard, joins
    case isAdded = "is_added"
    case nodeID = "node_id"
    case postgresPort = "postgres_port"
    case metricsPort = "metrics_port"
  }
}

/// The processes of a quick start and where they listen: a pure function of the options, written to the data directory once.
struct ClusterLayout: Codable, Hashable, Sendable {
  /// Raised where the directory's form changes; another one is refused.
  static let currentFormat = 1

  var format: Int
  /// 32 hexadecimal digits.
  var clusterID: String
  var processes: [ProcessLayout]

  enum CodingKeys: String, CodingKey {
    case format, processes
    case clusterID = "cluster_id"
  }

  /// Three meta nodes, two shards of three storage nodes, three compute nodes, one manager. Node ports count up from
  /// `nodePort`: meta first, then storage (so that with 6001 shard 1 is 6004 to 6006), compute, manager. Metrics are served in
  /// the same order from `metricsPort` on.
  static func standard(
    clusterID: String, host: String, nodePort: Int, postgresPort: Int, metricsPort: Int
  ) -> ClusterLayout {
    var processes: [ProcessLayout] = []
    func add(_ role: String, _ name: String, id: UInt64, postgresPort: Int? = nil, shard: UInt32? = nil) {
      processes.append(
        ProcessLayout(
          role: role, name: name, nodeID: id, host: host, port: nodePort + processes.count, postgresPort: postgresPort,
          shard: shard, metricsPort: metricsPort + processes.count))
    }
    for number in 1...3 { add("meta", "meta-\(number)", id: UInt64(number)) }
    for shard in 1...2 {
      for number in 1...3 {
        add("storage", "storage-\(shard)-\(number)", id: UInt64(10 * shard + number), shard: UInt32(shard))
      }
    }
    for number in 1...3 {
      add("compute", "compute-\(number)", id: UInt64(100 + number), postgresPort: postgresPort + number - 1)
    }
    add("manager", "manager-1", id: 201)
    return ClusterLayout(format: currentFormat, clusterID: clusterID, processes: processes)
  }

  var nodePort: Int { processes.first?.port ?? 0 }
  var postgresPort: Int { processes.compactMap(\.postgresPort).first ?? 0 }
  var metricsPort: Int? { processes.compactMap(\.metricsPort).first }
  /// Every TCP port that the processes listen on.
  var ports: [Int] { processes.flatMap { [$0.port] + [$0.postgresPort, $0.metricsPort].compactMap { $0 } } }

  func processes(role: String) -> [ProcessLayout] { processes.filter { $0.role == role } }

  var clusterIdentity: ClusterID? { ClusterID(hexadecimal: clusterID) }
}

extension ClusterID {
  /// From 32 hexadecimal digits; nil for anything else.
  init?(hexadecimal text: String) {
    let digits = text.compactMap(\.hexDigitValue)
    guard digits.count == 32, text.count == 32 else { return nil }
    self.init(rawValue: stride(from: 0, to: 32, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) })
  }

  /// 32 hexadecimal digits.
  var hexadecimal: String {
    rawValue.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }
}
