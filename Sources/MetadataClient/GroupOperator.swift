import EventLoop
import Metadata

/// A change of a group that could not be carried out: what, where, and what to do.
package struct GroupFailure: Error, Sendable, CustomStringConvertible {
  package let description: String
}

/// What people are told of a replication group, and which commands look after it.
package struct GroupWords: Sendable {
  /// `the group of meta nodes`, `shard 3`.
  package var group: String
  /// Several of its nodes.
  package var nodes: String
  /// How a new node is started.
  package var start: @Sendable (NodeID, _ address: String) -> String
  /// How one is added.
  package var add: @Sendable (NodeID) -> String
  /// What helps where a node is a member at another address.
  package var moved: @Sendable (NodeID, _ address: String) -> String
  /// What is left where a majority is lost.
  package var lost: String

  /// Of the group of meta nodes.
  package static let meta = GroupWords(
    group: "the group of meta nodes", nodes: "meta nodes",
    start: { "kunlog meta --join --node-id \($0) --listen \($1) …" },
    add: { "kunlog meta member add \($0)=HOST:PORT" },
    moved: { "Where it has moved: kunlog meta member set-address \($0)=\($1). " },
    lost: "Only where they are lost for good: kunlog meta recover.")

  /// Of a shard.
  package static func shard(_ id: ShardID) -> GroupWords {
    GroupWords(
      group: "shard \(id)", nodes: "storage nodes",
      start: { "kunlog storage --join --shard \(id) --node-id \($0) --listen \($1) …" },
      add: { "kunlog storage add --shard \(id) --member \($0)=HOST:PORT" }, moved: { _, _ in "" },
      lost: "A shard whose majority is lost for good has lost what it acknowledged.")
  }
}

