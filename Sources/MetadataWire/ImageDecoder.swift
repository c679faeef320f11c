import HashTreeCollections
import Metadata
import ProtocolMetadata
import SwiftProtobuf

/// Builds an image from its parts, in order, and checks that none is missing or altered.
package struct ImageDecoder: Sendable {
  private var image = Image()
  private var header: Kunlog_Metadata_V1_ImageHeader?
  private var hasher = SHA256()
  /// The image, once its last part has come.
  package private(set) var finished: Image?

  /// A decoder that expects the first part.
  package init() {}

  /// Takes the next part, as encoded.
  package mutating func add(_ bytes: [UInt8]) throws(WireError) {
    guard finished == nil else { throw .malformed("image: more after its end") }
    let part: Kunlog_Metadata_V1_ImagePart = try decoded(bytes, "part of an image")
    guard let kind = part.kind else { throw .unknownPart }
    if case .header(let header) = kind {
      guard self.header == nil else { throw .malformed("image: two headers") }
      self.header = header
    } else if header == nil {
      throw .malformed("image: no header")
    }
    switch kind {
    case .header: break
    case .events(let events):
      for event in events.events { image.apply(try Event(wire: event), at: 0) }
      guard image.featureLevel <= FeatureLevel.current else { throw .featureLevel(image.featureLevel) }
    case .versions(let versions):
      for version in versions.versions { image.versions[ObjectID(rawValue: version.objectID)] = version.index }
    case .requests(let requests): for client in requests.clients { add(client) }
    case .notes(let notes):
      for topic in notes.topics {
        image.notes[topic.name] = NoteTopic(count: topic.count, lastIndex: topic.lastIndex)
      }
    case .transactions(let transactions): try image.transactions.add(transactions)
    case .migrations(let migrations):
      for migration in migrations.migrations { image.migrations.add(try Migration(wire: migration)) }
    case .schemaChanges(let changes):
      for change in changes.changes { image.schemaChanges.add(try SchemaChange(wire: change)) }
    case .end(let end): try finish(end)
    }
    hasher.update(bytes)
  }

  private mutating func add(_ wire: Kunlog_Metadata_V1_ImageRequests.Client) {
    image.requests.clients[wire.name] = RequestHistory(
      wire.results.map { RequestTable.Result(sequence: $0.sequence, index: $0.index) }, forgottenTo: wire.forgottenTo,
      lastIndex: wire.lastIndex)
  }

  private mutating func finish(_ end: Kunlog_Metadata_V1_ImageEnd) throws(WireError) {
    guard let header, [UInt8](end.checksum) == hasher.finish() else {
      throw .corrupt("image: its checksum does not match its content")
    }
    guard let hash = RecordHash([UInt8](header.hash)) else { throw .malformed("image: hash") }
    image.index = header.index
    image.hash = hash
    image.nextObjectID = ObjectID(rawValue: header.nextObjectID)
    image.nextTabletID = TabletID(rawValue: header.nextTabletID)
    image.removedNodes = TreeSet(header.removedNodes.map(NodeID.init))
    image.removedShards = TreeSet(header.removedShards.map(ShardID.init))
    if header.nextMigrationID > 0 { image.migrations.nextID = MigrationID(rawValue: header.nextMigrationID) }
    if header.nextSchemaChangeID > 0 {
      image.schemaChanges.nextID = SchemaChangeID(rawValue: header.nextSchemaChangeID)
    }
    if header.hasManager { image.manager = ManagerLeadership(wire: header.manager) }
    if header.hasTree { image.tree = try RecordTree(wire: header.tree) }
    finished = image
  }
}
