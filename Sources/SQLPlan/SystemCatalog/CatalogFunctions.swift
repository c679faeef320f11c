import Metadata
import SQLTypes

/// PostgreSQL's functions that look into the catalog. The compute node registers each under its SQLite name
/// (`pg_catalog_…`) on the databases in which it runs statements, bound to the image of the statement.
package enum CatalogFunctions {
  /// Their signatures, to be added to `FunctionCatalog.standard`. See `FunctionTableReader` for the format.
  package static let signatures: [FunctionSignature] = table.split(separator: "\n").map {
    FunctionTableReader.signature(.function, $0)
  }

  /// The names under which SQLite calls them, each with any number of arguments.
  package static let sqliteNames: [String] = Array(implementations.keys).sorted()

  /// Calls one of them.
  /// - Parameter name: its SQLite name.
  /// - Throws: what PostgreSQL raises for the arguments.
  package static func evaluate(
    _ name: String, _ arguments: [StoredValue], image: Image, session: SessionInfo
  ) throws(SQLError) -> StoredValue {
    guard let implementation = implementations[name] else {
      throw SQLError(.internalError, "unknown catalog function \(name)")
    }
    return try implementation(CatalogView(image: image, session: session), arguments)
  }

  private static let table = """
    pg_get_userbyid oid => name stable pg_catalog_get_userbyid
    pg_table_is_visible oid => bool stable pg_catalog_table_is_visible
    pg_type_is_visible oid => bool stable 1
    pg_function_is_visible oid => bool stable 1
    pg_operator_is_visible oid => bool stable 1
    pg_collation_is_visible oid => bool stable 1
    pg_relation_is_publishable regclass => bool stable 0
    pg_get_expr pg_node_tree oid => text stable pg_catalog_get_expr
    pg_get_expr pg_node_tree oid bool => text stable pg_catalog_get_expr
    pg_get_indexdef oid => text stable pg_catalog_get_indexdef
    pg_get_indexdef oid int4 bool => text stable pg_catalog_get_indexdef
    pg_get_constraintdef oid => text stable pg_catalog_get_constraintdef
    pg_get_constraintdef oid bool => text stable pg_catalog_get_constraintdef
    pg_get_viewdef oid => text stable pg_catalog_get_viewdef
    pg_get_viewdef oid bool => text stable pg_catalog_get_viewdef
    pg_get_viewdef oid int4 => text stable pg_catalog_get_viewdef
    pg_get_partkeydef oid => text stable pg_catalog_get_partkeydef
    pg_get_partition_constraintdef oid => text stable pg_catalog_get_partition_constraintdef
    pg_get_ruledef oid => text stable NULL
    pg_get_ruledef oid bool => text stable NULL
    pg_get_triggerdef oid => text stable NULL
    pg_get_triggerdef oid bool => text stable NULL
    pg_get_statisticsobjdef_columns oid => text stable NULL
    pg_get_function_result oid => text stable pg_catalog_get_function_result
    pg_get_function_arguments oid => text stable pg_catalog_get_function_arguments
    pg_get_function_identity_arguments oid => text stable pg_catalog_get_function_arguments
    pg_get_functiondef oid => text stable NULL
    pg_get_serial_sequence text text => text stable pg_catalog_get_serial_sequence
    obj_description oid name => text stable NULL
    obj_description oid => text stable NULL
    col_description oid int4 => text stable NULL
    shobj_description oid name => text stable NULL
    pg_encoding_to_char int4 => name stable pg_catalog_encoding_to_char
    pg_char_to_encoding name => int4 stable 6
    pg_client_encoding => name stable 'UTF8'
    getdatabaseencoding => name stable 'UTF8'
    pg_tablespace_location oid => text stable ''
    to_regclass text => regclass stable pg_catalog_to_regclass
    to_regtype text => regtype stable pg_catalog_to_regtype
    to_regnamespace text => regnamespace stable pg_catalog_to_regnamespace
    to_regrole text => regrole stable pg_catalog_to_regrole
    has_table_privilege text text => bool stable pg_catalog_has_table_privilege
    has_table_privilege oid text => bool stable pg_catalog_has_table_privilege
    has_table_privilege name text text => bool stable pg_catalog_has_table_privilege
    has_table_privilege name oid text => bool stable pg_catalog_has_table_privilege
    has_column_privilege oid int2 text => bool stable 1
    has_column_privilege text text text => bool stable 1
    has_any_column_privilege oid text => bool stable 1
    has_schema_privilege text text => bool stable 1
    has_schema_privilege oid text => bool stable 1
    has_schema_privilege name text text => bool stable 1
    has_schema_privilege name oid text => bool stable 1
    has_database_privilege text text => bool stable 1
    has_database_privilege oid text => bool stable 1
    has_database_privilege name text text => bool stable 1
    has_database_privilege name oid text => bool stable 1
    has_function_privilege oid text => bool stable 1
    has_sequence_privilege oid text => bool stable 1
    has_sequence_privilege text text => bool stable 1
    has_type_privilege oid text => bool stable 1
    has_tablespace_privilege oid text => bool stable 1
    pg_has_role oid text => bool stable 1
    pg_has_role name text => bool stable 1
    pg_has_role name oid text => bool stable 1
    row_security_active oid => bool stable 0
    pg_is_other_temp_schema oid => bool stable 0
    pg_my_temp_schema => oid stable 0
    pg_index_column_has_property regclass int4 text => bool stable pg_catalog_index_column_has_property
    pg_get_keywords => text stable NULL
    pg_postmaster_start_time => timestamptz stable pg_now()
    pg_stat_get_numscans oid => int8 stable 0
    """

  private typealias Implementation = @Sendable (CatalogView, [StoredValue]) throws(SQLError) -> StoredValue

  private static func oid(_ arguments: [StoredValue], _ position: Int = 0) -> UInt32? {
    position < arguments.count ? arguments[position].integerValue.flatMap { UInt32(exactly: $0) } : nil
  }

  private static func text(_ value: String?) -> StoredValue { value.map { .text($0) } ?? .null }

  private static let implementations: [String: Implementation] = [
    "pg_catalog_get_userbyid": { view, arguments in text(oid(arguments).map(view.roleName)) },
    "pg_catalog_table_is_visible": { view, arguments in
      oid(arguments).map { view.relationName($0) == nil ? .null : .boolean(view.isVisible($0)) } ?? .null
    },
    "pg_catalog_get_expr": { _, arguments in arguments.first ?? .null },
    "pg_catalog_get_indexdef": { view, arguments in
      let column = arguments.count > 1 ? Int(arguments[1].integerValue ?? 0) : 0
      return text(oid(arguments).flatMap { view.indexDefinition($0, column: column) })
    },
    "pg_catalog_get_constraintdef": { view, arguments in
      let isPretty = arguments.count > 1 && arguments[1] == .integer(1)
      return text(oid(arguments).flatMap { view.constraintDefinition($0, isPretty: isPretty) })
    },
    "pg_catalog_get_viewdef": { view, arguments in
      text(oid(arguments).flatMap { view.image.views[ObjectID(rawValue: $0)].map { " \($0.query);" } })
    },
    "pg_catalog_get_partition_constraintdef": { view, arguments in
      text(oid(arguments).flatMap(view.partitionConstraint))
    },
    "pg_catalog_get_partkeydef": { view, arguments in text(oid(arguments).flatMap(view.partitionKeyDefinition)) },
    "pg_catalog_get_function_result": { view, arguments in
      text(function(view, oid(arguments)).map { $0["prorettype"]?.integerValue ?? 0 }.map(typeName))
    },
    "pg_catalog_get_function_arguments": { view, arguments in
      let types = function(view, oid(arguments))?["proargtypes"]?.textValue
      return text(types?.split(separator: " ").compactMap { Int64($0) }.map(typeName).joined(separator: ", "))
    },
    "pg_catalog_get_serial_sequence": { view, arguments throws(SQLError) in
      guard let table = arguments.first?.textValue, let column = arguments.last?.textValue else { return .null }
      let id = ObjectID(rawValue: try RelationNames.oid(table, view))
      guard let definition = view.image.tables[id], let number = definition.columnNumber(column) else {
        throw SQLError(.undefinedColumn, "column \"\(column)\" of relation \"\(table)\" does not exist")
      }
      return text(
        definition.columns[number - 1].sequenceID.flatMap { view.relationName($0.rawValue) }.map {
          CatalogView.quote($0.schema) + "." + CatalogView.quote($0.name)
        })
    },
    "pg_catalog_encoding_to_char": { _, arguments in
      text([0: "SQL_ASCII", 6: "UTF8"][arguments.first?.integerValue ?? -1] ?? "")
    },
    "pg_catalog_to_regclass": { view, arguments in
      arguments.first?.textValue.flatMap { try? RelationNames.oid($0, view) }.map { .oid($0) } ?? .null
    },
    "pg_catalog_to_regtype": { _, arguments in
      arguments.first?.textValue.flatMap { TypeTable.entry(name: $0)?.oid ?? SQLType.named($0)?.oid }.map { .oid($0) }
        ?? .null
    },
    "pg_catalog_to_regnamespace": { view, arguments in
      arguments.first?.textValue.map(view.schemaOID).map { $0 == 0 ? .null : .oid($0) } ?? .null
    },
    "pg_catalog_to_regrole": { view, arguments in
      arguments.first?.textValue.flatMap { view.image.role(named: $0) }.map { .oid($0.id.rawValue) } ?? .null
    },
    "pg_catalog_has_table_privilege": { view, arguments throws(SQLError) in
      // Every role may use every table in this version; a table that does not exist is an error all the same.
      let table = arguments.count > 2 ? arguments[1] : arguments.first ?? .null
      if let name = table.textValue { _ = try RelationNames.oid(name, view) }
      return .boolean(true)
    },
    "pg_sequence_last_value": { view, arguments in
      let sequence = oid(arguments).flatMap { view.image.sequences[ObjectID(rawValue: $0)] }
      return sequence?.lastReserved.map { .integer($0) } ?? .null
    },
    "pg_catalog_index_column_has_property": { _, arguments in
      .boolean(["asc", "orderable", "nulls_last", "returnable"].contains(arguments.last?.textValue ?? ""))
    },
    // Text to and from the reg… types: called by casts, not by name.
    "pg_catalog_regclass_in": { view, arguments throws(SQLError) in
      guard let name = arguments.first?.textValue else { return arguments.first ?? .null }
      return .oid(try RelationNames.oid(name, view))
    },
    "pg_catalog_regclass_out": { view, arguments in
      guard let oid = oid(arguments) else { return .null }
      return .text(oid == 0 ? "-" : view.displayName(oid) ?? String(oid))
    },
    "pg_catalog_regnamespace_out": { view, arguments in
      guard let oid = oid(arguments) else { return .null }
      let name = view.schemaName(ObjectID(rawValue: oid))
      return .text(oid == 0 ? "-" : name.isEmpty ? String(oid) : CatalogView.quote(name))
    },
    "pg_catalog_regrole_out": { view, arguments in
      guard let oid = oid(arguments) else { return .null }
      return .text(
        oid == 0 ? "-" : view.image.roles[ObjectID(rawValue: oid)].map { CatalogView.quote($0.name) } ?? String(oid))
    },
    "pg_catalog_regnamespace_in": { view, arguments throws(SQLError) in
      guard let name = arguments.first?.textValue else { return arguments.first ?? .null }
      if let oid = UInt32(name) { return .oid(oid) }
      let oid = view.schemaOID(named: name)
      guard oid != 0 else { throw SQLError(.invalidSchemaName, "schema \"\(name)\" does not exist") }
      return .oid(oid)
    },
    "pg_catalog_regrole_in": { view, arguments throws(SQLError) in
      guard let name = arguments.first?.textValue else { return arguments.first ?? .null }
      if let oid = UInt32(name) { return .oid(oid) }
      guard let role = view.image.role(named: name) else {
        throw SQLError(.undefinedObject, "role \"\(name)\" does not exist")
      }
      return .oid(role.id.rawValue)
    },
  ]

  private static func function(_ view: CatalogView, _ oid: UInt32?) -> CatalogRow? {
    view.procedures().first { $0["oid"] == oid.map { .oid($0) } }
  }

  private static func typeName(_ oid: Int64) -> String {
    TypeTable.entry(oid: UInt32(truncatingIfNeeded: oid))?.displayName ?? "???"
  }
}

