import Metadata

/// A table in one line: what `kunlog table list` shows.
package struct TableSummary: Sendable, Equatable, Codable {
  package var id: UInt32
  /// With its schema.
  package var name: String
  /// table, partitioned table, partition.
  package var kind: String
  package var owner: String
  package var columns: Int
  package var indexes: Int
  /// With all partitions below it.
  package var tablets: [UInt64]
  package var shards: [UInt32]
  /// The table group.
  package var group: String?
  /// The class of shards on which it belongs, as it, or a table of which it is a partition, names it; nil: none does.
  package var shardClass: String?

  enum CodingKeys: String, CodingKey {
    case id, name, kind, owner, columns, indexes, tablets, shards, group
    case shardClass = "shard_class"
  }
}

/// A table and all that belongs to it: what `kunlog table show` shows.
package struct TableDetails: Sendable, Equatable, Codable {
  package struct Tablet: Sendable, Equatable, Codable {
    package var id: UInt64
    package var table: String
    package var shard: UInt32
    package var epoch: UInt64
    package var generation: UInt64
    /// Of a mirror table.
    package var copies: [UInt32]?

    /// For people: `shard 2`, `shards 1, 2`.
    package var places: String {
      guard let copies else { return "shard \(shard)" }
      return "shards " + copies.map(String.init).joined(separator: ", ")
    }
  }
  package var table: ObjectDescription
  package var indexes: [ObjectDescription]
  package var sequences: [ObjectDescription]
  package var partitions: [ObjectDescription]
  package var tablets: [Tablet]
  /// The index of the record that last changed the table's own definition.
  package var changedAt: UInt64

  enum CodingKeys: String, CodingKey {
    case table, indexes, sequences, partitions, tablets
    case changedAt = "changed_at"
  }
}

/// A shard in one line: what `kunlog shard list` shows.
package struct ShardSummary: Sendable, Equatable, Codable {
  package var id: UInt32
  package var name: String
  package var replicas: [String]
  package var tablets: Int
  package var tables: Int
  /// It takes no new tablets.
  package var draining: Bool
  /// What its storage is for.
  package var shardClass: String

  enum CodingKeys: String, CodingKey {
    case id, name, replicas, tablets, tables, draining
    case shardClass = "class"
  }
}

/// A shard and what it holds: what `kunlog shard show` shows.
package struct ShardDetails: Sendable, Equatable, Codable {
  package struct Replica: Sendable, Equatable, Codable {
    package var id: UInt64
    package var name: String
    package var address: String
  }
  package var shard: ShardSummary
  package var replicas: [Replica]
  package var tablets: [TableDetails.Tablet]
}

extension Image {
  /// All tables, by schema and name.
  package var tableSummaries: [TableSummary] {
    tables.values.map(summary).sorted { ($0.name, $0.id) < ($1.name, $1.id) }
  }

  /// One table; nil where there is none of that name (or identity).
  package func tableDetails(_ reference: ObjectReference) -> TableDetails? {
    guard let table = table(reference) else { return nil }
    return TableDetails(
      table: describe(table), indexes: indexes(of: table.id).map(describe),
      sequences: sequences.values.filter { $0.ownerTableID == table.id }.sorted { $0.id < $1.id }.map(describe),
      partitions: partitions(of: table.id).map(describe),
      tablets: leaves(of: table.id).compactMap { tablet(of: $0.id) }.map(summary), changedAt: versions[table.id] ?? 0)
  }

  /// All shards, by number.
  package var shardSummaries: [ShardSummary] { shards.values.sorted { $0.id < $1.id }.map(summary) }

  /// One shard, by number or name.
  package func shardDetails(_ name: String) -> ShardDetails? {
    let shard = UInt32(name).flatMap { shards[ShardID(rawValue: $0)] } ?? shards.values.first { $0.name == name }
    guard let shard else { return nil }
    return ShardDetails(
      shard: summary(shard),
      replicas: shard.replicas.map { id in
        let node = nodes[id]
        return .init(id: id.rawValue, name: nodeName(id), address: node.map { "\($0.host):\($0.port)" } ?? "")
      },
      tablets: tablets.values.filter { $0.isHeld(by: shard.id) }.sorted { $0.id < $1.id }.map(summary))
  }

  /// Names like that of a table that is not there.
  package func tablesLike(_ reference: ObjectReference) -> [String] {
    let names = tables.values.map { table -> String in
      let schema = schemas[table.schemaID]?.name ?? ""
      return schema == "public" ? table.name : "\(schema).\(table.name)"
    }
    return NearNames.of(
      reference.schema == "public" ? reference.name : "\(reference.schema).\(reference.name)", in: names.sorted())
  }

  private func table(_ reference: ObjectReference) -> TableDefinition? {
    if let schema = schemaNames[reference.schema],
      let id = relationNames[RelationKey(schemaID: schema, name: reference.name)], let table = tables[id]
    {
      return table
    }
    return UInt32(reference.name).flatMap { tables[ObjectID(rawValue: $0)] }
  }

  private func summary(_ table: TableDefinition) -> TableSummary {
    let tablets = leaves(of: table.id).compactMap { tablet(of: $0.id) }
    return TableSummary(
      id: table.id.rawValue, name: qualified(table.name, in: table.schemaID),
      kind: table.partitioning != nil ? "partitioned table" : table.partition != nil ? "partition" : "table",
      owner: roleName(table.ownerID), columns: table.columns.count, indexes: indexes(of: table.id).count,
      tablets: tablets.map(\.id.rawValue), shards: Set(tablets.flatMap(\.holders).map(\.rawValue)).sorted(),
      group: tableGroup(of: table), shardClass: namesClass(table) ? statedClass(of: table) : nil)
  }

  private func namesClass(_ table: TableDefinition) -> Bool {
    var table = table
    while table.options[TableDefinition.classOption] == nil {
      guard let parent = table.partition.flatMap({ tables[$0.parentID] }) else { return false }
      table = parent
    }
    return true
  }

  private func summary(_ tablet: TabletDefinition) -> TableDetails.Tablet {
    .init(
      id: tablet.id.rawValue, table: relationName(tablet.tableID), shard: tablet.shardID.rawValue, epoch: tablet.epoch,
      generation: tablet.generation, copies: tablet.isMirror ? tablet.copies.map(\.rawValue) : nil)
  }

  private func summary(_ shard: ShardDefinition) -> ShardSummary {
    let held = tablets.values.filter { $0.isHeld(by: shard.id) }
    return ShardSummary(
      id: shard.id.rawValue, name: shard.name, replicas: shard.replicas.map(nodeName), tablets: held.count,
      tables: Set(held.map(\.tableID)).count, draining: shard.isDraining, shardClass: shard.shardClass)
  }
}
