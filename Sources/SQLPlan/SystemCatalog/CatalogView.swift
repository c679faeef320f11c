import Metadata
import SQLTypes

/// An image seen as PostgreSQL's catalog: lists in the order of oids, names and constraints as `pg_class` and its kin show them.
struct CatalogView {
  let image: Image
  let session: SessionInfo

  static let catalogSchemaOID: UInt32 = 11
  static let informationSchemaOID: UInt32 = 13000
  static let kunlogSchemaOID: UInt32 = 13700
  static let bootstrapOwnerOID: UInt32 = 10
  static let btreeOID: UInt32 = 403
  static let heapOID: UInt32 = 2

  // Of what there may be very many, the oids are sorted, not the definitions.
  var tables: [TableDefinition] { image.tables.keys.sorted().compactMap { image.tables[$0] } }
  var views: [ViewDefinition] { image.views.values.sorted { $0.id < $1.id } }
  var indexes: [IndexDefinition] { image.indexes.keys.sorted().compactMap { image.indexes[$0] } }
  var sequences: [SequenceDefinition] { image.sequences.values.sorted { $0.id < $1.id } }

  private static let systemSchemas: [SchemaDefinition] = [
    (catalogSchemaOID, "pg_catalog"), (informationSchemaOID, "information_schema"), (kunlogSchemaOID, "kunlog"),
  ].map {
    SchemaDefinition(id: ObjectID(rawValue: $0.0), name: $0.1, ownerID: ObjectID(rawValue: bootstrapOwnerOID))
  }

  /// Schemas with the system's own, whether or not the image lists them.
  var schemas: [SchemaDefinition] {
    let system = Self.systemSchemas.filter { image.schemaNames[$0.name] == nil }
    return (image.schemas.values + system).sorted { $0.id < $1.id }
  }

  // Asked for each row of a large catalog: by look-ups, not through lists.

  func schemaName(_ id: ObjectID) -> String {
    image.schemas[id]?.name
      ?? Self.systemSchemas.first { $0.id == id && image.schemaNames[$0.name] == nil }?.name ?? ""
  }

  func schemaOID(named name: String) -> UInt32 {
    (image.schemaNames[name] ?? Self.systemSchemas.first { $0.name == name }?.id)?.rawValue ?? 0
  }

  func roleName(_ id: UInt32) -> String {
    image.roles[ObjectID(rawValue: id)]?.name ?? (id == Self.bootstrapOwnerOID ? "kunlog" : "unknown (OID=\(id))")
  }

  /// Schemas in which unqualified names are looked for, `pg_catalog` first.
  var searchPath: [String] {
    let named = session.searchPath.map { $0 == "$user" ? session.user : $0 }
    return (named.contains("pg_catalog") ? named : ["pg_catalog"] + named).filter { schemaOID(named: $0) != 0 }
  }

  /// The oid of a relation by schema and name, system relations among them.
  func relationOID(schema: String, name: String) -> UInt32? {
    if let system = SystemCatalog.relation(schema: schema, name: name) { return system.oid }
    guard let schema = image.schema(named: schema) else { return nil }
    return image.relationNames[RelationKey(schemaID: schema.id, name: name)]?.rawValue
  }

  /// The oid that an unqualified name stands for.
  func visibleRelationOID(_ name: String) -> UInt32? {
    for schema in searchPath {
      if let oid = relationOID(schema: schema, name: name) { return oid }
    }
    return nil
  }

  /// Schema and name of a relation of any kind.
  func relationName(_ oid: UInt32) -> (schema: String, name: String)? {
    if let system = SystemCatalog.relation(oid: oid) { return (system.schema, system.name) }
    switch image.relation(ObjectID(rawValue: oid)) {
    case .table(let table): return (schemaName(table.schemaID), table.name)
    case .index(let index): return (schemaName(index.schemaID), index.name)
    case .sequence(let sequence): return (schemaName(sequence.schemaID), sequence.name)
    case .view(let view): return (schemaName(view.schemaID), view.name)
    case nil: return nil
    }
  }

  func isVisible(_ oid: UInt32) -> Bool {
    relationName(oid).map { visibleRelationOID($0.name) == oid } ?? false
  }

  /// A relation as `regclass` prints it: qualified where its name alone would find another.
  func displayName(_ oid: UInt32) -> String? {
    guard let (schema, name) = relationName(oid) else { return nil }
    return isVisible(oid) ? Self.quote(name) : Self.quote(schema) + "." + Self.quote(name)
  }

  /// An identifier as it must be written in SQL.
  static func quote(_ name: String) -> String {
    let plain = name.utf8.enumerated().allSatisfy { position, byte in
      (97...122).contains(byte) || byte == 95 || (position > 0 && ((48...57).contains(byte) || byte == 36))
    }
    if plain, !name.isEmpty, !ReservedWords.all.contains(name) { return name }
    return "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
  }

  static func literal(_ text: String) -> String {
    "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
  }

  /// An array's literal form.
  static func array(_ values: [String]) -> StoredValue {
    .text(
      "{"
        + values.map { $0.contains { " ,{}\"\\".contains($0) } || $0.isEmpty ? "\"\($0)\"" : $0 }.joined(separator: ",")
        + "}")
  }

  /// Constraints have no counter of their own: a key has its index's oid plus this, a check one above its table's.
  static let constraintOffset: UInt32 = 0x4000_0000
  static func constraintOID(of index: IndexDefinition) -> UInt32 { index.id.rawValue + constraintOffset }
  static func checkOID(_ table: TableDefinition, _ position: Int) -> UInt32 {
    0x8000_0000 + (table.id.rawValue & (checkedTables - 1)) << 8 + UInt32(position & 0xff)
  }
  /// How many tables have oids of their own for their checks.
  static let checkedTables: UInt32 = 0x40_0000
  /// What `checkOID` was made of, as far as it keeps that.
  static func placeOfCheck(_ oid: UInt32) -> (table: UInt32, position: Int)? {
    guard oid >= 0x8000_0000, oid < 0xc000_0000 else { return nil }
    return (oid - 0x8000_0000) >> 8 < checkedTables ? ((oid - 0x8000_0000) >> 8, Int(oid & 0xff)) : nil
  }
  /// A default's oid, from its table and column.
  static func defaultOID(_ table: TableDefinition, _ column: Int) -> UInt32 {
    0xc000_0000 + (table.id.rawValue & 0x1f_ffff) << 9 + UInt32(column & 0x1ff)
  }

  /// The key's columns with quotes: `(a, b)`.
  func columnList(_ columns: [Int], of table: TableDefinition) -> String {
    "(" + columns.map { Self.quote(table.columns[$0 - 1].name) }.joined(separator: ", ") + ")"
  }
}

/// Words that must be quoted as names (PostgreSQL 15 manual, appendix C: reserved).
enum ReservedWords {
  static let all: Set<String> = Set(
    """
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column \
    concurrently constraint create cross current_catalog current_date current_role current_schema current_time \
    current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze from \
    full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit localtime \
    localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references returning \
    right select session_user similar some symmetric table tablesample then to trailing true union unique user using \
    variadic verbose when where window with between bigint bit boolean char character coalesce dec decimal exists extract \
    float greatest grouping inout int integer interval least national nchar none normalize nullif numeric out overlay \
    position precision real row setof smallint substring time timestamp treat trim values varchar
    """.split(separator: " ").map(String.init))
}
