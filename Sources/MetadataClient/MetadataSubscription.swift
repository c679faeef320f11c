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
  }

  /// Where a stream begins and what it leaves out.
  package struct Request: Sendable {
    package var clusterID: ClusterID?
    package var afterIndex: UInt64 = 0
    package var allowsImage = false
    package var wantsImage = false
    package var families: [EventFamily] = []
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
      }
    }
  }

  /// Meta nodes speak about once a second; one that is silent for so long is given up.
  static let silenceMilliseconds = 5_000

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
        throw .malformed(error.description)
      }
    }
  }

  package func cancel() {
    watchdog?.cancel()
    watchdog = nil
    reader.cancel()
  }

  private func message(_ response: Kunlog_Metadata_V1_SealedSubscribeResponse) throws(WireError) -> Message? {
    switch response.kind {
    case .record(let sealed): return .record(try sealed.opened())
    case .bookmark(let index): return .bookmark(index)
    case .image(let part):
      var decoder = decoder ?? ImageDecoder()
      try decoder.add([UInt8](part))
      self.decoder = decoder.finished == nil ? decoder : nil
      return decoder.finished.map { .image($0) }
    case nil: throw .malformed("message of an unknown kind")
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
    case .outOfRange: self = .compacted(error.message)
    case .failedPrecondition, .invalidArgument, .permissionDenied, .unauthenticated, .unimplemented, .dataLoss:
      self = .refused(error.message)
    default: self = .unavailable(error.description)
    }
  }
}
