import AccessControl
import EventLoop
import Logging
import Metadata
import MetadataClient
import PostgresWire
import RPC
import SQLParser
import SQLPlan
import SQLTypes

/// What a compute node needs to know to start. It keeps nothing on disk.
package struct ComputeNodeConfiguration: Sendable {
  package var nodeID: NodeID
  package var name: String
  package var clusterID: ClusterID
  /// Where other nodes reach it.
  package var host: String
  /// gRPC; 0 lets the system choose.
  package var port: Int
  /// Where PostgreSQL's clients reach it.
  package var postgresHost: String
  /// 0 lets the system choose.
  package var postgresPort: Int
  package var metadataEndpoints: [MetadataEndpoint]
  /// Where the meta nodes that were heard of are kept for the next start; nil: nowhere.
  package var metadataEndpointsFile: String?
  /// The node's own certificate, where nodes use TLS between them.
  package var nodeTLS: TLSConfiguration?
  /// The certificate that PostgreSQL's clients see; nil: no TLS for them.
  package var clientTLS: TLSConfiguration?
  /// Clients at the same time.
  package var maximumSessions = 200
  /// Statements that run in the node's own SQLite at the same time.
  package var localThreads = 64
  package init(
    nodeID: NodeID, name: String, clusterID: ClusterID, host: String, port: Int, postgresHost: String,
    postgresPort: Int, metadataEndpoints: [MetadataEndpoint], nodeTLS: TLSConfiguration? = nil,
    clientTLS: TLSConfiguration? = nil
  ) {
    self.nodeID = nodeID
    self.name = name
    self.clusterID = clusterID
    self.host = host
    self.port = port
    self.postgresHost = postgresHost
    self.postgresPort = postgresPort
    self.metadataEndpoints = metadataEndpoints
    self.nodeTLS = nodeTLS
    self.clientTLS = clientTLS
  }
}

