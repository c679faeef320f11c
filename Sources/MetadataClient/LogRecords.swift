import EventLoop
import Metadata

/// Where a consumer of records begins.
package enum RecordStart: Sendable, Hashable {
  /// With the first record.
  case beginning
  /// With the record after this index, as a rule one that was acknowledged (`ConsumerPosition`).
  case after(UInt64)
  /// With what follows the client's image.
  case present
}

extension MetadataClient {
  /// The records from a place on, each with the image before and after it, at the consumer's own pace:
  ///
  ///     for try await change in client.records(from: .after(position.index ?? 0)) {
  ///       …
  ///       try await position.acknowledge(change.after.index)
  ///     }
  ///
  /// Every record comes once and in order, from one meta node or another; it is checked against the chain. Images share what
  /// they have in common. A step without record stands for records that no meta node has any more, neither in its log nor in its
  /// archive: its events lead from the image before to the one after. A consumer that is slow has `bufferedSteps` waiting for
  /// it, the rest stays at the meta node. The sequence ends with the client, and with the task that consumes it; each iterator
  /// begins anew.
  /// - Parameter filter: which records are handed out; images contain the others too. Who wants the others not even sent, and
  ///   no images, asks a meta node for a filtered stream (`MetadataSubscription`).
  /// - Throws: from the iterator: `refused` and the like where no meta node could help.
  package func records(
    from start: RecordStart = .present, filter: SubscriptionFilter = SubscriptionFilter(), bufferedSteps: Int = 256
  ) -> LogRecords {
    LogRecords(client: self, start: start, filter: filter, bufferedSteps: max(1, bufferedSteps))
  }
}

/// See `MetadataClient.records`.
package struct LogRecords: AsyncSequence, Sendable {
  package typealias Element = MetadataClient.Change
  package typealias Failure = MetadataError

  let client: MetadataClient
  let start: RecordStart
  let filter: SubscriptionFilter
  let bufferedSteps: Int

  package func makeAsyncIterator() -> Iterator { Iterator(records: self) }

  package struct Iterator: AsyncIteratorProtocol {
    fileprivate let records: LogRecords
    private var handle: Handle?

    fileprivate init(records: LogRecords) { self.records = records }

    package mutating func next() async throws(MetadataError) -> Element? { try await next(isolation: nil) }

    package mutating func next(isolation: isolated (any Actor)?) async throws(MetadataError) -> Element? {
      if handle == nil { handle = Handle(feed: await RecordFeed.begin(records)) }
      guard let feed = handle?.feed else { return nil }
      return try await feed.next()
    }

    /// Ends the feed with the last copy of the iterator.
    private final class Handle: Sendable {
      let feed: RecordFeed
      init(feed: RecordFeed) { self.feed = feed }
      deinit { LoopActor.post { [feed] in feed.stop() } }
    }
  }
}

/// One consumer's way through the log.
@LoopActor
final class RecordFeed {
  private weak var client: MetadataClient?
  private let filter: SubscriptionFilter
  private let bufferedSteps: Int
  private var image: Image
  private var needsImage = false
  private var follower: LogFollower?
  /// Steps that the consumer has not taken; the next one at `first`.
  private var steps: [MetadataClient.Change] = []
  private var first = 0
  private var failure: MetadataError?
  private var isStopped = false
  private var consumer: UnsafeContinuation<Void, Never>?
  private var producer: UnsafeContinuation<Void, Never>?

  private init(_ records: LogRecords, _ image: Image) {
    client = records.client
    filter = records.filter
    bufferedSteps = records.bufferedSteps
    self.image = image
  }

  static func begin(_ records: LogRecords) async -> RecordFeed {
    let client = records.client
    client.start()
    await client.ready()
    do throws(MetadataError) {
      let feed = RecordFeed(records, try await startImage(records.start, client))
      feed.follow(client)
      return feed
    } catch {
      let feed = RecordFeed(records, client.image)
      if case .compacted = error {
        // No history reaches back so far: begin with the difference between nothing and what there is.
        feed.image = Image()
        feed.needsImage = true
        feed.follow(client)
      } else {
        feed.failure = error
      }
      return feed
    }
  }

