import Metadata
import SQLTypes

// information_schema, as the SQL standard has it and PostgreSQL fills it.
extension CatalogView {
  private var catalog: StoredValue { .name(session.database) }

  private static func yes(_ value: Bool) -> StoredValue { .text(value ? "YES" : "NO") }

  func informationSchemata() -> [CatalogRow] {
    schemas.map {
      ["catalog_name": catalog, "schema_name": .name($0.name), "schema_owner": .name(roleName($0.ownerID.rawValue))]
    }
  }

  func informationTables() -> [CatalogRow] {
    func row(_ schema: String, _ name: String, _ type: String, isWritable: Bool) -> CatalogRow {
      [
        "table_catalog": catalog, "table_schema": .name(schema), "table_name": .name(name), "table_type": .text(type),
        "is_insertable_into": Self.yes(isWritable), "is_typed": .text("NO"),
      ]
    }
    return SystemCatalog.relations.map {
      row($0.schema, $0.name, $0.oid >= 12000 ? "VIEW" : "BASE TABLE", isWritable: false)
    }
      + tables.map { row(schemaName($0.schemaID), $0.name, "BASE TABLE", isWritable: true) }
      + views.map { row(schemaName($0.schemaID), $0.name, "VIEW", isWritable: false) }
  }

  func informationColumns() -> [CatalogRow] {
    var rows: [CatalogRow] = []
    for relation in SystemCatalog.relations {
      for (position, column) in relation.columns.enumerated() {
        rows.append(columnRow(relation.schema, relation.name, position + 1, column.name, column.type, isNullable: true))
      }
    }
    for table in tables {
      for (position, column) in table.columns.enumerated() {
        var row = columnRow(
          schemaName(table.schemaID), table.name, position + 1, column.name, column.type, isNullable: !column.isNotNull)
        if column.identity == nil { row["column_default"] = column.defaultExpression.map { .text($0) } ?? .null }
        row["is_identity"] = Self.yes(column.identity != nil)
        row["identity_generation"] = column.identity.map { .text($0 == .always ? "ALWAYS" : "BY DEFAULT") } ?? .null
        row["is_updatable"] = .text("YES")
        rows.append(row)
      }
    }
    for view in views {
      for (position, column) in view.columns.enumerated() {
        rows.append(
          columnRow(schemaName(view.schemaID), view.name, position + 1, column.name, column.type, isNullable: true))
      }
    }
    return rows
  }

  private func columnRow(
    _ schema: String, _ table: String, _ position: Int, _ name: String, _ type: SQLType, isNullable: Bool
  ) -> CatalogRow {
    let entry = TypeTable.entry(oid: type.oid)
    var row: CatalogRow = [
      "table_catalog": catalog, "table_schema": .name(schema), "table_name": .name(table), "column_name": .name(name),
      "ordinal_position": .number(position), "is_nullable": Self.yes(isNullable),
      "data_type": .text(entry?.category == .array ? "ARRAY" : entry?.displayName ?? "unknown"), "udt_catalog": catalog,
      "udt_schema": .name("pg_catalog"), "udt_name": .name(entry?.name ?? "unknown"), "is_identity": .text("NO"),
      "is_generated": .text("NEVER"), "is_updatable": .text("NO"), "is_self_referencing": .text("NO"),
      "dtd_identifier": .name(String(position)),
      "character_maximum_length": type.characterLength.map { .number($0) } ?? .null, "character_octet_length": .null,
      "numeric_precision": .null, "numeric_precision_radix": .null, "numeric_scale": .null, "datetime_precision": .null,
      "interval_precision": .null, "maximum_cardinality": .null,
    ]
    if let numbers = type.numericPrecision {
      row["numeric_precision"] = .number(numbers.precision)
      row["numeric_scale"] = .number(numbers.scale)
    }
    if type.oid == SQLType.numeric.oid { row["numeric_precision_radix"] = .integer(10) }
    if let bits = [SQLType.int2.oid: 16, SQLType.int4.oid: 32, SQLType.int8.oid: 64][type.oid] {
      row["numeric_precision"] = .number(bits)
      row["numeric_precision_radix"] = .integer(2)
      row["numeric_scale"] = .integer(0)
    }
    if entry?.category == .dateTime || entry?.category == .timespan {
      row["datetime_precision"] = .number(type.oid == SQLType.date.oid ? 0 : type.fractionalSecondDigits ?? 6)
    }
    return row
  }

  func informationViews() -> [CatalogRow] {
    views.map {
      [
        "table_catalog": catalog, "table_schema": .name(schemaName($0.schemaID)), "table_name": .name($0.name),
        "view_definition": .text(" \($0.query);"), "check_option": .text("NONE"), "is_updatable": .text("NO"),
        "is_insertable_into": .text("NO"),
      ]
    }
  }

  func informationSequences() -> [CatalogRow] {
    sequences.map {
      [
        "sequence_catalog": catalog, "sequence_schema": .name(schemaName($0.schemaID)), "sequence_name": .name($0.name),
        "data_type": .text(TypeTable.entry(oid: $0.type.oid)?.displayName ?? ""), "start_value": .text("\($0.start)"),
        "minimum_value": .text("\($0.minimum)"), "maximum_value": .text("\($0.maximum)"),
        "increment": .text("\($0.increment)"),
        "cycle_option": Self.yes($0.isCycle),
      ]
    }
  }

  func informationTableConstraints() -> [CatalogRow] {
    func row(_ schema: ObjectID, _ name: String, _ table: TableDefinition, _ type: String) -> CatalogRow {
      [
        "constraint_catalog": catalog, "constraint_schema": .name(schemaName(schema)), "constraint_name": .name(name),
        "table_catalog": catalog, "table_schema": .name(schemaName(table.schemaID)), "table_name": .name(table.name),
        "constraint_type": .text(type), "is_deferrable": .text("NO"), "initially_deferred": .text("NO"),
        "enforced": .text("YES"),
      ]
    }
    var rows: [CatalogRow] = indexes.compactMap { index in
      guard let constraint = index.constraint, let table = image.tables[index.tableID] else { return nil }
      return row(index.schemaID, index.name, table, constraint == .primaryKey ? "PRIMARY KEY" : "UNIQUE")
    }
    for table in tables { rows += table.checks.map { row(table.schemaID, $0.name, table, "CHECK") } }
    return rows
  }

  func informationKeyColumns() -> [CatalogRow] {
    indexes.flatMap { index -> [CatalogRow] in
      guard index.constraint != nil, let table = image.tables[index.tableID] else { return [] }
      return index.parts.enumerated().map { position, part in
        [
          "constraint_catalog": catalog, "constraint_schema": .name(schemaName(index.schemaID)),
          "constraint_name": .name(index.name),
          "table_catalog": catalog, "table_schema": .name(schemaName(table.schemaID)), "table_name": .name(table.name),
          "column_name": .name(table.columns[part.column - 1].name), "ordinal_position": .number(position + 1),
          "position_in_unique_constraint": .null,
        ]
      }
    }
  }

  func informationChecks() -> [CatalogRow] {
    tables.flatMap { table in
      table.checks.map {
        [
          "constraint_catalog": catalog, "constraint_schema": .name(schemaName(table.schemaID)),
          "constraint_name": .name($0.name),
          "check_clause": .text("(\($0.expression))"),
        ]
      }
    }
  }
}
