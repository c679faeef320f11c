import EventLoop
import Metadata
import MetadataLog
import ProtocolMetadata
import RPC

/// Subscriptions begin here.
extension MetadataService {
  static let maximumSubscribers = 4096

  func subscribe(
    _ request: Kunlog_Metadata_V1_SubscribeRequest, _ writer: Subscription.Writer, _ context: RPCContext,
    _ end: RPCStreamEnd
  ) {
    do {
      try check(request.clusterID)
      let place = try SubscriptionCursor.Request(request)
      guard hub.count < Self.maximumSubscribers else {
        throw RPCError(.resourceExhausted, "this meta node has \(hub.count) subscribers already")
      }
      if place.filter.unknownName(in: machine.image) == nil {
        begin(request, place, writer, context, end)
      } else {
        LoopActor.start { [self] in await confirmNames(request, place, writer, context, end) }
      }
    } catch { end(error) }
  }

  /// The filter names what this replica does not know: others may.
  private func confirmNames(
    _ request: Kunlog_Metadata_V1_SubscribeRequest, _ place: SubscriptionCursor.Request, _ writer: Subscription.Writer,
    _ context: RPCContext, _ end: RPCStreamEnd
  ) async {
    do throws(RPCError) {
      try await confirm()
      if let unknown = place.filter.unknownName(in: machine.image) {
        throw RPCError(.invalidArgument, unknown.description)
      }
      begin(request, place, writer, context, end)
    } catch { end(error) }
  }

  private func begin(
    _ request: Kunlog_Metadata_V1_SubscribeRequest, _ place: SubscriptionCursor.Request, _ writer: Subscription.Writer,
    _ context: RPCContext, _ end: RPCStreamEnd
  ) {
    guard !context.isCancelled else { return }
    let subscription = Subscription(
      self, request, SubscriptionCursor(place), hub.group(place.filter), writer, context, end)
    hub.add(subscription)
    subscription.begin()
  }

  /// How far this replica is, for subscribers.
  var follower: Kunlog_Metadata_V1_FollowerState {
    .with {
      $0.nodeID = replica.configuration.nodeID
      $0.commitIndex = replica.commitIndex
      $0.appliedIndex = replica.appliedIndex
      $0.recordIndex = machine.image.index
      $0.leaderNodeID = replica.leaderID ?? 0
      if let contact = replica.contactMilliseconds { $0.contactMilliseconds = contact }
    }
  }
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
    if case .UNRECOGNIZED(let value) = wire.futureIndex {
      throw RPCError(
        .invalidArgument, "future_index is \(value); there are 0 (wait for some seconds), 1 (wait) and 2 (refuse)")
    }
    do throws(SubscriptionFilter.UnknownName) {
      filter = try SubscriptionFilter(
        familyNames: wire.families, shards: wire.shards.map(ShardID.init), tables: wire.tables.map(ObjectID.init),
        tablets: wire.tablets.map(TabletID.init), includesPartitions: wire.includePartitions)
    } catch { throw RPCError(.invalidArgument, error.description) }
  }
}
