import EventLoop
import Logging
import Metadata
import MetadataWire
import RPC
import Replica

/// Keeps the log of facts in step with the group's members: each meta node of the log's image is a member, and each member
/// is a node of the image. Clients learn from the image whom to ask, operators from the log who came and went.
///
/// The leader does it, after a change of members and whenever it begins to lead, so that a change whose leader died before it
/// was recorded is recorded by the next one.
@LoopActor
final class MembershipRecorder {
  private let service: MetadataService
  private let logger = Logger(label: "metadata-members")
  private var isRecording = false

  init(_ service: MetadataService) { self.service = service }

  /// Begins to record what is missing, where nobody does yet. Not where the log names no meta node at all: whoever makes a
  /// cluster names its first nodes.
  func wake() {
    guard !isRecording, service.replica.isLeader,
      service.machine.image.nodes.values.contains(where: { $0.role == .meta })
    else { return }
    Task { @LoopActor in
      await self.record(principal: "meta \(self.service.replica.configuration.nodeID)", names: [:])
    }
  }

  /// Returns once the facts agree with the members, or this node does not lead any more.
  func record(principal: String, names: [UInt64: String]) async {
    while isRecording {
      guard (try? await loopSleep(milliseconds: 10)) != nil else { return }
    }
    isRecording = true
    defer { isRecording = false }
    while service.replica.isLeader {
      let status = service.replica.status
      if status.isJoint || status.configurationIndex > status.appliedIndex {
        guard (try? await loopSleep(milliseconds: 20)) != nil else { return }
        continue
      }
      let commands = Self.commands(members: status.members, image: service.machine.image, names: names)
      guard !commands.isEmpty else { return }
      switch await append(AppendRequest(principal: principal, commands: commands)) {
      case .success(let response):
        guard case .rejected(let rejection) = response.kind else { continue }
        logger.error("the members cannot be recorded in the metadata log: \(rejection.message)")
        return
      case .failure(let error):
        logger.info("the members are not recorded yet: \(error)")
        guard (try? await loopSleep(milliseconds: 200)) != nil else { return }
      }
    }
  }

  private func append(_ request: AppendRequest) async -> Result<AppendDesk.Response, RPCError> {
    let request = request.wire(clusterID: service.clusterID)
    return await withCheckedContinuation { continuation in
      service.desk.append(request, from: nil) { continuation.resume(returning: $0) }
    }
  }

  /// Records that an operator has made this node the only voter; true once the log holds it.
  func record(_ recovery: QuorumRecovery) async -> Bool {
    let node = service.replica.configuration.nodeID
    let request = AppendRequest(
      // The same name at each attempt, so that it is recorded once.
      principal: String(recovery.principal.prefix(100)),
      requestID: RequestID(client: "recovery-\(node)-\(recovery.index)", sequence: 1),
      commands: [.recordNote(topic: QuorumRecovery.topic, content: Array(recovery.note(node: node).utf8))])
    while service.replica.isLeader {
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

  /// What makes the image's meta nodes those members. Nothing before the cluster's first record.
  nonisolated static func commands(
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
  nonisolated static func address(_ text: String) -> (host: String, port: Int)? {
    guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]) else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    return (String(host), port)
  }
}
