import EventLoop
import Metadata
import MetadataWire
import ProtocolMetadata
import RPC
import Replica

/// The gRPC service for audits: audit.proto.
@LoopActor
final class MetadataAudit {
  private let service: MetadataService
  private let past: PastImages

  init(_ service: MetadataService) {
    self.service = service
    past = PastImages(service.replica)
  }

  func close() { past.close() }

  func register(at server: RPCServer) {
    server.handleStream(AuditMethods.imageAt) { [self] request, writer, _ in
      try service.check(request.clusterID)
      let image = try await past.image(at: try moment(request))
      var encoder = ImageEncoder(image)
      while let part = try encoder.next() {
        try await writer.send(.with { $0.part = .init(part) })
        // A large image is not to keep the loop from the others.
        try await loopSleep(milliseconds: 0)
      }
    }
  }

  private func moment(_ request: Kunlog_Metadata_V1_ImageAtRequest) throws(RPCError) -> PastImages.Moment {
    switch request.moment {
    case .index(let index): return .index(index)
    case .timeMicroseconds(let time): return .time(time)
    case nil: throw RPCError(.invalidArgument, "the request names neither an index nor a time")
    }
  }
}

/// The methods of `kunlog.metadata.v1.Audit`, as a meta node serves them.
enum AuditMethods {
  static let service = "kunlog.metadata.v1.Audit"
  /// Sealed: parts are sent as they were encoded.
  static let imageAt = RPCMethod<Kunlog_Metadata_V1_ImageAtRequest, Kunlog_Metadata_V1_SealedImageAtResponse>(
    service: service, method: "ImageAt")
}
