import EventLoop
import Metadata
import MetadataClient
import RPC
import StorageNode

/// Asks every node of the image how it is. Keeps its connections, so that it can be asked again and again.
@LoopActor
final class ClusterProbe {
  private let client: MetadataClient
  private let tls: TLSConfiguration
  private var channels: [MetadataEndpoint: RPCChannel] = [:]

  init(client: MetadataClient, tls: TLSConfiguration) {
    self.client = client
    self.tls = tls
  }

  func close() {
    for channel in channels.values { channel.close() }
    channels = [:]
  }

  func report(timeoutMilliseconds: Int = 1000) async -> ClusterReport {
    let image = client.image
    let definitions = image.nodes.values.sorted { $0.id < $1.id }
    let probes = definitions.map { definition in
      Task { @LoopActor in await self.ask(definition, in: image, timeoutMilliseconds) }
    }
    var nodes: [ClusterReport.Node] = []
    for probe in probes { nodes.append(await probe.value) }
    func leader(_ role: String, _ shard: UInt32?) -> String? {
      // While two claim to lead, the one of the later term does.
      nodes.filter { $0.role == role && $0.shard == shard && $0.groupRole == "leader" }
        .max { ($0.term ?? 0) < ($1.term ?? 0) }?.name
    }
    var tablets: [ShardID: Int] = [:]
    for tablet in image.tablets.values {
      for shard in tablet.holders { tablets[shard, default: 0] += 1 }
    }
    let shards = image.shards.values.sorted { $0.id < $1.id }.map { shard in
      ClusterReport.Shard(
        id: shard.id.rawValue, name: shard.name, leader: leader("storage", shard.id.rawValue),
        replicas: shard.replicas.map { image.nodes[$0]?.name ?? String($0.rawValue) }, tablets: tablets[shard.id] ?? 0,
        shardClass: shard.shardClass)
    }
    return ClusterReport(
      clusterID: image.clusterID?.hexadecimal ?? "", metadataIndex: image.index, metadataLeader: leader("meta", nil),
      nodes: nodes, shards: shards)
  }

  private func channel(_ definition: NodeDefinition) -> RPCChannel {
    let endpoint = MetadataEndpoint(host: definition.host, port: definition.port)
    if let channel = channels[endpoint] { return channel }
    let channel = RPCChannel(host: definition.host, port: definition.port, tls: tls)
    channels[endpoint] = channel
    return channel
  }

  private func ask(_ definition: NodeDefinition, in image: Image, _ timeout: Int) async -> ClusterReport.Node {
    let shard = image.shards.values.first { $0.replicas.contains(definition.id) }
    var node = ClusterReport.Node(
      id: definition.id.rawValue, name: definition.name, role: "\(definition.role)",
      address: "\(definition.host):\(definition.port)",
      postgresAddress: definition.postgresPort.map { "\(definition.host):\($0)" }, shard: shard?.id.rawValue,
      state: "down", failure: definition.failure, drainSeconds: definition.drainSeconds)
    let channel = channel(definition)
    do {
      switch definition.role {
      case .meta:
        let status = try await MetadataStatus.ask(channel, timeoutMilliseconds: timeout)
        node.groupRole = status.role
        node.term = status.term
        node.commitIndex = status.commitIndex
        node.appliedIndex = status.appliedIndex
        node.lastIndex = status.lastIndex
        node.metadataIndex = status.recordIndex
        node.state = "up"
      case .storage:
        let status = try await StorageStatus.ask(channel, timeoutMilliseconds: timeout)
        node.groupRole = status.role
        node.term = status.term
        node.commitIndex = status.commitIndex
        node.appliedIndex = status.appliedIndex
        node.lastIndex = status.lastIndex
        node.metadataIndex = status.metadataIndex
        node.tablets = status.tablets
        node.sizeBytes = status.sizeBytes
        node.state = "up"
      case .compute, .manager:
        node.state = try await RPCHealth.isServing(channel, timeoutMilliseconds: timeout) ? "up" : "starting"
      }
    } catch {
      node.state = "down"
    }
    return node
  }
}