/// Relation names as text: `t`, `public.t`, `"My Table"`, or an oid.
package enum RelationNames {
  /// - Throws: 42P01 where there is no such relation, 42602 where the text is no name.
  static func oid(_ text: String, _ view: CatalogView) throws(SQLError) -> UInt32 {
    if let oid = UInt32(text) { return oid }
    let parts = try parts(text)
    let found =
      parts.count == 1
      ? view.visibleRelationOID(parts[0])
      : view.relationOID(schema: parts[parts.count - 2], name: parts[parts.count - 1])
    guard let found else {
      throw SQLError(.undefinedTable, "relation \"\(parts.joined(separator: "."))\" does not exist")
    }
    return found
  }

  /// Splits at dots outside quotes and folds what is not quoted to lower case.
  package static func parts(_ text: String) throws(SQLError) -> [String] {
    var parts: [String] = []
    var current = ""
    var isQuoted = false
    var wasQuoted = false
    var rest = Array(text)[...]
    while let character = rest.popFirst() {
      if character == "\"" {
        if isQuoted, rest.first == "\"" {
          current.append("\"")
          rest.removeFirst()
        } else {
          isQuoted.toggle()
          wasQuoted = true
        }
      } else if character == ".", !isQuoted {
        parts.append(current)
        (current, wasQuoted) = ("", false)
      } else {
        current += isQuoted ? String(character) : character.lowercased()
      }
    }
    guard !isQuoted, wasQuoted || !current.isEmpty, parts.allSatisfy({ !$0.isEmpty }), parts.count < 3 else {
      throw SQLError(.invalidName, "invalid name syntax")
    }
    return parts + [current]
  }
}
