/// How SQLite holds and orders a type's stored values: what DDL, ORDER BY, GROUP BY and DISTINCT have to write.
extension SQLType {
  /// The type name of a tablet's column. It gives SQLite the affinity that leaves stored values as they are.
  package var sqliteColumnType: String {
    switch oid {
    case SQLType.float4.oid, SQLType.float8.oid:
      return "REAL"
    case SQLType.bytea.oid, SQLType.uuid.oid, SQLType.interval.oid:
      return "BLOB"
    case SQLType.bool.oid, SQLType.int2.oid, SQLType.int4.oid, SQLType.int8.oid, SQLType.oid.oid, SQLType.xid.oid,
      SQLType.cid.oid, SQLType.date.oid, SQLType.time.oid, SQLType.timestamp.oid, SQLType.timestamptz.oid:
      return "INTEGER"
    default:
      return isRegistered ? "INTEGER" : "TEXT"
    }
  }

  /// The collation under which stored values compare as PostgreSQL compares the values, nil for SQLite's own order.
  /// `PostgresFunctions` registers it. Columns and keys have to be declared with it.
  package var sqliteCollation: String? {
    switch oid {
    case SQLType.numeric.oid: return "PG_NUMERIC"
    case SQLType.jsonb.oid: return "PG_JSONB"
    default: return nil
    }
  }

  /// The function whose result orders and equals as the values do, for types where no collation can do it.
  package var sqliteKeyFunction: String? { oid == SQLType.interval.oid ? "pg_interval_key" : nil }

  /// Whether the type is one of `regclass`, `regtype` and the like: an oid that prints as a name.
  package var isRegistered: Bool {
    [24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191].contains(oid)
  }
}
