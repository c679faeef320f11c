import CSQLite
import SQLTypes

/// Records the changes that a connection makes to tables, as a changeset (sqlite.org/sessionintro.html). Tables without
/// a primary key are not recorded, nor are rows whose key has a NULL. Confined to the thread of its database.
package final class SQLiteSession {
  private let database: SQLiteHandle
  private let pointer: OpaquePointer

  /// Begins to record changes of the attached tables of a schema (`main`, or an attached database's name).
  package init(on database: SQLiteDatabase, schema: String = "main") throws(SQLiteError) {
    var pointer: OpaquePointer?
    let result = sqlite3session_create(database.handle.pointer, schema, &pointer)
    guard result == SQLITE_OK, let pointer else {
      throw SQLiteError(handle: database.handle.pointer, result: result)
    }
    self.database = database.handle
    self.pointer = pointer
  }

  deinit { sqlite3session_delete(pointer) }

  /// Records changes of the table, or with nil of every table that there is or will be.
  package func attach(table: String?) throws(SQLiteError) {
    let result = sqlite3session_attach(pointer, table)
    guard result == SQLITE_OK else { throw SQLiteError(handle: database.pointer, result: result) }
  }

  /// Whether changes are recorded; they are, unless this is set to false.
  package var isEnabled: Bool {
    get { sqlite3session_enable(pointer, -1) != 0 }
    set { _ = sqlite3session_enable(pointer, newValue ? 1 : 0) }
  }

  /// Whether nothing was changed.
  package var isEmpty: Bool { sqlite3session_isempty(pointer) != 0 }

  /// The changes since the session began, with old and new values: it can be inverted.
  package func changeset() throws(SQLiteError) -> [UInt8] {
    var count: Int32 = 0
    var buffer: UnsafeMutableRawPointer?
    let result = sqlite3session_changeset(pointer, &count, &buffer)
    return try Changeset.take(result, count, buffer)
  }
}

