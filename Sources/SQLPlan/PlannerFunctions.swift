import SQLTypes

/// Functions that only a compute node can answer, since they look at the catalog, at sequences or at the session, and what
/// the translation itself calls. The compute node registers their implementations with its SQLite, by the names at the end
/// of each line; the values are stored values of the types given. Format: see ``FunctionTableReader``.
package enum PlannerFunctions {
  /// On the compute node only. Sizes are NULL, not known: the shards have the files.
  package static let computeNode = """
    nextval regclass => int8 volatile pg_nextval
    currval regclass => int8 volatile pg_currval
    lastval => int8 volatile pg_lastval
    setval regclass int8 => int8 volatile pg_setval
    setval regclass int8 bool => int8 volatile pg_setval
    pg_sequence_last_value regclass => int8 volatile pg_sequence_last_value
    pg_opclass_is_visible oid => bool stable 1
    pg_opfamily_is_visible oid => bool stable 1
    pg_conversion_is_visible oid => bool stable 1
    pg_statistics_obj_is_visible oid => bool stable 1
    pg_ts_config_is_visible oid => bool stable 1
    pg_ts_dict_is_visible oid => bool stable 1
    pg_ts_parser_is_visible oid => bool stable 1
    pg_ts_template_is_visible oid => bool stable 1
    pg_get_statisticsobjdef_expressions oid => text[] stable NULL
    pg_relation_filenode regclass => oid stable NULL
    pg_relation_size regclass => int8 volatile NULL
    pg_relation_size regclass text => int8 volatile NULL
    pg_table_size regclass => int8 volatile NULL
    pg_indexes_size regclass => int8 volatile NULL
    pg_total_relation_size regclass => int8 volatile NULL
    pg_database_size name => int8 volatile NULL
    pg_database_size oid => int8 volatile NULL
    pg_tablespace_size name => int8 volatile NULL
    pg_tablespace_size oid => int8 volatile NULL
    pg_size_pretty int8 => text pg_size_pretty
    pg_size_pretty numeric => text pg_size_pretty
    txid_current_if_assigned => int8 stable pg_txid_current
    pg_current_xact_id => int8 stable pg_txid_current
    inet_client_port => int4 stable nonstrict NULL
    inet_server_port => int4 stable nonstrict NULL
    """

  /// Called by translated SQL, wherever it runs: `PostgresFunctions` registers them. `pg_raise(state, message)` fails with
  /// that error; `pg_array_build(oid, value, …)` makes an array; `pg_array_element(oid, array, i)` is its i-th element
  /// (from 1) as a stored value, null outside; the aggregates collect different values in order.
  package static let translation: [String] = [
    "pg_raise", "pg_array_build", "pg_array_element", "pg_array_agg_distinct", "pg_string_agg_distinct",
  ]

  /// Session functions of the standard catalog that storage nodes do not have.
  private static let sessionNames: Set<String> = [
    "pg_current_schema", "pg_current_schemas", "pg_current_setting", "pg_set_config", "pg_version", "pg_backend_pid",
    "pg_txid_current", "pg_sleep",
  ]

  /// Functions of the system catalog as signatures.
  static let signatures: [FunctionSignature] =
    computeNode.split(separator: "\n").map { FunctionTableReader.signature(.function, $0) }
    + CatalogFunctions.signatures

  private static let implementations: Set<String> = Set(signatures.compactMap { implementationName($0) })
    .union(sessionNames)

  private static func implementationName(_ signature: FunctionSignature) -> String? {
    switch signature.implementation {
    case .sqlite(let name), .sqliteTyped(let name): name
    case .inline: nil
    }
  }

  /// Whether only the compute node can evaluate such a call.
  static func isComputeNodeOnly(_ call: TypedExpression.Call) -> Bool {
    if let name = implementationName(call.signature), implementations.contains(name) { return true }
    // Names of regclass and its like are looked up in the catalog.
    let isConversion: Bool
    switch call.signature.implementation {
    case .inline(let text): isConversion = text.contains("pg_in(") || text.contains("pg_out(")
    case .sqliteTyped: isConversion = true
    case .sqlite: isConversion = false
    }
    return isConversion && (call.type.isRegistered || call.arguments.contains { $0.type.isRegistered })
  }
}

extension FunctionCatalog {
  /// The standard catalog and the compute node's own functions.
  package static let planning = FunctionCatalog.standard.adding(PlannerFunctions.signatures)
}
