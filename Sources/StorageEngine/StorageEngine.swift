import Metadata
import SQLTypes

/// What a storage node asks of the engine that holds a replica's tablets. One engine serves one replica of one shard.
///
/// Concurrency: every method may be called from the storage node's loop; an engine does its blocking work on threads of its
/// own. Writers of one tablet exclude each other (a lock per tablet, held to the end of the transaction); readers see what
/// is committed and never wait.
///
/// Durability: the shard's log is what is durable. The engine records, with each change and atomically with it, the log index
/// that a tablet contains, so that replay after a crash applies every entry once.
package protocol StorageEngine: Sendable {
  /// The lowest log index that all tablets contain: replay starts behind it.
  func appliedIndex() async throws(SQLError) -> UInt64

  // Schema: derived from metadata events, replicated as entries of the shard's log, idempotent by index.

  func apply(_ change: TabletChange, at index: UInt64) async throws(SQLError)

  // Transactions at the leader.

  /// Starts a transaction. Nothing is locked yet.
  func begin(_ id: TransactionID, isReadOnly: Bool, isRepeatableRead: Bool) async throws(SQLError)
  /// Runs one fragment within a transaction; rows arrive in batches through `rows`, which returns false to stop.
  func execute(
    _ fragment: EngineFragment, in id: TransactionID, session: EngineSession,
    rows: @escaping @Sendable (EncodedRows) async -> Bool
  ) async throws(EngineFailure) -> UInt64
  /// What the transaction has changed, by tablet, ready to be logged; empty where it wrote nothing.
  func changes(of id: TransactionID) async throws(SQLError) -> [TabletChangeset]
  /// Makes the transaction's changes visible, as the log entry at `index`, and ends it.
  func commit(_ id: TransactionID, at index: UInt64) async throws(SQLError)
  /// Undoes the transaction and ends it; unknown ones are ignored.
  func rollback(_ id: TransactionID) async

  // Replication at a follower, and replay at a start.

  /// Applies changes that another replica executed; tablets that already contain `index` are left alone.
  func apply(_ changesets: [TabletChangeset], at index: UInt64) async throws(SQLError)

  // Whole state.

  /// Writes all tablets, as of one log index, into a file; answers that index.
  func writeSnapshot(to path: String) async throws(SQLError) -> UInt64
  /// Replaces all tablets by the file's.
  func restoreSnapshot(from path: String) async throws(SQLError)
  /// Tablets and their size.
  func statistics() async -> EngineStatistics
  func close() async
}

/// A transaction's name, chosen by the compute node and never used twice.
package struct TransactionID: Sendable, Hashable {
  package var bytes: [UInt8]
  package init(bytes: [UInt8]) { self.bytes = bytes }
}

/// What a metadata event means for a tablet.
package enum TabletChange: Sendable, Hashable {
  case create(TabletID, TableDefinition, indexes: [IndexDefinition])
  case drop(TabletID)
  case createIndex(TabletID, TableDefinition, IndexDefinition)
  case dropIndex(TabletID, ObjectID)
  /// TRUNCATE.
  case clear(TabletID)
}

/// The rows that one transaction changed in one tablet, in the engine's own format, old values included.
package struct TabletChangeset: Sendable, Hashable {
  package var tabletID: TabletID
  package var bytes: [UInt8]
  package init(tabletID: TabletID, bytes: [UInt8]) {
    self.tabletID = tabletID
    self.bytes = bytes
  }
}

/// One text to run: see `Fragment` in proto/kunlog/storage/v1/storage.proto.
package struct EngineFragment: Sendable {
  package var tablets: [TabletID]
  package var sql: String
  /// Rows of values, encoded by `RowCodec`; the text runs once per row, or once where there is none.
  package var parameters: [UInt8]
  package var parameterColumns: Int
  package var parameterRows: Int
  package var isWrite: Bool
  package var resultColumns: Int
  package init(
    tablets: [TabletID], sql: String, parameters: [UInt8] = [], parameterColumns: Int = 0, parameterRows: Int = 0,
    isWrite: Bool, resultColumns: Int
  ) {
    self.tablets = tablets
    self.sql = sql
    self.parameters = parameters
    self.parameterColumns = parameterColumns
    self.parameterRows = parameterRows
    self.isWrite = isWrite
    self.resultColumns = resultColumns
  }
}

/// Rows as `RowCodec` encodes them, one after another.
package struct EncodedRows: Sendable {
  package var count: Int
  package var bytes: [UInt8]
  package init(count: Int, bytes: [UInt8]) {
    self.count = count
    self.bytes = bytes
  }
}

/// What functions such as now() and current_user answer; times in microseconds since 2000-01-01 UTC.
package struct EngineSession: Sendable, Hashable {
  package var transactionTime: Int64
  package var statementTime: Int64
  package var timeZone: String
  package var user: String
  package var database: String
  package init(transactionTime: Int64, statementTime: Int64, timeZone: String, user: String, database: String) {
    self.transactionTime = transactionTime
    self.statementTime = statementTime
    self.timeZone = timeZone
    self.user = user
    self.database = database
  }
}

/// Why a fragment failed; where a constraint is violated, which.
package struct EngineFailure: Error, Sendable {
  package enum Constraint: Sendable, Hashable {
    case primaryKey(columns: [String])
    case unique(columns: [String])
    case notNull(column: String)
    case check(name: String)
  }
  package var error: SQLError
  package var constraint: Constraint?
  package var tabletID: TabletID?
  /// Index of the parameter row at fault.
  package var parameterRow: Int
  package init(error: SQLError, constraint: Constraint? = nil, tabletID: TabletID? = nil, parameterRow: Int = 0) {
    self.error = error
    self.constraint = constraint
    self.tabletID = tabletID
    self.parameterRow = parameterRow
  }
}

package struct EngineStatistics: Sendable, Hashable {
  package var tablets: Int
  package var sizeBytes: UInt64
  package var openTransactions: Int
  package init(tablets: Int, sizeBytes: UInt64, openTransactions: Int) {
    self.tablets = tablets
    self.sizeBytes = sizeBytes
    self.openTransactions = openTransactions
  }
}
