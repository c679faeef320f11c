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
  private let position: Int
  /// The leader, as last heard.
  var leader: MetadataEndpoint?

  init(_ configuration: MetadataClient.Configuration) {
    let remembered = configuration.endpointsFile.map(EndpointFile.read) ?? []
    configured = remembered + configuration.endpoints.filter { !remembered.contains($0) }
    file = configuration.endpointsFile
    known = configured
    // Those of the file belonged to the group when it was written.
    current = remembered.isEmpty ? known.count : remembered.count
    tls = configuration.tls
    position = Int.random(in: 0..<current)
  }

  func channel(_ endpoint: MetadataEndpoint) -> RPCChannel {
    if let channel = channels[endpoint] { return channel }
    let channel = RPCChannel(host: endpoint.host, port: endpoint.port, tls: tls)
    channels[endpoint] = channel
    return channel
  }

  /// Whose turn it is, for one who follows the log: the same node while it works, the next one after it has failed.
  struct Turn {
    fileprivate var position: Int
    fileprivate var failures = 0

    mutating func ended(heardOf: Bool) {
      failures = heardOf ? 0 : failures + 1
      position += 1
    }
  }

  func firstTurn() -> Turn {
    // So that a cluster's consumers spread over its meta nodes.
    Turn(position: Int.random(in: 0..<current))
  }

  func endpoint(at turn: Turn) -> MetadataEndpoint {
    known[turn.position % (turn.failures < current ? current : known.count)]
  }

  /// How long to wait before the next node is tried: not at all until all have failed.
  func backoffMilliseconds(_ turn: Turn) -> Int {
    guard turn.failures >= known.count else { return 10 }
    let most = min(2_000, 50 << min(turn.failures / known.count, 6))
    return Int.random(in: most / 2...most)
  }

  /// The node to ask where it does not matter which one.
  var anyone: MetadataEndpoint { known[position % current] }

  /// The node to send an append to: the leader where it is known, else one after the other.
  func nextToAsk(attempt: Int) -> MetadataEndpoint {
    leader ?? known[(position + attempt) % (attempt < current ? current : known.count)]
  }

  /// Everybody else, those that belong to the group first.
  func others(than endpoint: MetadataEndpoint) -> [MetadataEndpoint] { known.filter { $0 != endpoint } }

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
