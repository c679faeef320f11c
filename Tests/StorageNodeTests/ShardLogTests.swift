import Metadata
import SQLTypes
import StorageEngine
import Testing

@testable import StorageNode

struct ShardLogTests {
  private static let table = TableDefinition(
    id: ObjectID(rawValue: 20000), schemaID: ObjectID(rawValue: 0), name: "t", ownerID: ObjectID(rawValue: 0),
    columns: [ColumnDefinition(name: "a", type: SQLType(oid: 1043, modifier: 14), isNotNull: true)],
    checks: [CheckDefinition(name: "c", expression: "", storageExpression: "\"a\" <> ''")])
  private static func index(_ id: UInt32, _ constraint: IndexDefinition.Constraint?) -> IndexDefinition {
    IndexDefinition(
      id: ObjectID(rawValue: id), schemaID: ObjectID(rawValue: 0), name: "i\(id)", tableID: table.id,
      parts: [IndexDefinition.Part(column: 1, isDescending: true, nullsFirst: true)], isUnique: constraint != nil,
      constraint: constraint)
  }

  @Test("Every kind of entry is read as it was written")
  func entries() throws {
    let kinds: [ShardEntry.Kind] = [
      .transactions(
        [ShardEntry.Member(id: TransactionID(bytes: [1, 2]), affected: [3, 0])],
        [TabletChangeset(tabletID: TabletID(rawValue: 7), bytes: [1, 1, 0, 9])]),
      .schema(
        metadataIndex: 42,
        [
          .create(
            TabletID(rawValue: 1), Self.table, indexes: [Self.index(1, .primaryKey), Self.index(2, .unique)],
            generation: 3),
          .drop(TabletID(rawValue: 2)), .createIndex(TabletID(rawValue: 3), Self.table, Self.index(4, nil)),
          .dropIndex(TabletID(rawValue: 5), ObjectID(rawValue: 6)), .clear(TabletID(rawValue: 7), generation: 8),
        ]),
      .part(transaction: 9, number: 3, piece: [0, 1, 255], isLast: false),
      .part(transaction: 9, number: 4, piece: [], isLast: true), .abandoned(transaction: 9),
    ]
    for kind in kinds {
      let entry = ShardEntry(origin: ShardEntry.Origin(nodeID: 5, life: .max, sequence: 6), kind: kind)
      let bytes = try entry.encoded()
      #expect(try ShardEntry.origin(of: bytes) == entry.origin)
      #expect(try ShardEntry(encoded: bytes) == entry)
    }
  }

  @Test("Bytes that are no entry are refused")
  func damaged() {
    #expect(throws: DamagedEntry.self) { try ShardEntry(encoded: [1, 2, 3]) }
    #expect(throws: DamagedEntry.self) { try ShardEntry(encoded: [UInt8](repeating: 0, count: 24)) }
    #expect(throws: (any Error).self) { try ShardEntry(encoded: [UInt8](repeating: 255, count: 60)) }
  }

  @Test("The transactions that committed last are remembered, the oldest forgotten")
  func recent() throws {
    var state = ShardState(metadataIndex: 9)
    for number in 1...(RecentTransactions.capacity + 2) {
      state.recent.append(
        RecentTransactions.Transaction(
          id: TransactionID(bytes: Array("\(number)".utf8)), index: UInt64(number), affected: [1]))
    }
    #expect(state.recent[TransactionID(bytes: Array("2".utf8))] == nil)
    #expect(state.recent[TransactionID(bytes: Array("3".utf8))]?.index == 3)
    #expect(state.recent.all.first?.index == 3)
    #expect(state.recent.all.last?.index == 8194)
    let read = try ShardState(encoded: state.encoded())
    #expect(read.metadataIndex == 9)
    #expect(read.recent.all == state.recent.all)
  }

  @Test("The difference between image and tablets: what to create, clear, index and drop")
  func reconciliation() {
    var image = Image()
    image.tables[Self.table.id] = Self.table
    for index in [Self.index(1, .primaryKey), Self.index(2, .unique), Self.index(3, nil)] {
      image.indexes[index.id] = index
    }
    image.indexesOfTable[Self.table.id] = [1, 2, 3].map { ObjectID(rawValue: $0) }
    for (tablet, shard, generation) in [(1, 1, 1), (2, 1, 5), (3, 2, 1)] as [(UInt64, UInt32, UInt64)] {
      image.tablets[TabletID(rawValue: tablet)] = TabletDefinition(
        id: TabletID(rawValue: tablet), tableID: Self.table.id, shardID: ShardID(rawValue: shard),
        generation: generation)
    }
    let tablets: [TabletID: TabletSummary] = [
      TabletID(rawValue: 2): TabletSummary(
        indexes: [ObjectID(rawValue: 2), ObjectID(rawValue: 9)], generation: 4, appliedIndex: 1),
      TabletID(rawValue: 8): TabletSummary(indexes: [], generation: 1, appliedIndex: 1),
    ]
    #expect(
      SchemaReconciler.changes(image, ShardID(rawValue: 1), tablets) == [
        .create(
          TabletID(rawValue: 1), Self.table,
          indexes: [Self.index(1, .primaryKey), Self.index(2, .unique), Self.index(3, nil)], generation: 1),
        .clear(TabletID(rawValue: 2), generation: 5), .dropIndex(TabletID(rawValue: 2), ObjectID(rawValue: 9)),
        .createIndex(TabletID(rawValue: 2), Self.table, Self.index(3, nil)), .drop(TabletID(rawValue: 8)),
      ])
    #expect(
      SchemaReconciler.changes(
        image, ShardID(rawValue: 1), tablets, of: Set([2, 3, 8].map { TabletID(rawValue: $0) })) == [
          .clear(TabletID(rawValue: 2), generation: 5), .dropIndex(TabletID(rawValue: 2), ObjectID(rawValue: 9)),
          .createIndex(TabletID(rawValue: 2), Self.table, Self.index(3, nil)), .drop(TabletID(rawValue: 8)),
        ])
    #expect(SchemaReconciler.changes(image, ShardID(rawValue: 1), tablets, of: []) == [])
    #expect(
      SchemaReconciler.changes(Image(), ShardID(rawValue: 1), [:]) == [])
  }
}
