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
    if header != nil, try addByHand(bytes) { return hasher.update(bytes) }
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

  /// Takes a part of those that come in numbers; false where it is left to the generated code.
  private mutating func addByHand(_ bytes: [UInt8]) throws(WireError) -> Bool {
    let result: Result<Bool, WireError> = bytes.withUnsafeBytes { buffer in
      do throws(WireError) { return .success(try read(buffer)) } catch { return .failure(error) }
    }
    return try result.get()
  }

  private mutating func read(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> Bool {
    var part = WireReader(bytes, "part of an image")
    guard let (member, kind) = try part.field(), kind == .bytes,
      member == ImageField.events || member == ImageField.versions
    else { return false }
    var list = WireReader(try part.slice(), "part of an image")
    guard part.isAtEnd else { return false }
    while let (number, kind) = try list.field() {
      guard number == ImageField.elements, kind == .bytes else {
        try list.skip(kind)
        continue
      }
      if member == ImageField.events {
        image.apply(try Event(reading: try list.slice()), at: 0)
      } else {
        try addVersion(try list.slice())
      }
    }
    guard image.featureLevel <= FeatureLevel.current else { throw .featureLevel(image.featureLevel) }
    return true
  }

  private mutating func addVersion(_ bytes: UnsafeRawBufferPointer) throws(WireError) {
    var (object, index): (UInt32, UInt64) = (0, 0)
    var reader = WireReader(bytes, "version")
    while let (number, kind) = try reader.field() {
      switch (number, kind) {
      case (1, .varint): object = try reader.uint32()
      case (2, .varint): index = try reader.varint()
      default: try reader.skip(kind)
      }
    }
    image.versions[ObjectID(rawValue: object)] = index
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