/// Operations on the bytes of changesets.
package enum Changeset {
  /// What was done to a row.
  package enum Operation: Sendable, Hashable {
    case insert
    case update
    case delete
  }

  /// One row's change. For an update, `old` has the primary key and the changed columns, `new` the changed columns;
  /// the others are nil.
  package struct Change: Sendable, Hashable {
    /// The table's name.
    package let table: String
    /// What was done.
    package let operation: Operation
    /// The values before, of a deletion or update.
    package let old: [StoredValue?]
    /// The values after, of an insertion or update.
    package let new: [StoredValue?]
    /// Which columns make the primary key.
    package let isPrimaryKey: [Bool]
  }

  /// Why a change could not be applied as it is (sqlite.org/session/c_changeset_conflict.html).
  package enum Conflict: Sendable, Hashable {
    /// The row is there, but its values are not those of before the change.
    case dataDiffers
    /// The row is not there.
    case notFound
    /// A row with the same primary key is there already.
    case duplicate
    /// Another constraint is violated.
    case constraint
    /// Foreign keys are violated after all changes.
    case foreignKey
  }

  /// What to do about a conflict.
  package enum Resolution: Sendable, Hashable {
    /// Leave this change out.
    case omit
    /// Overwrite; only for `dataDiffers` and `duplicate`.
    case replace
    /// Undo all, and fail with `SQLITE_ABORT`.
    case abort
  }

  /// The changes that undo these.
  package static func invert(_ changeset: [UInt8]) throws(SQLiteError) -> [UInt8] {
    try ChangesetFormat.check(changeset)
    var count: Int32 = 0
    var buffer: UnsafeMutableRawPointer?
    let result = changeset.withUnsafeBytes { bytes in
      sqlite3changeset_invert(Int32(bytes.count), bytes.baseAddress, &count, &buffer)
    }
    return try take(result, count, buffer)
  }

  /// One changeset with the effect of both, the first before the second.
  package static func concatenate(_ first: [UInt8], _ second: [UInt8]) throws(SQLiteError) -> [UInt8] {
    try ChangesetFormat.check(first)
    try ChangesetFormat.check(second)
    var count: Int32 = 0
    var buffer: UnsafeMutableRawPointer?
    var head = first
    var tail = second
    let result = head.withUnsafeMutableBytes { left in
      tail.withUnsafeMutableBytes { right in
        sqlite3changeset_concat(
          Int32(left.count), left.baseAddress, Int32(right.count), right.baseAddress, &count, &buffer)
      }
    }
    return try take(result, count, buffer)
  }

  /// Applies changes, all or none, in a savepoint of its own.
  /// - Parameter includesTable: says whether a table's changes are applied; nil for all. A table that the database does not
  ///   have, or has with other columns, is left out by SQLite.
  /// - Parameter onConflict: decides about each conflict.
  package static func apply(
    _ changeset: [UInt8], to database: SQLiteDatabase, includesTable: ((String) -> Bool)? = nil,
    onConflict: @escaping (Conflict, Change) -> Resolution
  ) throws(SQLiteError) {
    try ChangesetFormat.check(changeset)
    let callbacks = Callbacks(includesTable: includesTable, onConflict: onConflict)
    var bytes = changeset
    let result = withExtendedLifetime(callbacks) {
      bytes.withUnsafeMutableBytes { buffer in
        sqlite3changeset_apply(
          database.handle.pointer, Int32(buffer.count), buffer.baseAddress,
          { context, table in
            let callbacks = Unmanaged<Callbacks>.fromOpaque(context!).takeUnretainedValue()
            guard let includes = callbacks.includesTable, let table else { return 1 }
            return includes(String(cString: table)) ? 1 : 0
          },
          { context, kind, iterator in
            Unmanaged<Callbacks>.fromOpaque(context!).takeUnretainedValue().resolve(kind, iterator)
          }, Unmanaged.passUnretained(callbacks).toOpaque())
      }
    }
    guard result == SQLITE_OK else { throw SQLiteError(handle: database.handle.pointer, result: result) }
  }

  /// The changes, in the changeset's order.
  package static func changes(_ changeset: [UInt8]) throws(SQLiteError) -> [Change] {
    try ChangesetFormat.check(changeset)
    var bytes = changeset
    var changes: [Change] = []
    let result: Int32 = bytes.withUnsafeMutableBytes { buffer in
      var iterator: OpaquePointer?
      let start = sqlite3changeset_start(&iterator, Int32(buffer.count), buffer.baseAddress)
      guard start == SQLITE_OK, let iterator else { return start }
      while sqlite3changeset_next(iterator) == SQLITE_ROW {
        if let change = change(at: iterator) { changes.append(change) }
      }
      return sqlite3changeset_finalize(iterator)
    }
    guard result == SQLITE_OK else { throw SQLiteError(handle: nil, result: result) }
    return changes
  }

  fileprivate static func change(at iterator: OpaquePointer) -> Change? {
    var table: UnsafePointer<CChar>?
    var columnCount: Int32 = 0
    var code: Int32 = 0
    var indirect: Int32 = 0
    guard sqlite3changeset_op(iterator, &table, &columnCount, &code, &indirect) == SQLITE_OK, let table else {
      return nil
    }
    var keys: UnsafeMutablePointer<UInt8>?
    var keyCount: Int32 = 0
    sqlite3changeset_pk(iterator, &keys, &keyCount)
    func values(_ read: (OpaquePointer, Int32, UnsafeMutablePointer<OpaquePointer?>) -> Int32) -> [StoredValue?] {
      (0..<columnCount).map { index in
        var value: OpaquePointer?
        _ = read(iterator, index, &value)
        return value.map { StoredValue($0) }
      }
    }
    let operation: Operation = code == SQLITE_INSERT ? .insert : code == SQLITE_DELETE ? .delete : .update
    return Change(
      table: String(cString: table), operation: operation,
      old: operation == .insert ? [] : values { sqlite3changeset_old($0, $1, $2) },
      new: operation == .delete ? [] : values { sqlite3changeset_new($0, $1, $2) },
      isPrimaryKey: (0..<Int(keyCount)).map { keys?[$0] != 0 })
  }

  /// Takes over a buffer that SQLite allocated.
  static func take(
    _ result: Int32, _ count: Int32, _ buffer: UnsafeMutableRawPointer?
  ) throws(SQLiteError) -> [UInt8] {
    defer { sqlite3_free(buffer) }
    guard result == SQLITE_OK else { throw SQLiteError(handle: nil, result: result) }
    return [UInt8](UnsafeRawBufferPointer(start: buffer, count: Int(count)))
  }

  /// Keeps the closures of ``apply(_:to:includesTable:onConflict:)`` while SQLite calls them.
  private final class Callbacks {
    let includesTable: ((String) -> Bool)?
    let onConflict: (Conflict, Change) -> Resolution

    init(includesTable: ((String) -> Bool)?, onConflict: @escaping (Conflict, Change) -> Resolution) {
      self.includesTable = includesTable
      self.onConflict = onConflict
    }

    func resolve(_ kind: Int32, _ iterator: OpaquePointer?) -> Int32 {
      let conflict: Conflict
      switch kind {
      case SQLITE_CHANGESET_DATA: conflict = .dataDiffers
      case SQLITE_CHANGESET_NOTFOUND: conflict = .notFound
      case SQLITE_CHANGESET_CONFLICT: conflict = .duplicate
      case SQLITE_CHANGESET_CONSTRAINT: conflict = .constraint
      default: conflict = .foreignKey
      }
      guard let iterator else { return SQLITE_CHANGESET_ABORT }
      let change =
        Changeset.change(at: iterator)
        ?? Change(table: "", operation: .update, old: [], new: [], isPrimaryKey: [])
      switch onConflict(conflict, change) {
      case .omit: return SQLITE_CHANGESET_OMIT
      case .replace:
        return conflict == .dataDiffers || conflict == .duplicate ? SQLITE_CHANGESET_REPLACE : SQLITE_CHANGESET_ABORT
      case .abort: return SQLITE_CHANGESET_ABORT
      }
    }
  }
}
