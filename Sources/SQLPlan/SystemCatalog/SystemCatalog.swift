import Metadata
import SQLTypes

/// The relations of `pg_catalog` and `information_schema`: views of the image, computed when a statement reads them. Most of
/// `kunlog` are views of the running cluster: who executes a statement has their rows, here there are none.
package enum SystemCatalog {
  /// All of them; names are unique within a schema.
  package static let relations: [VirtualRelation] = SystemCatalogSchema.relations.map { shape in
    let producer = producers[shape.schema]?[shape.name]
    let columns = shape.columns
    return VirtualRelation(schema: shape.schema, name: shape.name, oid: shape.oid, columns: columns) {
      image, session, wanted in
      guard let producer else { return [] }
      let wanted = wanted.map { (name: columns[$0].name, neutralValue: columns[$0].neutralValue) }
      return producer(CatalogView(image: image, session: session)).map { row in
        assert(row.names.allSatisfy { name in columns.contains { $0.name == name } }, "unknown column in \(shape.name)")
        return wanted.map { row[$0.name] ?? $0.neutralValue }
      }
    }
  }

  /// The relation of that name, in `pg_catalog` where no schema is said.
  package static func relation(schema: String, name: String) -> VirtualRelation? { byName[schema]?[name] }

  /// The relation that `pg_class` shows under that oid.
  package static func relation(oid: UInt32) -> VirtualRelation? { byOID[oid] }

  private static let byOID = Dictionary(relations.map { ($0.oid, $0) }, uniquingKeysWith: { first, _ in first })

  private static let byName: [String: [String: VirtualRelation]] = Dictionary(grouping: relations, by: \.schema)
    .mapValues { Dictionary($0.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first }) }

  typealias Producer = @Sendable (CatalogView) -> [CatalogRow]

  private static let producers: [String: [String: Producer]] = [
    "pg_catalog": [
      "pg_namespace": { $0.namespaces() },
      "pg_class": { $0.classes() },
      "pg_attribute": { $0.attributes() },
      "pg_attrdef": { $0.defaults() },
      "pg_type": { $0.types() },
      "pg_index": { $0.indexRows() },
      "pg_constraint": { $0.constraints() },
      "pg_inherits": { $0.inherits() },
      "pg_partitioned_table": { $0.partitionedTables() },
      "pg_sequence": { $0.sequenceRows() },
      "pg_rewrite": { $0.rewriteRules() },
      "pg_depend": { $0.dependencies() },
      "pg_database": { $0.databases() },
      "pg_authid": { $0.authorizationIdentifiers() },
      "pg_roles": { $0.roles() },
      "pg_user": { $0.users() },
      "pg_shadow": { $0.users() },
      "pg_am": { $0.accessMethods() },
      "pg_collation": { $0.collations() },
      "pg_language": { $0.languages() },
      "pg_tablespace": { $0.tablespaces() },
      "pg_proc": { $0.procedures() },
      "pg_operator": { $0.operators() },
      "pg_settings": { $0.settings() },
      "pg_tables": { $0.tablesView() },
      "pg_views": { $0.viewsView() },
      "pg_indexes": { $0.indexesView() },
      "pg_sequences": { $0.sequencesView() },
    ],
    "information_schema": [
      "schemata": { $0.informationSchemata() },
      "tables": { $0.informationTables() },
      "columns": { $0.informationColumns() },
      "views": { $0.informationViews() },
      "sequences": { $0.informationSequences() },
      "table_constraints": { $0.informationTableConstraints() },
      "key_column_usage": { $0.informationKeyColumns() },
      "check_constraints": { $0.informationChecks() },
    ],
    "kunlog": ["table_groups": { $0.tableGroups() }],
  ]
}
