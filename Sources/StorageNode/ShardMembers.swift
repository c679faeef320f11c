import EventLoop
import Logging
import Metadata
import RPC
import Replica
import ReplicationGroup

/// Who belongs to the shard's group: serves its changes, keeps the log of facts in step with it while this node leads, tells the
/// log of a node that comes in, and notices that this one was taken out.
@LoopActor
final class ShardMembers {
  private let configuration: StorageNodeConfiguration
  private let feed: any MetadataFeed
  private let recorder: MembershipRecorder<ShardStateMachine>
  private let admin: GroupAdmin<ShardStateMachine>
  private let logger = Logger(label: "storage-members")
  private var isWatching = false
  private var isStopped = false
  private var start: LoopTimer?
  /// Told why, where this node is a replica no more.
  var onRemoval: (@LoopActor (String) -> Void)?
  /// Told why this node cannot come in.
  var onFailure: (@LoopActor (String) -> Void)?

  /// So long after the start it looks for the first time: a process that ends before it has started is started again.
  private static let startMilliseconds = 100
  private static let pauseMilliseconds = 200

  init(_ configuration: StorageNodeConfiguration, replica: Replica<ShardStateMachine>, feed: any MetadataFeed) {
    self.configuration = configuration
    self.feed = feed
    let shard = configuration.shardID
    recorder = MembershipRecorder(
      replica, label: "storage-members", image: { feed.image },
      missing: { members, image, _ in Self.missing(members, of: shard, image) }
    ) { _, commands in await feed.record(commands) }
    admin = GroupAdmin(.shard(shard), clusterID: configuration.clusterID, replica: replica, recorder: recorder) {
      feed.image
    }
    replica.refuse { feed.image.removedNodes.contains(NodeID(rawValue: $0)) }
    feed.observe { [weak self] in self?.look() }
  }

  func register(at server: RPCServer) { admin.register(at: server) }

  /// Begins to watch, and comes into the log where it comes into the group.
  func begin() {
    start = LoopTimer(afterMilliseconds: Self.startMilliseconds) { [weak self] in
      guard let self, !isStopped else { return }
      isWatching = true
      look()
      if configuration.members.isEmpty { LoopActor.start { await self.introduce() } }
    }
  }

  func stop() {
    isStopped = true
    start?.cancel()
  }

  /// Tells the log of changes that it does not know yet.
  func record() { recorder.wake(principal: configuration.name) }

  private func look() {
    guard isWatching, !isStopped else { return }
    guard !feed.image.removedNodes.contains(configuration.nodeID) else {
      isStopped = true
      onRemoval?(
        "node \(configuration.nodeID) was removed from shard \(configuration.shardID). Its number is never used again; "
          + "\(configuration.dataDirectory) can be deleted")
      return
    }
    record()
  }

  /// Whoever adds it finds it in the log.
  private func introduce() async {
    let own = NodeDefinition(
      id: configuration.nodeID, role: .storage, name: configuration.name, host: configuration.host,
      port: configuration.port)
    while !isStopped {
      let image = feed.image
      if let known = image.nodes[own.id], known.host == own.host, known.port == own.port { return }
      if image.clusterID != nil {
        switch await feed.record([.registerNode(own)]) {
        case .recorded: return
        case .rejected(let reason):
          onFailure?("the metadata log does not take this node: \(reason)")
          return
        case .failed(let reason): logger.info("this node is not registered yet: \(reason)")
        }
      }
      guard (try? await loopSleep(milliseconds: Self.pauseMilliseconds)) != nil else { return }
    }
  }

  /// What makes the shard's replicas in the image its members. Nothing for a shard that the image does not name (yet): whoever
  /// adds it names its first replicas.
  nonisolated static func missing(
    _ members: [ReplicaStatus.MemberStatus], of shard: ShardID, _ image: Image
  ) -> [Command] {
    guard image.featureLevel >= FeatureLevel.coordination, let known = image.shards[shard] else { return [] }
    let added = members.map { NodeID(rawValue: $0.id) }.filter {
      image.nodes[$0] != nil && !known.replicas.contains($0)
    }
    let remaining = Set(members.map(\.id))
    let removed = known.replicas.filter { !remaining.contains($0.rawValue) }
    return added.map { .addReplica(shard, $0) } + removed.map { .shard(.removeReplica(shard, $0)) }
  }
}
