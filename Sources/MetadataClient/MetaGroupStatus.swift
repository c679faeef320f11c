import EventLoop
import Metadata
import ProtocolMetadata
import RPC

/// The meta nodes as each of them describes itself: what is to be had without a leader, too.
package struct MetaGroupStatus: Sendable {
  /// A member, or a node that was asked.
  package struct Node: Sendable {
    /// nil where it does not answer and nobody names it.
    package var nodeID: NodeID?
    /// Empty where nobody names it.
    package var name: String
    package var address: MetadataEndpoint
    /// nil: no member, as far as those know who answer.
    package var standing: GroupMembership.Standing?
    /// nil where it does not answer.
    package var status: MetadataStatus?
    /// Why it does not answer.
    package var failure: String?
  }

  /// By node id; those without one come last.
  package var nodes: [Node]
  /// The group by the one who knows of its latest members; nil where nobody answers.
  package var membership: GroupMembership?

  /// Who leads, where a node says of itself that it does: of several, the one of the latest term.
  package var leader: MetadataStatus? {
    nodes.compactMap(\.status).filter { $0.role == "leader" }.max { $0.term < $1.term }
  }
}

extension ReplicationGroupClient {
  private struct Answer: Sendable {
    var status: MetadataStatus?
    var membership: GroupMembership?
    var failure: String?
  }

  /// Asks every meta node that is known or that one of them names. Each has so long to answer.
  package func groupStatus(timeoutMilliseconds: Int = 2_000) async -> MetaGroupStatus {
    var answers: [MetadataEndpoint: Answer] = [:]
    var missing = knownEndpoints
    // Two rounds: those who are named by the first may name others.
    for _ in 0..<3 where !missing.isEmpty {
      let asked = missing.map { endpoint in
        (endpoint, LoopActor.start { await self.askStatus(endpoint, timeoutMilliseconds) })
      }
      for (endpoint, answer) in asked { answers[endpoint] = await answer.value }
      let named = answers.values.compactMap(\.membership).flatMap(\.members).compactMap { MetadataEndpoint($0.address) }
      missing = []
      for endpoint in named where answers[endpoint] == nil && !missing.contains(endpoint) { missing.append(endpoint) }
    }
    let memberships = answers.values.compactMap(\.membership)
    let membership = memberships.max {
      ($0.configurationIndex, $0.term, $0.nodeID) < ($1.configurationIndex, $1.term, $1.nodeID)
    }
    var nodes: [MetaGroupStatus.Node] = []
    for member in membership?.members ?? [] {
      guard let address = MetadataEndpoint(member.address) else { continue }
      let answer = answers.removeValue(forKey: address)
      nodes.append(
        MetaGroupStatus.Node(
          nodeID: member.nodeID, name: member.name, address: address, standing: member.standing,
          status: answer?.status, failure: answer?.failure))
    }
    for (address, answer) in answers.sorted(by: { $0.key.description < $1.key.description }) {
      // The same node under another name of its machine is not another one.
      if let id = answer.status?.nodeID, nodes.contains(where: { $0.nodeID == id && $0.status != nil }) { continue }
      // An address that nobody names any more is no news where the group is known.
      if answer.status == nil, membership != nil { continue }
      nodes.append(
        MetaGroupStatus.Node(
          nodeID: answer.status?.nodeID, name: "", address: address, standing: nil, status: answer.status,
          failure: answer.failure))
    }
    return MetaGroupStatus(nodes: nodes, membership: membership)
  }

  private func askStatus(_ endpoint: MetadataEndpoint, _ timeout: Int) async -> Answer {
    let channel = channel(endpoint)
    var answer = Answer()
    do throws(RPCError) {
      answer.status = try await MetadataStatus.ask(channel, timeoutMilliseconds: timeout)
      let request = Kunlog_Metadata_V1_ListMembersRequest.with { $0.allowStale = true }
      let response = try await channel.unary(AdminMethods.listMembers, request, timeoutMilliseconds: timeout)
      if case .membership(let membership) = response.kind { answer.membership = GroupMembership(membership) }
    } catch {
      if answer.status == nil { answer.failure = error.description }
    }
    return answer
  }
}
