import Coordination
import EventLoop
import Logging
import Metadata
import MetadataClient
import Metrics
import RPC
import StorageWire

/// Marks nodes that do not answer, and replaces replicas that stay away where the settings say so, while this manager acts. What is to
/// be done `FailurePolicy` decides anew each time. A replacement that is cut off is taken up by whoever acts next: the new node waits
/// in the log, and each step is a goal.
@LoopActor
final class ReplicaKeeper {
  private static let callMilliseconds = 1000
  private static let replacementSeconds = 3600
  /// A shard whose replacement failed is left alone for so long.
  private static let backoffMilliseconds: UInt64 = 10_000

  private let client: MetadataClient
  private let tls: TLSConfiguration?
  private let starter: ReplicaStarter?
  private let channel: @LoopActor (NodeDefinition) -> RPCChannel
  private let logger = Logger(label: "manager")
  /// When it answered last, or was heard of first, in milliseconds.
  private var answered: [NodeID: UInt64] = [:]
  private var isAnswering: [NodeID: Bool] = [:]
  private var replacing: [ShardID: Task<Void, Never>] = [:]
  private var failedAt: [ShardID: UInt64] = [:]
  private var advised: [NodeID: String] = [:]
  private var marks: UInt64 = 0
  private var replacements: UInt64 = 0

  init(
    client: MetadataClient, tls: TLSConfiguration?, starter: ReplicaStarter?,
    channel: @escaping @LoopActor (NodeDefinition) -> RPCChannel
  ) {
    self.client = client
    self.tls = tls
    self.starter = starter
    self.channel = channel
  }

  func addMetrics(to set: inout MetricSet) {
    set.gauge(
      "kunlog_manager_failed_nodes", "Nodes that the metadata log says have failed.",
      client.image.nodes.values.count { $0.failure != nil })
    set.counter("kunlog_manager_marked_nodes_total", "Times that this manager has marked a node as failed.", marks)
    set.counter(
      "kunlog_manager_replaced_replicas_total", "Replicas that this manager has put others in the place of.",
      replacements)
    set.gauge(
      "kunlog_manager_replacements", "Replicas that this manager is putting others in the place of.", replacing.count)
  }

  /// A node has answered that it lives, or has not.
  func heard(_ node: NodeID, _ answers: Bool) {
    isAnswering[node] = answers
    if answers || answered[node] == nil { answered[node] = now }
  }

  func stop() {
    for task in replacing.values { task.cancel() }
  }

  private var now: UInt64 { Loop.now / 1_000_000 }

  /// One round.
  /// - Parameter epoch: in which this manager acts.
  func run(_ epoch: UInt64, own: NodeID) async {
    let image = client.image
    let settings = FailurePolicy.Settings(image)
    answered = answered.filter { image.nodes[$0.key] != nil }
    isAnswering = isAnswering.filter { image.nodes[$0.key] != nil }
    let nodes = image.nodes.values.filter { $0.id != own }.map { node in
      FailurePolicy.Node(
        id: node.id, name: node.name,
        silentSeconds: isAnswering[node.id].map { $0 ? 0 : max(1, (now - (answered[node.id] ?? now)) / 1000) },
        isMarked: node.failure != nil, isDraining: node.drainSeconds != nil)
    }
    let shards = await shards(image, settings)
    let actions = FailurePolicy.decide(nodes: nodes, shards: shards, settings: settings, canStart: starter != nil)
    var advice: [NodeID: String] = [:]
    for action in actions {
      switch action {
      case .markFailed(let id, let reason):
        if await append(.node(.markFailed(id, reason: reason)), epoch) { marks &+= 1 }
      case .markWell(let id): _ = await append(.node(.markWell(id)), epoch)
      case .replace(let id, let shard, let spare): begin(id, of: shard, by: spare, image, epoch)
      case .advise(let id, let text):
        advice[id] = text
        if advised[id] != text { logger.warning("\(text)") }
      }
    }
    advised = advice
  }

  private func append(_ command: Command, _ epoch: UInt64) async -> Bool {
    do throws(MetadataError) {
      let result = try await client.append(
        AppendRequest(principal: client.configuration.principal, managerEpoch: epoch, commands: [command]))
      return !result.events.isEmpty
    } catch {
      logger.warning("not recorded: \(error)")
      return false
    }
  }

  // MARK: What is asked