  private static func startImage(_ start: RecordStart, _ client: MetadataClient) async throws(MetadataError) -> Image {
    switch start {
    case .present: return client.image
    case .beginning, .after(0): return Image()
    case .after(let index):
      try await client.wait(for: index)
      return client.image.index == index ? client.image : try await client.image(at: .index(index))
    }
  }

  private func follow(_ client: MetadataClient) {
    guard !client.isStopped else { return stop() }
    client.consumers[ObjectIdentifier(self)] = self
    let follower = LogFollower(
      client.channels, client.logger, request: { [weak self] in self?.request },
      refused: { [weak self] in self?.fails($0) ?? true },
      take: { [weak self] message throws(MetadataError) in try await self?.take(message) })
    self.follower = follower
    follower.start()
  }

  private var request: MetadataSubscription.Request? {
    guard !isStopped, let client else { return nil }
    var request = MetadataSubscription.Request()
    request.clusterID = client.configuration.clusterID ?? client.image.clusterID
    request.afterIndex = image.index
    request.wantsImage = needsImage
    // An archive that does not reach back is noticed at the first record, which then continues nothing.
    request.readsArchive = !needsImage
    return request
  }

  /// Whether the error is the consumer's.
  private func fails(_ error: MetadataError) -> Bool {
    guard case .refused = error else { return false }
    failure = error
    wakeConsumer()
    return true
  }

  private func take(_ message: MetadataSubscription.Message) async throws(MetadataError) {
    switch message {
    case .bookmark, .heartbeat: return
    case .record(let record):
      guard record.index > image.index else { return }
      guard record.continues(image) else {
        needsImage = true
        throw .malformed("record \(record.index), which does not follow \(image.index)")
      }
      let before = image
      image = image.applying(record)
      guard filter.passes(record, before: before) else { return }
      add(MetadataClient.Change(record: record, before: before, after: image))
    case .image(let new):
      guard new.index >= image.index else { throw .malformed("an image at \(new.index), before \(image.index)") }
      needsImage = false
      guard new.index > image.index else { return }
      let before = image
      image = new
      add(MetadataClient.Change(record: nil, before: before, after: new))
    }
    while steps.count - first >= bufferedSteps, !isStopped {
      await withUnsafeContinuation { producer = $0 }
    }
  }

  private func add(_ step: MetadataClient.Change) {
    steps.append(step)
    wakeConsumer()
  }

  /// How many steps wait for the consumer.
  var waitingSteps: Int { steps.count - first }

  /// The next step; nil at the end.
  func next() async throws(MetadataError) -> MetadataClient.Change? {
    while true {
      guard !Task.isCancelled else {
        stop()
        return nil
      }
      if first < steps.count { return takeFirst() }
      if let failure { throw failure }
      guard !isStopped else { return nil }
      await withTaskCancellationHandler {
        await withUnsafeContinuation { consumer = $0 }
      } onCancel: {
        LoopActor.post { self.wakeConsumer() }
      }
    }
  }

  private func takeFirst() -> MetadataClient.Change {
    let step = steps[first]
    first += 1
    if first == steps.count || first >= 64 {
      // Images are let go of with the steps.
      steps.removeFirst(first)
      first = 0
    }
    if waitingSteps <= bufferedSteps / 2 {
      producer?.resume()
      producer = nil
    }
    return step
  }

  private func wakeConsumer() {
    consumer?.resume()
    consumer = nil
  }

  func stop() {
    guard !isStopped else { return }
    isStopped = true
    follower?.stop()
    client?.consumers[ObjectIdentifier(self)] = nil
    producer?.resume()
    producer = nil
    wakeConsumer()
  }
}
