import HashTreeCollections
import Metadata
import ProtocolMetadata
import SwiftProtobuf

/// An image as a stream of parts (image.proto): for subscribers that are too far behind, and for snapshots. The same image
/// always gives the same bytes. Each part is encoded when it is asked for.
package struct ImageEncoder: Sendable {
  /// Larger than any part that is ever made: one definition alone is bounded by the length of a record.
  package static let maximumPartBytes = 64 * 1024 * 1024
  /// Objects per part: keeps a part well below a megabyte for all but the strangest definitions.
  private static let eventsPerPart = 128
  private static let versionsPerPart = 4096
  private static let likelyPartBytes = 16 * 1024
  private static let clientsPerPart = 16
  private static let topicsPerPart = 1024
  private static let transactionsPerPart = 4096
  private static let migrationsPerPart = 256
  private static let schemaChangesPerPart = 16

  private enum Stage {
    case header, events, versions, requests, notes, transactions, migrations, schemaChanges, end, finished
  }

  private let image: Image
  private var stage = Stage.header
  private var hasher = SHA256()
  private var events: ImageEvents
  /// Keys of the stage at hand, in order; those from `position` on are to come.
  private var objects: [ObjectID] = []
  private var names: [String] = []
  private var transactions: [Kunlog_Metadata_V1_ImageTransactions] = []
  private var migrations: [Migration] = []
  private var schemaChanges: [SchemaChange] = []
  private var position = 0

  /// An encoder at the first part.
  package init(_ image: Image) {
    self.image = image
    events = ImageEvents(image)
  }

  /// The encoded parts, in order, all at once.
  package static func parts(of image: Image) throws(WireError) -> [[UInt8]] {
    var encoder = ImageEncoder(image)
    var parts: [[UInt8]] = []
    while let part = try encoder.next() { parts.append(part) }
    return parts
  }

  /// The next part; nil after the last.
  package mutating func next() throws(WireError) -> [UInt8]? {
    while stage != .finished {
      if let encoded = try nextByHand() {
        hasher.update(encoded)
        return encoded
      }
      guard let kind = nextKind() else { continue }
      let encoded = try bytes(of: Kunlog_Metadata_V1_ImagePart.with { $0.kind = kind })
      hasher.update(encoded)
      return encoded
    }
    return nil
  }

  /// The next part of the stages whose parts come in numbers: the same bytes as the generated code's. nil in any other stage, and at
  /// the end of one.
  private mutating func nextByHand() throws(WireError) -> [UInt8]? {
    var writer = WireWriter(capacity: Self.likelyPartBytes)
    switch stage {
    case .events:
      guard let list = events.take(Self.eventsPerPart) else { return nil }
      try writer.nested(ImageField.events) { (part) throws(WireError) in
        for event in list { try event.write(ImageField.elements, to: &part) }
      }
    case .versions:
      let list = take(objects, Self.versionsPerPart)
      guard !list.isEmpty else { return nil }
      writer.nested(ImageField.versions) { part in
        for object in list {
          part.nested(ImageField.elements) {
            $0.integer(1, UInt64(object.rawValue))
            $0.integer(2, image.versions[object] ?? 0)
          }
        }
      }
    default: return nil
    }
    return writer.bytes
  }

  /// The next part of the stage; nil, and the next stage, where there is none.
  private mutating func nextKind() -> Kunlog_Metadata_V1_ImagePart.OneOf_Kind? {
    switch stage {
    case .header:
      stage = .events
      return .header(header)
    case .events:
      stage = .versions
      position = 0
      objects = image.versions.keys.sorted()
    case .versions:
      stage = .requests
      begin(image.requests.clients.keys.sorted())
    case .requests:
      let list = take(names, Self.clientsPerPart)
      if !list.isEmpty { return .requests(wireRequests(list)) }
      stage = .notes
      begin(image.notes.keys.sorted())
    case .notes:
      let list = take(names, Self.topicsPerPart)
      if !list.isEmpty { return .notes(wireNotes(list)) }
      stage = .transactions
      position = 0
      transactions = image.transactions.wireParts(openPerPart: Self.transactionsPerPart)
    case .transactions:
      if let part = take(transactions, 1).first { return .transactions(part) }
      stage = .migrations
      position = 0
      migrations = (Array(image.migrations.open.values) + Array(image.migrations.ended.values)).sorted {
        $0.plan.id < $1.plan.id
      }
    case .migrations:
      let list = take(migrations, Self.migrationsPerPart)
      if !list.isEmpty { return .migrations(.with { $0.migrations = list.map(\.wire) }) }
      stage = .schemaChanges
      position = 0
      schemaChanges = (Array(image.schemaChanges.open.values) + Array(image.schemaChanges.ended.values)).sorted {
        $0.plan.id < $1.plan.id
      }
    case .schemaChanges:
      let list = take(schemaChanges, Self.schemaChangesPerPart)
      if !list.isEmpty { return .schemaChanges(.with { $0.changes = list.map(\.wire) }) }
      stage = .end
    case .end:
      stage = .finished
      var checked = hasher
      let checksum = checked.finish()
      return .end(.with { $0.checksum = .init(checksum) })
    case .finished: break
    }
    return nil
  }

  private mutating func begin(_ names: [String]) {
    self.names = names
    position = 0
  }

  private mutating func take<Item>(_ list: [Item], _ count: Int) -> ArraySlice<Item> {
    let slice = list[min(position, list.count)..<min(position + count, list.count)]
    position = slice.endIndex
    return slice
  }

  private var header: Kunlog_Metadata_V1_ImageHeader {
    .with {
      $0.index = image.index
      $0.hash = .init(image.hash.bytes)
      $0.nextObjectID = image.nextObjectID.rawValue
      $0.nextTabletID = image.nextTabletID.rawValue
      $0.removedNodes = image.removedNodes.map(\.rawValue).sorted()
      $0.removedShards = image.removedShards.map(\.rawValue).sorted()
      // 0 as long as there is none: an image below feature level 3 is as it ever was.
      $0.nextMigrationID = image.migrations.nextID.rawValue > 1 ? image.migrations.nextID.rawValue : 0
      $0.nextSchemaChangeID = image.schemaChanges.nextID.rawValue > 1 ? image.schemaChanges.nextID.rawValue : 0
      if image.manager != ManagerLeadership() { $0.manager = image.manager.wire }
      if image.tree.count > 0 { $0.tree = image.tree.wire }
    }
  }

  private func wireRequests(_ names: ArraySlice<String>) -> Kunlog_Metadata_V1_ImageRequests {
    .with {
      $0.clients = names.map { name in
        let client = image.requests.clients[name] ?? RequestHistory()
        return .with {
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

  private func wireNotes(_ names: ArraySlice<String>) -> Kunlog_Metadata_V1_ImageNotes {
    .with {
      $0.topics = names.map { name in
        .with {
          $0.name = name
          $0.count = image.notes[name]?.count ?? 0
          $0.lastIndex = image.notes[name]?.lastIndex ?? 0
        }
      }
    }
  }
}

/// Members of `ImagePart` in image.proto that are coded by hand, and what they have of elements.
enum ImageField {
  static let events: UInt64 = 2
  static let versions: UInt64 = 3
  static let elements: UInt64 = 1
}
