import EventLoop
import Metadata
import MetadataWire
import ProtocolMetadata
import RPC

/// A moment of the metadata log.
package enum HistoryMoment: Sendable, Hashable {
  /// After the last record with this index or a lower one.
  case index(UInt64)
  /// Before the first record whose time is later than this.
  case time(microseconds: Int64)

  var wire: Kunlog_Metadata_V1_ImageAtRequest {
    .with {
      switch self {
      case .index(let index): $0.index = index
      case .time(let microseconds): $0.timeMicroseconds = microseconds
      }
    }
  }
}

/// The metadata as they were.
extension MetadataClient {
  /// The image as it was at a moment, from the first meta node that can tell.
  /// - Throws: `compacted` where no meta node's history reaches back so far, `refused` where the moment is still to come.
  package func image(
    at moment: HistoryMoment, timeoutMilliseconds: Int = 60_000
  ) async throws(MetadataError) -> Image {
    var request = moment.wire
    request.clusterID = .init(configuration.clusterID?.rawValue ?? [])
    return try await askEach { (endpoint) async throws(MetadataError) in
      try await image(request, at: endpoint, timeoutMilliseconds)
    }
  }

  /// The head of the log with so many records; nil: with all that is committed.
  package func head(count: UInt64? = nil, timeoutMilliseconds: Int = 5_000) async throws(MetadataError) -> LogHead {
    let request = Kunlog_Metadata_V1_HeadRequest.with {
      $0.clusterID = .init(configuration.clusterID?.rawValue ?? [])
      $0.count = count ?? 0
    }
    let wire = try await askEach(AuditMethods.head, request, timeoutMilliseconds)
    return try opened { () throws(WireError) in try LogHead(wire: wire) }
  }

  /// The proof that a record belongs to the head of the log with so many records (nil: with all that is committed). It has been
  /// checked.
  package func proof(
    of index: UInt64, count: UInt64? = nil, timeoutMilliseconds: Int = 5_000
  ) async throws(MetadataError) -> RecordProof {
    let request = Kunlog_Metadata_V1_ProveRecordRequest.with {
      $0.clusterID = .init(configuration.clusterID?.rawValue ?? [])
      $0.index = index
      $0.count = count ?? 0
    }
    let wire = try await askEach(AuditMethods.proveRecord, request, timeoutMilliseconds)
    let proof = try opened { () throws(WireError) in try RecordProof(wire: wire) }
    guard proof.isValid else { throw .malformed("a proof that does not hold") }
    return proof
  }

  /// The proof that the log with so many records is the beginning of the one with `second` (nil: with all that is committed). It
  /// has been checked.
  package func consistency(
    from first: UInt64, to second: UInt64? = nil, timeoutMilliseconds: Int = 5_000
  ) async throws(MetadataError) -> ConsistencyProof {
    let request = Kunlog_Metadata_V1_ProveConsistencyRequest.with {
      $0.clusterID = .init(configuration.clusterID?.rawValue ?? [])
      $0.firstCount = first
      $0.secondCount = second ?? 0
    }
    let wire = try await askEach(AuditMethods.proveConsistency, request, timeoutMilliseconds)
    let proof = try opened { () throws(WireError) in try ConsistencyProof(wire: wire) }
    guard proof.isValid else { throw .malformed("a proof that does not hold") }
    return proof
  }

  private func opened<Value>(_ body: () throws(WireError) -> Value) throws(MetadataError) -> Value {
    do throws(WireError) { return try body() } catch { throw .malformed(error.description) }
  }

  private func askEach<Request, Response>(
    _ method: RPCMethod<Request, Response>, _ request: Request, _ timeoutMilliseconds: Int
  ) async throws(MetadataError) -> Response {
    try await askEach { (endpoint) async throws(MetadataError) in
      do throws(RPCError) {
        return try await channels.channel(endpoint).unary(method, request, timeoutMilliseconds: timeoutMilliseconds)
      } catch { throw MetadataError(error) }
    }
  }

  /// Asks the meta nodes one after the other, until one can tell.
  private func askEach<Value>(
    _ ask: @LoopActor (MetadataEndpoint) async throws(MetadataError) -> Value
  ) async throws(MetadataError) -> Value {
    let deadline = Deadline(milliseconds: 5_000)
    while true {
      let first = followed ?? channels.anyone
      var failure = MetadataError.unavailable("no meta node was asked")
      for endpoint in [first] + channels.others(than: first) {
        do throws(MetadataError) { return try await ask(endpoint) } catch {
          switch error {
          // Another one's archive may reach further.
          case .compacted: failure = error
          case .unavailable: if case .unavailable = failure { failure = error }
          default: throw error
          }
        }
      }
      guard case .unavailable = failure, deadline.remainingMilliseconds > 0 else { throw failure }
      try? await loopSleep(milliseconds: 100)
    }
  }

  private func image(
    _ request: Kunlog_Metadata_V1_ImageAtRequest, at endpoint: MetadataEndpoint, _ timeoutMilliseconds: Int
  ) async throws(MetadataError) -> Image {
    let reader = channels.channel(endpoint).serverStream(AuditMethods.imageAt, request)
    var isLate = false
    let limit = LoopTimer(afterMilliseconds: timeoutMilliseconds) {
      isLate = true
      reader.cancel()
    }
    defer {
      limit.cancel()
      reader.cancel()
    }
    var decoder = ImageDecoder()
    do {
      while let response = try await reader.next() { try decoder.add([UInt8](response.part)) }
    } catch let error as RPCError {
      throw isLate ? .unavailable("\(endpoint) did not answer in time") : MetadataError(error)
    } catch { throw .malformed("\(error)") }
    guard let image = decoder.finished else { throw .malformed("an image that ends early") }
    return image
  }
}

/// The methods of `kunlog.metadata.v1.Audit`, as a client calls them.
enum AuditMethods {
  private static let service = "kunlog.metadata.v1.Audit"
  /// Sealed: the image's parts are checked before they are opened.
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
