import AccessControl
import EventLoop
import Logging
import Metadata
import MetadataClient
import Metrics
import RPC

/// What a manager process is told at its start.
package struct ManagerNodeConfiguration: Sendable {
  package var nodeID: NodeID
  package var clusterID: ClusterID
  package var host: String
  /// gRPC; 0: any free port.
  package var port: Int
  package var metadata: [MetadataEndpoint]
  package var tls: TLSConfiguration?
  /// How often each node is asked whether it serves.
  package var probeIntervalMilliseconds = 1000
  /// Who starts storage nodes in the place of failed ones; nil: nobody.
  package var starter: ReplicaStarter?
  package init(
    nodeID: NodeID, clusterID: ClusterID, host: String, port: Int, metadata: [MetadataEndpoint],
    tls: TLSConfiguration? = nil
  ) {
    self.nodeID = nodeID
    self.clusterID = clusterID
    self.host = host
    self.port = port
    self.metadata = metadata
    self.tls = tls
  }
}

/// A manager: follows the metadata log, watches every node that it names, and lets the log forget what is over. One of all, the
/// acting one, drives migrations. It holds nothing that the log does not.
@LoopActor
package final class ManagerNode {
  /// Told once where the node can go on no more; the process should end.
  package var onFailure: (@LoopActor (String) -> Void)?

  private let configuration: ManagerNodeConfiguration
  private let client: MetadataClient
  private let server: RPCServer
  private let logger: Logger
  private var channels: [NodeID: RPCChannel] = [:]
  private var isServing: [NodeID: Bool] = [:]
  private var timer: LoopTimer?
  private var isProbing = false
  private var probes: UInt64 = 0
  private var resolver: TransactionResolver!
  private let election: ManagerElection
  private var migrations: MigrationRunner!
  private var rebalancer: Rebalancer!
  private let mirrors: MirrorKeeper
  private var keeper: ReplicaKeeper!
  private var isKeeping = false
  private var electionTimer: LoopTimer?
  private var isElecting = false

  package init(_ configuration: ManagerNodeConfiguration) {
    self.configuration = configuration
    client = MetadataClient(
      MetadataClient.Configuration(
        endpoints: configuration.metadata, tls: configuration.tls, principal: "manager \(configuration.nodeID)",
        clusterID: configuration.clusterID))
    server = RPCServer(
      host: configuration.host, port: configuration.port, tls: configuration.tls?.acceptingTokens)
    _ = AccessGuard.install(at: server, role: .manager, tls: configuration.tls) { [client] in client.image }
    logger = Logger(label: "manager")
    mirrors = MirrorKeeper(client: client)
    election = ManagerElection(nodeID: configuration.nodeID, client: client)
    migrations = MigrationRunner(client: client) { [unowned self] in channel(to: $0) }
    rebalancer = Rebalancer(client: client) { [unowned self] in channel(to: $0) }
    keeper = ReplicaKeeper(client: client, tls: configuration.tls, starter: configuration.starter) {
      [unowned self] in channel(to: $0)
    }
    election.onChange = { [weak self] epoch in self?.migrations.act(in: epoch) }
    resolver = TransactionResolver(client: client) { [unowned self] in channel(to: $0) }
  }

  /// Begins to serve its health and to watch.
  package func start() async throws {
    try server.start()
    client.onOutdated = { [weak self] reason in self?.onFailure?(reason) }
    client.start()
    electionTimer = LoopTimer(
      afterMilliseconds: Self.electionMilliseconds, repeatMilliseconds: Self.electionMilliseconds
    ) { [weak self] in
      guard let self, !self.isElecting else { return }
      self.isElecting = true
      LoopActor.start {
        await self.election.run { self.isServing[$0] }
        self.isElecting = false
      }
    }
    timer = LoopTimer(
      afterMilliseconds: configuration.probeIntervalMilliseconds,
      repeatMilliseconds: configuration.probeIntervalMilliseconds
    ) { [weak self] in
      guard let self, !self.isProbing else { return }
      self.isProbing = true
      Task { @LoopActor in
        await self.probeAll()
        await self.resolver.resolve()
        if let epoch = self.election.epoch {
          await self.mirrors.run(epoch)
          await self.rebalancer.run(epoch)
        }
        self.isProbing = false
      }
      self.keep()
    }
  }

  /// Beside the rest: what it asks may take a while to answer.
  private func keep() {
    guard let epoch = election.epoch, !isKeeping else { return }
    isKeeping = true
    Task { @LoopActor in
      await self.keeper.run(epoch, own: self.configuration.nodeID)
      self.isKeeping = false
    }
  }

  /// How often it looks whether a manager acts.
  private static let electionMilliseconds = 200

  package func stop() async {
    timer?.cancel()
    electionTimer?.cancel()
    migrations.stop()
    keeper.stop()
    await election.resign()
    client.stop()
    for channel in channels.values { channel.close() }
    await server.shutdown(graceMilliseconds: 500)
  }

  /// What those who watch the process are told.
  package var metrics: MetricSet {
    var set = MetricSet()
    let nodes = client.image.nodes.values.filter { $0.id != configuration.nodeID }.sorted { $0.id < $1.id }
    let down = nodes.count { isServing[$0.id] == false }
    set.gauge("kunlog_manager_nodes", "Nodes that the metadata log names and this manager watches.", nodes.count)
    set.gauge("kunlog_manager_nodes_down", "Watched nodes that did not answer that they live.", down)
    for node in nodes {
      guard let serves = isServing[node.id] else { continue }
      set.gauge(
        "kunlog_manager_node_up", "Whether a watched node answered that it lives.", serves, ("node", node.name),
        ("node_id", "\(node.id)"), ("node_role", "\(node.role)"))
    }
    set.gauge(
      "kunlog_manager_open_decisions",
      "Decisions on transactions that a shard may still have to carry out.",
      client.image.transactions.open.count)
    set.counter(
      "kunlog_manager_resolved_transactions_total", "Transactions that this manager resolved for their coordinators.",
      resolver.resolvedCount)
    set.gauge("kunlog_manager_is_acting", "Whether this manager acts, as the metadata log says.", election.epoch != nil)
    migrations.addMetrics(to: &set)
    rebalancer.addMetrics(to: &set)
    keeper.addMetrics(to: &set)
    set.counter("kunlog_manager_probes_total", "Times that this manager has asked all nodes.", probes)
    set.add(client.metrics)
    set.add(server.metrics)
    return set
  }

  /// Why this manager watches nothing; nil: it watches.
  package var unreadiness: String? { client.isReady ? nil : "the metadata log has not been read yet" }

  private func channel(to node: NodeDefinition) -> RPCChannel {
    let channel = channels[node.id] ?? RPCChannel(host: node.host, port: node.port, tls: configuration.tls)
    channels[node.id] = channel
    return channel
  }

  /// Asks each node once and logs what has changed since.
  private func probeAll() async {
    probes &+= 1
    let nodes = client.image.nodes.values.filter { $0.id != configuration.nodeID }.sorted { $0.id < $1.id }
    for (id, channel) in channels
    where !nodes.contains(where: { $0.id == id && $0.host == channel.host && $0.port == channel.port }) {
      channel.close()
      channels[id] = nil
    }
    let probes = nodes.map { node in
      let channel = channel(to: node)
      return Task { @LoopActor in
        (try? await RPCHealth.isServing(channel, timeoutMilliseconds: configuration.probeIntervalMilliseconds)) ?? false
      }
    }
    for (node, probe) in zip(nodes, probes) {
      let serves = await probe.value
      keeper.heard(node.id, serves)
      guard isServing[node.id] != serves else { continue }
      isServing[node.id] = serves
      logger.log(
        level: serves ? .notice : .warning, "\(node.name) \(serves ? "serves" : "does not answer")",
        metadata: [
          "watched": "\(node.name)", "watched_id": .stringConvertible(node.id.rawValue),
          "watched_role": "\(node.role)",
        ])
    }
  }
}
