import Metadata
import SQLTypes

// What is the cluster's rather than a table's: databases, roles, types, settings, and the fixed rows that clients join with.
extension CatalogView {
  func databases() -> [CatalogRow] {
    image.databases.values.sorted { $0.id < $1.id }.map {
      [
        "oid": .oid($0.id.rawValue), "datname": .name($0.name), "datdba": .oid($0.ownerID.rawValue),
        "encoding": .integer(6),
        "datlocprovider": .text("c"), "datallowconn": .boolean(true), "datconnlimit": .integer(-1),
        "dattablespace": .oid(1663),
        "datcollate": .text("C"), "datctype": .text("C.UTF-8"),
      ]
    }
  }

  private var sortedRoles: [RoleDefinition] { image.roles.values.sorted { $0.id < $1.id } }

  func authorizationIdentifiers() -> [CatalogRow] {
    sortedRoles.map {
      [
        "oid": .oid($0.id.rawValue), "rolname": .name($0.name), "rolsuper": .boolean($0.isSuperuser),
        "rolinherit": .boolean(true),
        "rolcreaterole": .boolean($0.canCreateRole), "rolcreatedb": .boolean($0.canCreateDatabase),
        "rolcanlogin": .boolean($0.canLogin), "rolbypassrls": .boolean($0.isSuperuser),
        "rolconnlimit": .integer(Int64($0.connectionLimit)),
      ]
    }
  }

  /// pg_roles: as pg_authid, without the password.
  func roles() -> [CatalogRow] {
    authorizationIdentifiers().map { row in
      var row = row
      row["rolpassword"] = .text("********")
      return row
    }
  }

  func users() -> [CatalogRow] {
    sortedRoles.filter(\.canLogin).map {
      [
        "usename": .name($0.name), "usesysid": .oid($0.id.rawValue), "usecreatedb": .boolean($0.canCreateDatabase),
        "usesuper": .boolean($0.isSuperuser), "usebypassrls": .boolean($0.isSuperuser), "passwd": .text("********"),
      ]
    }
  }

  func types() -> [CatalogRow] {
    TypeTable.entries.map { entry in
      [
        "oid": .oid(entry.oid), "typname": .name(entry.name), "typnamespace": .oid(Self.catalogSchemaOID),
        "typowner": .oid(Self.bootstrapOwnerOID), "typlen": .number(Int(entry.lengthBytes)),
        "typbyval": .boolean(entry.isByValue),
        "typtype": .text(entry.typtype), "typcategory": .text(String(entry.category.rawValue)),
        "typispreferred": .boolean(entry.isPreferred), "typisdefined": .boolean(true), "typdelim": .text(","),
        "typelem": .oid(entry.elementOID), "typarray": .oid(entry.arrayOID), "typalign": .text("i"),
        "typstorage": .text(Self.storage(of: SQLType(oid: entry.oid))),
        "typtypmod": .integer(-1), "typcollation": .oid(Self.collation(of: SQLType(oid: entry.oid))),
      ]
    }
  }

  func accessMethods() -> [CatalogRow] {
    [
      ["oid": .oid(Self.heapOID), "amname": .name("heap"), "amtype": .text("t")],
      ["oid": .oid(Self.btreeOID), "amname": .name("btree"), "amtype": .text("i")],
    ]
  }

  func collations() -> [CatalogRow] {
    func row(_ oid: UInt32, _ name: String, provider: String, locale: StoredValue) -> CatalogRow {
      [
        "oid": .oid(oid), "collname": .name(name), "collnamespace": .oid(Self.catalogSchemaOID),
        "collowner": .oid(Self.bootstrapOwnerOID), "collprovider": .text(provider),
        "collisdeterministic": .boolean(true),
        "collencoding": .integer(-1), "collcollate": locale, "collctype": locale,
      ]
    }
    return [
      row(100, "default", provider: "d", locale: .null), row(950, "C", provider: "c", locale: .text("C")),
      row(951, "POSIX", provider: "c", locale: .text("POSIX")),
    ]
  }

  func languages() -> [CatalogRow] {
    [["oid": .oid(12), "lanname": .name("internal")], ["oid": .oid(14), "lanname": .name("sql")]]
  }

  func tablespaces() -> [CatalogRow] {
    [
      ["oid": .oid(1663), "spcname": .name("pg_default"), "spcowner": .oid(Self.bootstrapOwnerOID)],
      ["oid": .oid(1664), "spcname": .name("pg_global"), "spcowner": .oid(Self.bootstrapOwnerOID)],
    ]
  }

  /// The functions that the planner knows, numbered in the order of their table.
  func procedures() -> [CatalogRow] {
    let named = FunctionCatalog.standard.functions.filter { $0.kind != .infixOperator && $0.kind != .prefixOperator }
    return named.enumerated().map { number, function in procedureRow(oid: UInt32(5000 + number), function) }
  }

