import HashTreeCollections
import Metadata
import ProtocolMetadata
import SwiftProtobuf

/// An image as a stream of parts (image.proto): for subscribers that are too far behind, and for snapshots. The same image
/// always gives the same bytes.
package enum ImageEncoder {
  /// Objects per part: keeps a part well below a megabyte for all but the strangest definitions.
  static let eventsPerPart = 128
  static let entriesPerPart = 4096

  /// The encoded parts, in order.
  package static func parts(of image: Image) throws(WireError) -> [[UInt8]] {
    var parts: [[UInt8]] = []
    var hasher = SHA256()
    func add(_ part: Kunlog_Metadata_V1_ImagePart) throws(WireError) {
      let encoded = try bytes(of: part)
      hasher.update(encoded)
      parts.append(encoded)
    }
    try add(.with { $0.header = header(image) })
    for events in chunks(image.eventsFromNothing(), eventsPerPart) {
      try add(.with { $0.events = .with { $0.events = events.map(\.wire) } })
    }
    for versions in chunks(image.versions.sorted { $0.key < $1.key }, entriesPerPart) {
      try add(.with { $0.versions = wireVersions(versions) })
    }
    for clients in chunks(image.requests.clients.sorted { $0.key < $1.key }, 64) {
      try add(.with { $0.requests = wireRequests(clients) })
    }
    var checked = hasher
    let checksum = checked.finish()
    try add(.with { $0.end = .with { $0.checksum = .init(checksum) } })
    return parts
  }

  private static func header(_ image: Image) -> Kunlog_Metadata_V1_ImageHeader {
    .with {
      $0.index = image.index
      $0.hash = .init(image.hash.bytes)
      $0.nextObjectID = image.nextObjectID.rawValue
      $0.nextTabletID = image.nextTabletID.rawValue
      $0.removedNodes = image.removedNodes.map(\.rawValue).sorted()
    }
  }

  private static func wireVersions(
    _ versions: ArraySlice<(key: ObjectID, value: UInt64)>
  ) -> Kunlog_Metadata_V1_ImageVersions {
    .with {
      $0.versions = versions.map { version in
        .with {
          $0.objectID = version.key.rawValue
          $0.index = version.value
        }
      }
    }
  }

  private static func wireRequests(
    _ clients: ArraySlice<(key: String, value: RequestTable.Client)>
  ) -> Kunlog_Metadata_V1_ImageRequests {
    .with {
      $0.clients = clients.map { name, client in
        .with {
          $0.name = name
          $0.forgottenTo = client.forgottenTo
          $0.lastIndex = client.lastIndex
          $0.results = client.results.map { result in
            .with {
              $0.sequence = result.sequence
              $0.index = result.index
            }
          }
        }
      }
    }
  }

  private static func chunks<Item>(_ list: [Item], _ size: Int) -> [ArraySlice<Item>] {
    stride(from: 0, to: list.count, by: size).map { list[$0..<min($0 + size, list.count)] }
  }
}