/// Brings a replication group to where an operator wants it. Each step is a goal: it is looked at first, and what is so
/// already is not done, so that what was cut off can be asked for again.
@LoopActor
package final class GroupOperator {
  private let client: ReplicationGroupClient
  private let words: GroupWords
  private let deadline: UInt64
  private let timeoutSeconds: Int
  private let onProgress: @LoopActor (String) -> Void
  private var lastProgress = ""

  /// Between two looks at the group.
  private static let pauseMilliseconds = 100

  /// - Parameter onProgress: told what is done and what is waited for, each thing once.
  package init(
    client: ReplicationGroupClient, words: GroupWords, timeoutSeconds: Int,
    onProgress: @escaping @LoopActor (String) -> Void
  ) {
    self.client = client
    self.words = words
    self.timeoutSeconds = timeoutSeconds
    self.onProgress = onProgress
    deadline = Loop.now + UInt64(timeoutSeconds) * 1_000_000_000
  }

  /// The members as the leader knows them.
  package func membership() async throws -> GroupMembership {
    do throws(MetadataError) {
      return try await client.membership(timeoutMilliseconds: min(5_000, max(1, remainingMilliseconds)))
    } catch {
      throw GroupFailure(description: await explanation(error))
    }
  }

  /// Adds a node without a vote.
  package func add(_ id: NodeID, at endpoint: MetadataEndpoint, name: String?) async throws {
    try await ensure("node \(id) at \(endpoint) receives the log") { membership in
      guard let known = membership.member(id) else { return [.addLearner(id, name: name, endpoint)] }
      guard known.address == endpoint.description else {
        throw GroupFailure(
          description: "Node \(id) is a member already, at \(known.address). "
            + words.moved(id, endpoint.description) + "A new node needs a new number.")
      }
      return []
    }
  }

  /// Returns once the node may be given a vote.
  package func awaitCaughtUp(_ id: NodeID) async throws {
    while true {
      let membership = try await membership()
      guard let member = membership.member(id) else {
        throw GroupFailure(
          description: "Node \(id) is not a member. Add it first: \(words.add(id))")
      }
      if member.standing != .learner || member.isCaughtUp == true { return }
      let lag = membership.lastIndex - min(membership.lastIndex, member.matchIndex ?? 0)
      report(
        member.isAlive == true
          ? "node \(id) catches up: \(lag) of \(membership.lastIndex) entries to go"
          : "node \(id) does not answer at \(member.address); is it started? "
            + "(\(words.start(id, member.address)))")
      try await pause("node \(id) catches up")
    }
  }

  /// Gives a learner a vote.
  @discardableResult
  package func promote(_ id: NodeID) async throws -> GroupMembership {
    try await ensure("node \(id) votes") { membership in
      guard let member = membership.member(id) else {
        throw GroupFailure(description: "Node \(id) is not a member.")
      }
      return member.standing == .learner ? [.promote(id)] : []
    }
  }

  /// Fails where the replacement makes no sense; fine where it is done already.
  package func requireReplaceable(_ old: NodeID, by new: NodeID) async throws {
    let membership = try await membership()
    guard membership.member(old) != nil || membership.member(new)?.standing == .voter else {
      throw GroupFailure(
        description: "Node \(old) is not a member of \(words.group); its members are \(Self.names(membership)).")
    }
  }

  /// Gives one node a vote and takes the other one's, in one step.
  package func swap(_ old: NodeID, for new: NodeID) async throws -> GroupMembership {
    try await ensure("node \(new) votes in the place of node \(old)") { membership in
      guard let member = membership.member(new) else {
        throw GroupFailure(description: "Node \(new) is not a member any more: somebody else has removed it.")
      }
      var changes: [GroupMemberChange] = []
      if member.standing == .learner { changes.append(.promote(new)) }
      if membership.member(old) != nil { changes.append(.remove(old)) }
      return changes
    }
  }

  /// Takes a node out.
  package func remove(_ id: NodeID) async throws -> GroupMembership {
    let before = try await membership()
    guard before.member(id) != nil else {
      throw GroupFailure(
        description: "Node \(id) is not a member of \(words.group); its members are \(Self.names(before)).")
    }
    return try await ensure("node \(id) is out") { membership in
      membership.member(id) == nil ? [] : [.remove(id)]
    }
  }

  /// Says where a node is reached.
  package func setAddress(_ id: NodeID, to endpoint: MetadataEndpoint) async throws -> GroupMembership {
    try await ensure("node \(id) is reached at \(endpoint)") { membership in
      guard let known = membership.member(id) else {
        throw GroupFailure(
          description: "Node \(id) is not a member of \(words.group); its members are \(Self.names(membership)).")
      }
      return known.address == endpoint.description ? [] : [.setAddress(id, endpoint)]
    }
  }

  /// Hands the leadership over; returns once somebody leads.
  package func transfer(to id: NodeID?) async throws -> GroupMembership {
    let before = try await membership()
    if let id, before.leaderID == id { return before }
    do throws(MetadataError) {
      try await client.transferLeadership(to: id)
    } catch {
      throw GroupFailure(description: await explanation(error))
    }
    while true {
      let after = try await membership()
      if id == nil ? after.leaderID != before.leaderID : after.leaderID == id { return after }
      guard id != nil, after.leaderID == before.leaderID else {
        throw GroupFailure(
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
    _ goal: String, _ missing: @LoopActor (GroupMembership) throws -> [GroupMemberChange]
  ) async throws -> GroupMembership {
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
          throw GroupFailure(description: Self.text(rejection))
        }
        if case .refused = error { throw GroupFailure(description: error.description) }
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
      throw GroupFailure(
        description: "Not within \(timeoutSeconds) s: \(goal). Last: \(lastProgress). "
          + "Give the command again to go on; nothing is done twice.")
    }
    try await loopSleep(milliseconds: Self.pauseMilliseconds)
  }

  private func report(_ text: String) {
    guard text != lastProgress else { return }
    lastProgress = text
    onProgress(text)
  }

  // MARK: - Words

  private static func text(_ rejection: Rejection) -> String {
    var text = rejection.message.prefix(1).uppercased() + rejection.message.dropFirst() + "."
    if let detail = rejection.detail { text += " " + detail }
    if let hint = rejection.hint { text += " " + hint }
    return text
  }

  private static func names(_ membership: GroupMembership) -> String {
    membership.members.map { "\($0.nodeID)=\($0.address)" }.joined(separator: ", ")
  }

  /// Where nobody leads, what each node says of the group is what an operator needs to know.
  private func explanation(_ error: MetadataError) async -> String {
    switch error {
    case .rejected(let rejection): return Self.text(rejection)
    case .unavailable(let reason):
      let opinions = await client.opinions()
      guard let best = opinions.max(by: { ($0.term, $0.lastIndex) < ($1.term, $1.lastIndex) }) else {
        return
          "None of the \(words.nodes) answers (\(reason)). Is the cluster running? Are --endpoints and certificate right?"
      }
      let voters = best.members.filter { $0.standing != .learner }
      let reached = voters.filter { voter in opinions.contains { $0.nodeID == voter.nodeID } }
      let missing = voters.filter { voter in !reached.contains(voter) }
      var text =
        "\(words.group.prefix(1).uppercased())\(words.group.dropFirst()) has no leader: \(reached.count) of \(voters.count) voters answer"
        + (missing.isEmpty
          ? "." : ", not " + missing.map { "\($0.nodeID) at \($0.address)" }.joined(separator: " and ") + ".")
      if reached.count * 2 <= voters.count {
        text += " Bring one of them back. \(words.lost)"
      }
      return text
    default: return error.description
    }
  }
}
