import EventLoop
import Metadata
import MetadataClient

/// A command that could not be carried out: what, where, and what to do.
struct CommandFailure: Error, CustomStringConvertible {
  let description: String
}

/// Brings the group of meta nodes to where an operator wants it. Each step is a goal: it is looked at first, and what is so
/// already is not done, so that a command that was cut off can be given again. Progress goes to standard error.
@LoopActor
final class MetaGroup {
  private let client: MetaGroupClient
  private let deadline: UInt64
  private let timeoutSeconds: Int
  private var lastProgress = ""

  /// Between two looks at the group.
  private static let pauseMilliseconds = 100

  init(client: MetaGroupClient, timeoutSeconds: Int) {
    self.client = client
    self.timeoutSeconds = timeoutSeconds
    deadline = Loop.now + UInt64(timeoutSeconds) * 1_000_000_000
  }

  /// The members as the leader knows them.
  func membership() async throws -> MetaMembership {
    do throws(MetadataError) {
      return try await client.membership(timeoutMilliseconds: min(5_000, max(1, remainingMilliseconds)))
    } catch {
      throw CommandFailure(description: await explanation(error))
    }
  }

  /// Adds a node without a vote.
  func add(_ node: Member, name: String?) async throws {
    let endpoint = node.metadataEndpoint
    try await ensure("node \(node.id) at \(endpoint) receives the log") { membership in
      guard let known = membership.member(node.nodeID) else {
        return [.addLearner(node.nodeID, name: name, endpoint)]
      }
      guard known.address == endpoint.description else {
        throw CommandFailure(
          description: "Node \(node.id) is a member already, at \(known.address). Where it has moved: "
            + "kunlog meta member set-address \(node.id)=\(endpoint). A new node needs a new number.")
      }
      return []
    }
  }

  /// Returns once the node may be given a vote.
  func awaitCaughtUp(_ id: NodeID) async throws {
    while true {
      let membership = try await membership()
      guard let member = membership.member(id) else {
        throw CommandFailure(
          description: "Node \(id) is not a member. Add it first: kunlog meta member add \(id)=HOST:PORT")
      }
      if member.standing != .learner || member.isCaughtUp == true { return }
      let lag = membership.lastIndex - min(membership.lastIndex, member.matchIndex ?? 0)
      report(
        member.isAlive == true
          ? "node \(id) catches up: \(lag) of \(membership.lastIndex) entries to go"
          : "node \(id) does not answer at \(member.address); is it started? "
            + "(kunlog meta --join --node-id \(id) --listen \(member.address) …)")
      try await pause("node \(id) catches up")
    }
  }

  /// Gives a learner a vote.
  @discardableResult
  func promote(_ id: NodeID) async throws -> MetaMembership {
    try await ensure("node \(id) votes") { membership in
      guard let member = membership.member(id) else {
        throw CommandFailure(description: "Node \(id) is not a member.")
      }
      return member.standing == .learner ? [.promote(id)] : []
    }
  }

  /// Fails where the replacement makes no sense; fine where it is done already.
  func requireReplaceable(_ old: NodeID, by new: Member) async throws {
    let membership = try await membership()
    guard membership.member(old) != nil || membership.member(new.nodeID)?.standing == .voter else {
      throw CommandFailure(
        description: "Node \(old) is not a member of the group; its members are \(Self.names(membership)).")
    }
  }

  /// Gives one node a vote and takes the other one's, in one step.
  func swap(_ old: NodeID, for new: NodeID) async throws -> MetaMembership {
    try await ensure("node \(new) votes in the place of node \(old)") { membership in
      guard let member = membership.member(new) else {
        throw CommandFailure(description: "Node \(new) is not a member any more: somebody else has removed it.")
      }
      var changes: [MetaMemberChange] = []
      if member.standing == .learner { changes.append(.promote(new)) }
      if membership.member(old) != nil { changes.append(.remove(old)) }
      return changes
    }
  }

  /// Takes a node out.
  func remove(_ id: NodeID) async throws -> MetaMembership {
    let before = try await membership()
    guard before.member(id) != nil else {
      throw CommandFailure(
        description: "Node \(id) is not a member of the group; its members are \(Self.names(before)).")
    }
    return try await ensure("node \(id) is out") { membership in
      membership.member(id) == nil ? [] : [.remove(id)]
    }
  }

