import EventLoop
import Logging
import ProtocolMetadata
import RPC
import Replica
import ReplicationGroup

/// Finds out that this node was removed from its group while it was away, or in the moment of its removal: the others do not
/// talk to it any more, so nobody tells it. Where it has heard of no leader for a while it asks the others who belongs to the
/// group. Only a leader's confirmed answer counts, for a later configuration than its own.
@LoopActor
final class RemovalWatch {
  private let service: MetadataService
  private let tls: TLSConfiguration?
  private let onRemoval: @LoopActor () -> Void
  private let logger = Logger(label: "metadata-members")
  private var timer: LoopTimer?
  private var leaderlessTicks = 0
  private var nextAsk = RemovalWatch.patienceTicks
  private var isAsking = false

  private static let tickMilliseconds = 100
  private static let patienceTicks = 2
  private static let longestPauseTicks = 20

  init(_ service: MetadataService, tls: TLSConfiguration?, onRemoval: @escaping @LoopActor () -> Void) {
    self.service = service
    self.tls = tls
    self.onRemoval = onRemoval
    timer = LoopTimer(afterMilliseconds: Self.tickMilliseconds, repeatMilliseconds: Self.tickMilliseconds) {
      [weak self] in self?.tick()
    }
  }

  func stop() {
    timer?.cancel()
    timer = nil
  }

  private func tick() {
    let status = service.replica.status
    // Nobody can have removed who is in no configuration yet.
    guard !status.members.isEmpty, status.leaderID == nil || isLeaving(status) else {
      leaderlessTicks = 0
      nextAsk = Self.patienceTicks
      return
    }
    leaderlessTicks += 1
    guard leaderlessTicks >= nextAsk, !isAsking else { return }
    nextAsk = leaderlessTicks + min(leaderlessTicks, Self.longestPauseTicks)
    isAsking = true
    Task { @LoopActor in
      await self.ask(status)
      self.isAsking = false
    }
  }

  /// Whether its removal was the last that it heard; the end of that it is not told.
  private func isLeaving(_ status: ReplicaStatus) -> Bool {
    status.role != .leader
      && status.members.contains { $0.id == service.replica.configuration.nodeID && $0.isLeaving }
  }

  private func ask(_ status: ReplicaStatus) async {
    let own = service.replica.configuration.nodeID
    var addresses = status.members.filter { $0.id != own }.map(\.address)
    for node in service.machine.image.nodes.values.sorted(by: { $0.id < $1.id })
    where node.role == .meta && node.id.rawValue != own {
      let address = node.host.contains(":") ? "[\(node.host)]:\(node.port)" : "\(node.host):\(node.port)"
      if !addresses.contains(address) { addresses.append(address) }
    }
    var next = 0
    while next < addresses.count, next < 16, timer != nil {
      let answer = await answer(from: addresses[next])
      next += 1
      switch answer {
      case .membership(let group)?:
        guard group.configurationIndex > status.configurationIndex, group.leaderNodeID == group.nodeID,
          !group.members.contains(where: { $0.nodeID == own }), timer != nil
        else { return }
        stop()
        return onRemoval()
      case .notLeader(let other)?:
        if !other.leaderAddress.isEmpty, !addresses.contains(other.leaderAddress) {
          addresses.append(other.leaderAddress)
        }
      case nil: break
      }
    }
  }

  private func answer(from address: String) async -> Kunlog_Metadata_V1_ListMembersResponse.OneOf_Kind? {
    guard let (host, port) = MetaMembers.address(address) else { return nil }
    let channel = RPCChannel(host: host, port: port, tls: tls)
    defer { channel.close() }
    let request = Kunlog_Metadata_V1_ListMembersRequest.with { $0.clusterID = .init(service.clusterID.rawValue) }
    return (try? await channel.unary(AdminMethods.listMembers, request, timeoutMilliseconds: 1_000))?.kind
  }
}