  /// Only shards that may need a replacement are asked.
  private func shards(_ image: Image, _ settings: FailurePolicy.Settings) async -> [FailurePolicy.Shard] {
    guard settings.replaceSeconds != nil else { return [] }
    var shards: [FailurePolicy.Shard] = []
    for shard in image.shards.values.sorted(by: { $0.id < $1.id })
    where shard.replicas.contains(where: { image.nodes[$0]?.failure != nil }) {
      if let failed = failedAt[shard.id], now - failed < Self.backoffMilliseconds { continue }
      let group = client(of: shard, image)
      defer { group?.close() }
      let membership = try? await group?.membership(timeoutMilliseconds: Self.callMilliseconds)
      shards.append(
        FailurePolicy.Shard(
          id: shard.id, replicas: shard.replicas, group: membership.map(Self.group),
          spares: await spares(of: shard.id, image), isReplacing: replacing[shard.id] != nil))
    }
    return shards
  }

  private static func group(_ membership: GroupMembership) -> FailurePolicy.Group {
    FailurePolicy.Group(
      membership.members.map {
        .init(id: $0.nodeID, isVoter: $0.standing != .learner, isAlive: $0.isAlive ?? false)
      }, isChanging: membership.isJoint)
  }

  private func client(of shard: ShardDefinition, _ image: Image) -> ReplicationGroupClient? {
    let endpoints = shard.replicas.compactMap { image.nodes[$0] }.map { MetadataEndpoint(host: $0.host, port: $0.port) }
    return endpoints.isEmpty ? nil : ReplicationGroupClient(endpoints: endpoints, tls: tls, clusterID: image.clusterID)
  }

  /// Storage nodes of no shard that say that they wait for this one; and learners, which somebody has begun to bring in.
  private func spares(of shard: ShardID, _ image: Image) async -> [NodeID] {
    let used = Set(image.shards.values.flatMap(\.replicas))
    var spares: [NodeID] = []
    for node in image.nodes.values.sorted(by: { $0.id < $1.id })
    where node.role == .storage && !used.contains(node.id) && isAnswering[node.id] == true && node.failure == nil {
      let role = try? await ReplicaRole.ask(channel(node), timeoutMilliseconds: Self.callMilliseconds)
      if role?.shardID == shard { spares.append(node.id) }
    }
    return spares
  }

  // MARK: Replacing

  private func begin(_ old: NodeID, of shard: ShardID, by spare: NodeID?, _ image: Image, _ epoch: UInt64) {
    guard replacing[shard] == nil else { return }
    replacing[shard] = LoopActor.start {
      do {
        try await self.replace(old, of: shard, by: spare, image, epoch)
        self.replacements &+= 1
        self.failedAt[shard] = nil
      } catch {
        self.failedAt[shard] = self.now
        self.logger.warning(
          "\(image.nodes[old]?.name ?? "node \(old)") of shard \(shard) is not replaced yet: \(error)")
      }
      self.replacing[shard] = nil
    }
  }

  private func replace(
    _ old: NodeID, of shard: ShardID, by spare: NodeID?, _ image: Image, _ epoch: UInt64
  ) async throws {
    let name = image.nodes[old]?.name ?? "node \(old)"
    let new: NodeDefinition
    if let spare, let node = image.nodes[spare] {
      new = node
    } else if let starter {
      new = try await starter.start(shard, image)
    } else {
      return
    }
    guard let definition = image.shards[shard], let group = client(of: definition, image) else { return }
    defer { group.close() }
    let text = "\(new.name) is to take the place of \(name) in shard \(shard): \(image.nodes[old]?.failure ?? "")"
    logger.notice("\(text)")
    _ = await append(.recordNote(topic: "replacement", content: Array(text.utf8)), epoch)
    let goals = GroupOperator(client: group, words: .shard(shard), timeoutSeconds: Self.replacementSeconds) {
      [logger] in logger.info("shard \(shard): \($0)")
    }
    try await goals.add(new.id, at: MetadataEndpoint(host: new.host, port: new.port), name: nil)
    try await goals.awaitCaughtUp(new.id)
    _ = try await goals.swap(old, for: new.id)
    try await starter?.ended(old, new.id)
    logger.notice("\(new.name) has taken the place of \(name) in shard \(shard)")
  }
}

/// Who starts storage nodes when a manager needs one: a quick start's supervisor.
package struct ReplicaStarter: Sendable {
  /// A node that waits to come into the shard: one that was begun before, or a new one. Returns once it is there.
  package var start: @LoopActor @Sendable (ShardID, Image) async throws -> NodeDefinition
  /// A replica is no more: its process can go. The other one has data from now on.
  package var ended: @LoopActor @Sendable (NodeID, _ replacedBy: NodeID) async throws -> Void

  package init(
    start: @escaping @LoopActor @Sendable (ShardID, Image) async throws -> NodeDefinition,
    ended: @escaping @LoopActor @Sendable (NodeID, _ replacedBy: NodeID) async throws -> Void
  ) {
    self.start = start
    self.ended = ended
  }
}