  /// Says where a node is reached.
  func setAddress(_ node: Member) async throws -> MetaMembership {
    let endpoint = node.metadataEndpoint
    return try await ensure("node \(node.id) is reached at \(endpoint)") { membership in
      guard let known = membership.member(node.nodeID) else {
        throw CommandFailure(
          description: "Node \(node.id) is not a member of the group; its members are \(Self.names(membership)).")
      }
      return known.address == endpoint.description ? [] : [.setAddress(node.nodeID, endpoint)]
    }
  }

  /// Hands the leadership over; returns once somebody leads.
  func transfer(to id: NodeID?) async throws -> MetaMembership {
    let before = try await membership()
    if let id, before.leaderID == id { return before }
    do throws(MetadataError) {
      try await client.transferLeadership(to: id)
    } catch {
      throw CommandFailure(description: await explanation(error))
    }
    while true {
      let after = try await membership()
      if id == nil ? after.leaderID != before.leaderID : after.leaderID == id { return after }
      guard id != nil, after.leaderID == before.leaderID else {
        throw CommandFailure(
          description: "The leadership went to node \(after.leaderID.map(String.init(describing:)) ?? "?") instead: "
            + "an election came between. Give the command again.")
      }
      try await pause("the leadership goes over")
    }
  }

  // MARK: - Goals

  /// Changes the members until nothing is left to change.
  @discardableResult
  private func ensure(
    _ goal: String, _ missing: @LoopActor (MetaMembership) throws -> [MetaMemberChange]
  ) async throws -> MetaMembership {
    while true {
      let membership = try await membership()
      if membership.isJoint {
        report("waiting for the change that is under way")
        try await pause(goal)
        continue
      }
      let changes = try missing(membership)
      guard !changes.isEmpty else {
        report("done: \(goal)")
        return membership
      }
      do throws(MetadataError) {
        _ = try await client.change(
          changes, at: membership.configurationIndex, timeoutMilliseconds: max(1, min(10_000, remainingMilliseconds)))
      } catch {
        // 40001, 55006: somebody else changes the group, or its leadership is on the move; look again.
        if case .rejected(let rejection) = error, !["40001", "55006"].contains(rejection.sqlState.rawValue) {
          throw CommandFailure(description: Self.text(rejection))
        }
        if case .refused = error { throw CommandFailure(description: error.description) }
        report("trying again: \(error)")
        try await pause(goal)
      }
    }
  }

  private var remainingMilliseconds: Int {
    let now = Loop.now
    return now < deadline ? Int((deadline - now) / 1_000_000) : 0
  }

  private func pause(_ goal: String) async throws {
    guard remainingMilliseconds > 0 else {
      throw CommandFailure(
        description: "Not within \(timeoutSeconds) s: \(goal). Last: \(lastProgress). "
          + "Give the command again to go on; nothing is done twice.")
    }
    try await loopSleep(milliseconds: Self.pauseMilliseconds)
  }

  private func report(_ text: String) {
    guard text != lastProgress else { return }
    lastProgress = text
    StandardStream.error.write(text + "\n")
  }

  // MARK: - Words

  private static func text(_ rejection: Rejection) -> String {
    var text = rejection.message.prefix(1).uppercased() + rejection.message.dropFirst() + "."
    if let detail = rejection.detail { text += " " + detail }
    if let hint = rejection.hint { text += " " + hint }
    return text
  }

  private static func names(_ membership: MetaMembership) -> String {
    membership.members.map { "\($0.nodeID)=\($0.address)" }.joined(separator: ", ")
  }

  /// Where nobody leads, what each node says of the group is what an operator needs to know.
  private func explanation(_ error: MetadataError) async -> String {
    switch error {
    case .rejected(let rejection): return Self.text(rejection)
    case .unavailable(let reason):
      let opinions = await client.opinions()
      guard let best = opinions.max(by: { ($0.term, $0.lastIndex) < ($1.term, $1.lastIndex) }) else {
        return "No meta node answers (\(reason)). Is the cluster running? Are --endpoints and certificate right?"
      }
      let voters = best.members.filter { $0.standing != .learner }
      let reached = voters.filter { voter in opinions.contains { $0.nodeID == voter.nodeID } }
      let missing = voters.filter { voter in !reached.contains(voter) }
      var text =
        "The group of meta nodes has no leader: \(reached.count) of \(voters.count) voters answer"
        + (missing.isEmpty
          ? "." : ", not " + missing.map { "\($0.nodeID) at \($0.address)" }.joined(separator: " and ") + ".")
      if reached.count * 2 <= voters.count {
        text += " Bring one of them back. Only where they are lost for good: kunlog meta recover."
      }
      return text
    default: return error.description
    }
  }
}
