import EventLoop
import Metadata
import MetadataWire
import ProtocolMetadata
import RPC

/// One stream of records from one meta node. Its messages are checked one by one; whether records follow one another is for
/// its owner to check.
@LoopActor
package final class MetadataSubscription {
  /// What a stream says.
  package enum Message: Sendable {
    case record(Record)
    /// The state to begin with: what led to it has been compacted, or was not wanted.
    case image(Image)
    /// All records up to the index have been sent or filtered out.
    case bookmark(UInt64)
    /// Nothing but that the meta node is there: it has not reached the index yet from which on records are wanted.
    case heartbeat
  }

  /// What becomes of a start that the meta node has not reached.
  package enum FutureIndex: Sendable {
    /// The stream fails after some seconds: another meta node may be further.
    case waitsForSeconds
    case waits
    /// It fails with `MetadataError.inFuture` where the leader has not reached it either.
    case isRefused
  }

  /// Where a stream begins and what it leaves out.
  package struct Request: Sendable {
    package var clusterID: ClusterID?
    package var afterIndex: UInt64 = 0
    package var allowsImage = false
    package var wantsImage = false
    package var families: [EventFamily] = []
    package var shards: [ShardID] = []
    /// With `tablets`: events about these only; see service.proto.
    package var tables: [ObjectID] = []
    package var includesPartitions = false
    package var tablets: [TabletID] = []
    package var futureIndex = FutureIndex.waitsForSeconds
    /// How old what the meta node has may be; nil: any.
    package var maximumStalenessMilliseconds: Int?
    package var endsAtPresent = false
    /// For audits: see service.proto.
    package var readsArchive = false
    package init() {}

    var wire: Kunlog_Metadata_V1_SubscribeRequest {
      .with {
        $0.clusterID = .init(clusterID?.rawValue ?? [])
        $0.afterIndex = afterIndex
        $0.allowImage = allowsImage
        $0.wantImage = wantsImage
        $0.families = families.map(\.rawValue)
        $0.endAtPresent = endsAtPresent
        $0.readArchive = readsArchive
        $0.shards = shards.map(\.rawValue)
        $0.tables = tables.map(\.rawValue)
        $0.includePartitions = includesPartitions
        $0.tablets = tablets.map(\.rawValue)
        $0.futureIndex =
          switch futureIndex {
          case .waitsForSeconds: .unspecified
          case .waits: .wait
          case .isRefused: .refuse
          }
        $0.maximumStalenessMilliseconds = maximumStalenessMilliseconds.map { UInt32(clamping: max(1, $0)) } ?? 0
      }
    }
  }

  /// Meta nodes speak about once a second; one that is silent for so long is given up.
  static let silenceMilliseconds = 5_000

  /// The meta node at the other end, as it last described itself: about once a second.
  package private(set) var follower: MetadataFollower?

  private let reader: RPCReader<Kunlog_Metadata_V1_SealedSubscribeResponse>
  private var decoder: ImageDecoder?
  private var watchdog: LoopTimer?
  /// Since when its owner has waited for a message; nil while it does something else.
  private var waitsSince: UInt64?
  private var isSilent = false

  package init(_ request: Request, on channel: RPCChannel) {
    reader = channel.serverStream(MetadataMethods.subscribe, request.wire)
    watchdog = LoopTimer(afterMilliseconds: 1_000, repeatMilliseconds: 1_000) { [weak self] in self?.checkSilence() }
  }

  /// The next message; nil at the end of a stream that was asked to end.
  package func next() async throws(MetadataError) -> Message? {
    while true {
      let response: Kunlog_Metadata_V1_SealedSubscribeResponse?
      waitsSince = Loop.now
      defer { waitsSince = nil }
      do throws(RPCError) {
        response = try await reader.next()
      } catch {
        cancel()
        throw isSilent ? .unavailable("it fell silent") : MetadataError(error)
      }
      guard let response else {
        cancel()
        return nil
      }
      do throws(WireError) {
        if let message = try message(response) { return message }
      } catch {
        cancel()
        throw error.isOutdated ? .outdated("a meta node sent \(error)") : .malformed(error.description)
      }
    }
  }

  package func cancel() {
    watchdog?.cancel()
    watchdog = nil
    reader.cancel()
  }

  private func message(_ response: Kunlog_Metadata_V1_SealedSubscribeResponse) throws(WireError) -> Message? {
    if response.hasFollower { follower = MetadataFollower(response.follower, at: Loop.now) }
    switch response.kind {
    case .record(let sealed): return .record(try sealed.opened())
    case .bookmark(let index): return .bookmark(index)
    case .image(let part):
      // In its place: a copy beside it would cost a copy of what each part changes.
      if decoder == nil { decoder = ImageDecoder() }
      try decoder?.add([UInt8](part))
      guard let image = decoder?.finished else { return nil }
      decoder = nil
      return .image(image)
    case nil:
      guard response.hasFollower else { throw .malformed("message of an unknown kind") }
      return .heartbeat
    }
  }

  private func checkSilence() {
    guard let waitsSince, Loop.now > waitsSince + UInt64(Self.silenceMilliseconds) * 1_000_000 else { return }
    isSilent = true
    cancel()
  }
}

extension MetadataError {
  /// What a failed call means.
  init(_ error: RPCError) {
    switch error.code {
    case .outOfRange:
      let isFuture = error.metadata["kunlog-reason"] == "future-index"
      self = isFuture ? .inFuture(error.message) : .compacted(error.message)
    case .failedPrecondition, .invalidArgument, .permissionDenied, .unauthenticated, .unimplemented, .dataLoss:
      self = .refused(error.message)
    default: self = .unavailable(error.description)
    }
  }
}
