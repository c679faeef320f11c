import HashTreeCollections
import Metadata
import SQLParser
import SQLPlan
import SQLTypes

/// An image with a few tables on two shards.
///
/// `items` (shard 1) and `customers` (shard 2) are plain; `orders` is spread by hash over four partitions on both shards,
/// `events` by range of days, `kinds` by list.
struct SampleCatalog {
  var image = Image()
  private var next: UInt32 = 16384

  static let standard = SampleCatalog()

  init() {
    image.index = 7
    image.databases[ObjectID(rawValue: 5)] = DatabaseDefinition(
      id: ObjectID(rawValue: 5), name: "postgres", ownerID: ObjectID(rawValue: 10))
    image.roles[ObjectID(rawValue: 10)] = RoleDefinition(id: ObjectID(rawValue: 10), name: "abc", isSuperuser: true)
    image.roleNames["abc"] = ObjectID(rawValue: 10)
    image.schemas[Self.publicSchema] = SchemaDefinition(
      id: Self.publicSchema, name: "public", ownerID: ObjectID(rawValue: 10))
    image.schemaNames["public"] = Self.publicSchema
    addPlainTables()
    addPartitionedTables()
  }

  static let publicSchema = ObjectID(rawValue: 2200)

  private mutating func addPlainTables() {
    let sequence = newID()
    image.sequences[sequence] = SequenceDefinition(
      id: sequence, schemaID: Self.publicSchema, name: "items_id_seq", ownerID: ObjectID(rawValue: 10), type: .int4,
      start: 1, increment: 1, minimum: 1, maximum: 2_147_483_647)
    name("items_id_seq", sequence)
    add(
      "items",
      [
        ColumnDefinition(
          name: "id", type: .int4, isNotNull: true, defaultExpression: "nextval('items_id_seq'::regclass)",
          sequenceID: sequence),
        ColumnDefinition(name: "name", type: .text),
        ColumnDefinition(
          name: "price", type: .numeric.with(modifier: SQLType.numericModifier(precision: 10, scale: 2))),
        ColumnDefinition(name: "qty", type: .int8, defaultExpression: "0"),
        ColumnDefinition(name: "made", type: .date),
        ColumnDefinition(name: "flag", type: .bool),
        ColumnDefinition(name: "code", type: .varchar.with(modifier: SQLType.lengthModifier(5))),
      ], key: [1], shard: 1)
    add(
      "customers",
      [
        ColumnDefinition(name: "id", type: .int4, isNotNull: true),
        ColumnDefinition(name: "name", type: .text, isNotNull: true), ColumnDefinition(name: "region", type: .text),
      ], key: [1], shard: 2)
    add(
      "tagged",
      [
        ColumnDefinition(name: "id", type: .int8, isNotNull: true, identity: .always, sequenceID: sequence),
        ColumnDefinition(name: "tag", type: .text),
      ], key: [], shard: 1)
  }

  private mutating func addPartitionedTables() {
    let orders = add(
      "orders",
      [
        ColumnDefinition(name: "id", type: .int8, isNotNull: true), ColumnDefinition(name: "customer", type: .int4),
        ColumnDefinition(name: "total", type: .numeric), ColumnDefinition(name: "placed", type: .timestamp),
      ], key: [1], partitioning: Partitioning(strategy: .hash, columns: [1]))
    for remainder in 0..<4 {
      partition(
        orders, "orders_p\(remainder)", .hash(modulus: 4, remainder: remainder), shard: UInt32(remainder % 2 + 1))
    }
    let events = add(
      "events",
      [ColumnDefinition(name: "day", type: .date, isNotNull: true), ColumnDefinition(name: "note", type: .text)],
      key: [], partitioning: Partitioning(strategy: .range, columns: [1]))
    // 2024-01-01 is day 8766, 2025-01-01 day 9132.
    partition(
      events, "events_2024", .range(from: [.value(.integer(8766))], to: [.value(.integer(9132))]), shard: 1)
    partition(events, "events_later", .range(from: [.value(.integer(9132))], to: [.maximum]), shard: 2)
    let kinds = add(
      "kinds", [ColumnDefinition(name: "kind", type: .text), ColumnDefinition(name: "n", type: .int4)], key: [],
      partitioning: Partitioning(strategy: .list, columns: [1]))
    partition(kinds, "kinds_ab", .list([.text("a"), .text("b")]), shard: 1)
    partition(kinds, "kinds_null", .list([.null]), shard: 2)
    partition(kinds, "kinds_rest", .standard, shard: 2)
  }

  private mutating func newID() -> ObjectID {
    next += 1
    return ObjectID(rawValue: next)
  }

  private mutating func name(_ name: String, _ id: ObjectID) {
    image.relationNames[RelationKey(schemaID: Self.publicSchema, name: name)] = id
  }

  @discardableResult
  private mutating func add(
    _ name: String, _ columns: [ColumnDefinition], key: [Int], shard: UInt32 = 0, partitioning: Partitioning? = nil,
    membership: PartitionMembership? = nil
  ) -> ObjectID {
    let id = newID()
    var table = TableDefinition(
      id: id, schemaID: Self.publicSchema, name: name, ownerID: ObjectID(rawValue: 10), columns: columns)
    table.partitioning = partitioning
    table.partition = membership
    image.tables[id] = table
    self.name(name, id)
    if !key.isEmpty {
      let index = newID()
      image.indexes[index] = IndexDefinition(
        id: index, schemaID: Self.publicSchema, name: "\(name)_pkey", tableID: id,
        parts: key.map { IndexDefinition.Part(column: $0) }, isUnique: true, constraint: .primaryKey)
      image.indexesOfTable[id] = [index]
      self.name("\(name)_pkey", index)
    }
    if partitioning == nil {
      let tablet = TabletID(rawValue: UInt64(image.tablets.count + 1))
      image.tablets[tablet] = TabletDefinition(id: tablet, tableID: id, shardID: ShardID(rawValue: shard), epoch: 1)
      image.tabletOfTable[id] = tablet
    }
    return id
  }

  private mutating func partition(_ parent: ObjectID, _ name: String, _ bound: PartitionBound, shard: UInt32) {
    let key = image.primaryKey(of: parent)?.parts.map(\.column) ?? []
    let id = add(
      name, image.tables[parent]?.columns ?? [], key: key, shard: shard,
      membership: PartitionMembership(parentID: parent, bound: bound))
    image.partitionsOfTable[parent, default: []].append(id)
  }

  mutating func addView(_ name: String, _ query: String, _ columns: [ViewDefinition.Column]) {
    let id = newID()
    image.views[id] = ViewDefinition(
      id: id, schemaID: Self.publicSchema, name: name, ownerID: ObjectID(rawValue: 10), query: query, columns: columns,
      dependencies: [])
    self.name(name, id)
  }

  func planner(searchPath: [String] = ["$user", "public"]) -> Planner {
    Planner(
      image: image, session: SessionInfo(user: "abc", database: "postgres", searchPath: searchPath),
      parse: { text throws(SQLError) in try SQLParser.parse(text) })
  }

  /// The plan of a statement.
  func analyze(_ sql: String, types: [SQLType] = []) throws(SQLError) -> AnalyzedStatement {
    try planner().analyze(SQLParser.parse(sql)[0].statement, text: sql, parameterTypes: types)
  }
}
