import EventLoop
import Metadata
import MetadataLog
import MetadataWire
import ProtocolMetadata
import RPC
import Replica

/// Subscriptions. Each has a cursor and the credit that gRPC's flow control gives it; what it has not taken stays in the log.
extension MetadataService {
  typealias Writer = RPCWriter<Kunlog_Metadata_V1_SealedSubscribeResponse>

  static let maximumSubscribers = 4096
  private static let bookmarkMilliseconds = 1_000
  /// A subscriber that is ahead of this replica for so long is of no use to it, or it to the subscriber.
  private static let behindMilliseconds = 3_000
  /// A replica that has had no leader for so long sends its subscribers elsewhere: it may be cut off.
  private static let leaderlessMilliseconds = 3_000
  private static let batchBytes = 256 * 1024

  func subscribe(
    _ request: Kunlog_Metadata_V1_SubscribeRequest, _ writer: Writer, _ context: RPCContext
  ) async throws {
    try check(request.clusterID)
    var cursor = SubscriptionCursor(try SubscriptionCursor.Request(request))
    guard subscribers < Self.maximumSubscribers else {
      throw RPCError(.resourceExhausted, "this meta node has \(subscribers) subscribers already")
    }
    subscribers += 1
    let place = statistics.subscribed()
    defer {
      subscribers -= 1
      statistics.unsubscribed(place)
    }
    // A replica that has just started may have applied little of what is committed: who begins with its image would take the
    // past for the present.
    if request.wantImage { try await confirm() }
    // The end of the call ends the wait for changes.
    context.onCancel { [machine] in machine.changes.fire() }
    let start = Loop.now
    var lastSent = start
    var leaderlessSince: UInt64?
    while !context.isCancelled {
      place.index = cursor.position
      let isBookmarkDue = milliseconds(since: lastSent) >= Self.bookmarkMilliseconds
      switch cursor.next(machine.state, credit: .max, isBookmarkDue: isBookmarkDue) {
      case .records(let elements):
        for element in elements {
          try await writer.send(try sealed.message(element))
        }
        statistics.sentRecords &+= UInt64(elements.count)
        if !elements.isEmpty { lastSent = Loop.now }
      case .image(let image):
        statistics.sentImages &+= 1
        try await send(image, to: writer)
        lastSent = Loop.now
      case .bookmark(let index):
        try checkLeader(since: &leaderlessSince)
        statistics.sentBookmarks &+= 1
        try await writer.send(.with { $0.bookmark = index })
        lastSent = Loop.now
      case .readLog(let index): try await readLog(from: index, readsArchive: request.readArchive, for: &cursor)
      case .wait: _ = await machine.changes.wait(milliseconds: Self.bookmarkMilliseconds)
      case .behind:
        guard milliseconds(since: start) < Self.behindMilliseconds else {
          throw RPCError(
            .unavailable, "this meta node is at index \(machine.image.index), behind \(request.afterIndex)")
        }
        _ = await machine.changes.wait(milliseconds: 500)
      case .compacted(let first):
        throw RPCError(.outOfRange, "records before index \(first) have been compacted")
      case .finished: return
      }
    }
  }

  private func send(_ image: Image, to writer: Writer) async throws {
    var encoder = ImageEncoder(image)
    while let part = try encoder.next() {
      try await writer.send(.with { $0.image = .init(part) })
      // A large image is not to keep the loop from the others.
      try await loopSleep(milliseconds: 0)
    }
  }

  private func readLog(from index: UInt64, readsArchive: Bool, for cursor: inout SubscriptionCursor) async throws {
    let entries: [CommittedEntry]
    do throws(ReplicaError) {
      entries = try await replica.entries(from: index, limitBytes: Self.batchBytes, readsArchive: readsArchive)
    } catch {
      guard case .compacted(let first) = error else { throw RPCError(error) }
      return cursor.logCompacted(firstIndex: first)
    }
    // Applied here, but not yet reported so by the replica.
    guard !entries.isEmpty else { return try await loopSleep(milliseconds: 5) }
    do throws(ApplyError) {
      try cursor.logRead(entries.map { ($0.index, $0.term, $0.payload) })
    } catch { throw RPCError(.dataLoss, error.description) }
  }

  private func checkLeader(since leaderlessSince: inout UInt64?) throws(RPCError) {
    guard replica.status.leaderID == nil else {
      leaderlessSince = nil
      return
    }
    let since = leaderlessSince ?? Loop.now
    leaderlessSince = since
    guard milliseconds(since: since) < Self.leaderlessMilliseconds else {
      throw RPCError(.unavailable, "this meta node knows no leader")
    }
  }

  private func milliseconds(since time: UInt64) -> Int { Int((Loop.now - time) / 1_000_000) }
}

extension SubscriptionCursor.Request {
  /// From the protocol.
  init(_ wire: Kunlog_Metadata_V1_SubscribeRequest) throws(RPCError) {
    self.init()
    afterIndex = wire.afterIndex
    allowsImage = wire.allowImage
    wantsImage = wire.wantImage
    endsAtPresent = wire.endAtPresent
    readsArchive = wire.readArchive
    do throws(SubscriptionFilter.UnknownFamily) {
      filter = try SubscriptionFilter(familyNames: wire.families, shards: wire.shards.map(ShardID.init))
    } catch { throw RPCError(.invalidArgument, error.description) }
  }
}
