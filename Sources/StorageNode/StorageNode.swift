import AccessControl
import EventLoop
import Logging
import Metadata
import ProtocolStorage
import RPC
import Replica
import ReplicationGroup
import SQLTypes
import StorageEngine
import StorageWire

/// One replica of one shard: its log, its tablets, and the service that compute nodes use.
@LoopActor
package final class StorageNode {
  package let configuration: StorageNodeConfiguration
  let engine: any StorageEngine
  private let feed: any MetadataFeed
  let server: RPCServer
  private let logger: Logger
  private var directoryLock: DirectoryLock?
  private var machine: ShardStateMachine?
  private(set) var replica: Replica<ShardStateMachine>?
  private(set) var service: StorageService?
  /// Told once when the replica cannot go on (its disk or its tablets failed): the process should end.
  package var onFailure: (@LoopActor (String) -> Void)?
  private var members: ShardMembers?
  /// Whether its engine waits for space.
  private(set) var isWaitingForSpace = false
  /// Whether this node has ended because its shard, or the shard itself, was taken out of the cluster; it is of no use any more.
  package private(set) var isRemoved = false

  /// - Parameters:
  ///   - engine: the engine of this node's tablets, not yet open.
  ///   - feed: the metadata, which its owner starts.
  package init(_ configuration: StorageNodeConfiguration, engine: any StorageEngine, feed: any MetadataFeed) {
    self.configuration = configuration
    self.engine = engine
    self.feed = feed
    server = RPCServer(host: configuration.host, port: configuration.port, tls: configuration.tls?.acceptingTokens)
    _ = AccessGuard.install(at: server, role: .storage, tls: configuration.tls) { feed.image }
    var logger = Logger(label: "storage")
    logger[metadataKey: "shard"] = "\(configuration.shardID)"
    logger[metadataKey: "node"] = "\(configuration.nodeID)"
    self.logger = logger
  }

  /// The port that it listens on, once started.
  package var port: Int { server.port }

  /// Whether it leads its shard and serves.
  package var isLeader: Bool { machine?.isLeader ?? false }

  /// Opens log and tablets and begins to serve. Throws where the directory is in use, belongs to another cluster, shard or
  /// node, or cannot be read.
  package func start() async throws(StorageNodeError) {
    do {
      try FileSystem.createDirectory(configuration.dataDirectory)
      directoryLock = try DirectoryLock(configuration.dataDirectory)
      try await open()
    } catch {
      directoryLock = nil
      throw StorageNodeError("\(error)")
    }
  }

  private func open() async throws {
    engine.onFull = { [weak self] in self?.spaceChanged($0) }
    let opened = try await engine.open()
    let machine = try ShardStateMachine(
      engine: engine, opened: opened, nodeID: configuration.nodeID.rawValue, logger: logger)
    let replica = Replica(configuration: replicaConfiguration, machine: machine, server: server, tls: configuration.tls)
    let reconciler = SchemaReconciler(
      feed: feed, machine: machine, shardID: configuration.shardID, logger: logger,
      propose: { (payload) async throws(ReplicaError) in try await replica.propose(payload) })
    let service = StorageService(
      configuration: configuration, feed: feed, machine: machine, replica: replica, reconciler: reconciler,
      logger: logger)
    let members = ShardMembers(configuration, replica: replica, feed: feed)
    members.register(at: server)
    members.onRemoval = { [weak self] reason in
      self?.isRemoved = true
      self?.onFailure?(reason)
    }
    members.onFailure = { [weak self] in self?.onFailure?($0) }
    machine.onLeadership = { [weak self] isLeader in
      if isLeader { members.record() }
      reconciler.leadershipChanged(isLeader)
      service.leadershipChanged(isLeader)
      self?.server.health.set(StorageMethods.service, isLeader ? .serving : .notServing)
      self?.logger.info(isLeader ? "leads the shard" : "no longer leads the shard")
    }
    replica.onFailure = { [weak self] error in self?.onFailure?("\(error)") }
    service.register(on: server)
    server.addDescriptors(ProtocolStorageDescriptors.fileDescriptorSet)
    self.machine = machine
    self.replica = replica
    self.service = service
    self.members = members
    do {
      // The replica registers its own service, so that nobody finds it missing.
      try await replica.start()
      try server.start()
    } catch {
      await replica.stop()
      await server.shutdown()
      await engine.close()
      throw error
    }
    // Tablets hold committed entries only: what the log lacks was lost with it, and they with it. Of a damaged log the
    // leader brings again what is missing.
    let lastIndex = max(replica.status.lastIndex, replica.status.promisedIndex ?? 0)
    if engine.highestIndex > lastIndex {
      logger.critical("the tablets contain entry \(engine.highestIndex), but the log ends at \(lastIndex)")
      await stop()
      throw StorageNodeError(
        "the tablets in \(configuration.engineDirectory) contain entry \(engine.highestIndex) of the shard's log, which "
          + "ends at \(lastIndex): remove the directory \(configuration.engineDirectory) and start again")
    }
    members.begin()
  }

  /// Who cannot apply what is logged must not lead.
  private func spaceChanged(_ space: EngineSpace) {
    switch space {
    case .usesReserve:
      logger.critical(
        """
        the disk of \(configuration.engineDirectory) is full: what the shard has logged already is applied in the space that \
        was set aside for it. Free space there
        """)
    case .waits:
      isWaitingForSpace = true
      logger.critical(
        """
        the disk of \(configuration.engineDirectory) is full, and what was set aside for that is used: this node goes on with what \
        the shard has logged when there is space. Free space there
        """)
    case .hasSpace: isWaitingForSpace = false
    }
    replica?.setMachineFull(isWaitingForSpace)
  }

  private var replicaConfiguration: ReplicaConfiguration {
    var replica = ReplicaConfiguration(
      clusterID: configuration.clusterID.rawValue, groupID: "shard-\(configuration.shardID)",
      nodeID: configuration.nodeID.rawValue,
      members: configuration.members.map { .init(id: $0.id.rawValue, address: "\($0.host):\($0.port)") },
      dataDirectory: "\(configuration.dataDirectory)/log")
    // The loop of a shard's leader answers statements too: it may be held up for longer than that of a meta node.
    replica.raft.electionTimeoutMilliseconds = 400
    replica.raft.announcesCommits = false
    configuration.tune(&replica)
    return replica
  }

  /// Stops serving, hands the leadership over where it can, makes everything durable and closes.
  package func stop() async {
    members?.stop()
    if isLeader { try? await replica?.transferLeadership() }
    server.health.set(StorageMethods.service, .notServing)
    await service?.stop()
    engine.stopWaiting()
    await replica?.stop()
    await server.shutdown(graceMilliseconds: 200)
    await machine?.close()
    await engine.close()
    directoryLock = nil
  }

  /// The replica as it is now.
  package var replicaStatus: ReplicaStatus? { replica?.status }
}
