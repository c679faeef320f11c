import EventLoop
import Metadata
import MetadataWire
import ProtocolMetadata
import RPC

/// An operator's conversation with a replication group itself, that of the meta nodes or a shard: who belongs to it, and who
/// leads. It needs no image, so it works where the log of facts does not.
@LoopActor
package final class ReplicationGroupClient {
  private let tls: TLSConfiguration?
  private let clusterID: ClusterID?
  private var endpoints: [MetadataEndpoint]
  private var leader: MetadataEndpoint?
  private var channels: [MetadataEndpoint: RPCChannel] = [:]

  /// - Parameter endpoints: members to begin with; the others are learned from their answers.
  package init(endpoints: [MetadataEndpoint], tls: TLSConfiguration?, clusterID: ClusterID? = nil) {
    precondition(!endpoints.isEmpty, "at least one endpoint is needed")
    self.endpoints = endpoints
    self.tls = tls
    self.clusterID = clusterID
  }

  package func close() {
    for channel in channels.values { channel.close() }
    channels = [:]
  }

  /// Every member that has been heard of, those of the last answer first.
  package var knownEndpoints: [MetadataEndpoint] { endpoints }

  /// The members as the leader knows them; everything that was committed before is in the answer.
  package func membership(timeoutMilliseconds: Int = 5_000) async throws(MetadataError) -> GroupMembership {
    let request = Kunlog_Metadata_V1_ListMembersRequest.with { $0.clusterID = .init(clusterID?.rawValue ?? []) }
    return try await askLeader(timeoutMilliseconds) {
      (channel, milliseconds) async throws(RPCError) -> Answer<GroupMembership> in
      let response = try await channel.unary(
        AdminMethods.listMembers, request, timeoutMilliseconds: milliseconds)
      switch response.kind {
      case .membership(let membership): return .answer(GroupMembership(membership))
      case .notLeader(let other): return .elsewhere(other.leaderAddress)
      case nil: return .elsewhere("")
      }
    }
  }

  /// What each of the nodes knows for itself, leader or not; without those that do not answer.
  package func opinions(timeoutMilliseconds: Int = 1_000) async -> [GroupMembership] {
    let request = Kunlog_Metadata_V1_ListMembersRequest.with {
      $0.clusterID = .init(clusterID?.rawValue ?? [])
      $0.allowStale = true
    }
    var result: [GroupMembership] = []
    for endpoint in endpoints {
      guard
        let response = try? await channel(endpoint).unary(
          AdminMethods.listMembers, request, timeoutMilliseconds: timeoutMilliseconds),
        case .membership(let membership) = response.kind
      else { continue }
      result.append(GroupMembership(membership))
    }
    return result
  }

  /// Changes the members, all at once. Returns once the change is committed.
  /// - Parameter configurationIndex: of the membership that the change was decided by.
  /// - Throws: `rejected` where nothing was changed; `outcomeUnknown` and `unavailable`: look at the membership again.
  package func change(
    _ changes: [GroupMemberChange], at configurationIndex: UInt64, timeoutMilliseconds: Int = 10_000
  ) async throws(MetadataError) -> GroupMembership {
    let request = Kunlog_Metadata_V1_ChangeMembersRequest.with {
      $0.clusterID = .init(clusterID?.rawValue ?? [])
      $0.configurationIndex = configurationIndex
      $0.changes = changes.map(\.wire)
    }
    return try await askLeader(timeoutMilliseconds) {
      (channel, milliseconds) async throws(RPCError) -> Answer<GroupMembership> in
      let response = try await channel.unary(
        AdminMethods.changeMembers, request, timeoutMilliseconds: milliseconds)
      switch response.kind {
      case .membership(let membership): return .answer(GroupMembership(membership))
      case .rejected(let rejected): return .rejected(Rejection(wire: rejected))
      case .notLeader(let other): return .elsewhere(other.leaderAddress)
      case nil: return .elsewhere("")
      }
    }
  }

  /// Hands the leadership to a voter, nil: to the one whose log is furthest. Returns once the old leader no longer leads.
  package func transferLeadership(
    to node: NodeID?, timeoutMilliseconds: Int = 5_000
  ) async throws(MetadataError) {
    let request = Kunlog_Metadata_V1_TransferLeadershipRequest.with {
      $0.clusterID = .init(clusterID?.rawValue ?? [])
      $0.nodeID = node?.rawValue ?? 0
    }
    let _: Bool = try await askLeader(timeoutMilliseconds) {
      (channel, milliseconds) async throws(RPCError) -> Answer<Bool> in
      let response = try await channel.unary(
        AdminMethods.transferLeadership, request, timeoutMilliseconds: milliseconds)
      switch response.kind {
      case .transferred: return .answer(true)
      case .rejected(let rejected): return .rejected(Rejection(wire: rejected))
      case .notLeader(let other): return .elsewhere(other.leaderAddress)
      case nil: return .elsewhere("")
      }
    }
    leader = nil
  }

  // MARK: - Finding the leader

  private enum Answer<Value: Sendable>: Sendable {
    case answer(Value)
    case rejected(Rejection)
    /// Who leads, `host:port`; empty where that is not known.
    case elsewhere(String)
  }

  private func askLeader<Value>(
    _ timeoutMilliseconds: Int, _ ask: @LoopActor (RPCChannel, Int) async throws(RPCError) -> Answer<Value>
  ) async throws(MetadataError) -> Value {
    let deadline = Deadline(milliseconds: timeoutMilliseconds)
    var reasons: [MetadataEndpoint: String] = [:]
    var attempt = 0
    while deadline.remainingMilliseconds > 0 {
      let endpoint = leader ?? endpoints[attempt % endpoints.count]
      attempt += 1
      var answer = Answer<Value>.elsewhere("")
      do throws(RPCError) {
        answer = try await ask(channel(endpoint), min(deadline.remainingMilliseconds, 3_000))
        reasons[endpoint] = nil
      } catch {
        let failure = MetadataError(error)
        if case .refused = failure { throw failure }
        reasons[endpoint] = error.description
      }
      switch answer {
      case .answer(let value):
        leader = endpoint
        if let membership = value as? GroupMembership { learn(membership) }
        return value
      case .rejected(let rejection):
        leader = endpoint
        throw .rejected(rejection)
      case .elsewhere(let address):
        let other = MetadataEndpoint(address)
        if reasons[endpoint] == nil {
          reasons[endpoint] = other.map { "says that \($0) leads" } ?? "knows no leader"
        }
        let isNews = other != nil && other != endpoint && other != leader
        leader = other == endpoint ? nil : other
        if isNews { continue }
      }
      // A round over all of them costs no time, the next one does.
      guard attempt % endpoints.count == 0 || leader != nil else { continue }
      do { try await loopSleep(milliseconds: min(100, max(deadline.remainingMilliseconds, 1))) } catch {
        throw .stopped
      }
    }
    let all = reasons.map { "\($0.key): \($0.value)" }.sorted().joined(separator: "; ")
    throw .unavailable(all.isEmpty ? "nobody was asked" : all)
  }

  /// The members are whom to ask from now on; whoever was asked before only after them.
  private func learn(_ membership: GroupMembership) {
    let members = membership.members.compactMap { MetadataEndpoint($0.address) }
    endpoints = members + endpoints.filter { !members.contains($0) }
  }

  func channel(_ endpoint: MetadataEndpoint) -> RPCChannel {
    if let channel = channels[endpoint] { return channel }
    let channel = RPCChannel(host: endpoint.host, port: endpoint.port, tls: tls)
    channels[endpoint] = channel
    return channel
  }
}

/// The methods of `kunlog.metadata.v1.Admin`, as an operator's command calls them.
enum AdminMethods {
  private static let service = "kunlog.metadata.v1.Admin"
  static let listMembers = RPCMethod<Kunlog_Metadata_V1_ListMembersRequest, Kunlog_Metadata_V1_ListMembersResponse>(
    service: service, method: "ListMembers")
  static let changeMembers = RPCMethod<
    Kunlog_Metadata_V1_ChangeMembersRequest, Kunlog_Metadata_V1_ChangeMembersResponse
  >(service: service, method: "ChangeMembers")
  static let transferLeadership = RPCMethod<
    Kunlog_Metadata_V1_TransferLeadershipRequest, Kunlog_Metadata_V1_TransferLeadershipResponse
  >(service: service, method: "TransferLeadership")
}
