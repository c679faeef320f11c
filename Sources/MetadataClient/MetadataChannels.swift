import EventLoop
import Metadata
import RPC

/// The meta nodes that a client knows, a channel to each that it has used, and which to ask next.
@LoopActor
final class MetadataChannels {
  private let configured: [MetadataEndpoint]
  private let file: String?
  private let tls: TLSConfiguration?
  private var channels: [MetadataEndpoint: RPCChannel] = [:]
  // Those that the image names, and then those that the client was told of at its start.
  private var known: [MetadataEndpoint]
  // So many of them belong to the group; the rest is asked only where none of these answers.
  private var current: Int
  private var position: Int
  private var failures = 0
  /// The leader, as last heard.
  var leader: MetadataEndpoint?

  init(_ configuration: MetadataClient.Configuration) {
    let remembered = configuration.endpointsFile.map(EndpointFile.read) ?? []
    configured = remembered + configuration.endpoints.filter { !remembered.contains($0) }
    file = configuration.endpointsFile
    known = configured
    current = known.count
    tls = configuration.tls
    // So that a cluster's consumers spread over its meta nodes.
    position = Int.random(in: 0..<(remembered.isEmpty ? known.count : remembered.count))
  }

  func channel(_ endpoint: MetadataEndpoint) -> RPCChannel {
    if let channel = channels[endpoint] { return channel }
    let channel = RPCChannel(host: endpoint.host, port: endpoint.port, tls: tls)
    channels[endpoint] = channel
    return channel
  }

  /// The node to follow: the same while it works, the next one after it has failed.
  func nextToFollow(_ image: Image) -> MetadataEndpoint {
    refresh(image)
    return known[position % (failures < current ? current : known.count)]
  }

  /// The node to send an append to: the leader where it is known, else one after the other.
  func nextToAsk(attempt: Int) -> MetadataEndpoint {
    leader ?? known[(position + attempt) % (attempt < current ? current : known.count)]
  }

  /// Everybody else, those that belong to the group first.
  func others(than endpoint: MetadataEndpoint) -> [MetadataEndpoint] { known.filter { $0 != endpoint } }

  func ended(_ endpoint: MetadataEndpoint, heardOf: Bool) {
    failures = heardOf ? 0 : failures + 1
    position = (position + 1) % known.count
  }

  /// How long to wait before the next node is tried: not at all until all have failed.
  var backoffMilliseconds: Int {
    guard failures >= known.count else { return 10 }
    let most = min(2_000, 50 << min(failures / known.count, 6))
    return Int.random(in: most / 2...most)
  }

  func close() { for channel in channels.values { channel.close() } }

  /// Takes over the meta nodes that the image names.
  func refresh(_ image: Image) {
    let named = image.nodes.values.filter { $0.role == .meta }.sorted { $0.id < $1.id }
      .map { MetadataEndpoint(host: $0.host, port: $0.port) }
    let all = named + configured.filter { !named.contains($0) }
    guard all != known || (!named.isEmpty && current != named.count) else { return }
    known = all
    current = named.isEmpty ? all.count : named.count
    if let file, !named.isEmpty { EndpointFile.write(named, to: file) }
    for (endpoint, channel) in channels where !all.contains(endpoint) && endpoint != leader {
      channel.close()
      channels[endpoint] = nil
    }
  }
}
