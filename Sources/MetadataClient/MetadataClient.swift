import EventLoop
import Logging
import Metadata
import RPC

/// A process's view of the metadata log: an image that is kept up to date by a subscription, and appends that find the leader.
///
/// The image only moves forward, record by record, each checked against the chain; after a gap that has been compacted it jumps.
/// When the meta node that it follows fails or falls silent, it goes on at another, without gap or duplicate. Everything happens
/// on the loop; observers are called in the order in which they were added, before those who wait for an index go on.
@LoopActor
package final class MetadataClient {
  /// A step of the image.
  package struct Change: Sendable {
    /// nil where the image has jumped over compacted records.
    package var record: Record?
    package var before: Image
    package var after: Image

    /// The record's events; of a jump, events that lead from the old image to the new one. Those are made when they are asked for: of a
    /// large catalog they cost more than the catalog.
    package var events: [Event] { record?.events ?? after.events(since: before) }
  }

  /// How a client takes part.
  package struct Configuration: Sendable {
    /// Meta nodes to begin with; later those that the image names are asked too.
    package var endpoints: [MetadataEndpoint]
    package var tls: TLSConfiguration?
    /// Who asks, where a request does not say so: `compute 7`.
    package var principal: String
    /// Refuses to follow any other cluster's log.
    package var clusterID: ClusterID?
    /// How long an append is tried, where the caller does not say.
    package var appendTimeoutMilliseconds = 10_000
    /// Where the meta nodes that were heard of are kept, so that a later start finds the group although none of those that it
    /// is told of belongs to it any more; nil: nowhere.
    package var endpointsFile: String?
    package init(
      endpoints: [MetadataEndpoint], tls: TLSConfiguration? = nil, principal: String, clusterID: ClusterID? = nil
    ) {
      self.endpoints = endpoints
      self.tls = tls
      self.principal = principal
      self.clusterID = clusterID
    }
  }

  package let configuration: Configuration
  /// The fold of all records that have arrived.
  package private(set) var image = Image()
  /// Whether the first image has arrived.
  package private(set) var isReady = false
  /// Why this program cannot follow the log any more: the cluster has been upgraded beyond it. The client is stopped then.
  package private(set) var outdated: String?
  /// Told once where that happens; the process should end.
  package var onOutdated: (@LoopActor (String) -> Void)?
  /// The meta node that is followed now, where one is.
  package var followed: MetadataEndpoint? { log?.followed }
  /// How far that node is, as it said last: about once a second.
  package var follower: MetadataFollower? { log?.follower }
  /// When something last came from a meta node, on `Loop.now`'s clock; 0: never.
  private(set) var lastHeard: UInt64 = 0

  let channels: MetadataChannels
  let watch: LeaderWatch
  let logger: Logger
  /// One name per client, so that its requests are told from those of all others, earlier starts included.
  let requestClient: String
  var lastSequence: UInt64 = 0
  var appends = AppendGate()

  private var observers: [@LoopActor (Change) -> Void] = []
  private var waiters = IndexWaiters()
  private var log: LogFollower?
  private(set) var isStopped = false
  private var readyWaiters: [UnsafeContinuation<Void, Never>] = []
  /// Those who read records at their own pace: ended with the client.
  var consumers: [ObjectIdentifier: RecordFeed] = [:]
  /// The image did not fit what a meta node sent: begin anew with an image.
  private var needsImage = false

  package init(_ configuration: Configuration) {
    precondition(!configuration.endpoints.isEmpty, "a metadata client needs an endpoint")
    self.configuration = configuration
    channels = MetadataChannels(configuration)
    watch = LeaderWatch(channels)
    logger = Logger(label: "metadata")
    var random = SystemRandomNumberGenerator()
    requestClient =
      String(configuration.principal.prefix(32)) + "/" + String(random.next() as UInt64, radix: 16)
  }

  /// Begins to follow the log. Returns at once; see `ready`.
  package func start() {
    guard log == nil, !isStopped else { return }
    channels.refresh(image)
    let log = LogFollower(
      channels, logger, request: { [weak self] in self?.nextRequest },
      refused: { [weak self] error in
        guard case .outdated(let reason) = error else { return false }
        self?.end(outdated: reason)
        return true
      },
      take: { [weak self] message throws(MetadataError) in try self?.take(message) })
    self.log = log
    log.start()
  }

  /// Returns once the first image has arrived, or the client is stopped.
  package func ready() async {
    guard !isReady, !isStopped else { return }
    await withUnsafeContinuation { readyWaiters.append($0) }
  }

  /// Ends the subscription and all that waits.
  package func stop() {
    guard !isStopped else { return }
    isStopped = true
    log?.stop()
    watch.stop()
    channels.close()
    waiters.failAll(.stopped)
    resumeReadyWaiters()
    for consumer in consumers.values { consumer.stop() }
    consumers = [:]
  }

  /// Calls the body after each change of the image, for as long as the client lives.
  package func observe(_ body: @escaping @LoopActor (Change) -> Void) { observers.append(body) }

  /// Returns once the image contains the record at the index, and all before it.
  package func wait(for index: UInt64, timeoutMilliseconds: Int = 10_000) async throws(MetadataError) {
    guard image.index < index else { return }
    guard !isStopped else { throw .stopped }
    try await waiters.wait(for: index, timeoutMilliseconds: timeoutMilliseconds) { [unowned self] in self.image.index }
  }

  /// Returns once the image contains what was just appended. Where the node that is followed has nothing new meanwhile it may be
  /// cut off, or no longer belong to the group: another one is followed.
  func follow(to index: UInt64, timeoutMilliseconds: Int) async throws(MetadataError) {
    guard image.index < index else { return }
    let before = image.index
    let timer = LoopTimer(afterMilliseconds: Self.lagMilliseconds) { [weak self] in
      guard let self, self.image.index == before, self.isReady else { return }
      self.log?.leave()
    }
    defer { timer.cancel() }
    try await wait(for: index, timeoutMilliseconds: timeoutMilliseconds)
  }

  private static let lagMilliseconds = 200

  // Following.

  private var nextRequest: MetadataSubscription.Request {
    var request = MetadataSubscription.Request()
    request.clusterID = configuration.clusterID
    request.afterIndex = image.index
    request.allowsImage = true
    request.wantsImage = !isReady || needsImage
    return request
  }

  private func take(_ message: MetadataSubscription.Message) throws(MetadataError) {
    lastHeard = Loop.now
    switch message {
    case .heartbeat: break
    case .bookmark: becomeReady()
    case .record(let record):
      // What an image that was asked for anew contains already.
      guard record.index > image.index else { return }
      guard record.continues(image) else {
        needsImage = true
        throw .malformed(
          "record \(record.index), which follows \(record.previousIndex) "
            + "with a hash other than the one known here at \(image.index)")
      }
      let new = image.applying(record)
      guard new.featureLevel <= FeatureLevel.current else {
        throw .outdated(FeatureLevel.outdatedText(new.featureLevel))
      }
      move(to: new, by: record)
    case .image(let new):
      guard new.index >= image.index,
        configuration.clusterID == nil || new.clusterID == nil
          || new.clusterID == configuration.clusterID
      else { throw .malformed("an image at \(new.index) that is no continuation of the one at \(image.index)") }
      needsImage = false
      if new.index > image.index || !isReady { move(to: new, by: nil) }
      becomeReady()
    }
  }

  private func end(outdated reason: String) {
    guard outdated == nil, !isStopped else { return }
    outdated = reason
    logger.error("the metadata log cannot be followed any more: \(reason)")
    waiters.failAll(.outdated(reason))
    stop()
    onOutdated?(reason)
  }

  private func move(to new: Image, by record: Record?) {
    let before = image
    image = new
    if record?.events.contains(where: { $0.family == .nodes }) ?? true { channels.refresh(new) }
    let change = Change(record: record, before: before, after: new)
    for observer in observers { observer(change) }
    waiters.reached(new.index)
  }

  private func becomeReady() {
    guard !isReady else { return }
    isReady = true
    resumeReadyWaiters()
  }

  private func resumeReadyWaiters() {
    let waiting = readyWaiters
    readyWaiters = []
    for waiter in waiting { waiter.resume() }
  }
}
