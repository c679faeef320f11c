import Metadata

/// Which nodes are held to have failed, and which replicas are replaced: from what a manager sees, what shards' leaders say, and
/// what the settings allow. Asked again and again, it answers what is still to be done.
package enum FailurePolicy {
  /// From the log's settings.
  package struct Settings: Sendable, Equatable {
    /// A node that has not answered for so long is marked.
    package static let markName = "failures.mark_seconds"
    /// A replica that has not answered for so long is replaced; not set: never.
    package static let replaceName = "failures.replace_seconds"
    package static let standardMarkSeconds: UInt64 = 10

    package var markSeconds: UInt64
    package var replaceSeconds: UInt64?

    package init(markSeconds: UInt64 = standardMarkSeconds, replaceSeconds: UInt64? = nil) {
      self.markSeconds = markSeconds
      self.replaceSeconds = replaceSeconds
    }

    package init(_ image: Image) {
      self.init(
        markSeconds: image.settings[Self.markName].flatMap(UInt64.init) ?? Self.standardMarkSeconds,
        replaceSeconds: image.settings[Self.replaceName].flatMap(UInt64.init))
    }
  }

  /// A node as the manager sees it.
  package struct Node: Sendable, Equatable {
    package var id: NodeID
    package var name: String
    /// For how long it has not answered; 0: it answers. nil: it was not asked yet.
    package var silentSeconds: UInt64?
    /// As the log has it.
    package var isMarked: Bool
    /// It is to end: that it does not answer is no failure.
    package var isDraining: Bool

    package init(
      id: NodeID, name: String, silentSeconds: UInt64?, isMarked: Bool = false, isDraining: Bool = false
    ) {
      self.id = id
      self.name = name
      self.silentSeconds = silentSeconds
      self.isMarked = isMarked
      self.isDraining = isDraining
    }
  }

  /// A shard's group as its leader sees it.
  package struct Group: Sendable, Equatable {
    package struct Member: Sendable, Equatable {
      package var id: NodeID
      package var isVoter: Bool
      package var isAlive: Bool
      package init(id: NodeID, isVoter: Bool = true, isAlive: Bool = true) {
        self.id = id
        self.isVoter = isVoter
        self.isAlive = isAlive
      }
    }
    package var members: [Member]
    /// A change of the members is under way.
    package var isChanging: Bool
    package init(_ members: [Member], isChanging: Bool = false) {
      self.members = members
      self.isChanging = isChanging
    }
  }

  /// A shard as the log has it.
  package struct Shard: Sendable, Equatable {
    package var id: ShardID
    package var replicas: [NodeID]
    /// nil: nobody leads, as far as the manager can see.
    package var group: Group?
    /// Storage nodes that wait for it and answer.
    package var spares: [NodeID]
    /// One of its replicas is being replaced by this manager.
    package var isReplacing: Bool
    package init(
      id: ShardID, replicas: [NodeID], group: Group?, spares: [NodeID] = [], isReplacing: Bool = false
    ) {
      self.id = id
      self.replicas = replicas
      self.group = group
      self.spares = spares
      self.isReplacing = isReplacing
    }
  }

  package enum Action: Sendable, Equatable {
    case markFailed(NodeID, reason: String)
    case markWell(NodeID)
    /// nil: by a node that is yet to be started.
    case replace(NodeID, of: ShardID, by: NodeID?)
    /// Nothing that a manager could do: what a person may.
    case advise(NodeID, String)
  }

  /// - Parameter canStart: whether somebody starts new storage nodes when the manager asks.
  package static func decide(
    nodes: [Node], shards: [Shard], settings: Settings, canStart: Bool
  ) -> [Action] {
    // Who hears of nobody at all is away itself.
    guard nodes.contains(where: { $0.silentSeconds == 0 }) else { return [] }
    var actions: [Action] = []
    for node in nodes.sorted(by: { $0.id < $1.id }) {
      guard let silent = node.silentSeconds else { continue }
      if silent == 0, node.isMarked { actions.append(.markWell(node.id)) }
      if silent > 0, silent >= settings.markSeconds, !node.isMarked, !node.isDraining {
        actions.append(.markFailed(node.id, reason: "it has not answered for \(silent) s"))
      }
    }
    guard let patience = settings.replaceSeconds else { return actions }
    for shard in shards.sorted(by: { $0.id < $1.id }) where !shard.isReplacing {
      let lost = nodes.filter { node in
        shard.replicas.contains(node.id) && node.isMarked && (node.silentSeconds ?? 0) >= max(patience, 1)
      }.sorted { ($1.silentSeconds ?? 0, $0.id) < ($0.silentSeconds ?? 0, $1.id) }
      guard let first = lost.first else { continue }
      if let action = replacement(of: first, shard, canStart) { actions.append(action) }
    }
    return actions
  }

  /// One at a time, the one that has been away longest first.
  private static func replacement(of node: Node, _ shard: Shard, _ canStart: Bool) -> Action? {
    guard let group = shard.group else {
      return .advise(
        node.id,
        "shard \(shard.id) has no leader, so that \(node.name) cannot be replaced: bring back one of its replicas first"
      )
    }
    // It may answer its leader, and not the manager: then it is well. Or its members are what the log does not know yet.
    guard !group.isChanging, let member = group.members.first(where: { $0.id == node.id }), !member.isAlive else {
      return nil
    }
    let voters = group.members.filter(\.isVoter)
    guard voters.count(where: \.isAlive) * 2 > voters.count else {
      return .advise(
        node.id,
        "too few replicas of shard \(shard.id) can be reached to replace \(node.name): bring back one of them first")
    }
    if let spare = shard.spares.sorted().first { return .replace(node.id, of: shard.id, by: spare) }
    if canStart { return .replace(node.id, of: shard.id, by: nil) }
    return .advise(
      node.id,
      "\(node.name) of shard \(shard.id) is to be replaced, and there is no node to take its place: start one (kunlog storage "
        + "--join --shard \(shard.id) …), and it is taken")
  }
}
