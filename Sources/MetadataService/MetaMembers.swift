import EventLoop
import Logging
import Metadata
import MetadataWire
import RPC
import Replica
import ReplicationGroup

/// The group of meta nodes as facts: each meta node of the log's image is a member, and each member is a node of the image.
enum MetaMembers {
  /// What makes the image's meta nodes those members. Nothing before the cluster's first record.
  static func commands(
    members: [ReplicaStatus.MemberStatus], image: Image, names: [UInt64: String]
  ) -> [Command] {
    guard image.clusterID != nil else { return [] }
    var commands: [Command] = []
    for member in members {
      guard let (host, port) = address(member.address) else { continue }
      let id = NodeID(rawValue: member.id)
      if let known = image.nodes[id] {
        if known.host != host || known.port != port {
          commands.append(.updateNodeAddress(id, host: host, port: port, postgresPort: known.postgresPort))
        }
      } else {
        let name = names[member.id] ?? "meta-\(member.id)"
        commands.append(
          .registerNode(NodeDefinition(id: id, role: .meta, name: name, host: host, port: port, postgresPort: nil)))
      }
    }
    let remaining = Set(members.map(\.id))
    for node in image.nodes.values.sorted(by: { $0.id < $1.id })
    where node.role == .meta && !remaining.contains(node.id.rawValue) {
      commands.append(.removeNode(node.id))
    }
    return commands
  }

  /// Of `host:port` or `[address]:port`.
  static func address(_ text: String) -> (host: String, port: Int)? {
    guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]) else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    return (String(host), port)
  }
}

extension MetadataService {
  /// Appends what the group itself has to say.
  func append(_ request: AppendRequest) async -> Result<AppendDesk.Response, RPCError> {
    let request = request.wire(clusterID: clusterID)
    return await withCheckedContinuation { continuation in
      desk.append(request, from: nil) { continuation.resume(returning: $0) }
    }
  }

  /// Appends what the members have become.
  func record(_ commands: [Command], principal: String) async -> RecordingOutcome {
    switch await append(AppendRequest(principal: principal, commands: commands)) {
    case .success(let response):
      if case .rejected(let rejection) = response.kind { .rejected(rejection.message) } else { .recorded }
    case .failure(let error): .failed("\(error)")
    }
  }

  /// Records that an operator has made this node the only voter; true once the log holds it.
  func record(_ recovery: QuorumRecovery, logger: Logger) async -> Bool {
    let node = replica.configuration.nodeID
    let request = AppendRequest(
      // The same name at each attempt, so that it is recorded once.
      principal: String(recovery.principal.prefix(100)),
      requestID: RequestID(client: "recovery-\(node)-\(recovery.index)", sequence: 1),
      commands: [.recordNote(topic: QuorumRecovery.topic, content: Array(recovery.note(node: node).utf8))])
    while replica.isLeader {
      switch await append(request) {
      case .success(let response):
        switch response.kind {
        case .appended: return true
        case .rejected(let rejection):
          logger.error("the recovery of the quorum cannot be recorded in the metadata log: \(rejection.message)")
          return false
        default: return false
        }
      case .failure(let error):
        logger.info("the recovery of the quorum is not recorded yet: \(error)")
        guard (try? await loopSleep(milliseconds: 200)) != nil else { return false }
      }
    }
    return false
  }
}
