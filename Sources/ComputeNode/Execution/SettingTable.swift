import PostgresWire

/// The settings that sessions have: those that change what Kunlog does, and those of PostgreSQL that drivers and dumps
/// set and that have nothing to change here.
enum SettingTable {
  /// By lower-case name.
  static let definitions: [String: SettingDefinition] = Dictionary(
    all.map { ($0.name.lowercased(), $0) }, uniquingKeysWith: { first, _ in first })

  /// The names in the order of SHOW ALL.
  static let names: [String] = definitions.keys.sorted()

  private static let all: [SettingDefinition] = reported + effective + accepted + shown

  private static let isolationLevels = ["serializable", "repeatable read", "read committed", "read uncommitted"]
  private static let messageLevels = [
    "debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error",
  ]
  private static let noLimit = Int64(Int32.max)

  /// Those that are reported to the client whenever they change.
  private static let reported = [
    SettingDefinition(name: "application_name", kind: .text, standard: "", summary: "Sets the application name."),
    SettingDefinition(name: "client_encoding", kind: .clientEncoding, standard: "UTF8"),
    SettingDefinition(name: "DateStyle", kind: .fixed(["iso", "iso,mdy", "mdy"]), standard: "ISO, MDY"),
    SettingDefinition(name: "default_transaction_read_only", kind: .boolean, standard: "off"),
    SettingDefinition(name: "in_hot_standby", kind: .boolean, standard: "off", isReadOnly: true),
    SettingDefinition(name: "integer_datetimes", kind: .boolean, standard: "on", isReadOnly: true),
    SettingDefinition(name: "IntervalStyle", kind: .fixed(["postgres"]), standard: "postgres"),
    SettingDefinition(name: "is_superuser", kind: .boolean, standard: "off", isReadOnly: true),
    SettingDefinition(name: "server_encoding", kind: .text, standard: "UTF8", isReadOnly: true),
    SettingDefinition(
      name: "server_version", kind: .text, standard: ReportedSettings.serverVersion, isReadOnly: true),
    SettingDefinition(name: "session_authorization", kind: .text, standard: "", isReadOnly: true),
    SettingDefinition(name: "standard_conforming_strings", kind: .fixed(["on", "true", "1", "yes"]), standard: "on"),
    SettingDefinition(name: "TimeZone", kind: .timeZone, standard: "UTC"),
  ]

  private static let effective = [
    SettingDefinition(
      name: "client_min_messages", kind: .choice(messageLevels), standard: "notice",
      summary: "Messages below this level are not sent."),
    SettingDefinition(
      name: "default_transaction_isolation", kind: .choice(isolationLevels), standard: "read committed"),
    SettingDefinition(
      name: "idle_in_transaction_session_timeout",
      kind: .integer(minimum: 0, maximum: noLimit, unit: .milliseconds), standard: "0",
      summary: "Longest silence of a client within a transaction; 0: no limit."),
    SettingDefinition(
      name: "idle_session_timeout", kind: .integer(minimum: 0, maximum: noLimit, unit: .milliseconds), standard: "0",
      summary: "Longest silence of a client outside of transactions; 0: no limit."),
    SettingDefinition(
      name: "kunlog.snapshot", kind: .choice(["shard", "cluster"]), standard: "shard",
      summary: "Whether reads of several shards see one moment of all (cluster) or of each."),
    SettingDefinition(
      name: "lock_timeout", kind: .integer(minimum: 0, maximum: noLimit, unit: .milliseconds), standard: "0",
      summary: "Longest wait for a lock; 0: no limit."),
    SettingDefinition(name: "search_path", kind: .searchPath, standard: "\"$user\", public"),
    SettingDefinition(
      name: "statement_timeout", kind: .integer(minimum: 0, maximum: noLimit, unit: .milliseconds), standard: "0",
      summary: "Longest run of a statement; 0: no limit."),
    SettingDefinition(name: "transaction_isolation", kind: .choice(isolationLevels), standard: "read committed"),
    SettingDefinition(name: "transaction_read_only", kind: .boolean, standard: "off"),
    SettingDefinition(
      name: "work_mem", kind: .integer(minimum: 64, maximum: 1 << 31, unit: .kilobytes), standard: "256MB",
      summary: "Memory for the rows that a statement brings to the compute node."),
  ]

