import Metadata
import SQLTypes

// pg_namespace, pg_class, pg_attribute, pg_attrdef, pg_inherits, pg_partitioned_table, pg_rewrite, pg_sequence.
extension CatalogView {
  func namespaces() -> [CatalogRow] {
    schemas.map { ["oid": .oid($0.id.rawValue), "nspname": .name($0.name), "nspowner": .oid($0.ownerID.rawValue)] }
  }

  func classes() -> [CatalogRow] {
    var rows: [CatalogRow] = SystemCatalog.relations.map { relation in
      let isView = relation.schema == "information_schema" || relation.oid >= 12000
      return relationRow(
        oid: relation.oid, name: relation.name, schema: schemaOID(named: relation.schema),
        owner: Self.bootstrapOwnerOID,
        kind: isView ? "v" : "r", columns: relation.columns.count)
    }
    rows += tables.map(classRow)
    rows += views.map { view in
      var row = relationRow(
        oid: view.id.rawValue, name: view.name, schema: view.schemaID.rawValue, owner: view.ownerID.rawValue, kind: "v",
        columns: view.columns.count)
      row["relhasrules"] = .boolean(true)
      return row
    }
    rows += sequences.map {
      var row = relationRow(
        oid: $0.id.rawValue, name: $0.name, schema: $0.schemaID.rawValue, owner: $0.ownerID.rawValue, kind: "S",
        columns: 3)
      row["reltype"] = .oid(0)
      return row
    }
    rows += indexes.map(classRow)
    return rows
  }

  private func relationRow(oid: UInt32, name: String, schema: UInt32, owner: UInt32, kind: String, columns: Int)
    -> CatalogRow
  {
    [
      "oid": .oid(oid), "relname": .name(name), "relnamespace": .oid(schema), "reltype": .oid(oid),
      "relowner": .oid(owner),
      "relfilenode": .oid(kind == "v" || kind == "p" || kind == "I" ? 0 : oid), "reltuples": .real(-1),
      "relpersistence": .text("p"), "relkind": .text(kind), "relnatts": .number(columns),
      "relispopulated": .boolean(true),
      "relreplident": .text(kind == "r" || kind == "p" ? "d" : "n"),
    ]
  }

