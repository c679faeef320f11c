import EventLoop
import Metadata
import MetadataWire
import ProtocolMetadata
import RPC
import Replica

/// The gRPC service for audits: audit.proto.
@LoopActor
final class AuditService {
  let service: MetadataService
  let past: PastImages
  /// The node's own directory, and where its archive lies, if not within.
  let dataDirectory: String
  let archiveDirectory: String?
  var isVerifying = false

  init(_ service: MetadataService, dataDirectory: String, archiveDirectory: String?) {
    self.service = service
    self.dataDirectory = dataDirectory
    self.archiveDirectory = archiveDirectory
    past = PastImages(service.replica)
  }

  func close() { past.close() }

  var replica: Replica<MetadataMachine> { service.replica }

  func register(at server: RPCServer) {
    registerVerify(at: server)
    registerStatus(at: server)
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
    server.handle(AuditMethods.head) { [self] request, _ in
      try service.check(request.clusterID)
      let image = try await treedImage()
      let count = try count(request.count, of: image)
      return try await tree().head(count: count, of: image).wire
    }
    server.handle(AuditMethods.proveRecord) { [self] request, _ in
      try service.check(request.clusterID)
      return try await proof(of: request.index, count: request.count)
    }
    server.handle(AuditMethods.proveConsistency) { [self] request, _ in
      try service.check(request.clusterID)
      let image = try await treedImage()
      let second = try count(request.secondCount, of: image)
      guard request.firstCount > 0, request.firstCount <= second else {
        throw RPCError(
          .invalidArgument, "the first head has between 1 and \(second) records, not \(request.firstCount)")
      }
      let proof = try await tree().consistency(from: request.firstCount, to: second, in: image)
      return .with {
        $0.first = proof.first.wire
        $0.second = proof.second.wire
        $0.path = proof.path.map { .init($0.bytes) }
      }
    }
  }

  // MARK: - Heads and proofs

  private func tree() throws(RPCError) -> TreeKeeper {
    guard let tree = service.machine.tree else { throw RPCError(.unavailable, "this meta node is starting") }
    return tree
  }

  /// The image with all that is committed; it has a tree.
  private func treedImage() async throws(RPCError) -> Image {
    try await service.confirm()
    let image = service.machine.image
    guard image.tree.count > 0 else {
      throw RPCError(
        .failedPrecondition,
        "heads and proofs need feature level \(FeatureLevel.recordTree), and the cluster is at \(image.featureLevel): "
          + "kunlog cluster upgrade, once every process runs this version")
    }
    return image
  }

  private func count(_ requested: UInt64, of image: Image) throws(RPCError) -> UInt64 {
    guard requested <= image.tree.count else {
      throw RPCError(
        .invalidArgument, "a head of \(requested) records is still to come: the tree has \(image.tree.count)")
    }
    return requested == 0 ? image.tree.count : requested
  }

  private func proof(of index: UInt64, count requested: UInt64) async throws(RPCError) -> Kunlog_Metadata_V1_RecordProof
  {
    let image = try await treedImage()
    guard index >= image.tree.firstIndex else {
      throw RPCError(
        .invalidArgument,
        "the tree begins with record \(image.tree.firstIndex): what came before is bound to it by the chain only "
          + "(kunlog log verify follows it)")
    }
    let found = try await tree().inclusion(of: index, count: try count(requested, of: image), in: image)
    let entries: [CommittedEntry]
    do throws(ReplicaError) {
      entries = try await replica.entries(from: index, limitBytes: 1, readsArchive: true)
    } catch {
      if case .compacted = error {
        throw RPCError(.outOfRange, "record \(index) itself is not kept by this meta node any more: ask another one")
      }
      throw RPCError(error)
    }
    guard let entry = entries.first, entry.index == index else {
      throw RPCError(.unavailable, "record \(index) is not applied here yet")
    }
    guard RecordHash.of(index: index, term: entry.term, body: entry.payload) == found.hash else {
      throw RPCError(
        .dataLoss, "record \(index) of this meta node is not the one that its tree knows: run kunlog log verify")
    }
    return .with {
      $0.head = found.head.wire
      $0.record = .init(index: index, term: entry.term, hash: found.hash, body: entry.payload)
      $0.leaf = found.leaf
      $0.path = found.path.map { .init($0.bytes) }
    }
  }

  // MARK: - The state as it was

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
  static let head = RPCMethod<Kunlog_Metadata_V1_HeadRequest, Kunlog_Metadata_V1_LogHead>(
    service: service, method: "Head")
  static let proveRecord = RPCMethod<Kunlog_Metadata_V1_ProveRecordRequest, Kunlog_Metadata_V1_RecordProof>(
    service: service, method: "ProveRecord")
  static let proveConsistency = RPCMethod<
    Kunlog_Metadata_V1_ProveConsistencyRequest, Kunlog_Metadata_V1_ConsistencyProof
  >(service: service, method: "ProveConsistency")
  static let logStatus = RPCMethod<Kunlog_Metadata_V1_LogStatusRequest, Kunlog_Metadata_V1_LogStatusResponse>(
    service: service, method: "LogStatus")
  static let verify = RPCMethod<Kunlog_Metadata_V1_VerifyRequest, Kunlog_Metadata_V1_VerifyResponse>(
    service: service, method: "Verify")
}
