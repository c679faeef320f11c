import Metadata
import MetadataWire
import ProtocolMetadata
import SQLTypes
import SwiftProtobuf
import Testing

/// Tables, indexes, tablets and the parts of an image that hold them are coded by hand: the bytes are those of the generated code.
@Suite struct CatalogCodingTests {
  private static let schema = ObjectID(rawValue: 2200)
  private static let owner = ObjectID(rawValue: 10)

  private static func table(_ change: (inout TableDefinition) -> Void) -> Event {
    var table = TableDefinition(
      id: ObjectID(rawValue: 16384), schemaID: schema, name: "t", ownerID: owner,
      columns: [ColumnDefinition(name: "id", type: .int8, isNotNull: true), ColumnDefinition(name: "été", type: .text)])
    change(&table)
    return .tableCreated(table)
  }

  static let events: [Event] = [
    table { _ in },
    table { $0.columns = [] },
    table {
      $0.name = String(repeating: "n", count: 63)
      $0.columns = (0..<300).map { ColumnDefinition(name: "column_\($0)", type: .varchar.with(modifier: 260)) }
    },
    table {
      $0.columns = [
        ColumnDefinition(name: "a", type: .numeric.with(modifier: .max), defaultExpression: ""),
        ColumnDefinition(name: "b", type: SQLType(oid: .max, modifier: .min), identity: .always, sequenceID: schema),
        ColumnDefinition(
          name: "c", type: SQLType(oid: 0, modifier: 0), defaultExpression: "nextval('s')", identity: .byDefault),
      ]
      $0.checks = [
        CheckDefinition(name: "positive", expression: "(a > 0)", storageExpression: "a > 0"),
        CheckDefinition(name: "", expression: "", storageExpression: ""),
      ]
      $0.options = ["shard_class": "cold", "fillfactor": "70", "empty": ""]
      $0.version = .max
    },
    table { $0.partitioning = Partitioning(strategy: .hash, columns: [1]) },
    table {
      $0.partition = PartitionMembership(parentID: ObjectID(rawValue: 16390), bound: .hash(modulus: 4, remainder: 3))
    },
    .indexCreated(
      IndexDefinition(
        id: ObjectID(rawValue: 16385), schemaID: schema, name: "t_pkey", tableID: ObjectID(rawValue: 16384),
        parts: [IndexDefinition.Part(column: 1)], isUnique: true, constraint: .primaryKey)),
    .indexCreated(
      IndexDefinition(
        id: ObjectID(rawValue: .max), schemaID: schema, name: "i", tableID: ObjectID(rawValue: 0),
        parts: [
          IndexDefinition.Part(column: 1600, isDescending: true), IndexDefinition.Part(column: 2, nullsFirst: true),
        ], isUnique: true, constraint: .unique, parentID: ObjectID(rawValue: 16399))),
    .indexCreated(
      IndexDefinition(
        id: ObjectID(rawValue: 1), schemaID: schema, name: "", tableID: ObjectID(rawValue: 2), parts: [],
        isUnique: false)),
    .tabletCreated(
      TabletDefinition(
        id: TabletID(rawValue: .max), tableID: ObjectID(rawValue: 16384), shardID: ShardID(rawValue: 300),
        epoch: 1 << 40, generation: 0)),
    .tabletCreated(
      TabletDefinition(
        id: TabletID(rawValue: 7), tableID: ObjectID(rawValue: 16384), shardID: ShardID(rawValue: 1),
        copies: [ShardID(rawValue: 1), ShardID(rawValue: 300)])),
  ]

  private func body(_ events: [Event]) -> RecordBody {
    RecordBody(
      after: 1, .zero, timeMicroseconds: 5, principal: "p", requestID: nil, cause: nil, events: events)
  }

  @Test(arguments: events) func theBytesAreThoseOfTheGeneratedCode(event: Event) throws {
    let bytes = try body([event]).encoded()
    let generated: [UInt8] = try Kunlog_Metadata_V1_RecordBody.with {
      $0.timeMicroseconds = 5
      $0.principal = "p"
      $0.events = [event.wire]
      $0.previousIndex = 1
      $0.previousHash = .init(RecordHash.zero.bytes)
    }.serializedBytes()
    #expect(bytes == generated)
    #expect(try RecordBody(decoding: bytes).events == [event])
    for length in 0..<min(bytes.count, 400) {
      #expect(throws: WireError.self) { try RecordBody(decoding: Array(bytes.prefix(length))) }
    }
  }

  @Test(arguments: events) func fieldsThatAreNotKnownArePassedOver(event: Event) throws {
    var wire = event.wire
    // Field 900, a varint, in the definition itself.
    let unknown: [UInt8] = [160, 56, 5]
    switch wire.kind {
    case .tableCreated(let table): wire.tableCreated = try .init(serializedBytes: table.serializedBytes() + unknown)
    case .indexCreated(let index): wire.indexCreated = try .init(serializedBytes: index.serializedBytes() + unknown)
    case .tabletCreated(let tablet):
      wire.tabletCreated = try .init(serializedBytes: tablet.serializedBytes() + unknown)
    default: Issue.record("\(event) has no definition")
    }
    let generated: [UInt8] = try Kunlog_Metadata_V1_RecordBody.with {
      $0.events = [wire]
      $0.previousHash = .init(RecordHash.zero.bytes)
    }.serializedBytes()
    #expect(try RecordBody(decoding: generated).events == [event])
  }

  @Test func whatIsOutOfRangeIsRefused() throws {
    var wire = Self.events[0].wire
    wire.tableCreated.columns[0].identity = .UNRECOGNIZED(3)
    let generated: [UInt8] = try Kunlog_Metadata_V1_RecordBody.with {
      $0.events = [wire]
      $0.previousHash = .init(RecordHash.zero.bytes)
    }.serializedBytes()
    #expect(throws: WireError.malformed("identity 3")) { try RecordBody(decoding: generated) }
  }

  @Test func anImagesPartsAreThoseOfTheGeneratedCode() throws {
    var image = Image()
    let cluster = ClusterID(rawValue: [UInt8](repeating: 7, count: 16))
    image.apply(.clusterCreated(cluster, name: "c", featureLevel: 3), at: 1)
    for number in UInt32(0)..<300 {
      let id = ObjectID(rawValue: 16384 + 2 * number)
      image.apply(Self.table { ($0.id, $0.name) = (id, "t\(number)") }, at: UInt64(number) + 2)
      image.apply(
        .indexCreated(
          IndexDefinition(
            id: ObjectID(rawValue: id.rawValue + 1), schemaID: Self.schema, name: "t\(number)_pkey", tableID: id,
            parts: [IndexDefinition.Part(column: 1)], isUnique: true, constraint: .primaryKey)), at: UInt64(number) + 2)
      image.apply(
        .tabletCreated(
          TabletDefinition(id: TabletID(rawValue: UInt64(number) + 1), tableID: id, shardID: ShardID(rawValue: 1))),
        at: UInt64(number) + 2)
    }
    image.index = 301
    let parts = try ImageEncoder.parts(of: image)
    // Header; the cluster; 3 parts of tables, 3 of indexes, 3 of tablets; versions; end.
    #expect(parts.count == 13)
    var decoder = ImageDecoder()
    for part in parts {
      let generated: [UInt8] = try Kunlog_Metadata_V1_ImagePart(serializedBytes: part).serializedBytes()
      #expect(part == generated)
      try decoder.add(part)
    }
    #expect(decoder.finished == image)
  }
}