  private func classRow(_ table: TableDefinition) -> CatalogRow {
    let isPartitioned = table.partitioning != nil
    var row = relationRow(
      oid: table.id.rawValue, name: table.name, schema: table.schemaID.rawValue, owner: table.ownerID.rawValue,
      kind: isPartitioned ? "p" : "r", columns: table.columns.count)
    row["relam"] = .oid(isPartitioned ? 0 : Self.heapOID)
    row["relhasindex"] = .boolean(!(image.indexesOfTable[table.id] ?? []).isEmpty)
    row["relchecks"] = .number(table.checks.count)
    row["relhassubclass"] = .boolean(isPartitioned)
    row["relispartition"] = .boolean(table.partition != nil)
    row["relpartbound"] = partitionBoundText(table).map { .text($0) } ?? .null
    row["relshardid"] = shardNumber(of: table.id)
    if !table.options.isEmpty {
      row["reloptions"] = Self.array(table.options.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })
    }
    return row
  }

  private func classRow(_ index: IndexDefinition) -> CatalogRow {
    let table = image.tables[index.tableID]
    var row = relationRow(
      oid: index.id.rawValue, name: index.name, schema: index.schemaID.rawValue, owner: table?.ownerID.rawValue ?? 0,
      kind: table?.partitioning != nil ? "I" : "i", columns: index.parts.count)
    row["reltype"] = .oid(0)
    row["relam"] = .oid(Self.btreeOID)
    row["relispartition"] = .boolean(index.parentID != nil)
    row["relshardid"] = shardNumber(of: index.tableID)
    return row
  }

  /// 0: it has no rows of its own; -1: a mirror table, on every shard.
  private func shardNumber(of table: ObjectID) -> StoredValue {
    guard let tablet = image.tablet(of: table) else { return .number(0) }
    return .number(tablet.isMirror ? -1 : Int(tablet.shardID.rawValue))
  }

  func attributes() -> [CatalogRow] {
    var rows: [CatalogRow] = []
    for relation in SystemCatalog.relations {
      for (position, column) in relation.columns.enumerated() {
        rows.append(attributeRow(relation.oid, position + 1, column.name, column.type, isNotNull: false))
      }
    }
    for table in tables {
      for (position, column) in table.columns.enumerated() {
        var row = attributeRow(table.id.rawValue, position + 1, column.name, column.type, isNotNull: column.isNotNull)
        row["atthasdef"] = .boolean(column.defaultExpression != nil && column.identity == nil)
        row["attidentity"] = .text(column.identity.map { $0 == .always ? "a" : "d" } ?? "")
        rows.append(row)
      }
    }
    for view in views {
      for (position, column) in view.columns.enumerated() {
        rows.append(attributeRow(view.id.rawValue, position + 1, column.name, column.type, isNotNull: false))
      }
    }
    for index in indexes {
      guard let table = image.tables[index.tableID] else { continue }
      for (position, part) in index.parts.enumerated() {
        let column = table.columns[part.column - 1]
        rows.append(attributeRow(index.id.rawValue, position + 1, column.name, column.type, isNotNull: false))
      }
    }
    for sequence in sequences {
      for (position, column) in [("last_value", SQLType.int8), ("log_cnt", .int8), ("is_called", .bool)].enumerated() {
        rows.append(attributeRow(sequence.id.rawValue, position + 1, column.0, column.1, isNotNull: true))
      }
    }
    return rows
  }

  private func attributeRow(_ relation: UInt32, _ number: Int, _ name: String, _ type: SQLType, isNotNull: Bool)
    -> CatalogRow
  {
    let entry = TypeTable.entry(oid: type.oid)
    return [
      "attrelid": .oid(relation), "attname": .name(name), "atttypid": .oid(type.oid), "attstattarget": .integer(-1),
      "attlen": .number(Int(entry?.lengthBytes ?? -1)), "attnum": .number(number), "attcacheoff": .integer(-1),
      "atttypmod": .integer(Int64(type.modifier)), "attbyval": .boolean(entry?.isByValue ?? false),
      "attalign": .text("i"),
      "attstorage": .text(Self.storage(of: type)), "attcompression": .text(""),
      "attndims": .number(entry?.category == .array ? 1 : 0), "attnotnull": .boolean(isNotNull),
      "attidentity": .text(""),
      "attgenerated": .text(""), "attislocal": .boolean(true), "attcollation": .oid(Self.collation(of: type)),
    ]
  }

  /// How PostgreSQL keeps a type's values: plain, main (numeric), or extended.
  static func storage(of type: SQLType) -> String {
    if type.oid == SQLType.numeric.oid { return "m" }
    return TypeTable.entry(oid: type.oid)?.lengthBytes == -1 ? "x" : "p"
  }

  /// `default` for text, `C` for names, none for the rest.
  static func collation(of type: SQLType) -> UInt32 {
    switch type.oid {
    case SQLType.name.oid: 950
    case SQLType.text.oid, SQLType.varchar.oid, SQLType.bpchar.oid: 100
    default: 0
    }
  }

  func defaults() -> [CatalogRow] {
    tables.flatMap { table in
      table.columns.enumerated().compactMap { position, column -> CatalogRow? in
        guard let text = column.defaultExpression, column.identity == nil else { return nil }
        return [
          "oid": .oid(Self.defaultOID(table, position + 1)), "adrelid": .oid(table.id.rawValue),
          "adnum": .number(position + 1), "adbin": .text(text),
        ]
      }
    }
  }

  func inherits() -> [CatalogRow] {
    var rows: [CatalogRow] = []
    for table in tables {
      guard let membership = table.partition else { continue }
      rows.append([
        "inhrelid": .oid(table.id.rawValue), "inhparent": .oid(membership.parentID.rawValue), "inhseqno": .integer(1),
      ])
    }
    for index in indexes {
      guard let parent = index.parentID else { continue }
      rows.append(["inhrelid": .oid(index.id.rawValue), "inhparent": .oid(parent.rawValue), "inhseqno": .integer(1)])
    }
    return rows
  }

  func partitionedTables() -> [CatalogRow] {
    tables.compactMap { table in
      guard let partitioning = table.partitioning else { return nil }
      let standard = image.partitions(of: table.id).first { $0.partition?.bound == .standard }
      return [
        "partrelid": .oid(table.id.rawValue), "partstrat": .text(partitioning.strategy.letter),
        "partnatts": .number(partitioning.columns.count), "partdefid": .oid(standard?.id.rawValue ?? 0),
        "partattrs": .text(partitioning.columns.map(String.init).joined(separator: " ")), "partclass": .text(""),
        "partcollation": .text(""),
      ]
    }
  }

  func sequenceRows() -> [CatalogRow] {
    sequences.map {
      [
        "seqrelid": .oid($0.id.rawValue), "seqtypid": .oid($0.type.oid), "seqstart": .integer($0.start),
        "seqincrement": .integer($0.increment), "seqmax": .integer($0.maximum), "seqmin": .integer($0.minimum),
        "seqcache": .integer($0.cache), "seqcycle": .boolean($0.isCycle),
      ]
    }
  }

  func rewriteRules() -> [CatalogRow] {
    views.map {
      [
        "oid": .oid($0.id.rawValue + Self.constraintOffset), "rulename": .name("_RETURN"),
        "ev_class": .oid($0.id.rawValue),
        "ev_type": .text("1"), "ev_enabled": .text("O"), "is_instead": .boolean(true),
      ]
    }
  }

  /// What sequences and views depend on.
  func dependencies() -> [CatalogRow] {
    var rows: [CatalogRow] = sequences.compactMap { sequence in
      guard let table = sequence.ownerTableID else { return nil }
      let column = image.tables[table].flatMap { sequence.ownerColumn > 0 ? $0.columns[sequence.ownerColumn - 1] : nil }
      return [
        "classid": .oid(1259), "objid": .oid(sequence.id.rawValue), "refclassid": .oid(1259),
        "refobjid": .oid(table.rawValue),
        "refobjsubid": .number(sequence.ownerColumn), "deptype": .text(column?.identity != nil ? "i" : "a"),
      ]
    }
    for view in views {
      for other in view.dependencies {
        rows.append([
          "classid": .oid(2618), "objid": .oid(view.id.rawValue + Self.constraintOffset), "refclassid": .oid(1259),
          "refobjid": .oid(other.rawValue), "deptype": .text("n"),
        ])
      }
    }
    return rows
  }
}

extension PartitionStrategy {
  /// `pg_partitioned_table.partstrat`.
  var letter: String {
    switch self {
    case .hash: "h"
    case .range: "r"
    case .list: "l"
    }
  }
}
