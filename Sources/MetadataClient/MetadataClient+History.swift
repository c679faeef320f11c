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
    let first = followed ?? channels.nextToFollow(image)
    var failure = MetadataError.unavailable("no meta node was asked")
    var request = moment.wire
    request.clusterID = .init(configuration.clusterID?.rawValue ?? [])
    for endpoint in [first] + channels.others(than: first) {
      do throws(MetadataError) {
        return try await image(request, at: endpoint, timeoutMilliseconds)
      } catch {
        switch error {
        // Another one's archive may reach further.
        case .compacted: failure = error
        case .unavailable: if case .unavailable = failure { failure = error }
        default: throw error
        }
      }
    }
    throw failure
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
}
