import EventLoop
import Metadata
import RPC

/// The meta nodes that a client knows, a channel to each that it has used, and which to ask next.
@LoopActor
final class MetadataChannels {
  private let configured: [MetadataEndpoint]
  private let tls: TLSConfiguration?
  private var channels: [MetadataEndpoint: RPCChannel] = [:]
  private var known: [MetadataEndpoint]
  private var position: Int
  private var failures = 0
  /// The leader, as last heard.
  var leader: MetadataEndpoint?

  init(_ endpoints: [MetadataEndpoint], tls: TLSConfiguration?) {
    configured = endpoints
    known = endpoints
    self.tls = tls
    // So that a cluster's consumers spread over its meta nodes.
    position = Int.random(in: 0..<endpoints.count)
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
    return known[position % known.count]
  }

  /// The node to send an append to: the leader where it is known, else one after the other.
  func nextToAsk(attempt: Int) -> MetadataEndpoint { leader ?? known[(position + attempt) % known.count] }

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

  /// Adds the meta nodes that the image names.
  private func refresh(_ image: Image) {
    let named = image.nodes.values.filter { $0.role == .meta }.sorted { $0.id < $1.id }
      .map { MetadataEndpoint(host: $0.host, port: $0.port) }
    let all = configured + named.filter { !configured.contains($0) }
    guard all != known else { return }
    known = all
    for (endpoint, channel) in channels where !all.contains(endpoint) && endpoint != leader {
      channel.close()
      channels[endpoint] = nil
    }
  }
}
