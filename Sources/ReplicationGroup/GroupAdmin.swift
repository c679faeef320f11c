import AccessControl
import EventLoop
import Metadata
import MetadataWire
import ProtocolMetadata
import RPC
import Raft
import Replica
import SQLTypes

/// The gRPC service for operators of a replication group: admin.proto. Meta and storage nodes serve it alike.
@LoopActor
package final class GroupAdmin<Machine: StateMachine> {
  package typealias ChangeResponse = Kunlog_Metadata_V1_ChangeMembersResponse
  package typealias TransferResponse = Kunlog_Metadata_V1_TransferLeadershipResponse

  private let kind: GroupKind
  private let clusterID: ClusterID
  private let replica: Replica<Machine>
  private let recorder: MembershipRecorder<Machine>
  private let image: @LoopActor () -> Image

  /// - Parameter image: of the log of facts, as far as it is known here.
  package init(
    _ kind: GroupKind, clusterID: ClusterID, replica: Replica<Machine>, recorder: MembershipRecorder<Machine>,
    image: @escaping @LoopActor () -> Image
  ) {
    self.kind = kind
    self.clusterID = clusterID
    self.replica = replica
    self.recorder = recorder
    self.image = image
  }

  /// Serves the methods.
  package func register(at server: RPCServer) {
    server.handle(AdminMethods.listMembers) { [self] request, _ in
      try check(request.clusterID)
      if request.allowStale { return .with { $0.membership = membership } }
      guard replica.isLeader else { return .with { $0.notLeader = notLeader } }
      do throws(ReplicaError) { try await replica.readIndex() } catch { throw RPCError(error) }
      guard replica.isLeader else { return .with { $0.notLeader = notLeader } }
      return .with { $0.membership = membership }
    }
    server.handle(AdminMethods.changeMembers) { [self] request, context in
      try check(request.clusterID)
      return try await change(request, principal: context.caller?.name ?? "operator")
    }
    server.handle(AdminMethods.transferLeadership) { [self] request, _ in
      try check(request.clusterID)
      return try await transfer(to: request.nodeID)
    }
  }

  private func check<Bytes: Collection>(_ requested: Bytes) throws(RPCError) where Bytes.Element == UInt8 {
    guard requested.isEmpty || clusterID.rawValue.elementsEqual(requested) else {
      throw RPCError(.failedPrecondition, "this node belongs to another cluster")
    }
  }

  // MARK: - Changing the members

  private func change(
    _ request: Kunlog_Metadata_V1_ChangeMembersRequest, principal: String
  ) async throws -> ChangeResponse {
    guard replica.isLeader else { return .with { $0.notLeader = notLeader } }
    let status = replica.status
    guard !status.isJoint, status.configurationIndex <= status.commitIndex else {
      return rejected(Rejection(.objectInUse, "another change of the members is under way"))
    }
    guard status.configurationIndex == request.configurationIndex else {
      return rejected(
        Rejection(
          .serializationFailure,
          "the members have changed since they were read (entry \(request.configurationIndex), "
            + "now \(status.configurationIndex))"))
    }
    let plan: MembershipPlan
    do throws(Rejection) {
      plan = try MembershipPlan(request.changes, of: kind, status: status, image: image())
    } catch { return rejected(error) }
    if plan.removed.contains(replica.configuration.nodeID), let successor = plan.successor {
      // Who leaves must not lead meanwhile: the successor is up to date, and goes on with the change.
      return try await handOver(to: successor)
    }
    // Who was never a fact could not be forgotten as one, and its number could come back.
    if !plan.removed.isEmpty { await recorder.record(principal: principal, names: [:]) }
    do throws(ReplicaError) {
      try await replica.changeMembers(plan.changes)
    } catch {
      switch error {
      case .notLeader: return .with { $0.notLeader = notLeader }
      case .refused(let refusal): return rejected(Rejection(refusal, of: kind))
      case .overloaded: return rejected(Rejection(.objectInUse, "the leadership is being handed over"))
      default: throw RPCError(error)
      }
    }
    await recorder.record(principal: principal, names: plan.names)
    return .with { $0.membership = membership }
  }

  private func handOver(to successor: UInt64) async throws -> ChangeResponse {
    switch try await transfer(to: successor).kind {
    case .rejected(let rejection): .with { $0.rejected = rejection }
    default: .with { $0.notLeader = notLeader }
    }
  }

  private func rejected(_ rejection: Rejection) -> ChangeResponse { .with { $0.rejected = rejection.wire } }

  // MARK: - Handing over

  private func transfer(to node: UInt64) async throws -> TransferResponse {
    let status = replica.status
    guard replica.isLeader else { return .with { $0.notLeader = notLeader } }
    if node != 0 {
      guard let member = status.members.first(where: { $0.id == node && $0.isVoter }) else {
        return .with {
          $0.rejected = Rejection(.undefinedObject, "node \(node) is no voter of \(kind.text)").wire
        }
      }
      guard node != replica.configuration.nodeID else {
        return .with { $0.transferred = .with { $0.leaderNodeID = node } }
      }
      guard member.isAlive == true else {
        return .with {
          $0.rejected =
            Rejection(
              .objectNotInPrerequisiteState, "node \(node) at \(member.address) does not answer",
              hint: "Start it, or name another voter."
            ).wire
        }
      }
    }
    do throws(ReplicaError) {
      try await replica.transferLeadership(to: node == 0 ? nil : node)
    } catch {
      switch error {
      case .notLeader: return .with { $0.notLeader = notLeader }
      case .refused(let refusal): return .with { $0.rejected = Rejection(refusal, of: kind).wire }
      case .timedOut:
        return .with {
          $0.rejected =
            Rejection(
              .objectNotInPrerequisiteState,
              "the other voter did not take the leadership over in time; this node leads on"
            ).wire
        }
      default: throw RPCError(error)
      }
    }
    return .with { $0.transferred = .with { $0.leaderNodeID = replica.status.leaderID ?? 0 } }
  }

  // MARK: - What is

  private var notLeader: Kunlog_Metadata_V1_NotLeader {
    let status = replica.status
    return .with {
      $0.leaderNodeID = status.role == .leader ? 0 : status.leaderID ?? 0
      $0.leaderAddress = status.role == .leader ? "" : status.leaderAddress ?? ""
    }
  }

  private var membership: Kunlog_Metadata_V1_Membership {
    let status = replica.status
    let image = image()
    let lag = replica.configuration.raft.promotionLagEntries
    return .with {
      $0.clusterID = .init(clusterID.rawValue)
      $0.nodeID = replica.configuration.nodeID
      $0.configurationIndex = status.configurationIndex
      $0.isJoint = status.isJoint
      $0.term = status.term
      $0.leaderNodeID = status.leaderID ?? 0
      $0.commitIndex = status.commitIndex
      $0.lastIndex = status.lastIndex
      $0.members = status.members.map { member in
        .with {
          $0.nodeID = member.id
          $0.name = image.nodes[Metadata.NodeID(rawValue: member.id)]?.name ?? ""
          $0.address = member.address
          $0.standing = member.isLeaving ? .leaving : member.isVoter ? .voter : .learner
          guard let match = member.matchIndex, let isAlive = member.isAlive else { return }
          $0.matchIndex = match
          $0.isAlive = isAlive
          $0.isCaughtUp = isAlive && match + lag >= status.lastIndex && match >= max(1, status.configurationIndex)
        }
      }
    }
  }
}

/// The methods of `kunlog.metadata.v1.Admin`, as a node serves them.
package enum AdminMethods {
  private static let service = "kunlog.metadata.v1.Admin"
  package static let listMembers = RPCMethod<
    Kunlog_Metadata_V1_ListMembersRequest, Kunlog_Metadata_V1_ListMembersResponse
  >(
    service: service, method: "ListMembers")
  package static let changeMembers = RPCMethod<
    Kunlog_Metadata_V1_ChangeMembersRequest, Kunlog_Metadata_V1_ChangeMembersResponse
  >(service: service, method: "ChangeMembers")
  package static let transferLeadership = RPCMethod<
    Kunlog_Metadata_V1_TransferLeadershipRequest, Kunlog_Metadata_V1_TransferLeadershipResponse
  >(service: service, method: "TransferLeadership")
}

extension RPCError {
  /// Nothing but another attempt helps against any of a replica's errors.
  package init(_ error: ReplicaError) {
    switch error {
    case .overloaded, .diskFull: self.init(.resourceExhausted, error.description)
    default: self.init(.unavailable, error.description)
    }
  }
}