  /// Taken, kept and shown; without effect.
  private static let accepted: [SettingDefinition] =
    booleans.map { SettingDefinition(name: $0.0, kind: .boolean, standard: $0.1) } + [
      SettingDefinition(name: "bytea_output", kind: .fixed(["hex"]), standard: "hex"),
      SettingDefinition(name: "backslash_quote", kind: .text, standard: "safe_encoding"),
      SettingDefinition(name: "constraint_exclusion", kind: .text, standard: "partition"),
      SettingDefinition(name: "default_table_access_method", kind: .text, standard: "heap"),
      SettingDefinition(name: "default_tablespace", kind: .text, standard: ""),
      SettingDefinition(name: "default_text_search_config", kind: .text, standard: "pg_catalog.simple"),
      SettingDefinition(
        name: "extra_float_digits", kind: .integer(minimum: -15, maximum: 3, unit: .none), standard: "1"),
      SettingDefinition(name: "lc_messages", kind: .text, standard: "C"),
      SettingDefinition(name: "lc_monetary", kind: .text, standard: "C"),
      SettingDefinition(name: "lc_numeric", kind: .text, standard: "C"),
      SettingDefinition(name: "lc_time", kind: .text, standard: "C"),
      SettingDefinition(
        name: "maintenance_work_mem", kind: .integer(minimum: 1024, maximum: 1 << 31, unit: .kilobytes),
        standard: "64MB"),
      SettingDefinition(
        name: "max_parallel_workers_per_gather", kind: .integer(minimum: 0, maximum: 1024, unit: .none), standard: "0"),
      SettingDefinition(name: "plan_cache_mode", kind: .text, standard: "auto"),
      SettingDefinition(name: "random_page_cost", kind: .real(minimum: 0, maximum: 1e300), standard: "4"),
      SettingDefinition(name: "seq_page_cost", kind: .real(minimum: 0, maximum: 1e300), standard: "1"),
      SettingDefinition(name: "session_replication_role", kind: .fixed(["origin", "local"]), standard: "origin"),
      SettingDefinition(name: "synchronous_commit", kind: .text, standard: "on"),
      SettingDefinition(name: "timezone_abbreviations", kind: .text, standard: "Default"),
      SettingDefinition(name: "transaction_deferrable", kind: .boolean, standard: "off"),
      SettingDefinition(name: "default_transaction_deferrable", kind: .boolean, standard: "off"),
      SettingDefinition(name: "xmlbinary", kind: .text, standard: "base64"),
      SettingDefinition(name: "xmloption", kind: .text, standard: "content"),
    ]

  private static let booleans: [(String, String)] = [
    ("check_function_bodies", "on"), ("default_with_oids", "off"), ("enable_bitmapscan", "on"),
    ("enable_hashagg", "on"), ("enable_hashjoin", "on"), ("enable_indexonlyscan", "on"), ("enable_indexscan", "on"),
    ("enable_material", "on"), ("enable_mergejoin", "on"), ("enable_nestloop", "on"), ("enable_seqscan", "on"),
    ("enable_sort", "on"), ("escape_string_warning", "on"), ("geqo", "on"), ("jit", "off"),
    ("log_statement_stats", "off"),
    ("lo_compat_privileges", "off"), ("quote_all_identifiers", "off"), ("row_security", "on"),
    ("synchronize_seqscans", "on"), ("track_activities", "on"), ("transform_null_equals", "off"),
  ]

  private static let shown = [
    SettingDefinition(name: "block_size", kind: .text, standard: "8192", isReadOnly: true),
    SettingDefinition(name: "data_checksums", kind: .boolean, standard: "on", isReadOnly: true),
    SettingDefinition(name: "lc_collate", kind: .text, standard: "C", isReadOnly: true),
    SettingDefinition(name: "lc_ctype", kind: .text, standard: "C.UTF-8", isReadOnly: true),
    SettingDefinition(name: "listen_addresses", kind: .text, standard: "*", isReadOnly: true),
    SettingDefinition(name: "max_connections", kind: .text, standard: "1000", isReadOnly: true),
    SettingDefinition(name: "max_identifier_length", kind: .text, standard: "63", isReadOnly: true),
    SettingDefinition(name: "max_index_keys", kind: .text, standard: "32", isReadOnly: true),
    SettingDefinition(name: "password_encryption", kind: .text, standard: "scram-sha-256", isReadOnly: true),
    SettingDefinition(name: "port", kind: .text, standard: "5432", isReadOnly: true),
    SettingDefinition(name: "server_version_num", kind: .text, standard: "150008", isReadOnly: true),
    SettingDefinition(name: "shared_buffers", kind: .text, standard: "128MB", isReadOnly: true),
    SettingDefinition(name: "ssl", kind: .boolean, standard: "on", isReadOnly: true),
    SettingDefinition(name: "wal_level", kind: .text, standard: "replica", isReadOnly: true),
  ]
}
