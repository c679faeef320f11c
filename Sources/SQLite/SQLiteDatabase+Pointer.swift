extension SQLiteDatabase {
  /// The connection's C object, for what has no wrapper; valid while this database is kept.
  package var pointer: OpaquePointer { handle.pointer }
}