/// A compute node: PostgreSQL's protocol in front, the metadata log and the shards behind. All that it knows it reads
/// from the log, so that a new one serves the whole catalog as soon as it has caught up.
@LoopActor
package final class ComputeNode {
  package let configuration: ComputeNodeConfiguration
  /// Told once where the node can go on no more; the process should end.
  package var onFailure: (@LoopActor (String) -> Void)?
  package let metadata: MetadataClient
  let storage: StorageClient
  private let local: SQLiteLocalEngine
  let server: RPCServer
  private let factory: SessionFactory
  private let log = Logger(label: "compute")
  private(set) var listener: PostgresListener?
  private(set) var isStopped = false
  /// Whether this node has ended because it was taken out of the cluster; it is of no use any more.
  package private(set) var isRemoved = false
  private var departure: LoopTimer?
  /// When it was first seen that it is to leave, in nanoseconds.
  private var leavesSince: UInt64?
  let plans: PlanCache
  let coordinator: TransactionCoordinator
  let deadlocks: DeadlockDetector

  package init(_ configuration: ComputeNodeConfiguration) {
    self.configuration = configuration
    var following = MetadataClient.Configuration(
      endpoints: configuration.metadataEndpoints, tls: configuration.nodeTLS,
      principal: configuration.name, clusterID: configuration.clusterID)
    following.endpointsFile = configuration.metadataEndpointsFile
    metadata = MetadataClient(following)
    let metadata = self.metadata
    storage = StorageClient(clusterID: configuration.clusterID, tls: configuration.nodeTLS) { metadata.image }
    local = SQLiteLocalEngine(threads: configuration.localThreads)
    server = RPCServer(host: configuration.host, port: configuration.port, tls: configuration.nodeTLS?.acceptingTokens)
    _ = AccessGuard.install(at: server, role: .compute, tls: configuration.nodeTLS) { metadata.image }
    let services = ExecutionServices(
      metadata: MetadataLog(metadata), shards: storage, local: local,
      planning: { image, session in Planner(image: image, session: session, parse: SQLParser.parse) },
      nodeID: configuration.nodeID,
      cryptography: .openSSL, randomBytes: { SecureRandom.bytes($0) })
    plans = services.plans
    coordinator = services.coordinator
    deadlocks = services.deadlocks
    factory = SessionFactory(services)
  }

  /// gRPC's port, once started.
  package var port: Int { server.port }

  /// PostgreSQL's port, once clients are served.
  package var postgresPort: Int { listener?.port ?? 0 }

  /// Sessions of clients.
  package var sessionCount: Int { listener?.sessionCount ?? 0 }

  /// Returns once clients are served: the node has read the catalog, and the log knows its address. Waits as long as the
  /// metadata log cannot be reached.
  package func start() async throws {
    server.health.set("", .notServing)
    try server.start()
    metadata.observe { [weak self] _ in self?.storage.meetTargets() }
    metadata.onOutdated = { [weak self] reason in self?.onFailure?(reason) }
    metadata.start()
    await metadata.ready()
    if let reason = metadata.outdated { throw MetadataError.outdated(reason) }
    // A log that is just being set up has no cluster yet, and no role that could log in.
    while metadata.image.clusterID == nil, !isStopped { try await loopSleep(milliseconds: 20) }
    guard !isStopped else { return }
    let listener = try PostgresListener(configuration: listenerConfiguration, factory: factory)
    self.listener = listener
    try await register()
    guard !isStopped else { return }
    server.health.set("", .serving)
    departure = LoopTimer(afterMilliseconds: Self.departureMilliseconds, repeatMilliseconds: Self.departureMilliseconds)
    {
      [weak self] in self?.lookForDeparture()
    }
    log.info("compute node \(configuration.nodeID) serves PostgreSQL on \(configuration.postgresHost):\(listener.port)")
  }

  /// How often it looks whether it is to leave, and whether its sessions have ended then.
  private static let departureMilliseconds = 100

  /// A node that is to leave takes no new clients, and ends once its sessions have ended or had their time.
  private func lookForDeparture() {
    let image = metadata.image
    let isOut = image.removedNodes.contains(configuration.nodeID)
    guard !isStopped, isOut || image.nodes[configuration.nodeID]?.drainSeconds != nil else { return }
    let since = leavesSince ?? Loop.now
    if leavesSince == nil {
      leavesSince = since
      server.health.set("", .notServing)
      listener?.stopAccepting()
      log.notice("compute node \(configuration.nodeID) is to leave: it takes no new sessions")
    }
    // A later command may give more time, or less.
    let grace = UInt64(image.nodes[configuration.nodeID]?.drainSeconds ?? 0) * 1_000_000_000
    guard isOut || (listener?.connectionCount ?? 0) == 0 || Loop.now - since >= grace else { return }
    departure?.cancel()
    isRemoved = true
    onFailure?(
      "node \(configuration.nodeID) was taken out of the cluster; its last \(listener?.connectionCount ?? 0) sessions end"
    )
  }

  private var listenerConfiguration: PostgresListener.Configuration {
    var result = PostgresListener.Configuration(
      host: configuration.postgresHost, port: configuration.postgresPort, tls: configuration.clientTLS)
    result.maximumSessions = configuration.maximumSessions
    return result
  }

  /// Tells the log where the node is; tried until it is recorded, as the log may be without a leader for a while.
  private func register() async throws {
    let node = NodeDefinition(
      id: configuration.nodeID, role: .compute, name: configuration.name, host: configuration.host, port: port,
      postgresPort: postgresPort)
    while !isStopped {
      do {
        _ = try await metadata.append([.registerNode(node)])
        return
      } catch {
        switch error {
        case .rejected, .refused, .stopped: throw error
        default: log.warning("cannot register with the metadata log: \(error)")
        }
      }
      try await loopSleep(milliseconds: 500)
    }
  }

  /// Ends the sessions, then everything else.
  package func stop(graceMilliseconds: Int = 1000) async {
    guard !isStopped else { return }
    isStopped = true
    departure?.cancel()
    server.health.set("", .notServing)
    listener?.close()
    let deadline = Loop.now + UInt64(max(0, graceMilliseconds)) * 1_000_000
    while let listener, listener.connectionCount > 0, Loop.now < deadline {
      try? await loopSleep(milliseconds: 10)
    }
    await server.shutdown(graceMilliseconds: graceMilliseconds)
    storage.close()
    metadata.stop()
    local.shutdown()
  }
}
