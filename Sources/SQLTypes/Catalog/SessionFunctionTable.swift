/// Functions that look at the session or at types, not at the catalog. See ``FunctionTableReader`` for the format.
enum SessionFunctionTable {
  static let functions = """
    current_user => name stable pg_current_user
    session_user => name stable pg_session_user
    user => name stable pg_current_user
    current_role => name stable pg_current_user
    current_database => name stable pg_current_database
    current_catalog => name stable pg_current_database
    current_schema => name stable pg_current_schema
    current_schemas bool => name[] stable pg_current_schemas
    current_setting text => text stable pg_current_setting
    current_setting text bool => text stable pg_current_setting
    set_config text text bool => text volatile nonstrict pg_set_config
    version => text stable pg_version
    pg_backend_pid => int4 stable pg_backend_pid
    pg_typeof any => regtype stable nonstrict typed pg_typeof
    format_type oid int4 => text stable nonstrict pg_format_type
    txid_current => int8 stable pg_txid_current
    pg_sleep float8 => void volatile pg_sleep
    num_nulls any... => int4 nonstrict pg_num_nulls
    num_nonnulls any... => int4 nonstrict pg_num_nonnulls
    pg_column_size any => int4 stable typed pg_column_size
    inet_client_addr => text stable nonstrict NULL
    inet_server_addr => text stable nonstrict NULL
    pg_advisory_unlock_all => void volatile ''
    pg_is_in_recovery => bool stable 0
    """
}