  private func procedureRow(oid: UInt32, _ function: FunctionSignature) -> CatalogRow {
    let kind = function.kind == .aggregate ? "a" : function.kind == .window ? "w" : "f"
    let arguments = function.argumentTypes.map { String($0.oid) }.joined(separator: " ")
    var row: CatalogRow = ["oid": .oid(oid), "proname": .name(function.name), "prosrc": .text(function.name)]
    row["pronamespace"] = .oid(Self.catalogSchemaOID)
    row["proowner"] = .oid(Self.bootstrapOwnerOID)
    row["prolang"] = .oid(12)
    row["prokind"] = .text(kind)
    row["proisstrict"] = .boolean(function.isStrict)
    row["provolatile"] = .text(function.volatility.rawValue)
    row["proparallel"] = .text("s")
    row["pronargs"] = .number(function.argumentTypes.count)
    row["prorettype"] = .oid(function.resultType.oid)
    row["proargtypes"] = .text(arguments)
    return row
  }

  /// The operators that the planner knows, numbered in the order of their table.
  func operators() -> [CatalogRow] {
    let operators = FunctionCatalog.standard.functions.filter {
      $0.kind == .infixOperator || $0.kind == .prefixOperator
    }
    return operators.enumerated().map { number, function in
      let isPrefix = function.kind == .prefixOperator
      return [
        "oid": .oid(UInt32(9000 + number)), "oprname": .name(function.name),
        "oprnamespace": .oid(Self.catalogSchemaOID), "oprowner": .oid(Self.bootstrapOwnerOID),
        "oprkind": .text(isPrefix ? "l" : "b"), "oprleft": .oid(isPrefix ? 0 : function.argumentTypes[0].oid),
        "oprright": .oid(function.argumentTypes.last?.oid ?? 0), "oprresult": .oid(function.resultType.oid),
      ]
    }
  }

  func settings() -> [CatalogRow] {
    session.settings.sorted { $0.key < $1.key }.map {
      [
        "name": .text($0.key), "setting": .text($0.value), "category": .text("Session"), "context": .text("user"),
        "vartype": .text("string"), "source": .text("session"), "reset_val": .text($0.value),
        "boot_val": .text($0.value),
      ]
    }
  }

  // The views that people read by hand.

  /// kunlog.table_groups: each tablet of each group, those that stand together side by side.
  func tableGroups() -> [CatalogRow] {
    image.tablesOfGroup.keys.sorted().flatMap { group in
      image.places(of: group).flatMap { place in
        image.tablets(at: place).map { tablet in
          [
            "table_group": .text(group), "partition_bound": groupBoundText(tablet),
            "table_name": image.tableName(of: tablet.id).map { .text($0) } ?? .null,
            "tablet": .integer(Int64(clamping: tablet.id.rawValue)), "shard": .integer(Int64(tablet.shardID.rawValue)),
          ]
        }
      }
    }
  }

  private func groupBoundText(_ tablet: TabletDefinition) -> StoredValue {
    var bounds: [String] = []
    var table = image.tables[tablet.tableID]
    while let present = table, let bound = partitionBoundText(present) {
      bounds.append(bound)
      table = present.partition.flatMap { image.tables[$0.parentID] }
    }
    return bounds.isEmpty ? .null : .text(bounds.reversed().joined(separator: ", "))
  }

  func tablesView() -> [CatalogRow] {
    tables.map {
      [
        "schemaname": .name(schemaName($0.schemaID)), "tablename": .name($0.name),
        "tableowner": .name(roleName($0.ownerID.rawValue)),
        "hasindexes": .boolean(!(image.indexesOfTable[$0.id] ?? []).isEmpty),
      ]
    }
  }

  func viewsView() -> [CatalogRow] {
    views.map {
      [
        "schemaname": .name(schemaName($0.schemaID)), "viewname": .name($0.name),
        "viewowner": .name(roleName($0.ownerID.rawValue)),
        "definition": .text(" \($0.query);"),
      ]
    }
  }

  func indexesView() -> [CatalogRow] {
    indexes.compactMap { index in
      guard let table = image.tables[index.tableID] else { return nil }
      return [
        "schemaname": .name(schemaName(index.schemaID)), "tablename": .name(table.name), "indexname": .name(index.name),
        "indexdef": indexDefinition(index.id.rawValue).map { .text($0) } ?? .null,
      ]
    }
  }

  func sequencesView() -> [CatalogRow] {
    sequences.map {
      [
        "schemaname": .name(schemaName($0.schemaID)), "sequencename": .name($0.name),
        "sequenceowner": .name(roleName($0.ownerID.rawValue)), "data_type": .integer(Int64($0.type.oid)),
        "start_value": .integer($0.start), "min_value": .integer($0.minimum), "max_value": .integer($0.maximum),
        "increment_by": .integer($0.increment), "cycle": .boolean($0.isCycle), "cache_size": .integer($0.cache),
        "last_value": $0.lastReserved.map { .integer($0) } ?? .null,
      ]
    }
  }
}
